"""Losses that FaceLift's models were trained with."""

from mfl_adapt.plugin import LossSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``min_snr``."""
    from .config import MinSnrConfig

    return [
        LossSpec(
            name="min_snr",
            summary="Squared error of the denoiser, with weights that balance the timesteps",
            config=MinSnrConfig,
            build="mfl_adapt_facelift_loss.min_snr:MinSnr",
            on="latents",
        )
    ]
