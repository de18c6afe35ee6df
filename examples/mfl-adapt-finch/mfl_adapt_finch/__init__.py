"""Birds in an aviary: a reader of its recordings, and a check of its cameras by the perches."""

from mfl_adapt.plugin import CheckSpec, ReaderSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``finch.sessions`` and ``finch.perches``."""
    from .config import PerchesConfig, SessionsConfig

    return [
        ReaderSpec(
            name="sessions",
            summary="Reads the sessions of a calibrated aviary, with masks",
            config=SessionsConfig,
            build="mfl_adapt_finch.sessions:Sessions",
            can_read="mfl_adapt_finch.layout:can_read",
        ),
        CheckSpec(
            name="perches",
            summary="Perches that every camera sees where its calibration says",
            config=PerchesConfig,
            build="mfl_adapt_finch.perches:Perches",
            code="FINCH001",
            subject="dataset",
        ),
    ]
