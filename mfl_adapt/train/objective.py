"""The weighted sum of loss terms, with each term's own value for the log."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from mfl_adapt.config import LossSchedule
from mfl_adapt.errors import TrainingError
from mfl_adapt.plugin.specs import LocalLoss, Loss, LossContext
from mfl_adapt.train.guards.table import NON_FINITE_LOSS, ZERO_GRADIENT
from mfl_adapt.train.guards.watch import stop


@dataclass(frozen=True, slots=True)
class Term:
    """One loss with its place in the sum.

    Attributes:
        name: As the user typed it (``masked_loss.masked_l2``).
        weight: Factor, above 0.
        loss: Returns [B, V].
        schedule: When it counts; None at every step.
    """

    name: str
    weight: float
    loss: Loss
    schedule: LossSchedule | None = None

    def weight_at(self, step: int) -> float:
        """Return the factor at a step, from 0; 0 while the term does not count."""
        return self.weight * (self.schedule.factor(step) if self.schedule else 1.0)


class Summed(NamedTuple):
    """A sum and what it is made of.

    Attributes:
        total: A scalar to differentiate.
        parts: Every term before its weight, as a plain number.
        values: The same as scalars with their graphs.
    """

    total: Tensor
    parts: Mapping[str, float]
    values: Mapping[str, Tensor]


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
            TrainingError: If there is no term, or one whose weight is not above 0 or whose reach
                is below 0.
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
            if isinstance(term.loss, LocalLoss) and not term.loss.reach_px >= 0:
                raise TrainingError(
                    f"losses.{term.name}: expected reach_px of at least 0, got "
                    f"{term.loss.reach_px}. This is a fault of the plugin."
                )

    def reach_px(self, step: int) -> int | None:
        """Return how far beside the masks the terms of a step, from 0, read what is rendered.

        Returns:
            Pixels, as of ``LocalLoss``; None if a term reads whole pictures.
        """
        losses = [term.loss for term in self.terms if term.weight_at(step)]
        reaches = [loss.reach_px for loss in losses if isinstance(loss, LocalLoss)]
        return max(reaches) if reaches and len(reaches) == len(losses) else None

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, context: LossContext) -> Summed:
        """Return the sum, and every term that counts at the step, before its weight.

        Args:
            pred: Rendered colour, [B, V, 3, H, W], or what a denoiser says, [B, V, 4, h, w].
            target: Photographed colour, or what it should say; same shape.
            mask: [B, V, 1, H, W] in [0, 1].
            context: What else a loss may know.

        Raises:
            TrainingError: If a term does not return [B, V], or none counts at this step.
            GuardError: If a value is not a finite number, or nothing has a gradient.
        """
        total = pred.new_zeros(())
        parts: dict[str, float] = {}
        values: dict[str, Tensor] = {}
        for term in self.terms:
            weight = term.weight_at(context.step)
            if not weight:
                continue
            each = term.loss(pred, target, mask, context)
            if each.shape != pred.shape[:2]:
                raise TrainingError(
                    f"losses.{term.name}: expected one value per view {list(pred.shape[:2])}, "
                    f"got {list(each.shape)}. This is a fault of the plugin."
                )
            mean = each.mean()
            parts[term.name] = float(mean.detach())
            if parts[term.name] - parts[term.name] != 0:
                value = str(parts[term.name])
                stop(NON_FINITE_LOSS, f"losses.{term.name}", value, context.step + 1)
            values[term.name] = mean
            total = total + weight * mean
        if not parts:
            raise TrainingError(
                f"losses: expected a term that counts at step {context.step + 1}, got none. Change "
                "the schedules so that one always does."
            )
        if pred.requires_grad and not total.requires_grad:
            stop(ZERO_GRADIENT, "losses", "terms that were all detached", context.step + 1)
        return Summed(total, parts, values)


def build_objective(
    losses: Iterable[tuple[str, float, Loss, LossSchedule | None]],
) -> Objective:
    """Return the sum of losses, each with its name, weight and schedule."""
    return Objective(tuple(Term(*one) for one in losses))
