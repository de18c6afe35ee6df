"""Files that other programs can open."""

from mfl_adapt.plugin import ExporterSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``ply``, ``compressed_ply``, ``splat`` and ``mp4``."""
    from .config import CompressedPlyConfig, Mp4Config, PlyConfig, SplatConfig

    return [
        ExporterSpec(
            name="ply",
            summary="Gaussians as the PLY file that splat viewers read",
            config=PlyConfig,
            build="mfl_adapt_exporters.ply:Ply",
            suffix=".ply",
        ),
        ExporterSpec(
            name="compressed_ply",
            summary="Gaussians as PlayCanvas's compressed PLY, 16 bytes each",
            config=CompressedPlyConfig,
            build="mfl_adapt_exporters.compressed_ply:CompressedPly",
            suffix=".compressed.ply",
        ),
        ExporterSpec(
            name="splat",
            summary="Gaussians as .splat, 32 bytes each, the most visible first",
            config=SplatConfig,
            build="mfl_adapt_exporters.splat:Splat",
            suffix=".splat",
        ),
        ExporterSpec(
            name="mp4",
            summary="Ready frames as an H.264 video",
            config=Mp4Config,
            build="mfl_adapt_exporters.mp4:Mp4",
            suffix=".mp4",
            takes="frames",
        ),
    ]
