"""Visits to what runs leave behind, and to the machine that they run on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from mfl_adapt.config import load_config, to_plain
from mfl_adapt.doctor.examine import ActiveCheck, build_checks, examine
from mfl_adapt.doctor.findings import Report, join
from mfl_adapt.doctor.machine import list_machine, measure_machine
from mfl_adapt.doctor.visit import Notes, Visit
from mfl_adapt.errors import DataError
from mfl_adapt.files import read_bounded
from mfl_adapt.plugin import BaseSpec, Facts, Finding
from mfl_adapt.plugin.registry import PluginHost, load_plugins
from mfl_adapt.types import RigContract

ANOTHER_BASE = "MFL066"
_LARGEST_LOG = 2**28
_FIELDS = ("code", "where", "value", "expected", "remedy")


def visit_machine(host: PluginHost, output: Path) -> Visit:
    """Measure the machine and judge it.

    Args:
        host: The active plugins.
        output: Where runs are to be written.
    """
    found = measure_machine(output)
    report = _examine(build_checks(host), Facts(machine=found), Notes())
    return Visit("machine", "machine", report, list_machine(found))


def visit_adapter(folder: Path, host: PluginHost, *, subject: str = "") -> Visit:
    """Read an adapter folder whole and hold it against the base that it names.

    No weights of the base are read; ``adapter verify`` proves it there.

    Args:
        folder: Adapter folder, or a file of weights of another program.
        host: The active plugins.
        subject: How the user named it.
    """
    from mfl_adapt.adapter import read_adapter
    from mfl_adapt.adapter.description import describe

    notes, facts, contract, is_ours = Notes(), dict[str, str](), None, True
    with notes.part():
        found = describe(folder)
        is_ours = found.kind == "mfl_adapt"
        facts["tensors"] = f"{len(found.tensors)}, {found.numbers:,} numbers"
        if is_ours:
            passport = read_adapter(folder).passport
            facts["base"] = str(passport["base"]["id"])
            facts["hash"] = str(passport["adapter_hash"])
            with notes.part(ANOTHER_BASE):
                contract = _contract_of(facts["base"])
    report = notes.report()
    if not notes.refused or contract is not None:
        looked = _examine(build_checks(host), Facts(adapter=folder, contract=contract), notes)
        report = join([looked, notes.report()])
    kind = "adapter" if is_ours else "adapter of another program"
    return Visit(subject or str(folder), kind, report, facts)


def visit_run(folder: Path, host: PluginHost) -> Visit:
    """Look at a run folder: its settings, its log and scores, and the adapter that it left.

    Args:
        folder: Run folder.
        host: The active plugins.
    """
    notes, plain = Notes(), None
    with notes.part():
        plain = to_plain(load_config(folder / "config.yaml").config)
    checks = build_checks(host)
    with notes.part():
        notes.refused += read_guards(folder)
    reports = [_examine(checks, Facts(run=folder), notes)]
    if plain is not None:
        reports.append(_examine(checks, Facts(config=plain), notes))
    facts = {}
    if (folder / "adapter").is_dir():
        visit = visit_adapter(folder / "adapter", host)
        reports.append(visit.report)
        facts = dict(visit.facts)
    return Visit(str(folder), "run", join([*reports, notes.report()]), facts)


def read_guards(run: Path) -> list[Finding]:
    """Return what the guards of a run found while it went on; each code once, the last of it.

    Raises:
        DataError: If their log is damaged.
    """
    file = run / "guards.jsonl"
    if not file.is_file():
        return []
    found: dict[str, Finding] = {}
    try:
        lines = read_bounded(file, _LARGEST_LOG).decode().splitlines()
        # A process that was killed leaves half a line at the end.
        for row in (json.loads(line) for line in lines if line.endswith("}")):
            code, where, value, expected, remedy = (str(row[name]) for name in _FIELDS)
            severity: Literal["law", "warning"] = "law" if row["severity"] == "law" else "warning"
            where = f"{where}, step {row['step']}"
            found[code] = Finding(code, severity, where, value, expected, remedy)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{file}: expected what guards wrote, got a damaged line ({type(error).__name__}). "
            "Delete the file if nothing is training any more."
        ) from error
    return list(found.values())


def _contract_of(id: str) -> RigContract:
    """What the plugin of a base says about it; only that plugin is imported."""
    return load_plugins([id.partition(".")[0]]).component(BaseSpec, id, where="base").spec.contract


def _examine(checks: list[ActiveCheck], facts: Facts, notes: Notes) -> Report:
    """Run the checks that these facts are for; one that cannot read its files says so."""
    reports = []
    for check in checks:
        if getattr(facts, check.subject) is not None:
            with notes.part():
                reports.append(examine([check], [facts]))
    return join(reports)
