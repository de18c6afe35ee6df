"""What an adapter is worth on views and scenes that it was not trained on, and what it costs.

The names are imported at first use, so that runs can be compared without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfl_adapt.evaluate.evaluation import Evaluation
    from mfl_adapt.evaluate.held_out import evaluate
    from mfl_adapt.evaluate.kinds import evaluate_any
    from mfl_adapt.evaluate.retention import Retention, measure_retention
    from mfl_adapt.evaluate.scores import Scores

_LAZY = {
    "Evaluation": "evaluation",
    "Retention": "retention",
    "Scores": "scores",
    "evaluate": "held_out",
    "evaluate_any": "kinds",
    "measure_retention": "retention",
}
"""Public name to the module of this package that holds it."""

__all__ = [
    "Evaluation",
    "Retention",
    "Scores",
    "evaluate",
    "evaluate_any",
    "measure_retention",
]


def __getattr__(name: str) -> Any:
    """Import a public name at its first use.

    Raises:
        AttributeError: If there is no such name.
    """
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
