"""Reads datasets in the layout that FaceLift's GS-LRM trains on."""

from mfl_adapt.plugin import ReaderSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``facelift_reader.gslrm``."""
    from .config import GslrmReaderConfig

    return [
        ReaderSpec(
            name="gslrm",
            summary="Sample folders with images/*.png and opencv_cameras.json, or a list of them",
            config=GslrmReaderConfig,
            build="mfl_adapt_facelift_reader.reader:GslrmReader",
            can_read="mfl_adapt_facelift_reader.discover:can_read",
        )
    ]
