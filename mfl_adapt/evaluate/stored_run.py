"""A run that lies on disk, opened only when something of it has to be measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from mfl_adapt.adapter import AttachedAdapter, load
from mfl_adapt.config import LoadedConfig, RunConfig, validate_components
from mfl_adapt.data.collate import collate
from mfl_adapt.errors import DataError
from mfl_adapt.evaluate.asked_home import check_home, is_typed, word_home
from mfl_adapt.evaluate.kinds import build_maker
from mfl_adapt.evaluate.strengths import Asked, measure_strengths
from mfl_adapt.pipeline import OpenData, open_data, open_for_training
from mfl_adapt.plugin import Base, Reconstructor
from mfl_adapt.plugin.registry import PluginHost
from mfl_adapt.types import Batch, Gaussians, RigContract, Sample

if TYPE_CHECKING:
    from mfl_adapt.evaluate.sources import Report


class OpenedRun(NamedTuple):
    """A run with everything that a measurement needs.

    Attributes:
        config: The resolved configuration.
        host: The active plugins.
        base: With the adapter inside.
        adapter: What the run made.
        data: Samples, split and view policy.
        home: How the user named data of the base's own domain just now; empty if nobody did.
    """

    config: RunConfig
    host: PluginHost
    base: Base
    adapter: AttachedAdapter
    data: OpenData
    home: str = ""


@dataclass(slots=True)
class SceneBeside:
    """What the frozen base and the adapted model make of one scene.

    Attributes:
        sample: The scene, conformed.
        contract: What the base assumes.
        unseen: Whether training never saw the scene.
        inputs: What the model was shown, [V, 3, H, W] in [0, 1].
        truth: Photographs of the views that it was not shown, likewise.
        frozen: What the frozen base makes of these, likewise.
        adapted: What the adapted model makes of them, likewise.
        gaussians: Of the frozen base and of the adapted model; None for a base that makes views.
    """

    sample: Sample
    contract: RigContract
    unseen: bool
    inputs: Tensor
    truth: Tensor
    frozen: Tensor
    adapted: Tensor
    gaussians: tuple[Gaussians, Gaussians] | None


class StoredRun:
    """A run on disk; its data, base and adapter are opened at the first measurement, once."""

    def __init__(
        self,
        path: Path,
        read: Callable[[], tuple[LoadedConfig, PluginHost]],
        *,
        asked: Asked,
        report: Report | None = None,
    ) -> None:
        """Take the run without looking at it.

        Args:
            path: Run folder; the adapter is in ``adapter`` below it.
            read: Reads its configuration, slots claimed, and loads the plugins.
            asked: What to measure.
            report: Gets told how far a measurement is.
        """
        self._path, self._read, self._asked, self._report = path, read, asked, report

    @cached_property
    def opened(self) -> OpenedRun:
        """The run with everything that a measurement needs.

        Raises:
            MflAdaptError: If configuration, data, weights or adapter cannot be used.
        """
        loaded, host = self._read()
        validate_components(loaded, host)
        if is_typed(loaded):
            check_home(loaded)
        config = loaded.config
        base = open_for_training(config, host)
        # What a stopped run left may do nothing; its curve then shows just that.
        adapter = load(base, self._path / "adapter", host=host, needs_effect=False)
        data = open_data(config, host, base.contract, batches=False)
        home = word_home(loaded) if is_typed(loaded) else ""
        return OpenedRun(config, host, base, adapter, data, home)

    def measure_strengths(self) -> dict[str, Any]:
        """Return gain and cost by strength; see ``strengths.measure_strengths``.

        Raises:
            MflAdaptError: If the run cannot be opened, or does not know a strength.
        """
        return measure_strengths(self.opened, self._asked, self._report)

    @torch.no_grad()
    def show_scene(self) -> SceneBeside:
        """Let the base and the adapted model make the first scene of the evaluation.

        Raises:
            DataError: If there is none.
            MflAdaptError: If the run cannot be opened.
        """
        data = self.opened.data
        if not data.evaluation:
            raise DataError(
                "data: expected at least one scene to evaluate on, got none. Raise "
                "data.split.validation."
            )
        sample = data.evaluation[0]
        batch = collate([sample], [data.policy.evaluate(sample.cameras)], data.contract)
        batch = batch.to(next(self.opened.base.module.parameters()).device)
        with self.opened.adapter.disabled():
            frozen, before = self._make(sample, batch)
        adapted, after = self._make(sample, batch)
        return SceneBeside(
            sample=sample,
            contract=data.contract,
            unseen=not data.split.views_only,
            inputs=batch.inputs.rgb[0],
            truth=batch.targets.rgb[0],
            frozen=frozen,
            adapted=adapted,
            gaussians=None if before is None or after is None else (before, after),
        )

    def _make(self, sample: Sample, batch: Batch) -> tuple[Tensor, Gaussians | None]:
        """Pictures of the held-out views, and Gaussians where the base makes some."""
        base, data = self.opened.base, self.opened.data
        make = build_maker(base, self.opened.config, data.contract.background)
        made = None
        if isinstance(base, Reconstructor):
            made = base.reconstruct(batch.inputs.rgb, batch.inputs.cameras)
        return make(sample, batch).held_out.rgb[0], made
