"""Photometric losses that look at the animal, and two that keep the rest empty."""

from mfl_adapt.plugin import LossSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``masked_l2``, ``masked_ssim``, ``background`` and ``silhouette``."""
    from .config import BackgroundConfig, MaskedL2Config, MaskedSSIMConfig, SilhouetteConfig

    return [
        LossSpec(
            name="masked_l2",
            summary="Mean squared colour error over the pixels that the mask keeps",
            config=MaskedL2Config,
            build="mfl_adapt_masked_loss.masked_l2:MaskedL2",
        ),
        LossSpec(
            name="masked_ssim",
            summary="1 - SSIM over the windows of the mask, in float32",
            config=MaskedSSIMConfig,
            build="mfl_adapt_masked_loss.masked_ssim:MaskedSSIM",
        ),
        LossSpec(
            name="background",
            summary="Deviation from the background colour outside the mask; removes floaters",
            config=BackgroundConfig,
            build="mfl_adapt_masked_loss.background:Background",
        ),
        LossSpec(
            name="silhouette",
            summary="Squared difference of rendered opacity and mask; removes white walls",
            config=SilhouetteConfig,
            build="mfl_adapt_masked_loss.silhouette:Silhouette",
        ),
    ]
