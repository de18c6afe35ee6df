"""The error of a denoiser, with a weight for each item."""

from torch import Tensor

from mfl_adapt.checks import check_same_shape


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
