"""Evaluates adapters that lie on disk."""

from pathlib import Path

from mfl_adapt.adapter import AdapterChoice, AllAdapters, load_several
from mfl_adapt.config import LoadedConfig, validate_components
from mfl_adapt.evaluate.kinds import evaluate_any
from mfl_adapt.evaluate.scores import Evaluation
from mfl_adapt.pipeline import open_data, open_for_training
from mfl_adapt.plugin.registry import PluginHost


def evaluate_adapter(
    loaded: LoadedConfig, host: PluginHost, *adapters: AdapterChoice | Path
) -> Evaluation:
    """Score saved adapters, all of them at once, on the data that a configuration names.

    Args:
        loaded: The run's configuration, with slots claimed.
        host: The active plugins.
        *adapters: Adapter folders, with strengths where they are not used as a whole.

    Returns:
        Means over all held-out views.

    Raises:
        MflAdaptError: If configuration, data, weights or adapter cannot be used.
    """
    validate_components(loaded, host)
    config = loaded.config
    base = open_for_training(config, host)
    load_several(base, adapters, host)
    data = open_data(config, host, base.contract)
    return evaluate_any(base, AllAdapters(base), data, config)
