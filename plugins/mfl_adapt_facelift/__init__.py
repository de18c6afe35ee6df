"""FaceLift's two models as frozen bases: one picture to six views, and views to Gaussians."""

from mfl_adapt.plugin import BaseSpec, HomeDomain, Licence, PublishedWeights, Spec, hookimpl

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

# Heads of the series that no training has seen. Eight views, to be drawn in a second.
_HEADS = HomeDomain(
    name="procedural heads",
    data={
        "reader": {
            "use": "procedural.heads",
            "split": "test",
            "samples": 1000,  # no more are drawn than are measured
            "num_views": 8,
            "elevation_deg": [0.0, 30.0],
        },
        "views": {"use": "view_policies.held_out", "inputs": 4, "held_out": 4},
    },
    plugins=("procedural", "view_policies"),
)
_HEADS_IN_SLOTS = HomeDomain(
    name="procedural heads",
    data={"reader": {"use": "procedural.heads", "split": "test", "samples": 1000, "rig": "slots"}},
    plugins=("procedural",),
)
# Pictures of heads are not shipped; FaceLift's repository holds a sample of either kind.
_SAMPLE = HomeDomain(
    name="heads in FaceLift's format",
    data={"views": {"use": "view_policies.held_out", "inputs": 6, "held_out": 0.25}},
)
_SAMPLE_IN_SLOTS = HomeDomain(name="heads in FaceLift's format", data={})


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
            home=_HEADS,
            licence=_OWN,
            outline="mfl_adapt_facelift.tiny:outline",
        ),
        BaseSpec(
            name="gslrm",
            summary="FaceLift's GS-LRM, views to Gaussians: 512 px, 4-6 views, 304 M weights",
            config=GSLRMBaseConfig,
            build="mfl_adapt_facelift.gslrm:build_gslrm",
            contract=PUBLISHED.contract(),
            home=_SAMPLE,
            licence=_ADOBE,
            # No commit is pinned: the first fetch records the one that it finds.
            published=PublishedWeights(
                repository=_REPOSITORY, path="gslrm/ckpt_0000000000021125.pt"
            ),
            outline="mfl_adapt_facelift.gslrm:outline",
        ),
        BaseSpec(
            name="tiny_views",
            summary="small MVDiffusion that ships with the package: 64 px, six views",
            config=TinyViewsBaseConfig,
            build="mfl_adapt_facelift.tiny_views:build_tiny_views",
            contract=TINY_CONTRACT,
            home=_HEADS_IN_SLOTS,
            makes="views",
            licence=_OWN,
        ),
        BaseSpec(
            name="mvdiffusion",
            summary="FaceLift's MVDiffusion, one picture to six views: 512 px, 870 M weights",
            config=MVDiffusionBaseConfig,
            build="mfl_adapt_facelift.mvdiffusion:build_mvdiffusion",
            contract=PUBLISHED_CONTRACT,
            home=_SAMPLE_IN_SLOTS,
            makes="views",
            licence=_ADOBE,
            published=PublishedWeights(repository=_REPOSITORY, path="mvdiffusion/pipeckpts"),
        ),
    ]
