"""One run in progress: what was opened, what is trained, and where it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mfl_adapt.adapter import AttachedAdapter
from mfl_adapt.config import RunConfig, shorten_paths, to_plain
from mfl_adapt.pipeline import OpenData, OpenRun
from mfl_adapt.plugin import Base
from mfl_adapt.train.checkpoints import Checkpoint
from mfl_adapt.train.folder import RunFolder
from mfl_adapt.train.processes import Processes


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """What the training hooks of plugins get as ``run``; to be read only.

    Attributes:
        opened: Configuration, plugins, base, data and losses.
        adapter: Attached to the base.
        folder: The run folder.
        identity: What decides its numbers, as stored in checkpoints.
        checkpoint: What it goes on from; None for a run that begins.
        processes: Those that train it together; only the main one of them has observers.
    """

    opened: OpenRun
    adapter: AttachedAdapter
    folder: RunFolder
    identity: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None
    processes: Processes = field(default_factory=Processes)

    @property
    def config(self) -> RunConfig:
        """The resolved configuration."""
        return self.opened.config

    @property
    def public_config(self) -> dict[str, Any]:
        """The resolved configuration as plain values for others: without this machine's paths."""
        return shorten_paths(to_plain(self.config))[0]

    @property
    def base(self) -> Base:
        """The frozen base, with the adapter inside."""
        return self.opened.base

    @property
    def data(self) -> OpenData:
        """Samples, split and view policy."""
        return self.opened.data
