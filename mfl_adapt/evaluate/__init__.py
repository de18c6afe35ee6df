"""What an adapter is worth on views and scenes that it was not trained on."""

from mfl_adapt.evaluate.held_out import evaluate
from mfl_adapt.evaluate.kinds import evaluate_any
from mfl_adapt.evaluate.scores import Evaluation, Scores

__all__ = ["Evaluation", "Scores", "evaluate", "evaluate_any"]
