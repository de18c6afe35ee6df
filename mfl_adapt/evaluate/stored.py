"""Evaluates adapters that lie on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from mfl_adapt.adapter import AdapterChoice, AllAdapters, load_several
from mfl_adapt.config import LoadedConfig, validate_components
from mfl_adapt.data import fingerprint
from mfl_adapt.evaluate.asked_home import check_home, word_home
from mfl_adapt.evaluate.evaluation import Evaluation
from mfl_adapt.evaluate.groups import Kind
from mfl_adapt.evaluate.kinds import evaluate_any
from mfl_adapt.evaluate.leave_one import leave_one_out
from mfl_adapt.evaluate.retention import measure_retention
from mfl_adapt.evaluate.sources import Report
from mfl_adapt.pipeline import open_data, open_for_training
from mfl_adapt.plugin.registry import PluginHost


def evaluate_adapter(
    loaded: LoadedConfig,
    host: PluginHost,
    *adapters: AdapterChoice | Path,
    leave_one: Kind | None = None,
    report: Report | None = None,
) -> Evaluation:
    """Score saved adapters, all of them at once, on the data that a configuration names.

    Args:
        loaded: The run's configuration, with slots claimed.
        host: The active plugins.
        *adapters: Adapter folders, with strengths where they are not used as a whole.
        leave_one: What to leave out one at a time; nothing if None.
        report: Gets told what happens.

    Returns:
        Means over all scenes, and what the adapters cost on the base's own domain.

    Raises:
        MflAdaptError: If configuration, data, weights or adapter cannot be used.
    """
    validate_components(loaded, host)
    check_home(loaded)
    config = loaded.config
    base = open_for_training(config, host)
    load_several(base, adapters, host)
    data = open_data(config, host, base.contract)
    adapter = AllAdapters(base)
    found = evaluate_any(base, adapter, data, config, _counted(report, "evaluate"))
    if leave_one is not None:
        counted = _counted(report, "leave one")
        apart = leave_one_out(leave_one, base, adapter, data, config, found, counted)
        found = replace(found, left_out=apart)
    asked = word_home(loaded)
    counted = _counted(report, "home")
    cost = measure_retention(base, adapter, config, host, counted, asked=asked)
    return replace(found, retention=cost, fingerprint=fingerprint(data.samples))


def _counted(report: Report | None, what: str) -> Callable[[int, int], None] | None:
    """Name a pass over scenes for who is told how far it is."""
    return None if report is None else partial(report, what)
