"""The dataset of a run, prepared and split."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from mfl_adapt.chain import Chain, contract_for, describe_chain, open_chain
from mfl_adapt.config import RunConfig
from mfl_adapt.data import (
    PreparedDataset,
    SlotViews,
    Split,
    listed_split,
    open_packed,
    split_samples,
)
from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.pipeline.bases import makes
from mfl_adapt.pipeline.sections import required
from mfl_adapt.plugin import AdapterSpec, ViewPolicy, ViewPolicySpec
from mfl_adapt.plugin.registry import PluginHost
from mfl_adapt.types import RigContract, Sample

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class OpenData:
    """A dataset, ready for a base.

    Attributes:
        samples: All samples after ``conform``.
        split: Which of them train and which validate.
        policy: Chooses inputs and targets among the views of a sample.
        contract: What the base assumes; ``size`` is that of the samples, and there are no slots
            where an adapter tells the base where its views stand.
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

    @property
    def sides(self) -> dict[str, str]:
        """``train`` or ``validation`` by id of sample, without those that are left out."""
        sides = {self.samples[index].id: "train" for index in self.split.train}
        return sides | {self.samples[index].id: "validation" for index in self.split.validation}


def open_data(
    config: RunConfig,
    host: PluginHost,
    contract: RigContract,
    *,
    batches: bool = True,
    samples: Iterable[Sample] | None = None,
) -> OpenData:
    """Read, prepare and split the dataset that a configuration names.

    Args:
        config: The resolved configuration.
        host: The active plugins.
        contract: Of the base; ``data.size`` overrides its picture size.
        batches: Call ``check_batches``, as whoever forms batches must.
        samples: What ``open_samples`` gave, if somebody has read it already.

    Raises:
        DataError: If there are no samples or they cannot be used.
        ConfigError: If a needed section is missing.
    """
    contract = _free_of_slots(config, host, contract)
    policy = _policy(config, host, contract)
    contract = contract_for(config, contract)
    given = _samples(config, host, contract) if samples is None else samples
    prepared = PreparedDataset(given)
    _check_views(prepared, policy)
    if batches:
        check_batches(prepared, policy, batch=config.train.batch)
    split = _split(config, tuple(prepared))
    if split.views_only and isinstance(policy, SlotViews):
        raise DataError(
            f"data.split: expected samples kept for validation, as a model of views trains on "
            f"every view of the others, got none of {len(prepared)}. Raise data.split.validation, "
            "or add samples."
        )
    log.debug("data: %d samples train, %d validate", len(split.train), len(split.validation))
    return OpenData(prepared, split, policy, contract)


def _policy(config: RunConfig, host: PluginHost, contract: RigContract) -> ViewPolicy:
    """Build the view policy; a base that makes views has one of its own.

    Raises:
        ConfigError: If there is none, or one that would not be used.
    """
    views = config.data.views
    if config.base is None or makes(config, host) == "gaussians":
        views = required(views, "data.views", "data.views.use=view_policies.held_out")
        built: ViewPolicy = host.build(
            ViewPolicySpec, views.use, views.settings, where="data.views"
        )
        return built
    if views is not None:
        raise ConfigError(
            f"data.views: expected nothing, as {config.base.id} makes all views from view 0, got "
            f"{views.use}. Add --set data.views=null."
        )
    if config.data.size not in {None, contract.size}:
        raise ConfigError(
            f"data.size: expected {contract.size}, the only size of {config.base.id}, got "
            f"{config.data.size}. Leave it out."
        )
    return SlotViews(contract.slots_deg)


def _free_of_slots(config: RunConfig, host: PluginHost, contract: RigContract) -> RigContract:
    """Take the slots out of a contract if the adapter serves any rig: no check may ask for them."""
    adapter = config.adapter and host.component(AdapterSpec, config.adapter.use, where="adapter")
    return replace(contract, slots_deg=()) if adapter and adapter.spec.any_rig else contract


def _split(config: RunConfig, samples: Sequence[Sample]) -> Split:
    """Take the split that the dataset folder brings along, or divide by the rule."""
    rule, path = config.data.split, config.data.path
    may_list = rule.by is None and not rule.leave_out and path is not None
    listed = listed_split(path, samples) if may_list and path is not None else None
    if listed is not None:
        log.info("data.split: as the lists of %s say; data.split.by would divide anew", path)
        return listed
    kind = rule.by or "order"
    return split_samples(
        samples, by=kind, validation=rule.validation, gap=rule.gap, leave_out=rule.leave_out
    )


def open_samples(
    config: RunConfig, host: PluginHost, contract: RigContract
) -> tuple[Sequence[Sample] | Chain, RigContract]:
    """Open the samples of a configuration without reading them all.

    Args:
        config: The resolved configuration.
        host: The active plugins.
        contract: Of the base.

    Returns:
        The samples, each read when it is asked for, and what they are to be held against.
    """
    contract = contract_for(config, _free_of_slots(config, host, contract))
    return _samples(config, host, contract), contract


def _samples(
    config: RunConfig, host: PluginHost, contract: RigContract
) -> Sequence[Sample] | Chain:
    """Read the samples, or open them from the packed cache where there is one."""
    chain = open_chain(config, host, contract)
    if config.data.cache is None:
        return chain
    key = describe_chain(config, host, contract, without=[config.data.cache])
    return open_packed(config.data.cache, key, chain)


def _check_views(samples: PreparedDataset, policy: ViewPolicy) -> None:
    """Ask the policy about every sample now: a step in the middle of the run would be late.

    Raises:
        DataError: If a sample has too few views.
    """
    for sample in samples:
        try:
            policy.train(sample.cameras, seed=0)
            policy.evaluate(sample.cameras)
        except DataError as error:
            raise DataError(f"sample {sample.id}: {error}", code="MFL049") from error


def check_batches(samples: PreparedDataset, policy: ViewPolicy, *, batch: int) -> None:
    """Raise unless all samples that may meet in one batch give the same numbers of views.

    Raises:
        DataError: If they do not.
    """
    counts: dict[tuple[int, int], str] = {}
    for sample in samples:
        split = policy.train(sample.cameras, seed=0)
        counts.setdefault((len(split.inputs), len(split.targets)), sample.id)
    if len(counts) > 1 and batch > 1:
        found = " and ".join(f"{i} + {t} in {name}" for (i, t), name in counts.items())
        raise DataError(
            f"data.views: expected the same number of inputs + targets in every sample of a batch, "
            f"got {found}. mfl-adapt doctor names samples that lost a view; else set "
            "data.views.targets, or train.batch=1.",
            code="MFL049",
        )
