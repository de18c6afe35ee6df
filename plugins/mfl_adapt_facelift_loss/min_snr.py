"""The squared error of a denoiser, weighted so that no timestep outweighs the others.

Source: Hang et al., "Efficient Diffusion Training via Min-SNR Weighting Strategy", 2023. For noise
prediction the weight is ``min(snr, gamma) / snr``, and for v ``min(snr, gamma) / (snr + 1)``.
"""

from typing import Literal

import torch
from torch import Tensor

from mfl_adapt.checks import check_same_shape, check_shape
from mfl_adapt.errors import ConfigError, RangeError
from mfl_adapt.plugin import LossContext

from .config import MinSnrConfig

Form = Literal["compatible", "textbook"]
_NEEDED = ("timesteps", "snr")


def min_snr_weights(snr: Tensor, gamma: float = 5.0, *, form: Form = "compatible") -> Tensor:
    """Return Min-SNR weights for a network that predicts v.

    Args:
        snr: Signal-to-noise ratio, any shape, positive.
        gamma: Where the ratio is cut.
        form: ``compatible`` is what the published model was trained with, the weight of noise
            prediction; ``textbook`` is the one for v.

    Returns:
        Same shape.

    Raises:
        RangeError: If gamma is not positive.
        ConfigError: If the form is unknown.
    """
    if not gamma > 0:
        raise RangeError(f"gamma: expected a positive number, got {gamma:g}. The usual one is 5.")
    if form not in {"compatible", "textbook"}:
        raise ConfigError(f"form: expected compatible or textbook, got {form!r}. Choose one.")
    return torch.clamp(snr, max=gamma) / (snr if form == "compatible" else snr + 1)


def latent_errors(pred: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of each view in float32, whatever autocast says.

    Args:
        pred: The denoiser's output, [B, V, C, h, w].
        target: What it should have been, same shape.

    Returns:
        [B, V].

    Raises:
        ShapeError: If the shapes differ, or lack axes.
    """
    check_shape("min_snr: pred", pred, (None,) * 5)
    check_same_shape("min_snr: target", pred, target)
    difference = pred - target if pred.dtype == torch.float64 else pred.float() - target.float()
    return difference.square().mean(dim=(2, 3, 4))


class MinSnr:
    """The component ``facelift_loss.min_snr``."""

    def __init__(self, config: MinSnrConfig) -> None:
        self.config = config

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, context: LossContext) -> Tensor:
        """Return the weighted error per view, [B, V].

        The mask is not looked at: a latent mixes pixels in and beside the subject, and the model
        has to learn its background too.

        Args:
            pred: The denoiser's output, [B, V, 4, h, w].
            target: What it should have been, same shape.
            mask: Ones.
            context: Its ``extra`` holds ``timesteps`` and ``snr``, [B, V] each.

        Raises:
            ShapeError: If the shapes do not fit each other.
            ConfigError: If the context is not that of a diffusion step.
        """
        missing = [name for name in _NEEDED if name not in context.extra]
        if missing:
            raise ConfigError(
                "facelift_loss.min_snr: expected timesteps and snr of a diffusion step, got a "
                f"step without {' and '.join(missing)}. Use it with a base that makes views, such "
                "as facelift.mvdiffusion, and take it out of losses elsewhere."
            )
        errors = latent_errors(pred, target)
        if self.config.gamma is None:
            return errors
        snr: Tensor = context.extra["snr"]
        check_same_shape("min_snr: snr", errors, snr)
        return errors * min_snr_weights(snr, self.config.gamma, form=self.config.form)
