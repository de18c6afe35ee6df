"""The chain that every sample runs through, from its files to pictures a base can take.

    reader -> preprocessors -> camera normalizer -> conform

Training, the checks and the commands that write datasets all use this one chain. It is cheap to
build, imports neither torch nor any weights, and can tell what its samples depend on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from mfl_adapt import __version__
from mfl_adapt.config import RunConfig, step_slot
from mfl_adapt.config.models import Component
from mfl_adapt.data import conform
from mfl_adapt.data.source import hash_code, hash_source
from mfl_adapt.errors import ConfigError, DataError, MflAdaptError
from mfl_adapt.plugin import (
    CameraNormalizerSpec,
    PreprocessorSpec,
    Reader,
    ReaderSpec,
    Spec,
    Stage,
)
from mfl_adapt.plugin.registry import PluginHost
from mfl_adapt.types import RigContract, Sample

log = logging.getLogger(__name__)

# What decides a sample's pixels besides plugins: a change there makes stored pictures stale.
_ROOMS = ("cameras", "chain.py", "data", "images", "synth", "types.py")


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """A dataset whose samples run through the stages as they are read.

    Attributes:
        reader: Where samples come from.
        stages: What happens to each, in order.
        contract: What ``conform`` brings them to; None leaves that step out.
        length: How many samples count.
    """

    reader: Reader
    stages: tuple[Stage, ...]
    contract: RigContract | None
    length: int

    def __len__(self) -> int:
        """Return the number of samples."""
        return self.length

    def __iter__(self) -> Iterator[Sample]:
        """Yield every sample once, in the reader's order."""
        return (self.run(sample) for sample in islice(self.reader, self.length))

    def __getitem__(self, index: int) -> Sample:
        """Read one sample and run it through the stages."""
        return self.run(self.reader[index])

    def run(self, sample: Sample) -> Sample:
        """Run a sample through the stages; an error names the sample.

        Raises:
            MflAdaptError: Of the stage that cannot use it.
        """
        try:
            for stage in self.stages:
                sample = stage(sample)
            return sample if self.contract is None else conform(sample, self.contract)
        except MflAdaptError as error:
            if sample.id in str(error):
                raise
            raise type(error)(f"sample {sample.id}: {error}", code=error.code) from error


def open_chain(config: RunConfig, host: PluginHost, contract: RigContract | None = None) -> Chain:
    """Build the chain that a configuration describes.

    Args:
        config: The resolved configuration.
        host: The active plugins.
        contract: Size and patch for ``conform``; None leaves that step out.

    Raises:
        ConfigError: If no reader fits the path, or settings do not fit.
        DataError: If the path does not exist or holds no dataset.
    """
    reader, limit = open_reader(config, host), config.data.limit
    length = len(reader) if limit is None else min(limit, len(reader))
    return Chain(reader, tuple(build_stages(config, host)), contract, length)


def open_reader(config: RunConfig, host: PluginHost) -> Reader:
    """Build the reader that a configuration names, or the one that knows its path.

    Raises:
        ConfigError: If no reader is named and none, or more than one, knows the path.
        DataError: If the path does not exist.
    """
    chosen = choose_reader(config, host)
    if config.data.reader is None:
        log.info("data.reader: %s knows %s", chosen.use, config.data.path)
    spec = host.component(ReaderSpec, chosen.use, where="data.reader").spec
    if spec.needs_path and config.data.path is None:
        raise ConfigError(
            f"data.path: expected the dataset that {chosen.use} shall read, got nothing. "
            "Name it with --data PATH."
        )
    settings = chosen.settings | ({"path": config.data.path} if spec.needs_path else {})
    try:
        reader: Reader = host.build(ReaderSpec, chosen.use, settings, where="data.reader")
    except DataError as error:
        raise DataError(f"{error}{_better_reader(config, host)}", code=error.code) from error
    return reader


def _better_reader(config: RunConfig, host: PluginHost) -> str:
    """Say which readers know a path that the one that was named could not use."""
    path, named = config.data.path, config.data.reader
    if path is None or named is None:
        return ""
    known = [one.name for one in host.readers_for(path)]
    if not known or host.component(ReaderSpec, named.use).name in known:
        return ""
    hint = f" {' and '.join(known)} can read {path}: add --set data.reader={known[0]}"
    if (path / "dataset.json").is_file():
        return f"{hint}, or take the preset facelift-sample, which does not normalize it again."
    return f"{hint}."


def choose_reader(config: RunConfig, host: PluginHost) -> Component:
    """Return the reader that a configuration names, or the one that knows its path.

    Raises:
        ConfigError: If no reader is named and none, or more than one, knows the path.
        DataError: If the path does not exist.
    """
    path, chosen = config.data.path, config.data.reader
    if path is not None and not path.exists():
        raise DataError(
            f"data.path: expected an existing file or folder, got {path}. Check the path.",
            code="MFL041",
        )
    if chosen is None:
        chosen = Component(use=_recognize(path, host))
    return chosen


def _recognize(path: Path | None, host: PluginHost) -> str:
    """Name the one active reader that knows a path.

    Raises:
        ConfigError: If there is no path, or not exactly one such reader.
    """
    if path is None:
        raise ConfigError(
            "data: expected a path or a reader, got neither. Name a dataset with --data PATH.",
            code="MFL047",
        )
    known = [reader.name for reader in host.readers_for(path)]
    if len(known) != 1:
        readers = [one.name for one in host.components(ReaderSpec) if one.spec.needs_path]
        found = " and ".join(known) or "none"
        raise ConfigError(
            f"data.path: expected one active reader that knows {path}, got {found}. Active "
            f"readers of files: {', '.join(readers) or 'none'}. Name one with --set "
            "data.reader=NAME, which also tells what it misses, or add its plugin.",
            code="MFL047",
        )
    return known[0]


def build_stages(config: RunConfig, host: PluginHost) -> list[Stage]:
    """Build preprocessors and camera normalizer, in the order in which they run."""
    return [
        host.build(slot, component.use, component.settings, where=where)
        for slot, component, where in _stage_sections(config, host)
    ]


def _stage_sections(
    config: RunConfig, host: PluginHost
) -> Iterator[tuple[type[Spec], Component, str]]:
    for number, step in enumerate(config.data.preprocess):
        is_normalizer = step_slot(step.use, host) == "camera normalizer"
        slot: type[Spec] = CameraNormalizerSpec if is_normalizer else PreprocessorSpec
        yield slot, step, f"data.preprocess.{number}"
    if config.data.cameras is not None:
        yield CameraNormalizerSpec, config.data.cameras, "data.cameras"


def describe_chain(
    config: RunConfig,
    host: PluginHost,
    contract: RigContract | None = None,
    *,
    without: Iterable[Path] = (),
) -> dict[str, Any]:
    """Return everything that decides the samples, as plain JSON values.

    Two chains with the same description give the same bytes: it holds every setting with its
    default, a hash of the files behind ``data.path`` and behind paths among the settings, and a
    hash of the code of the plugins and rooms that run. The dataset's place does not count.

    Args:
        config: The resolved configuration.
        host: The active plugins.
        contract: As for ``open_chain``.
        without: Folders that are no part of the data, such as a cache.

    Raises:
        MflAdaptError: If the chain cannot be built or its files cannot be read.
    """
    chosen, path = choose_reader(config, host), config.data.path
    sections = [(ReaderSpec, chosen, "data.reader"), *_stage_sections(config, host)]
    package = Path(__file__).resolve().parent
    steps = [_describe(host, *section, without=without) for section in sections]
    return {
        "reader": steps[0],
        "preprocess": steps[1 : 1 + len(config.data.preprocess)],
        "cameras": steps[-1] if config.data.cameras else None,
        "conform": None if contract is None else {"size": contract.size, "patch": contract.patch},
        "limit": config.data.limit,
        "source": None if path is None else hash_source(path, without=without)._asdict(),
        "mfl_adapt": {
            "version": __version__,
            "code": hash_code(package / room for room in _ROOMS),
        },
    }


def _describe(
    host: PluginHost,
    slot: type[Spec],
    component: Component,
    where: str,
    *,
    without: Iterable[Path],
) -> dict[str, Any]:
    found = host.component(slot, component.use, where=where)
    model = host.settings(slot, component.use, component.settings, where=where)
    settings = model.model_dump(mode="json", exclude={"path"} if slot is ReaderSpec else None)
    return {
        "use": found.name,
        "settings": settings,
        "version": found.version,
        "code": hash_code([_package_of(found.plugin, host)]),
        "files": {
            key: hash_source(value, without=without).sha256
            for key, value in paths_in(model)
            if value.exists() and not (slot is ReaderSpec and key == "path")
        },
    }


def _package_of(plugin: str, host: PluginHost) -> Path:
    """Folder of a plugin's package, or its single file."""
    modules = (one.module for one in host.plugins() if one.name == plugin)
    file = Path(next(module.__file__ for module in modules if module and module.__file__))
    return file.parent if file.name == "__init__.py" else file


def paths_in(value: Any, key: str = "") -> Iterator[tuple[str, Path]]:
    """Yield the paths among settings, however deep, each with its dotted key."""
    if isinstance(value, Path):
        yield key, value
    elif isinstance(value, BaseModel):
        yield from paths_in(dict(value), key)
    elif isinstance(value, Mapping):
        for name, each in value.items():
            yield from paths_in(each, f"{key}.{name}".lstrip("."))
    elif isinstance(value, tuple | list):
        for number, each in enumerate(value):
            yield from paths_in(each, f"{key}.{number}")


def contract_for(config: RunConfig, contract: RigContract) -> RigContract:
    """Return the contract with the picture size that the configuration asks for."""
    return contract if config.data.size is None else replace(contract, size=config.data.size)
