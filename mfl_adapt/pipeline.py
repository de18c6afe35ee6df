"""The chain of a run, from a configuration to everything that training and evaluation need.

    reader -> preprocessors -> camera normalizer -> conform -> split -> frozen base + adapter

Nothing here trains or draws. What can fail cheaply fails first: settings are validated before any
weights are read, and pictures are read before the base is built.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from mfl_adapt.chain import contract_for, describe_chain, open_chain
from mfl_adapt.config import LoadedConfig, RunConfig
from mfl_adapt.data import PreparedDataset, Split, listed_split, open_packed, split_samples
from mfl_adapt.errors import ConfigError, DataError, PluginError
from mfl_adapt.plugin import (
    AdapterMethod,
    AdapterSpec,
    Base,
    BaseSpec,
    Loss,
    LossSpec,
    Reconstructor,
    ViewPolicy,
    ViewPolicySpec,
)
from mfl_adapt.plugin.registry import PluginHost, load_plugins
from mfl_adapt.types import RigContract, Sample

T = TypeVar("T")

log = logging.getLogger(__name__)

DEFAULT_BASE = "facelift.gslrm"
"""Base that data are prepared for where a configuration names none."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenData:
    """A dataset, ready for a base.

    Attributes:
        samples: All samples after ``conform``.
        split: Which of them train and which validate.
        policy: Chooses inputs and targets among the views of a sample.
        contract: What the base assumes; ``size`` is that of the samples.
    """

    samples: PreparedDataset
    split: Split
    policy: ViewPolicy
    contract: RigContract

    @property
    def evaluation(self) -> tuple[Sample, ...]:
        """Samples to evaluate on: the held-out ones, or all where only views are held out."""
        indices = self.split.train if self.split.views_only else self.split.validation
        return self.samples.pick(indices)


@dataclass(frozen=True, slots=True, eq=False)
class OpenRun:
    """Everything that training needs, built and validated.

    Attributes:
        config: The resolved configuration.
        host: The active plugins.
        base: The frozen model, which makes Gaussians.
        data: The dataset.
        method: How peft extends the base.
        losses: Name, weight and loss of every term.
    """

    config: RunConfig
    host: PluginHost
    base: Reconstructor
    data: OpenData
    method: AdapterMethod
    losses: tuple[tuple[str, float, Loss], ...]


def open_run(loaded: LoadedConfig, host: PluginHost) -> OpenRun:
    """Build all that a run needs.

    Args:
        loaded: A configuration whose component sections have been validated against ``host``.
        host: The active plugins.

    Raises:
        MflAdaptError: If a section is missing, the data cannot be used or the weights do not fit.
    """
    config = loaded.config
    adapter = _required(config.adapter, "adapter", "adapter.use=lora_gslrm.lora")
    method = host.build(AdapterSpec, adapter.use, adapter.settings, where="adapter")
    losses = tuple(
        (name, term.weight, host.build(LossSpec, name, term.settings, where=f"losses.{name}"))
        for name, term in config.losses.items()
    )
    base = open_reconstructor(config, host)
    return OpenRun(config, host, base, open_data(config, host, base.contract), method, losses)


def open_base(config: RunConfig, host: PluginHost) -> Base:
    """Build the frozen base that a configuration names."""
    base = _required(config.base, "base", "base.id=facelift.tiny")
    built: Base = host.build(BaseSpec, base.id, base.settings, where="base")
    return built


def open_reconstructor(config: RunConfig, host: PluginHost) -> Reconstructor:
    """Build the base that a configuration names, which must make Gaussians.

    Raises:
        ConfigError: If it makes something else; no weights are read to find out.
        PluginError: If its plugin says so and it does not.
    """
    named = _required(config.base, "base", "base.id=facelift.tiny")
    found = host.component(BaseSpec, named.id, where="base")
    if found.spec.makes != "gaussians":
        known = [one.name for one in host.components(BaseSpec) if one.spec.makes == "gaussians"]
        raise ConfigError(
            f"base: expected a base that makes Gaussians, got {found.name}, which makes "
            f"{found.spec.makes}. Name one of {', '.join(known) or 'a plugin that offers one'}."
        )
    base = open_base(config, host)
    if not isinstance(base, Reconstructor):
        raise PluginError(
            f"base: expected {found.name} of {found.distribution} to have reconstruct(rgb, "
            f"cameras), got {type(base).__name__} without it. Tell the plugin's author."
        )
    return base


def load_base(id: str, **settings: Any) -> Base:
    """Load a frozen base by its name.

    Args:
        id: ``plugin.component``, for instance ``facelift.tiny``.
        **settings: The component's own, for instance ``checkpoint`` and ``config``.

    Returns:
        The base, frozen and in evaluation mode.

    Raises:
        PluginError: If no installed plugin offers it.
        ConfigError: If the settings are not valid.
        CheckpointError: If the weights cannot be used.
    """
    base: Base = load_plugins([id.partition(".")[0]]).build(BaseSpec, id, settings, where=id)
    return base


def contract_of(config: RunConfig, host: PluginHost) -> RigContract:
    """Return what the base's plugin says about pictures and cameras; reads no weights."""
    base = _required(config.base, "base", "base.id=facelift.tiny")
    return host.component(BaseSpec, base.id, where="base").spec.contract


def data_contract(config: RunConfig, host: PluginHost) -> RigContract:
    """Return the contract to prepare data for, with ``data.size``; needs no base to be named."""
    if config.base is None:
        found = host.component(BaseSpec, DEFAULT_BASE, where="base").spec.contract
        return contract_for(config, found)
    return contract_for(config, contract_of(config, host))


def open_data(config: RunConfig, host: PluginHost, contract: RigContract) -> OpenData:
    """Read, prepare and split the dataset that a configuration names.

    Args:
        config: The resolved configuration.
        host: The active plugins.
        contract: Of the base; ``data.size`` overrides its picture size.

    Raises:
        DataError: If there are no samples or they cannot be used.
        ConfigError: If a needed section is missing.
    """
    contract = contract_for(config, contract)
    views = _required(config.data.views, "data.views", "data.views.use=view_policies.held_out")
    policy: ViewPolicy = host.build(ViewPolicySpec, views.use, views.settings, where="data.views")
    prepared = PreparedDataset(_samples(config, host, contract))
    _check_views(prepared, policy, batch=config.train.batch)
    split = _split(config, tuple(prepared))
    log.debug("data: %d samples train, %d validate", len(split.train), len(split.validation))
    return OpenData(prepared, split, policy, contract)


def _split(config: RunConfig, samples: Sequence[Sample]) -> Split:
    """Take the split that the dataset folder brings along, or divide by the rule."""
    rule, path = config.data.split, config.data.path
    listed = listed_split(path, samples) if rule.by is None and path is not None else None
    if listed is not None:
        log.info("data.split: as the lists of %s say; data.split.by would divide anew", path)
        return listed
    kind = rule.by or "order"
    return split_samples(samples, by=kind, validation=rule.validation, gap=rule.gap)


def _samples(config: RunConfig, host: PluginHost, contract: RigContract) -> Iterable[Sample]:
    """Read the samples, or open them from the packed cache where there is one."""
    chain = open_chain(config, host, contract)
    if config.data.cache is None:
        return chain
    key = describe_chain(config, host, contract, without=[config.data.cache])
    return open_packed(config.data.cache, key, chain)


def _check_views(samples: PreparedDataset, policy: ViewPolicy, *, batch: int) -> None:
    """Ask the policy about every sample now: a step in the middle of the run would be late.

    Raises:
        DataError: If a sample has too few views, or samples that may meet in one batch give
            different numbers of views.
    """
    counts: dict[tuple[int, int], str] = {}
    for sample in samples:
        try:
            split = policy.train(sample.cameras, seed=0)
            policy.evaluate(sample.cameras)
        except DataError as error:
            raise DataError(f"sample {sample.id}: {error}") from error
        counts.setdefault((len(split.inputs), len(split.targets)), sample.id)
    if len(counts) > 1 and batch > 1:
        found = " and ".join(f"{i} + {t} in {name}" for (i, t), name in counts.items())
        raise DataError(
            f"data.views: expected the same number of inputs + targets in every sample of a batch, "
            f"got {found}. Set data.views.targets, or train.batch=1."
        )


def _required(section: T | None, where: str, example: str) -> T:
    """Return a section, or say how to fill it.

    Raises:
        ConfigError: If it is empty.
    """
    if section is None:
        raise ConfigError(f"{where}: expected a component, got nothing. Add --set {example}.")
    return section
