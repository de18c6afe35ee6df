"""FaceLift's two models as frozen bases: one picture to six views, and views to Gaussians."""

from mfl_adapt.plugin import BaseSpec, Licence, PublishedWeights, Spec, hookimpl

MFL_API = 1

_REPOSITORY = "wlyu/OpenFaceLift"
_ADOBE = Licence(
    name="Adobe Research License v1.2",
    terms="non-commercial research only; adapters made on these weights inherit that limit",
)
_OWN = Licence(
    name="Apache-2.0",
    terms="any use that keeps the notices; trained from scratch on scenes that the package draws",
)


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``tiny`` and ``gslrm``, which make Gaussians; ``tiny_views`` and ``mvdiffusion``."""
    from mfl_adapt.models.gslrm.config import PUBLISHED, TINY
    from mfl_adapt.models.mvdiffusion.config import PUBLISHED_CONTRACT, TINY_CONTRACT

    from .config import (  # pydantic only
        GSLRMBaseConfig,
        MVDiffusionBaseConfig,
        TinyBaseConfig,
        TinyViewsBaseConfig,
    )

    return [
        BaseSpec(
            name="tiny",
            summary="small GS-LRM that ships with the package: 64 px, 4 views, 2.9 M weights",
            config=TinyBaseConfig,
            build="mfl_adapt_facelift.tiny:build_tiny",
            contract=TINY.contract(),
            licence=_OWN,
        ),
        BaseSpec(
            name="gslrm",
            summary="FaceLift's GS-LRM, views to Gaussians: 512 px, 4-6 views, 304 M weights",
            config=GSLRMBaseConfig,
            build="mfl_adapt_facelift.gslrm:build_gslrm",
            contract=PUBLISHED.contract(),
            licence=_ADOBE,
            # No commit is pinned: the first fetch records the one that it finds.
            published=PublishedWeights(
                repository=_REPOSITORY, path="gslrm/ckpt_0000000000021125.pt"
            ),
        ),
        BaseSpec(
            name="tiny_views",
            summary="small MVDiffusion that ships with the package: 64 px, six views",
            config=TinyViewsBaseConfig,
            build="mfl_adapt_facelift.tiny_views:build_tiny_views",
            contract=TINY_CONTRACT,
            makes="views",
            licence=_OWN,
        ),
        BaseSpec(
            name="mvdiffusion",
            summary="FaceLift's MVDiffusion, one picture to six views: 512 px, 870 M weights",
            config=MVDiffusionBaseConfig,
            build="mfl_adapt_facelift.mvdiffusion:build_mvdiffusion",
            contract=PUBLISHED_CONTRACT,
            makes="views",
            licence=_ADOBE,
            published=PublishedWeights(repository=_REPOSITORY, path="mvdiffusion/pipeckpts"),
        ),
    ]
