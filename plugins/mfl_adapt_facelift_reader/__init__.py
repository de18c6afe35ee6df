"""Reads datasets in the layouts that FaceLift's two models train on."""

from mfl_adapt.plugin import ReaderSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``facelift_reader.gslrm``."""
    from .config import GslrmReaderConfig

    return [
        ReaderSpec(
            name="gslrm",
            summary="Sample folders with opencv_cameras.json, or with cam_000..005.png alone",
            config=GslrmReaderConfig,
            build="mfl_adapt_facelift_reader.reader:GslrmReader",
            can_read="mfl_adapt_facelift_reader.discover:can_read",
        )
    ]
