"""What a merged adapter keeps of each adapter it was made from, on that adapter's own data.

The data are those that a source's passport names. They are opened only where they can be opened
here and are the same pictures; of every other source the reason is given instead of a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mfl_adapt.adapter import StoredAdapter, load
from mfl_adapt.adapter.compose import source_name
from mfl_adapt.config import (
    Layer,
    LoadedConfig,
    RunConfig,
    load_config,
    to_plain,
    validate_components,
)
from mfl_adapt.data import fingerprint
from mfl_adapt.errors import DataError, MflAdaptError, PluginError
from mfl_adapt.evaluate.evaluation import Evaluation
from mfl_adapt.evaluate.kinds import evaluate_any
from mfl_adapt.evaluate.scores import Scores, count, header, rows_to_json, to_line
from mfl_adapt.pipeline import OpenData, open_data
from mfl_adapt.plugin import Base
from mfl_adapt.plugin.registry import PluginHost, load_plugins

Report = Callable[[str, int, int], None]
"""Called with the name of a source, scenes done and scenes in all."""


@dataclass(frozen=True, slots=True)
class SourceScores:
    """One source on its own data.

    Attributes:
        name: Of its run or folder.
        adapter_hash: Its hash.
        reason: Why there are no scores; empty if there are.
        scenes: Number of scenes.
        views: Number of views.
        scenes_held_out: True if the scenes too were kept from the training of the source.
        rows: Scores of ``frozen base``, ``source`` and ``merged``.
    """

    name: str
    adapter_hash: str
    reason: str = ""
    scenes: int = 0
    views: int = 0
    scenes_held_out: bool = False
    rows: dict[str, Scores] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values: the scores, or the reason why there are none."""
        named = {"name": self.name, "adapter_hash": self.adapter_hash}
        if self.reason:
            return named | {"not_measured": self.reason}
        return named | {
            "scenes": self.scenes,
            "views": self.views,
            "scenes_held_out": self.scenes_held_out,
            "scores": rows_to_json(self.rows),
        }


def evaluate_sources(
    base: Base,
    merged: Path,
    sources: Sequence[StoredAdapter],
    *,
    limit: int | None = None,
    report: Report | None = None,
) -> list[SourceScores]:
    """Score the frozen base, each source and the merged adapter on the data of each source.

    Args:
        base: The base of all, without an adapter; it is without one again afterwards.
        merged: Folder of the merged adapter.
        sources: What it was made from.
        limit: Use only the first so many scenes of each; None uses all that the source's own
            configuration evaluates.
        report: Gets told what happens.

    Returns:
        One record per source, in their order.
    """
    found = []
    for stored in sources:
        try:
            opened = _open(stored, base, limit)
        except MflAdaptError as error:
            found.append(_missing(stored, " ".join(str(error).split())))
            continue
        found.append(_score(base, stored, merged, *opened, report))
    return found


def to_table(found: Sequence[SourceScores]) -> str:
    """Return all scores as lines of text."""
    wide = max([len("frozen base"), *(len(one.name) for one in found)])
    lines = [header(wide)]
    for one in found:
        if one.reason:
            lines.append(f"{one.name:<{wide}}  not measured: {one.reason}")
            continue
        kind = count(one.scenes, "held-out scene" if one.scenes_held_out else "scene")
        kind += "" if one.scenes_held_out else " that training saw"
        lines.append(f"{one.name:<{wide}}  {count(one.views, 'held-out view')} of {kind}")
        lines += [to_line(name, scores, wide) for name, scores in one.rows.items()]
    return "\n".join(lines)


def _missing(stored: StoredAdapter, reason: str) -> SourceScores:
    return SourceScores(source_name(stored), stored.passport["adapter_hash"], reason=reason)


def _open(
    stored: StoredAdapter, base: Base, limit: int | None
) -> tuple[RunConfig, PluginHost, OpenData]:
    """Open the data of a source.

    Raises:
        DataError: If the passport names none, or the data here are others.
        MflAdaptError: If they cannot be opened here.
    """
    loaded = _configuration(stored, limit)
    host = load_plugins(loaded.config.plugins)
    validate_components(loaded, host)
    data = open_data(loaded.config, host, base.contract, batches=False)
    wanted = (stored.passport.get("data") or {}).get("fingerprint")
    present = fingerprint(data.samples)
    if present != wanted:
        raise DataError(
            f"data: expected those that the adapter was trained on, of fingerprint {wanted}, got "
            f"others, of fingerprint {present}"
        )
    return loaded.config, host, data


def _configuration(stored: StoredAdapter, limit: int | None) -> LoadedConfig:
    """Return the configuration of the run that made an adapter.

    Raises:
        DataError: If the passport holds none.
        PluginError: If it names a file as a plugin.
        ConfigError: If it is not valid.
    """
    recorded = stored.passport.get("config") or {}
    if not isinstance(recorded.get("data"), dict):
        raise DataError("its passport names no data")
    files = [name for name in recorded.get("plugins") or () if not str(name).isidentifier()]
    if files:
        # A passport comes from anybody, and a plugin in a file would be run.
        raise PluginError(f"its data need the plugin file {files[0]}, which is not run from here")
    empty = LoadedConfig(RunConfig(), (), Layer({}, {}), f"{stored.folder}: config")
    # The cache would be written where the passport says.
    data = {**_data_section(stored, recorded), "cache": None}
    layer: dict[str, Any] = {**recorded, "data": data}
    if limit is not None:
        layer["evaluate"] = {**(recorded.get("evaluate") or {}), "samples": limit}
    return empty.relayered([Layer(layer, {})])


def _data_section(stored: StoredAdapter, recorded: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the passport says of the data, with the paths of the run folder if it still lies there.

    Raises:
        DataError: If the passport holds only a name where a path was, and nothing else tells it.
        ConfigError: If the run's configuration cannot be read.
    """
    keys = stored.passport.get("shortened")
    names = [str(key) for key in keys if str(key).startswith("data.")] if keys else []
    if not names:
        data: Mapping[str, Any] = recorded["data"]
        return data
    beside = stored.folder.parent / "config.yaml"
    if not beside.is_file():
        raise DataError(
            f"its passport holds of {names[0]} only a name, and there is no {beside.name} of its "
            "run beside it"
        )
    return to_plain(load_config(beside).config)["data"]


def _score(
    base: Base,
    stored: StoredAdapter,
    merged: Path,
    config: RunConfig,
    host: PluginHost,
    data: OpenData,
    report: Report | None,
) -> SourceScores:
    name = source_name(stored)

    def evaluate_one(folder: Path, what: str) -> Evaluation:
        adapter = load(base, folder, host=host)
        try:
            said = None if report is None else lambda *counts: report(f"{name} {what}", *counts)
            return evaluate_any(base, adapter, data, config, said)
        finally:
            adapter.remove()

    own, other = evaluate_one(stored.folder, "source"), evaluate_one(merged, "merged")
    rows = {
        "frozen base": own.rows["frozen base"],
        "source": own.rows["adapted"],
        "merged": other.rows["adapted"],
    }
    return SourceScores(
        name,
        stored.passport["adapter_hash"],
        scenes=own.scenes,
        views=own.views,
        scenes_held_out=own.scenes_held_out,
        rows=rows,
    )
