"""What goes into the passport of an adapter that a run made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mfl_adapt.adapter.card import licence_word
from mfl_adapt.config import shorten_paths, to_plain
from mfl_adapt.data import fingerprint
from mfl_adapt.evaluate import Evaluation, evaluate_any, measure_retention
from mfl_adapt.plugin import BaseSpec, Licence
from mfl_adapt.train.inputs import record_inputs
from mfl_adapt.train.session import Session


def measure_run(session: Session, report: Callable[[int, int], None]) -> Evaluation:
    """Score a finished adapter on held-out views, and on the base's own domain.

    Args:
        session: The run, with its adapter attached.
        report: Called with scenes done and scenes in all, of the held-out ones.
    """
    base, adapter, config = session.base, session.adapter, session.config
    found = evaluate_any(base, adapter, session.data, config, report)
    cost = measure_retention(base, adapter, config, session.opened.host)
    return replace(found, retention=cost, fingerprint=fingerprint(session.data.samples))


def passport(session: Session, steps: int, evaluation: Evaluation | None) -> dict[str, Any]:
    """Return the evidence that goes with the adapter.

    Where this machine keeps its files is left out; ``shortened`` lists the keys of the
    configuration of which only a name is left.
    """
    evidence = {
        **record_inputs(session.opened),
        "steps": steps,
        "licence": licence(session),
        "metrics": {} if evaluation is None else metrics(evaluation),
    }
    shortened = shorten_paths(to_plain(session.config))[1]
    if shortened:
        evidence["shortened"] = shortened
    if evaluation is not None and evaluation.retention is not None:
        evidence["retention"] = evaluation.retention.to_json()
    return evidence


def metrics(evaluation: Evaluation) -> Mapping[str, Any]:
    """Scores without the single scenes, for the passport and the model card."""
    # What stands beside the metrics in the passport is not said twice.
    elsewhere = {"per_scene", "digests", "groups", "retention", "fingerprint"}
    return {key: value for key, value in evaluation.to_json().items() if key not in elsewhere}


def licence(session: Session) -> dict[str, Any]:
    """Return the licences that bind an adapter.

    That of the base is inherited. Where it limits use, it is the adapter's own too; where it
    allows any, the adapter's author has to choose, and the name stays empty.
    """
    named = session.config.base
    assert named is not None, "a run has a base"
    spec = session.opened.host.component(BaseSpec, named.id, where="base").spec
    of_base = spec.licence
    if of_base is None:
        return {"name": "", "terms": "", "inherited": []}
    binding = of_base if licence_word(of_base.name) is None else Licence(name="", terms="")
    inherited = {"name": of_base.name, "terms": of_base.terms, "of": named.id}
    return {"name": binding.name, "terms": binding.terms, "inherited": [inherited]}
