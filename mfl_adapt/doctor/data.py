"""Examines the data that a configuration names."""

from mfl_adapt.config import RunConfig, to_plain
from mfl_adapt.doctor.examine import build_checks, examine_samples
from mfl_adapt.doctor.findings import Report
from mfl_adapt.pipeline import OpenData, contract_of, open_data
from mfl_adapt.plugin.registry import PluginHost


def open_examined(config: RunConfig, host: PluginHost) -> tuple[OpenData, Report]:
    """Read the dataset as training would, and run all active checks over it.

    No weights are read: the contract is the one that the base's plugin publishes. Samples that
    cannot meet in one batch are examined all the same, since the findings say why;
    ``mfl_adapt.pipeline.check_batches`` finds them.

    Args:
        config: The resolved configuration.
        host: The active plugins.

    Returns:
        The data, and what was found.

    Raises:
        MflAdaptError: If the data cannot be read at all.
    """
    data = open_data(config, host, contract_of(config, host), batches=False)
    return data, examine_samples(build_checks(host), data.samples, data.contract, to_plain(config))


def examine_data(config: RunConfig, host: PluginHost) -> Report:
    """Return what the checks find in the dataset, see ``open_examined``."""
    return open_examined(config, host)[1]
