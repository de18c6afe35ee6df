"""Runs checks over facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mfl_adapt.data.spread import spread
from mfl_adapt.doctor.findings import Report, join
from mfl_adapt.errors import PluginError
from mfl_adapt.plugin import Check, CheckSpec, Facts, Finding

if TYPE_CHECKING:
    from mfl_adapt.plugin.registry import PluginHost
    from mfl_adapt.types import RigContract, Sample


class ActiveCheck(NamedTuple):
    """A check ready to run.

    Attributes:
        name: ``plugin.component``.
        code: Code that its findings must carry.
        subject: Field of ``Facts`` that it looks at.
        run: The check itself.
        samples: Most samples that it looks at; None for all.
    """

    name: str
    code: str
    subject: str
    run: Check
    samples: int | None = None


def build_checks(
    host: PluginHost, settings: Mapping[str, Mapping[str, Any]] | None = None
) -> list[ActiveCheck]:
    """Build every check of the active plugins.

    Args:
        host: The run's plugins.
        settings: Thresholds by check (``facelift_checks.origin``); the others take their
            defaults.

    Returns:
        Checks by plugin, then in the plugin's own order.

    Raises:
        PluginError: If settings name a check that is not active, or a check cannot be built.
        ConfigError: If settings do not fit.
    """
    given = dict(settings or {})
    for name in given:
        host.component(CheckSpec, name)
    return [
        ActiveCheck(
            name=found.name,
            code=found.spec.code,
            subject=found.spec.subject,
            run=host.build(CheckSpec, found.name, given.get(found.name, {})),
            samples=found.spec.samples,
        )
        for found in host.components(CheckSpec)
    ]


def examine(checks: Sequence[ActiveCheck], facts: Iterable[Facts]) -> Report:
    """Run every check on all facts that hold its subject.

    Args:
        checks: What to run.
        facts: What to look at, one record per sample, or for a dataset, run, and so on.

    Returns:
        All findings and what was run.

    Raises:
        PluginError: If a check reports under another check's code.
    """
    findings: list[Finding] = []
    looked_at: dict[str, int] = {check.name: 0 for check in checks}
    for record in facts:
        for check in checks:
            if getattr(record, check.subject) is None:
                continue
            looked_at[check.name] += 1
            findings += _run(check, record)
    return Report(tuple(dict.fromkeys(findings)), looked_at)


def examine_samples(
    checks: Sequence[ActiveCheck],
    samples: Iterable[Sample],
    contract: RigContract,
    config: Mapping[str, Any] | None = None,
    *,
    split: Mapping[str, str] | None = None,
) -> Report:
    """Run the checks on conformed samples, one by one and then on all of them together.

    A check that takes long looks at some of the samples, spread evenly; the report counts them.
    Those of other subjects than configurations and data are left out.

    Args:
        checks: What to run.
        samples: The dataset.
        contract: Of the base.
        config: Resolved run configuration as plain data, where there is one.
        split: ``train`` or ``validation`` by id of sample, where there is one.
    """
    checks = [check for check in checks if check.subject in {"config", "sample", "dataset"}]
    dataset = tuple(samples)
    whole = Facts(contract=contract, config=config, dataset=dataset, split=split)
    reports = [
        examine(
            [check for check in checks if check.samples == most],
            [*(Facts(contract=contract, sample=one) for one in spread(dataset, most)), whole],
        )
        for most in dict.fromkeys(check.samples for check in checks)
    ]
    joined = join(reports)
    return Report(joined.findings, {check.name: joined.looked_at[check.name] for check in checks})


def examine_source(
    checks: Sequence[ActiveCheck], source: Path | None, config: Mapping[str, Any] | None = None
) -> Report:
    """Run the checks on the files of a dataset, before or after any reader has looked at them.

    Args:
        checks: What to run; those of other subjects are left out.
        source: Folder or list of the dataset; None or one that is not there has no files.
        config: Resolved run configuration as plain data, where there is one.
    """
    if source is None or not source.exists():
        return Report((), {})
    chosen = [check for check in checks if check.subject == "source"]
    return examine(chosen, [Facts(config=config, source=source)])


def _run(check: ActiveCheck, facts: Facts) -> list[Finding]:
    found = list(check.run(facts))
    for finding in found:
        if finding.code != check.code:
            raise PluginError(
                f"check {check.name}: expected findings with code {check.code}, got "
                f"{finding.code}. This is a fault of the plugin."
            )
    return found
