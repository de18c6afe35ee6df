"""Examines one subject from its files to its numbers, and never stops at the first thing wrong.

Every part is looked at as far as the parts before it allow: a configuration that cannot be loaded
has no data, and a sample that cannot be read has no cameras, but its neighbours have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mfl_adapt.config import LoadedConfig, to_plain, validate_components
from mfl_adapt.data.spread import spread
from mfl_adapt.doctor.examine import ActiveCheck, build_checks, examine, examine_samples
from mfl_adapt.doctor.findings import Report, join
from mfl_adapt.doctor.refusals import to_finding, without_repetitions
from mfl_adapt.errors import MflAdaptError
from mfl_adapt.pipeline import check_batches, contract_of, open_data, open_samples
from mfl_adapt.pipeline.files import find_problems
from mfl_adapt.pipeline.run import check_kinds
from mfl_adapt.plugin import Facts, Finding
from mfl_adapt.plugin.registry import PluginHost
from mfl_adapt.types import Sample

USUALLY = 24
"""Samples that are read unless all are asked for: seconds, at six views of 512 px."""


_BEFORE_DATA = ("MFL046", "MFL047", "MFL052", "MFL064")
"""Laws of settings and lists; weights that are missing keep nobody from looking at pictures."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What was examined, and what was found.

    Attributes:
        subject: As the user named it.
        kind: What it is, in words.
        report: All findings.
        facts: What was measured, by name, in the order to print it.
    """

    subject: str
    kind: str
    report: Report
    facts: Mapping[str, str] = field(default_factory=dict)


class Notes:
    """Collects findings of errors while the parts of a subject are gone through."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.refused: list[Finding] = []

    @contextmanager
    def part(self, code: str = "") -> Iterator[None]:
        """Turn an error of ours into a finding and go on after the block."""
        try:
            yield
        except MflAdaptError as error:
            self.refused.append(to_finding(error, code=code))

    def report(self) -> Report:
        """What was refused, as a report of its own."""
        return Report(tuple(self.refused), {})


def visit_config(
    loaded: LoadedConfig, host: PluginHost, *, every_sample: bool = False, subject: str = ""
) -> Visit:
    """Examine settings, the files that they name, the dataset and its samples.

    Args:
        loaded: The configuration, with slots claimed.
        host: The active plugins.
        every_sample: Read all samples; else ``USUALLY`` many, spread evenly.
        subject: How the user named it.

    Returns:
        What was found. Nothing is raised for what is wrong with the configuration or the data.
    """
    notes, named = Notes(), subject or loaded.source
    kind = "dataset" if named == str(loaded.config.data.path) else "configuration"
    reports, facts = [], dict[str, str]()
    checks = build_checks(host)
    with notes.part():
        validate_components(loaded, host)
    with notes.part():
        reports.append(_examine_settings(loaded, host, checks, notes))
    if not _keeps_data_shut([*reports, notes.report()]):
        with notes.part():
            found, facts = _examine_data(loaded, host, checks, notes, every_sample=every_sample)
            reports.append(found)
    whole = join(reports)
    findings = tuple(without_repetitions(whole.findings, notes.refused))
    return Visit(named, kind, Report(findings, whole.looked_at), facts)


def _keeps_data_shut(reports: Sequence[Report]) -> bool:
    """Whether a law is broken without which data can be read, or would be read wrongly."""
    laws = [one for report in reports for one in report.laws]
    return any(one.code in _BEFORE_DATA or one.where == "data.path" for one in laws)


def _examine_settings(
    loaded: LoadedConfig, host: PluginHost, checks: Sequence[ActiveCheck], notes: Notes
) -> Report:
    """Whatever is cheap: keys, files with their hashes, prompts, the dataset's own files."""
    config = loaded.config
    if config.base is not None:
        with notes.part():
            check_kinds(config, host)
    for problem in find_problems(loaded, host):
        notes.refused.append(to_finding(problem))
    path = config.data.path
    source = path if path is not None and path.exists() else None
    subjects = {"config"} if source is None else {"config", "source"}
    return examine(
        [check for check in checks if check.subject in subjects],
        [Facts(config=to_plain(config), source=source)],
    )


def _examine_data(
    loaded: LoadedConfig,
    host: PluginHost,
    checks: Sequence[ActiveCheck],
    notes: Notes,
    *,
    every_sample: bool,
) -> tuple[Report, dict[str, str]]:
    """Read samples one by one and examine those that can be read."""
    config = loaded.config
    samples, contract = open_samples(config, host, contract_of(config, host))
    chosen = spread(range(len(samples)), None if every_sample else USUALLY)
    good = _read(samples, chosen, notes)
    facts = {"samples": _count(len(samples), len(chosen), len(chosen) - len(good))}
    if config.base is not None:
        facts["base"] = f"{config.base.id}, pictures of {contract.size} x {contract.size} px"
    split = None
    if len(good) == len(samples):
        with notes.part():
            data = open_data(config, host, contract, batches=False, samples=good)
            split = data.sides
            check_batches(data.samples, data.policy, batch=config.train.batch)
    kept = [check for check in checks if check.subject in {"sample", "dataset"}]
    return examine_samples(kept, good, contract, to_plain(config), split=split), facts


def _read(samples: Any, chosen: Sequence[int], notes: Notes) -> list[Sample]:
    good: list[Sample] = []
    for index in chosen:
        with notes.part():
            good.append(samples[index])
    return good


def _count(there: int, chosen: int, bad: int) -> str:
    text = (
        f"{chosen} of {there}, spread evenly; --all for the rest"
        if chosen < there
        else (f"all {there}" if there > 1 else "the only one")
    )
    return f"{text}; {bad} cannot be read" if bad else text


def visit_unusable(subject: str, error: MflAdaptError) -> Visit:
    """What is left to say of a configuration that cannot be loaded."""
    return Visit(subject, "configuration", Report((to_finding(error),), {}))
