"""Reads sparse reconstructions of COLMAP with their pictures, text or binary."""

from mfl_adapt.plugin import ReaderSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``colmap.sparse``."""
    from .config import SparseConfig

    return [
        ReaderSpec(
            name="sparse",
            summary="COLMAP reconstructions: sparse/0 (text or binary), images, optional masks",
            config=SparseConfig,
            build="mfl_adapt_colmap.reader:SparseReader",
            can_read="mfl_adapt_colmap.discover:can_read",
        )
    ]
