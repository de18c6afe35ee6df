"""What goes into the passport of an adapter that a run made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mfl_adapt.config import to_plain
from mfl_adapt.data import fingerprint
from mfl_adapt.evaluate import Evaluation
from mfl_adapt.train.folder import environment
from mfl_adapt.train.session import Session


def passport(session: Session, steps: int, evaluation: Evaluation | None) -> dict[str, Any]:
    """Return the evidence that goes with the adapter."""
    opened, split = session.opened, session.data.split
    return {
        "config": to_plain(session.config),
        "plugins": {
            plugin.name: {"distribution": plugin.distribution, "version": plugin.version}
            for plugin in opened.host.plugins()
            if plugin.state == "active"
        },
        "seeds": {"run": session.config.seed},
        "steps": steps,
        "data": {
            "fingerprint": fingerprint(session.data.samples),
            "samples": len(session.data.samples),
            "train": len(split.train),
            "validation": len(split.validation),
        },
        "environment": environment(),
        "metrics": {} if evaluation is None else metrics(evaluation),
    }


def metrics(evaluation: Evaluation) -> Mapping[str, Any]:
    """Scores without the single scenes, for the passport and the model card."""
    return {key: value for key, value in evaluation.to_json().items() if "per_scene" not in key}
