"""Makes a dataset folder: splits the work, collects what was made, writes the rest at the end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mfl_adapt.config import validate_components
from mfl_adapt.data import Split, split_samples
from mfl_adapt.data.certificate_table import CertificateSummary, summary_to_json
from mfl_adapt.data.fingerprint import combine_digests
from mfl_adapt.data.splits import mixing_warnings
from mfl_adapt.data.writer import summarize, write_json, write_lists
from mfl_adapt.errors import DataError
from mfl_adapt.prepare.certificate import CERTIFICATE, certify_some, proof_line
from mfl_adapt.prepare.extent import extent_line
from mfl_adapt.prepare.folder import (
    find_finished,
    is_finished,
    open_partial,
    partial_folder,
    publish,
)
from mfl_adapt.prepare.job import Job, Kind, make_job, opened_chain
from mfl_adapt.prepare.work import Bad, Made, Outcome
from mfl_adapt.types import Sample

if TYPE_CHECKING:
    from mfl_adapt.config import LoadedConfig, RunConfig
    from mfl_adapt.plugin.registry import PluginHost

log = logging.getLogger(__name__)

# A bar that moves every few seconds, and videos that are read forward.
_LARGEST_CHUNK = 8


class Executor(Protocol):
    """Spreads chunks of samples over workers."""

    workers: int

    def run(self, job: Job, chunks: Sequence[Sequence[int]]) -> Iterator[list[Outcome]]:
        """Yield the outcomes of every chunk, in any order."""
        ...


Report = Callable[[int, int], None]
"""Gets told how many samples lie in their place, and of how many."""


@dataclass(frozen=True, slots=True)
class Result:
    """What was made.

    Attributes:
        folder: The dataset.
        samples: How many samples it holds.
        made: How many of them this call made; the others lay there already.
        skipped: Bad samples that were left out, as messages.
        seconds: What reading, stages and writing took in all workers together.
        split: Which samples train and validate; None where only one list was written.
        proof: Certificates of some samples, summed up.
        extents: Diameters of the subject in raw world units, where a step measured them.
    """

    folder: Path
    samples: int
    made: int
    skipped: tuple[str, ...] = ()
    seconds: tuple[float, float, float] = (0.0, 0.0, 0.0)
    split: Split | None = None
    proof: CertificateSummary | None = None
    extents: tuple[float, ...] = ()

    def lines(self) -> list[str]:
        """What a user wants to know, one fact a line."""
        before = self.samples - self.made
        there = f", {before} were there already" if before else ""
        lines = [f"samples   {self.samples} ({self.made} made now{there})"]
        if self.skipped:
            lines.append(f"left out  {len(self.skipped)} bad samples, listed in dataset.json")
        if self.split is not None:
            train, held = len(self.split.train), len(self.split.validation)
            lines.append(f"split     {train} train, {held} validate")
        if self.extents:
            lines.append(f"extent    {extent_line(self.extents)}")
        if self.proof is not None:
            lines.append(f"geometry  {proof_line(self.proof)}")
        if total := sum(self.seconds):
            read, ran, wrote = (round(100 * part / total) for part in self.seconds)
            lines.append(f"work      {total:.1f} s: read {read}%, stages {ran}%, write {wrote}%")
        return [*lines, f"dataset   {self.folder}"]


def make_dataset(
    loaded: LoadedConfig,
    host: PluginHost,
    out: Path,
    *,
    kind: Kind,
    executor: Executor,
    report: Report,
    skip_bad: int = 0,
    certify: int = 0,
) -> Result:
    """Write a dataset folder, or continue one that was begun.

    The folder appears at the end, whole. What was made before an interruption is kept beside it
    and not made again; a folder that was begun or finished with other data or settings is refused.

    Args:
        loaded: The resolved configuration.
        host: The active plugins.
        out: Folder to make; it must not exist yet, be empty, or hold this very dataset.
        kind: ``convert`` writes what the reader gives, ``normalize`` runs the stages, and
            ``prepare`` runs the whole chain and splits.
        executor: Who does the work.
        report: Gets told how far it is.
        skip_bad: How many bad samples may be left out.
        certify: How many samples, evenly spread, get their geometry certified at the end, for
            ``certificate.json``; only of ``prepare``.

    Returns:
        What was made.

    Raises:
        DataError: If more samples are bad than may be left out, or none is left.
        StorageError: If the folder is in use or cannot be written.
        WorkerError: If workers died.
        MflAdaptError: If the configuration cannot be used.
    """
    validate_components(loaded, host)
    out = out.expanduser().absolute()
    partial = partial_folder(out)
    job = make_job(loaded, host, partial, kind)
    if is_finished(out, job.plan):
        there = find_finished(out, job.plan)
        return Result(out, samples=len(there), made=0, extents=_extents(there))
    chain = opened_chain(job, host)
    total = len(chain)
    with open_partial(partial, job.plan, {"kind": kind, **job.description}):
        found = find_finished(partial, job.plan, clean=True)
        if found:
            log.info("continuing: %d of %d samples are there already", len(found), total)
        report(len(found), total)
        made, bad = _make(job, executor, report, found=found, total=total, skip_bad=skip_bad)
        there = {**found, **made}
        proof = certify_some(chain, sorted(there), certify)
        split = _finish(partial, there, bad, loaded.config, host, job)
        if proof:
            write_json(partial / CERTIFICATE, summary_to_json(proof))
        publish(partial, out)
    times = [one.seconds for one in made.values()] or [(0.0, 0.0, 0.0)]
    read, ran, wrote = (sum(column) for column in zip(*times, strict=True))
    skipped = tuple(str(one.error) for one in bad)
    seconds = (read, ran, wrote)
    extents = _extents(there)
    return Result(out, len(there), len(made), skipped, seconds, split, proof, extents)


def _extents(there: Mapping[int, Made]) -> tuple[float, ...]:
    return tuple(one.extent for one in there.values() if one.extent is not None)


def _make(
    job: Job,
    executor: Executor,
    report: Report,
    *,
    found: Mapping[int, Made],
    total: int,
    skip_bad: int,
) -> tuple[dict[int, Made], list[Bad]]:
    """Make all samples that are not there yet.

    Raises:
        DataError: If more are bad than may be left out.
    """
    missing = [index for index in range(total) if index not in found]
    made: dict[int, Made] = {}
    bad: list[Bad] = []
    if not missing:
        return made, bad
    for outcomes in executor.run(job, _chunks(missing, executor.workers)):
        for outcome in outcomes:
            if isinstance(outcome, Made):
                made[outcome.index] = outcome
            else:
                bad.append(outcome)
        if len(bad) > skip_bad:
            _give_up(bad, skip_bad, total)
        report(len(found) + len(made), total)
    bad.sort(key=lambda one: one.index)
    for one in bad:
        log.warning("left out sample %d of %d: %s", one.index + 1, total, one.error)
    return made, bad


def _give_up(bad: Sequence[Bad], skip_bad: int, total: int) -> None:
    """Stop at bad samples.

    Raises:
        DataError: Always; of the first one's own class.
    """
    first = min(bad, key=lambda one: one.index)
    text = str(first.error)
    if skip_bad:
        text = (
            f"{len(bad)} bad samples of {total}, more than --skip-bad {skip_bad}. The first, "
            f"number {first.index + 1}: {text}"
        )
    raise type(first.error)(text) from first.error


def _chunks(indices: Sequence[int], workers: int) -> list[Sequence[int]]:
    size = max(1, min(_LARGEST_CHUNK, len(indices) // (4 * workers)))
    return [indices[first : first + size] for first in range(0, len(indices), size)]


def _finish(
    folder: Path,
    made: Mapping[int, Made],
    bad: Iterable[Bad],
    config: RunConfig,
    host: PluginHost,
    job: Job,
) -> Split | None:
    """Write the lists and, last, ``dataset.json``.

    Raises:
        DataError: If no sample is left, or they cannot be split.
        StorageError: If a file cannot be written.
    """
    ordered = [made[index] for index in sorted(made)]
    if not ordered:
        raise DataError("dataset: expected at least one good sample, got none.")
    samples = [Sample(one.id, (), (), one.session, one.animal, one.time_s) for one in ordered]
    rule, split = config.data.split, None
    kind = rule.by or "order"
    if job.kind == "prepare":
        split = split_samples(samples, by=kind, validation=rule.validation, gap=rule.gap)
        for warning in mixing_warnings(samples, split):
            log.warning("split: %s", warning)
    description = {
        "kind": job.kind,
        "reader": job.description["reader"]["use"],
        "plugins": {one.name: one.version for one in host.plugins() if one.state == "active"},
        "plan": job.plan,
        "split": rule.model_dump(mode="json") | {"by": kind} if split else None,
        "skipped": [{"number": one.index + 1, "reason": str(one.error)} for one in bad],
    }
    digest = combine_digests((one.id, one.digest) for one in ordered)
    write_lists([sample.id for sample in samples], split, folder)
    write_json(folder / "dataset.json", summarize(samples, digest, description))
    return split
