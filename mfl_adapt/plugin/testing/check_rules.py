"""Rules about checks: findings of their own code, and no crash whatever they look at."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.errors import MflAdaptError
from mfl_adapt.plugin.specs import CheckSpec, Facts, Finding
from mfl_adapt.plugin.testing.outcome import require
from mfl_adapt.plugin.testing.probes import make_probe, spoiled
from mfl_adapt.plugin.testing.rule import Case, Rule, describe_error
from mfl_adapt.plugin.testing.well_formed import fingerprint
from mfl_adapt.types import RigContract

if TYPE_CHECKING:
    from mfl_adapt.types import Sample

_CONTRACT = RigContract(size=64, patch=8, depth_reach=1.8)


def odd_facts(subject: str, folder: Path) -> Iterator[tuple[str, Facts]]:
    """Facts that a doctor may meet, the usual ones first."""
    bare = Facts(contract=_CONTRACT)
    if subject == "sample":
        yield from ((what, replace(bare, sample=one)) for what, one in _samples())
    elif subject == "dataset":
        samples = [one for _, one in _samples()]
        yield "a dataset", replace(bare, dataset=tuple(samples[:2]))
        yield "an empty dataset", replace(bare, dataset=())
        yield "a dataset of one", replace(bare, dataset=(samples[0],))
        yield "a dataset of the same sample twice", replace(bare, dataset=(samples[0],) * 2)
        yield "a dataset of odd samples", replace(bare, dataset=tuple(samples))
    elif subject in {"config", "machine"}:
        values: dict[str, Any] = {"data": None, "train": {"steps": 3}, "losses": {}, "gpus": []}
        yield f"an empty {subject}", _with(bare, subject, {})
        yield f"a {subject} of other keys", _with(bare, subject, values)
    else:
        for what in ("empty", "odd"):
            (folder / what).mkdir()
        for name in ("passport.json", "config.yaml", "metrics.jsonl"):
            (folder / "odd" / name).write_text("{")
        for what in ("empty", "odd", "missing"):
            yield f"{what} folder for {subject}", _with(bare, subject, folder / what)


def _with(facts: Facts, subject: str, value: Any) -> Facts:
    return replace(facts, **{subject: value})


def _samples() -> Iterator[tuple[str, Sample]]:
    """Whole samples, then such as a lenient reader might leave behind."""
    from mfl_adapt.data import conform

    sample = conform(make_probe("slots").sample, _CONTRACT)
    yield "a usual sample", sample
    yield from spoiled(sample).items()
    first = sample.views[0]
    blind = replace(first, c2w=np.full((4, 4), np.nan))
    flat = replace(first, c2w=np.zeros((4, 4)), fxfycxcy=np.zeros(4))
    dot = replace(first, rgb=first.rgb[:1, :1], mask=np.full((1, 1), 255, np.uint8))
    yield "a sample without history", replace(sample, provenance=())
    yield "a camera of NaN", replace(sample, views=(blind, *sample.views[1:]))
    yield "a camera of zeros", replace(sample, views=(flat, *sample.views[1:]))
    yield "pictures of one pixel", replace(sample, views=(dot,) * len(sample.views))
    yield "cameras at one place", replace(sample, views=(first,) * 3)


def findings(case: Case) -> list[tuple[str, list[Finding]]]:
    """What the check finds in each of the odd facts; the rule ends where it crashes."""

    def run() -> list[tuple[str, list[Finding]]]:
        assert isinstance(case.spec, CheckSpec)
        check, found = case.built(), []
        with TemporaryDirectory() as folder:
            for what, facts in odd_facts(case.spec.subject, Path(folder)):
                tried = case.attempt(what, partial(_run, check, facts))
                # A folder that is none may be refused; data must be described, not refused.
                may_refuse = case.spec.subject in {"adapter", "run"}
                if may_refuse and isinstance(tried.error, MflAdaptError):
                    continue
                require(
                    tried.error is None,
                    f"{case.name}, {what}",
                    expected="findings or none",
                    got=describe_error(tried.error) if tried.error else "",
                    remedy="Look whether there is something to measure before measuring it.",
                )
                found.append((what, tried.value))
        return found

    results: list[tuple[str, list[Finding]]] = case.once("findings", run)
    return results


def _run(check: Any, facts: Facts) -> list[Finding]:
    return list(check(facts))


def check_no_crash(case: Case) -> str:
    """It describes odd facts, or is silent; the other checks' findings depend on that."""
    return f"{len(findings(case))} facts, {sum(len(one) for _, one in findings(case))} findings"


def check_code(case: Case) -> None:
    """Findings carry the declared code, a known severity and words in every field."""
    assert isinstance(case.spec, CheckSpec)
    for what, found in findings(case):
        for one in found:
            where = f"{case.name}, {what}"
            require(
                isinstance(one, Finding),
                where,
                expected="records of Finding",
                got=repr(one),
                remedy="Yield mfl_adapt.plugin.Finding.",
            )
            require(
                one.code == case.spec.code,
                f"{where}: code",
                expected=case.spec.code,
                got=one.code,
                remedy="A check speaks under its own code alone.",
            )
            texts = {f.name: getattr(one, f.name) for f in fields(one) if f.name != "excess"}
            bad = [k for k, text in texts.items() if not isinstance(text, str) or not text.strip()]
            bad += [k for k, text in texts.items() if k not in bad and "\n" in text]
            if one.severity not in {"law", "warning", "info"}:
                bad.append("severity")
            if not isinstance(one.excess, float | int) or math.isnan(one.excess):
                bad.append("excess")
            require(
                not bad,
                f"{where}: {', '.join(bad)}",
                expected="one line of text in each field, severity law, warning or info, and a "
                "number as excess",
                got=repr(one),
                remedy="Fill every field; a reader sees nothing else.",
            )


def check_quiet(case: Case) -> None:
    """It edits nothing, and finds the same again."""
    assert isinstance(case.spec, CheckSpec)
    check, first = case.built(), findings(case)
    with TemporaryDirectory() as folder:
        facts = next(iter(odd_facts(case.spec.subject, Path(folder))))[1]
        held = [facts.sample] if facts.sample else list(facts.dataset or ())
        before = [fingerprint(one) for one in held]
        again = case.call("a second call", partial(_run, check, facts))
    require(
        [fingerprint(one) for one in held] == before,
        f"{case.name}: the sample it was given",
        expected="no change",
        got="other pixels or cameras",
        remedy="Copy an array before writing to it.",
    )
    require(
        case.spec.subject in {"adapter", "run"} or repr(again) == repr(first[0][1]),
        f"{case.name}: a second call",
        expected="the same findings",
        got="others",
        remedy="Draw from a generator with a fixed seed, and keep no state.",
    )


_CHECKS = (CheckSpec,)
RULES = (
    Rule(
        "D01-no-crash",
        _CHECKS,
        "It describes odd facts, or is silent; it never crashes",
        check_no_crash,
        ("C02-build",),
    ),
    Rule(
        "D02-code",
        _CHECKS,
        "Findings carry the declared code, and say something in every field",
        check_code,
        ("D01-no-crash",),
    ),
    Rule(
        "D03-quiet",
        _CHECKS,
        "It edits nothing, and finds the same again",
        check_quiet,
        ("D01-no-crash",),
    ),
)
