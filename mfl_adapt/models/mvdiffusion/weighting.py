"""Weights that balance timesteps, as pure functions of the signal-to-noise ratio."""

from typing import Literal

import torch
from torch import Tensor

from mfl_adapt.checks import check_same_shape
from mfl_adapt.errors import ConfigError, RangeError

Weighting = Literal["compatible", "textbook"]


def min_snr_weights(snr: Tensor, gamma: float = 5.0, *, form: Weighting = "compatible") -> Tensor:
    """Return Min-SNR weights for a network that predicts v.

    Source: Hang et al., "Efficient Diffusion Training via Min-SNR Weighting Strategy", 2023. For
    noise prediction the weight is ``min(snr, gamma) / snr``, and for v ``min(snr, gamma) /
    (snr + 1)``.

    Args:
        snr: Signal-to-noise ratio, any shape, positive.
        gamma: Where the ratio is cut.
        form: ``compatible`` is what the published model was trained with, the weight of noise
            prediction on a network that predicts v; ``textbook`` is the one for v.

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


def item_errors(pred: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error of each item in float32, [N].

    Raises:
        ShapeError: If the shapes differ.
    """
    check_same_shape("target", pred, target)
    return (pred.float() - target.float()).square().flatten(1).mean(dim=1)


def weighted_loss(pred: Tensor, target: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return the mean over items of weight times error.

    Args:
        pred: [N, ...].
        target: Same shape.
        weights: [N]; None weighs all alike.

    Raises:
        ShapeError: If the shapes differ.
    """
    errors = item_errors(pred, target)
    if weights is None:
        return errors.mean()
    check_same_shape("weights", errors, weights)
    return (errors * weights).mean()
