"""Adapters to the files of other programs and back, with the base opened where it is needed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from mfl_adapt.errors import ConfigError
from mfl_adapt.pipeline.weights import WEIGHTS, read_weights, write_weights
from mfl_adapt.plugin import Base, BaseSpec
from mfl_adapt.plugin.registry import PluginHost

if TYPE_CHECKING:
    from mfl_adapt.adapter import AttachedAdapter, StoredAdapter
    from mfl_adapt.adapter.compose_resize import Loss

Format = Literal["peft", "diffusers", "kohya", "base"]


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion wrote.

    Attributes:
        path: File or folder.
        settings: What opens it as a base, as after ``--set``; empty for an adapter.
        loss: What the rank left out, where there was one to choose.
        left_out: Tensors of a changed base that no adapter can hold, with their relative change.
    """

    path: Path
    settings: list[str] = field(default_factory=list)
    loss: Loss | None = None
    left_out: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        error = {} if self.loss is None else {"error": self.loss.to_json()}
        return {
            "path": str(self.path),
            "settings": self.settings,
            "left_out": self.left_out,
            **error,
        }

    def text(self) -> str:
        """Return the same as lines of text."""
        lines = [] if self.loss is None else [self.loss.table()]
        lines += [f"left out  {name}, changed by {one:.3e}" for name, one in self.left_out.items()]
        lines.append(f"written   {self.path}")
        if self.settings:
            lines.append("open with " + " ".join(f"--set {one}" for one in self.settings))
        return "\n".join(lines)


def convert_to(
    stored: StoredAdapter, form: str, out: Path, open_base: Callable[[], Base]
) -> Converted:
    """Write an adapter in the files of another program.

    Args:
        stored: The adapter.
        form: Name of the format.
        out: File or folder to make.
        open_base: Opens the adapter's base; called only where weights are merged.

    Raises:
        AdapterError: If the format cannot hold the adapter.
        ConfigError: If there is no such format.
        StorageError: If something stands there already, or it cannot be written.
    """
    from mfl_adapt.adapter.formats_diffusers import write_diffusers
    from mfl_adapt.adapter.formats_kohya import write_kohya
    from mfl_adapt.adapter.formats_peft import write_peft

    _check_format(form, "--to")
    if form == "base":
        return _merge_into_base(stored, out, open_base)
    write = {"peft": write_peft, "diffusers": write_diffusers, "kohya": write_kohya}[form]
    return Converted(write(stored, out))


def convert_from(
    path: Path,
    form: str,
    base: Base,
    out: Path,
    *,
    settings: dict[str, Any],
    host: PluginHost,
    rank: int | None = None,
) -> Converted:
    """Make an adapter folder, with a passport, of the files of another program.

    Args:
        path: File or folder.
        form: Name of its format.
        base: The base it is for, without an adapter.
        out: Folder to make.
        settings: With which the base was opened.
        host: Plugins, the base's among them.
        rank: For ``base`` alone: greatest rank of the adapter that is taken out.

    Raises:
        AdapterError: If the file is broken, does not fit the base or has no effect on it.
        CheckpointError: If weights of a base cannot be read.
        ConfigError: If there is no such format, or it has no use for a rank.
        RangeError: If a rank is needed and there is none.
        StorageError: If the folder is taken or cannot be written.
    """
    from mfl_adapt.adapter.compose import check_out
    from mfl_adapt.adapter.save import save

    _check_format(form, "--from")
    if form != "base" and rank is not None:
        raise ConfigError(
            f"--rank: expected none for --from {form}, whose files have one, got {rank}. "
            "Leave it out, and use adapter resize afterwards."
        )
    check_out(out, [path])
    if form == "base":
        adapter, origin, done = _extract(base, path, out, rank)
    else:
        adapter, origin = _import(base, path, form)
        done = Converted(out)
    try:
        save(adapter, out, passport=_passport(base, origin, settings, host))
    finally:
        adapter.remove()
    return done


def _check_format(form: str, option: str) -> None:
    """Raise unless there is such a format.

    Raises:
        ConfigError: Naming those that there are.
    """
    if form not in get_args(Format):
        known = ", ".join(get_args(Format))
        raise ConfigError(f"{option}: expected one of {known}, got {form!r}. Choose one.")


def _merge_into_base(stored: StoredAdapter, out: Path, open_base: Callable[[], Base]) -> Converted:
    from mfl_adapt.adapter.formats import check_free
    from mfl_adapt.adapter.formats_base import merged_weights

    check_free(out)
    base = open_base()
    weights = merged_weights(base, stored)
    passport = stored.passport
    note = {
        "made_by": "mfl-adapt adapter convert",
        "base": passport["base"],
        "adapter_hash": passport["adapter_hash"],
        "licence": passport.get("licence"),
    }
    return Converted(out, write_weights(base, weights, out, note))


def _extract(
    base: Base, path: Path, out: Path, rank: int | None
) -> tuple[AttachedAdapter, dict[str, Any], Converted]:
    from mfl_adapt.adapter.formats_base import extract

    extracted = extract(base, read_weights(base, path), rank=rank, where=str(path))
    file = path / WEIGHTS if (path / WEIGHTS).is_file() else path
    origin = {
        "from": "base",
        "file": path.name,
        "rank": rank,
        "error": extracted.loss.to_json(),
        "left_out": extracted.left_out,
    }
    if file.is_file():
        with file.open("rb") as stream:
            origin["sha256"] = hashlib.file_digest(stream, "sha256").hexdigest()
    done = Converted(out, loss=extracted.loss, left_out=extracted.left_out)
    return extracted.adapter, origin, done


def _import(base: Base, path: Path, form: str) -> tuple[AttachedAdapter, dict[str, Any]]:
    from mfl_adapt.adapter.formats import describe_origin, import_adapter
    from mfl_adapt.adapter.formats_diffusers import read_diffusers
    from mfl_adapt.adapter.formats_kohya import read_kohya
    from mfl_adapt.adapter.formats_peft import read_peft

    if form == "peft":
        foreign = read_peft(path)
    else:
        read = {"diffusers": read_diffusers, "kohya": read_kohya}[form]
        foreign = read(path, base.module)
    return import_adapter(base, foreign), describe_origin(foreign, form)


def _passport(
    base: Base, origin: dict[str, Any], settings: dict[str, Any], host: PluginHost
) -> dict[str, Any]:
    """Return the evidence: where the adapter comes from, and nothing that nobody measured."""
    name = base.id.partition(".")[0]
    found = {
        one.name: {"distribution": one.distribution, "version": one.version}
        for one in host.plugins()
        if one.name == name
    }
    # What the file's author allows is not known; what the base demands is.
    licence = host.component(BaseSpec, base.id).spec.licence
    inherited = (
        [] if licence is None else [{"name": licence.name, "terms": licence.terms, "of": base.id}]
    )
    return {
        "made_by": "mfl-adapt adapter convert",
        "converted": origin,
        "config": {"base": {"id": base.id, **settings}},
        "plugins": found,
        "metrics": {},
        "licence": {"inherited": inherited},
    }
