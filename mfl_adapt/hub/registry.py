"""A folder of adapters with an index, ``registry.toml``: on a network drive or in a checkout.

    PATH/
        registry.toml                     what is here, with the SHA-256 of every file
        tiny-mouse/107e8dce46da/          one adapter: passport, weights, card, pictures

The index is replaced in one step after the files of an adapter are there, so that a reader finds
the old adapter or the new one, never half of either.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mfl_adapt.errors import ConfigError, HubError, did_you_mean
from mfl_adapt.files import write_atomically
from mfl_adapt.hub.contents import FileFacts, check_sizes

INDEX = "registry.toml"
LOCK = ".registry.lock"
SCHEMA: Literal["mfl_adapt.registry/1"] = "mfl_adapt.registry/1"
_LARGEST_INDEX = 16 << 20
_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*"

_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Name = Annotated[str, Field(pattern=rf"^{_NAME}$", max_length=96)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class IndexedFile(_Record):
    """One file of an adapter."""

    size: int = Field(ge=0)
    sha256: _Sha256


class Entry(_Record):
    """One adapter of a registry.

    Attributes:
        folder: Where it lies, relative to the index: its name, or name and revision.
        revision: What tells it from others of its name, before and after it.
        adapter_hash: Of its tensors.
        base: Name of the base that it fits.
        base_sha256: Hash of that base's weights.
        licence: Of the adapter.
        inherited: Licences of its base.
        size: Of all files, in bytes.
        files: By name.
        title: As its publisher calls it.
        species: What it was trained for.
    """

    folder: Annotated[str, Field(pattern=rf"^{_NAME}(/{_NAME})?$", max_length=200)]
    revision: _Name
    adapter_hash: _Sha256
    base: str
    base_sha256: str
    licence: str
    inherited: tuple[str, ...] = Field(default=(), strict=False)
    size: int = Field(ge=0)
    files: dict[str, IndexedFile]
    title: str = ""
    species: str = ""

    def facts(self) -> dict[str, FileFacts]:
        """Return what its files must be."""
        return {name: FileFacts(one.size, one.sha256) for name, one in self.files.items()}


class Registry(_Record):
    """What an index holds."""

    model_config = ConfigDict(populate_by_name=True)

    schema_: Literal["mfl_adapt.registry/1"] = Field(SCHEMA, alias="schema")
    adapters: dict[_Name, Entry] = Field(default_factory=dict)


def check_name(name: str, option: str) -> str:
    """Return a name of an adapter or revision.

    Raises:
        ConfigError: If it could not be the name of a folder on every machine.
    """
    if not re.fullmatch(_NAME, name) or len(name) > 96:
        raise ConfigError(
            f"{option}: expected letters, digits, '-', '_' and '.' between them, got {name!r}. "
            "Choose another name."
        )
    return name


def read_registry(path: Path) -> Registry:
    """Read the index of a folder.

    Args:
        path: Folder that holds it.

    Raises:
        HubError: If there is none, or it is damaged, or names files that no adapter has.
    """
    index = path / INDEX
    try:
        if index.stat().st_size > _LARGEST_INDEX:
            raise HubError(
                f"{index}: expected an index below {_LARGEST_INDEX:,} bytes, got "
                f"{index.stat().st_size:,}. Check the path."
            )
        content = tomllib.loads(index.read_text(encoding="utf-8"))
    except OSError as error:
        raise HubError(
            f"{index}: expected the index of a registry, got {error.strerror}. Name the folder "
            "that holds it."
        ) from error
    except (ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise HubError(
            f"{index}: expected TOML, got: {reason}. Take an older copy of it, or publish anew."
        ) from error
    try:
        # Who makes an index here need not name the schema, who hands one over has to.
        registry = Registry.model_validate({"schema": None} | content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise HubError(
            f"{index}: expected an index of schema {SCHEMA}, got {place}: {first['msg'].lower()}. "
            "Update mfl_adapt, or ask who keeps the registry."
        ) from error
    for name, entry in registry.adapters.items():
        check_sizes({file: one.size for file, one in entry.files.items()}, f"{index}: {name}")
    return registry


def find_entry(path: Path, name: str) -> Entry:
    """Return an adapter of a registry by its name, or by ``NAME@REVISION``.

    Raises:
        HubError: If the index is damaged or does not hold it.
    """
    wanted, _, revision = name.partition("@")
    adapters = read_registry(path).adapters
    if wanted not in adapters:
        raise HubError(
            f"{path / INDEX}: expected an adapter {wanted!r}, got none of that name. "
            f"{did_you_mean(wanted, adapters)}"
        )
    entry = adapters[wanted]
    if revision and revision not in {entry.revision, entry.adapter_hash}:
        raise HubError(
            f"{path / INDEX}: expected {wanted!r} at revision {revision!r}, got "
            f"{entry.revision!r}, which has replaced it or never was another. Leave @{revision} "
            "out to take that one."
        )
    return entry


def write_registry(path: Path, registry: Registry) -> None:
    """Replace the index of a folder in one step.

    Raises:
        StorageError: If it cannot be written; the old one stays.
    """
    write_atomically(path / INDEX, dump_registry(registry).encode())


def dump_registry(registry: Registry) -> str:
    """Return the text of an index; always the same for the same content."""
    lines = [
        "# Adapters in this folder. Written by `mfl-adapt adapter publish`; fetch one with",
        "# `mfl-adapt adapter pull NAME --from FOLDER -o OUT`.",
        f"schema = {_toml(SCHEMA)}",
    ]
    for name, entry in sorted(registry.adapters.items()):
        lines += ["", f"[adapters.{_toml(name)}]"]
        for key, value in entry.model_dump(exclude={"files"}).items():
            if isinstance(value, tuple):
                lines.append(f"{key} = [{', '.join(map(_toml, value))}]")
            else:
                lines.append(f"{key} = {_toml(value) if isinstance(value, str) else value}")
        lines += ["", f"[adapters.{_toml(name)}.files]"]
        for file, facts in sorted(entry.files.items()):
            known = f"{{ size = {facts.size}, sha256 = {_toml(facts.sha256)} }}"
            lines.append(f"{_toml(file)} = {known}")
    return "\n".join(lines) + "\n"


def _toml(text: str) -> str:
    """A text as TOML's basic string, which is JSON's but for the delete character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
