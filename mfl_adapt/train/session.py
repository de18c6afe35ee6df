"""One run in progress: what was opened, what is trained, and where it is written."""

from __future__ import annotations

from dataclasses import dataclass

from mfl_adapt.adapter import AttachedAdapter
from mfl_adapt.config import RunConfig
from mfl_adapt.pipeline import OpenData, OpenRun
from mfl_adapt.plugin import Base
from mfl_adapt.train.folder import RunFolder


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """What the training hooks of plugins get as ``run``; to be read only.

    Attributes:
        opened: Configuration, plugins, base, data and losses.
        adapter: Attached to the base.
        folder: The run folder.
    """

    opened: OpenRun
    adapter: AttachedAdapter
    folder: RunFolder

    @property
    def config(self) -> RunConfig:
        """The resolved configuration."""
        return self.opened.config

    @property
    def base(self) -> Base:
        """The frozen base, with the adapter inside."""
        return self.opened.base

    @property
    def data(self) -> OpenData:
        """Samples, split and view policy."""
        return self.opened.data
