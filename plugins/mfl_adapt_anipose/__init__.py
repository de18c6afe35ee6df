"""Reads recordings that were calibrated with Anipose: ``calibration.toml`` and videos."""

from mfl_adapt.plugin import ReaderSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``anipose.videos``."""
    from .config import VideosConfig

    return [
        ReaderSpec(
            name="videos",
            summary="Anipose's calibration.toml with one video per camera, optional mask videos",
            config=VideosConfig,
            build="mfl_adapt_anipose.reader:VideosReader",
            can_read="mfl_adapt_anipose.discover:can_read",
        )
    ]
