"""What a worker must know to make any sample of a dataset, as plain data that can be sent."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from mfl_adapt.chain import Chain, choose_reader, describe_chain, open_chain
from mfl_adapt.config import LoadedConfig, RunConfig, to_plain
from mfl_adapt.data.source import hash_json
from mfl_adapt.errors import ConfigError
from mfl_adapt.pipeline import data_contract
from mfl_adapt.plugin.registry import PluginHost, load_plugins
from mfl_adapt.types import RigContract

Kind = Literal["convert", "normalize", "prepare"]


@dataclass(frozen=True)
class Job:
    """One dataset to make.

    Attributes:
        kind: ``convert`` writes what the reader gives, ``normalize`` runs the stages, and
            ``prepare`` runs the whole chain with ``conform``.
        config: The resolved configuration, as plain data.
        plugins: Active plugins.
        disabled: Plugins never to import.
        contract: What ``conform`` brings samples to; None without that step.
        folder: Absolute path of the folder that samples are written into.
        description: Everything that decides the samples (``describe_chain``).
    """

    kind: Kind
    config: Mapping[str, Any]
    plugins: tuple[str, ...]
    disabled: tuple[str, ...]
    contract: RigContract | None
    folder: Path
    description: Mapping[str, Any]

    @cached_property
    def plan(self) -> str:
        """Hash of all that decides the samples' bytes; not of their place."""
        return hash_json({"kind": self.kind, **self.description})

    def open(self, host: PluginHost | None = None) -> Chain:
        """Build the chain; loads the plugins unless they are given."""
        host = host or load_plugins(self.plugins, disabled=self.disabled)
        return open_chain(RunConfig.model_validate(self.config), host, self.contract)


def make_job(loaded: LoadedConfig, host: PluginHost, folder: Path, kind: Kind) -> Job:
    """Describe the work that a configuration asks for.

    Args:
        loaded: The resolved configuration, its components validated.
        host: The active plugins.
        folder: Folder that samples will be written into.
        kind: What to do.

    Raises:
        ConfigError: If a setting would be ignored.
        MflAdaptError: If the data cannot be opened.
    """
    config = loaded.config
    _check_kind(config, kind)
    contract = data_contract(config, host) if kind == "prepare" else None
    config = _without_doubt(config, host)
    return Job(
        kind=kind,
        config=to_plain(config),
        plugins=config.plugins,
        disabled=loaded.removed,
        contract=contract,
        folder=folder.absolute(),
        description=describe_chain(config, host, contract),
    )


def _without_doubt(config: RunConfig, host: PluginHost) -> RunConfig:
    """Name the reader and the whole path, as a worker may run in another folder."""
    found: dict[str, Any] = {"reader": choose_reader(config, host)}
    if config.data.path is not None:
        found["path"] = config.data.path.absolute()
    return config.model_copy(update={"data": config.data.model_copy(update=found)})


def _check_kind(config: RunConfig, kind: Kind) -> None:
    """Refuse settings that a kind of work would ignore.

    Raises:
        ConfigError: If there are.
    """
    unused = {"convert": ("cameras", "size"), "normalize": ("size",), "prepare": ()}[kind]
    for key in unused:
        if getattr(config.data, key) is not None:
            raise ConfigError(
                f"data.{key}: expected nothing here, as {kind} does not use it, got "
                f"{getattr(config.data, key)!s:.60}. Use data prepare, or leave it out."
            )


class _Opened(threading.local):
    """The chain that this thread has open; readers of videos serve one thread each."""

    job: Job | None = None
    chain: Chain | None = None


_OPENED = _Opened()


def opened_chain(job: Job, host: PluginHost | None = None) -> Chain:
    """Return the job's chain, built once per thread; loads the plugins unless they are given."""
    if _OPENED.chain is None or _OPENED.job != job:
        _OPENED.chain, _OPENED.job = job.open(host), job
    return _OPENED.chain
