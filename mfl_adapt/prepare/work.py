"""What one worker does: it makes samples and puts each into its place in one step.

A sample is written beside its place and moved there whole, with the plan and its number in its
``provenance.json``. So a folder that bears its name is finished, whatever happened since.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mfl_adapt.data import write_sample
from mfl_adapt.data.writer import check_id
from mfl_adapt.errors import DataError, MflAdaptError, RangeError, ShapeError, StorageError
from mfl_adapt.images import digest_views, warp_sample
from mfl_adapt.prepare.extent import raw_extent
from mfl_adapt.prepare.job import opened_chain
from mfl_adapt.types import Similarity

if TYPE_CHECKING:
    from mfl_adapt.prepare.job import Job, Kind
    from mfl_adapt.types import Sample

PARTS = ".parts"
"""Folder, inside that of the dataset, in which workers build samples."""


@dataclass(frozen=True, slots=True)
class Made:
    """A sample that lies in its place.

    Attributes:
        index: Its number in the reader's order.
        id: Its name and folder.
        session: Recording it belongs to.
        animal: Individual it shows.
        time_s: Time within the session in seconds, or None.
        digest: Of its pixels and cameras.
        extent: Diameter of the subject in raw world units, where a step measured it.
        seconds: What reading, the stages and writing took; empty where it lay there already.
    """

    index: int
    id: str
    session: str
    animal: str
    time_s: float | None
    digest: str
    extent: float | None = None
    seconds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Bad:
    """A sample that could not be made.

    Attributes:
        index: Its number in the reader's order.
        error: Why not.
    """

    index: int
    error: MflAdaptError


Outcome = Made | Bad


class Place(Protocol):
    """Where samples of one plan go; a ``Job`` is one."""

    @property
    def folder(self) -> Path:
        """The folder that the dataset is made in."""
        ...

    @property
    def plan(self) -> str:
        """Hash of all that decides the samples."""
        ...


def run_chunk(job: Job, indices: Sequence[int]) -> list[Outcome]:
    """Make some samples; a bad one does not keep the others from being made.

    Args:
        job: What to make.
        indices: Which samples.

    Returns:
        One outcome per index.

    Raises:
        StorageError: If a file cannot be written.
        MflAdaptError: If settings or a plugin are at fault.
    """
    if not job.folder.is_dir():
        raise StorageError(
            f"{job.folder}: expected the folder to write to on this machine too, got none. Give "
            f"every worker the same file system."
        )
    chain = opened_chain(job)
    outcomes: list[Outcome] = []
    for index in indices:
        try:
            started = time.perf_counter()
            raw = chain.reader[index]
            read = time.perf_counter()
            sample = chain.run(raw)
            sample = fit_to_store(raw, sample, job.kind)
            ran = time.perf_counter()
            made = store(sample, index, job)
            done = time.perf_counter()
            seconds = (read - started, ran - read, done - ran)
            outcomes.append(Made(**{**made, "seconds": seconds}))
        except (DataError, ShapeError, RangeError) as error:
            outcomes.append(Bad(index, error))
    return outcomes


def store(sample: Sample, index: int, job: Place) -> dict[str, Any]:
    """Write a sample and move it to its place.

    Returns:
        The fields of its ``Made``.

    Raises:
        DataError: If its id is no folder's name, or another sample's.
        StorageError: If it cannot be written.
    """
    check_id(sample.id)
    digest = (sample.provenance and sample.provenance[-1].digest) or digest_views(sample.views)
    extent = raw_extent(sample.provenance)
    mark = {"plan": job.plan, "index": index, "digest": digest, "extent": extent}
    part = job.folder / PARTS / f"{index}.{os.getpid()}.{threading.get_ident()}"
    try:
        write_sample(sample, part, extra={"prepared": mark})
        _move(part, job.folder / sample.id, job, index)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return {
        "index": index,
        "id": sample.id,
        "session": sample.session,
        "animal": sample.animal,
        "time_s": sample.time_s,
        "digest": digest,
        "extent": extent,
    }


def _move(part: Path, target: Path, job: Place, index: int) -> None:
    """Give a finished sample its name.

    Raises:
        DataError: If another sample has it.
        StorageError: If the folder cannot be renamed.
    """
    above = [folder for folder in target.parents if folder.is_relative_to(job.folder)][:-1]
    taken = next((folder for folder in (target, *above) if read_mark(folder)), None)
    if taken == target and read_mark(target).get("index") == index:
        return  # a cluster may run a task twice
    try:
        if taken is None:
            target.parent.mkdir(parents=True, exist_ok=True)
            part.rename(target)
            return
    except OSError as error:
        if not (target.is_dir() and any(target.iterdir())):
            raise StorageError(
                f"{target}: expected to move a finished sample here, got "
                f"{error.strerror or error}. Check the folder's permissions."
            ) from error
    raise DataError(
        f"sample {target.relative_to(job.folder).as_posix()}: expected ids that name a folder of "
        f"their own, got a sample that has this one or lies inside. Rename one of the two."
    )


def read_mark(folder: Path) -> Mapping[str, Any]:
    """Return plan, index and digest of a finished sample; empty where there is none."""
    try:
        content = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        mark: Mapping[str, Any] = content.get("prepared", {})
    except (OSError, ValueError, AttributeError):
        return {}
    return mark


def fit_to_store(raw: Sample, sample: Sample, kind: Kind) -> Sample:
    """Round 16-bit pictures to 8 bits, and hold ``convert`` to its word.

    Args:
        raw: As the reader gave it.
        sample: The same after all stages.
        kind: What is being made.

    Returns:
        The sample, with one more step if anything was rounded.

    Raises:
        DataError: If a stage moved something that should stay.
    """
    for step in sample.provenance[len(raw.provenance) :] if kind == "convert" else ():
        if step.pixel_maps or step.order or step.world != Similarity():
            raise DataError(
                f"sample {sample.id}: expected steps that move nothing in data convert, got "
                f"{step.step}. Use data prepare, or leave that step out."
            )
    if any(view.rgb.dtype != "uint8" for view in sample.views):
        return warp_sample(sample, step=kind, params={"bits": 8}, bits=8)
    return sample
