"""The weighted sum of loss terms, with each term's own value for the log."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from mfl_adapt.errors import TrainingError
from mfl_adapt.plugin.specs import Loss, LossContext


@dataclass(frozen=True, slots=True)
class Term:
    """One loss with its place in the sum.

    Attributes:
        name: As the user typed it (``masked_loss.masked_l2``).
        weight: Factor, above 0.
        loss: Returns [B, V].
    """

    name: str
    weight: float
    loss: Loss


@dataclass(frozen=True, slots=True)
class Objective:
    """What training makes small.

    Attributes:
        terms: At least one.
    """

    terms: tuple[Term, ...]

    def __post_init__(self) -> None:
        """Refuse an empty sum and terms that could not have an effect.

        Raises:
            TrainingError: If there is no term, or one whose weight is not above 0.
        """
        if not self.terms:
            raise TrainingError(
                "losses: expected at least one term, got none. "
                "Add one, for instance --set losses.masked_loss.masked_l2.weight=1."
            )
        for term in self.terms:
            if not term.weight > 0:
                raise TrainingError(
                    f"losses.{term.name}: expected a weight above 0, got {term.weight:g}. "
                    "Remove the term instead."
                )

    def __call__(
        self, pred: Tensor, target: Tensor, mask: Tensor, context: LossContext
    ) -> tuple[Tensor, Mapping[str, float]]:
        """Return the sum, and every term before its weight.

        Args:
            pred: Rendered colour, [B, V, 3, H, W], or what a denoiser says, [B, V, 4, h, w].
            target: Photographed colour, or what it should say; same shape.
            mask: [B, V, 1, H, W] in [0, 1].
            context: What else a loss may know.

        Returns:
            A scalar to differentiate, and plain numbers by term.

        Raises:
            TrainingError: If a term does not return [B, V], or not a finite number.
        """
        total = pred.new_zeros(())
        parts: dict[str, float] = {}
        for term in self.terms:
            value = term.loss(pred, target, mask, context)
            if value.shape != pred.shape[:2]:
                raise TrainingError(
                    f"losses.{term.name}: expected one value per view {list(pred.shape[:2])}, "
                    f"got {list(value.shape)}. This is a fault of the plugin."
                )
            mean = value.mean()
            parts[term.name] = float(mean.detach())
            if parts[term.name] - parts[term.name] != 0:
                raise TrainingError(
                    f"losses.{term.name}: expected a finite number at step {context.step}, got "
                    f"{parts[term.name]}. Lower train.lr, or use train.precision=fp32."
                )
            total = total + term.weight * mean
        return total, parts


def build_objective(losses: Iterable[tuple[str, float, Loss]]) -> Objective:
    """Return the sum of losses, each with its name and weight."""
    return Objective(tuple(Term(*one) for one in losses))
