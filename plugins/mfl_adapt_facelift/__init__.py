"""FaceLift's reconstructor as a frozen base."""

from mfl_adapt.plugin import BaseSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``facelift.tiny`` and ``facelift.gslrm``."""
    from mfl_adapt.models.gslrm.config import PUBLISHED, TINY

    from .config import GSLRMBaseConfig, TinyBaseConfig  # pydantic only

    return [
        BaseSpec(
            name="tiny",
            summary="small GS-LRM that ships with the package: 64 px, 4 views, 2.9 M weights",
            config=TinyBaseConfig,
            build="mfl_adapt_facelift.tiny:build_tiny",
            contract=TINY.contract(),
        ),
        BaseSpec(
            name="gslrm",
            summary="FaceLift's GS-LRM from your checkpoint: 512 px, 4-6 views, 304 M weights",
            config=GSLRMBaseConfig,
            build="mfl_adapt_facelift.gslrm:build_gslrm",
            contract=PUBLISHED.contract(),
        ),
    ]
