"""Losses that FaceLift's models were trained with, and LPIPS."""

from mfl_adapt.plugin import LossSpec, Spec, hookimpl

MFL_API = 1

_FEATURES = (
    "Features learnt from photographs say little about a subject that fills a tenth of a white "
    "picture and is no human head: there they made gradients jump to hundreds of times the clip "
    "norm. So its weight is 0 unless you give one; if you do, let it start late "
    "(schedule.start, schedule.ramp) and watch gradient_norm."
)
_NO_EFFECT = (
    "Zero up to rounding for a base whose Gaussians lie on the rays of their pixels by "
    "construction (hard_pixelalign), as the published one and the tiny one do."
)


@hookimpl
def register_components() -> list[Spec]:
    """Offer the terms of GS-LRM's loss, LPIPS, and the loss of the model of views."""
    from . import config

    return [
        LossSpec(
            name="l2",
            summary="Mean squared colour error over the whole picture",
            config=config.L2Config,
            build="mfl_adapt_facelift_loss.whole:L2",
        ),
        LossSpec(
            name="ssim",
            summary="1 - SSIM over the whole picture, in float32",
            config=config.SSIMConfig,
            build="mfl_adapt_facelift_loss.whole:SSIM",
        ),
        LossSpec(
            name="perceptual",
            summary="Difference of VGG-19 features, as FaceLift was trained; off by default",
            config=config.PerceptualConfig,
            build="mfl_adapt_facelift_loss.perceptual:Perceptual",
            caution=_FEATURES,
        ),
        LossSpec(
            name="lpips",
            summary="LPIPS, on weight files that you give; off by default",
            config=config.LPIPSConfig,
            build="mfl_adapt_facelift_loss.lpips:LPIPS",
            caution=_FEATURES,
        ),
        LossSpec(
            name="pixelalign",
            summary="Distance of each Gaussian from the ray of its pixel",
            config=config.PixelAlignConfig,
            build="mfl_adapt_facelift_loss.pixels:PixelAlign",
            caution=_NO_EFFECT,
        ),
        LossSpec(
            name="pointsdist",
            summary="Deviation of the Gaussians' distances from a spread about the origin",
            config=config.PointsDistConfig,
            build="mfl_adapt_facelift_loss.pixels:PointsDist",
        ),
        LossSpec(
            name="min_snr",
            summary="Squared error of the denoiser, with weights that balance the timesteps",
            config=config.MinSnrConfig,
            build="mfl_adapt_facelift_loss.min_snr:MinSnr",
            on="latents",
        ),
    ]
