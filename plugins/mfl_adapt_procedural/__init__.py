"""Procedural heads and mice: calibrated samples that need neither data nor downloads."""

from mfl_adapt.plugin import ReaderSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``procedural.heads`` and ``procedural.mice``."""
    from .config import HeadsConfig, MiceConfig

    offered = (
        ("heads", "Rendered human heads, as FaceLift was trained on", HeadsConfig),
        ("mice", "Rendered laboratory mice of several coats and poses", MiceConfig),
    )
    return [
        ReaderSpec(
            name=name,
            summary=summary,
            config=config,
            build="mfl_adapt_procedural.reader:ProceduralReader",
            can_read="mfl_adapt_procedural.config:can_read",
            needs_path=False,
        )
        for name, summary, config in offered
    ]
