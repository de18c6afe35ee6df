"""What an adapter is worth on views and scenes that it was not trained on, and what it costs."""

from mfl_adapt.evaluate.evaluation import Evaluation
from mfl_adapt.evaluate.held_out import evaluate
from mfl_adapt.evaluate.kinds import evaluate_any
from mfl_adapt.evaluate.retention import Retention, measure_retention
from mfl_adapt.evaluate.scores import Scores

__all__ = [
    "Evaluation",
    "Retention",
    "Scores",
    "evaluate",
    "evaluate_any",
    "measure_retention",
]
