"""Files that other programs can open."""

from mfl_adapt.plugin import ExporterSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``ply``."""
    from .config import PlyConfig

    return [
        ExporterSpec(
            name="ply",
            summary="Gaussians as the PLY file that splat viewers read",
            config=PlyConfig,
            build="mfl_adapt_exporters.ply:Ply",
            suffix=".ply",
        )
    ]
