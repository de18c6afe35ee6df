"""Reads NeRF datasets: ``transforms.json`` as Blender, instant-ngp and nerfstudio write it."""

from mfl_adapt.plugin import ReaderSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``nerf_transforms.transforms``."""
    from .config import TransformsConfig

    return [
        ReaderSpec(
            name="transforms",
            summary="NeRF's transforms.json (Blender, instant-ngp, nerfstudio), static or timed",
            config=TransformsConfig,
            build="mfl_adapt_nerf_transforms.reader:TransformsReader",
            can_read="mfl_adapt_nerf_transforms.discover:can_read",
        )
    ]
