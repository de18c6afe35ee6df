"""Which bases there are, and which of them are on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mfl_adapt.models.fetched import WEIGHTS, Fetched, find_folder, read_fetched
from mfl_adapt.plugin import BaseSpec, Licence, PublishedWeights
from mfl_adapt.plugin.registry import PluginHost, Resolved

State = Literal["shipped", "yours", "fetched", "incomplete", "absent"]


@dataclass(frozen=True, slots=True)
class BaseStatus:
    """A base and its files.

    Attributes:
        id: ``plugin.component``.
        summary: One line.
        makes: Gaussians or views.
        size: Side of its pictures in pixels.
        distribution: Who offers it.
        state: Where its files are: with the plugin, where the settings say, fetched, partly
            fetched, or not here.
        folder: Where fetched files are looked for; None if there are none to fetch.
        licence: Of the weights, as far as its plugin says.
        published: Where they can be fetched.
        commit: Of the fetched files.
    """

    id: str
    summary: str
    makes: str
    size: int
    distribution: str
    state: State
    folder: Path | None
    licence: Licence | None
    published: PublishedWeights | None
    commit: str | None


def list_bases(host: PluginHost) -> list[BaseStatus]:
    """Look for the files of all bases; sizes are compared, contents are not.

    Raises:
        CheckpointError: If the record of a download is damaged.
    """
    return [_status(one) for one in host.components(BaseSpec)]


def _status(base: Resolved[BaseSpec]) -> BaseStatus:
    spec = base.spec
    recorded = read_fetched(base.name) if spec.published else None
    folder = find_folder(base.name) / WEIGHTS if spec.published else None
    return BaseStatus(
        id=base.name,
        summary=spec.summary,
        makes=spec.makes,
        size=spec.contract.size,
        distribution=base.distribution,
        state=_state(spec, folder, recorded),
        folder=folder,
        licence=spec.licence,
        published=spec.published,
        commit=recorded.commit if recorded else None,
    )


def _state(spec: BaseSpec, folder: Path | None, recorded: Fetched | None) -> State:
    """Tell where the files of a base are."""
    if folder is None:
        named = any(field.is_required() for field in spec.config.model_fields.values())
        return "yours" if named else "shipped"
    if recorded is None:
        return "absent"
    whole = all(_size(folder / name) == file.size for name, file in recorded.files.items())
    return "fetched" if whole else "incomplete"


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
