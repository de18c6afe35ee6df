"""Runs again what made an adapter, from its passport, and says what was not the same."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from mfl_adapt.adapter import read_header
from mfl_adapt.config import LoadedConfig, claim_slots, load_recorded, validate_components
from mfl_adapt.config.recorded import is_shortened
from mfl_adapt.doctor import Report
from mfl_adapt.errors import AdapterError
from mfl_adapt.pipeline import OpenRun, open_run
from mfl_adapt.plugin.registry import PluginHost, load_plugins
from mfl_adapt.train.inputs import Difference, compare_inputs, leaves
from mfl_adapt.train.records import Step
from mfl_adapt.train.run import Listener, run_training
from mfl_adapt.train.session import Session

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What came of running it again.

    Attributes:
        adapter: Folder of the adapter that was reproduced.
        inputs: How many inputs were compared.
        differences: Those that differ.
        recorded_hash: Hash of the adapter.
        hash: Hash of the new one; None if only the inputs were compared.
        folder: Of the new run; None likewise.
    """

    adapter: Path
    inputs: int
    differences: tuple[Difference, ...]
    recorded_hash: str
    hash: str | None = None
    folder: Path | None = None

    @property
    def identical(self) -> bool | None:
        """Whether each bit of the new adapter is as it was; None if nothing was trained."""
        return None if self.hash is None else self.hash == self.recorded_hash

    def check(self) -> None:
        """Raise if another adapter came out.

        Raises:
            AdapterError: Naming both hashes and the first inputs that differ.
        """
        if self.identical is False:
            few = "; ".join(map(str, self.differences[:3])) or "none that the passport knows"
            raise AdapterError(
                f"{self.adapter}: expected adapter_hash {self.recorded_hash}, got {self.hash}. "
                f"Inputs that differ: {len(self.differences)} ({few})."
            )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "adapter": str(self.adapter),
            "inputs": self.inputs,
            "differences": [asdict(one) for one in self.differences],
            "adapter_hash": {"recorded": self.recorded_hash, "here": self.hash},
            "identical": self.identical,
            "run": None if self.folder is None else str(self.folder),
        }


class RecordedRun:
    """The run that made an adapter, ready to be run again.

    Attributes:
        folder: The adapter.
        passport: What it says about itself.
        loaded: The run's configuration.
        host: Its plugins.
    """

    def __init__(
        self,
        folder: Path,
        *,
        overrides: Sequence[str] = (),
        flags: Mapping[str, Any] | None = None,
        plugins: Sequence[str] = (),
    ) -> None:
        """Read the passport and load its configuration.

        Args:
            folder: Adapter folder.
            overrides: What followed each ``--set``; changes are listed as differences.
            flags: Dotted key to value; None means that the flag was not given.
            plugins: Further plugins; a file stands for the one of the same name that was used.

        Raises:
            AdapterError: If no whole run made this adapter.
            ConfigError: If the configuration cannot be used here.
            PluginError: If a plugin is missing here.
        """
        self.folder = folder
        self.passport = read_header(folder).passport
        self._check_made_by_a_run()
        set_keys = {text.partition("=")[0].strip() for text in overrides}
        self._check_paths(set_keys | {key for key, value in (flags or {}).items() if value})
        loaded = load_recorded(
            _kept_here(self.passport["config"]),
            f"{folder}: config",
            overrides=overrides,
            flags=flags,
            plugins=plugins,
        )
        self.host: PluginHost = load_plugins(loaded.config.plugins, disabled=loaded.removed)
        self.loaded: LoadedConfig = claim_slots(loaded, self.host)

    def compare(self) -> Reproduction:
        """Compare the inputs alone; nothing is trained.

        Raises:
            MflAdaptError: If base or data cannot be opened here.
        """
        validate_components(self.loaded, self.host)
        with self._threads():
            return self._compared(open_run(self.loaded, self.host))

    def run(self, listener: Listener) -> Reproduction:
        """Train again.

        As many threads of torch as then are used, as sums depend on how they are split.

        Args:
            listener: Gets told what happens.

        Returns:
            What differed, and what came out.

        Raises:
            AdapterError: If the user stopped the new run.
            MflAdaptError: If it cannot go on.
        """
        count = (self.passport.get("environment") or {}).get("processes", 1)
        if count != 1:
            log.warning(
                "%s: %s processes made it. One adds gradients in another order, so that the last "
                "bits may differ; with dropout, more.",
                self.folder,
                count,
            )
        with self._threads():
            watch = _Watch(listener, self._compared)
            result = run_training(self.loaded, self.host, watch)
        folder = result.session.folder.path
        if result.evaluation is None or watch.compared is None:
            raise AdapterError(
                f"{self.folder}: expected the run to be repeated to its end, got stopped after "
                f"{result.steps} steps. What there is lies in {folder}."
            )
        found = read_header(folder / "adapter").passport["adapter_hash"]
        return replace(watch.compared, hash=found, folder=folder)

    def _check_made_by_a_run(self) -> None:
        """Raise unless the passport is that of a whole run.

        Raises:
            AdapterError: Saying what made the adapter.
        """
        recorded, steps = self.passport.get("config") or {}, self.passport.get("steps")
        maker = self.passport.get("made_by")
        if maker is not None:
            raise AdapterError(
                f"{self.folder}: expected an adapter that a run made, got one made by {maker}. "
                "Reproduce the adapters it was made from, then run that again."
            )
        train = recorded.get("train") if isinstance(recorded, dict) else None
        wanted = train.get("steps") if isinstance(train, dict) else None
        if not isinstance(steps, int) or wanted is None:
            raise AdapterError(
                f"{self.folder}: expected a passport with the configuration of a run, got one "
                "without. Only adapters that `mfl-adapt train` made can be reproduced."
            )
        if steps != wanted:
            raise AdapterError(
                f"{self.folder}: expected an adapter of a whole run, got one that was stopped "
                f"after {steps} of {wanted} steps. When a run stops is not in its configuration."
            )

    def _check_paths(self, given: Collection[str]) -> None:
        """Raise for a path of which the passport keeps the last part only.

        Raises:
            AdapterError: If the user says nothing about one.
        """
        for key, value in leaves(_kept_here(self.passport["config"])):
            if is_shortened(value) and key not in given:
                way = "--data PATH" if key == "data.path" else f"--set {key}=PATH"
                raise AdapterError(
                    f"{self.folder}: {key}: expected a path on this machine, got {value}, as a "
                    f"passport keeps no folders. Say where it is with {way}."
                )

    def _compared(self, opened: OpenRun) -> Reproduction:
        count, differences = compare_inputs(self.passport, opened)
        return Reproduction(self.folder, count, differences, self.passport["adapter_hash"])

    @contextmanager
    def _threads(self) -> Iterator[None]:
        """Use as many threads as the recorded run did."""
        recorded = (self.passport.get("environment") or {}).get("threads")
        before = torch.get_num_threads()
        if isinstance(recorded, int) and 1 <= recorded <= 1024:
            torch.set_num_threads(recorded)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def _kept_here(recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with places of this program's choice: a passport is a stranger's."""
    config = {**recorded, "name": f"{recorded.get('name', 'run')}-again", "output": "runs"}
    if isinstance(recorded.get("data"), dict):
        config["data"] = {**recorded["data"], "cache": None}
    return config


class _Watch:
    """Compares the inputs of a run before its first step, and passes everything on."""

    def __init__(self, listener: Listener, compare: Callable[[OpenRun], Reproduction]) -> None:
        self._listener, self._compare = listener, compare
        self.compared: Reproduction | None = None

    def opened(self, run: Session, report: Report) -> None:
        self.compared = self._compare(run.opened)
        self._listener.opened(run, report)

    def step(self, step: Step) -> None:
        self._listener.step(step)

    def evaluating(self, done: int, total: int) -> None:
        self._listener.evaluating(done, total)
