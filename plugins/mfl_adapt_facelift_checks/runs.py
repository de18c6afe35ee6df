"""What a run folder tells about the run: whether it came to an end, and to what."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mfl_adapt.checks import is_number
from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.files import find_inside, read_bounded, read_json
from mfl_adapt.plugin import Facts, Finding

from .config import InputGainConfig, MarginConfig, NoConfig

_LARGEST_LOG = 2**28
_LARGEST_SUMS = 2**20


class OverConstant:
    """Warning MFL021: the model beats a picture that needs no model.

    A white picture scores 12 to 15 dB where the subject covers a tenth of it, and so does a run
    that has learned nothing else. The same picture is measured beside every run.
    """

    def __init__(self, config: MarginConfig) -> None:
        """Take the margin."""
        self._least = config.least_db

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the scores on held-out views."""
        scores = _mapping(_evaluation(_run(facts)).get("scores"))
        guesses = {
            name: quality
            for name, one in scores.items()
            if name not in {"adapted", "frozen base"}
            and (quality := _decibel(one, "psnr_db")) is not None
        }
        own = _decibel(scores.get("adapted"), "psnr_db")
        if own is None or not guesses:
            return
        best = max(guesses, key=lambda name: guesses[name])
        margin = own - guesses[best]
        if margin < self._least:
            yield Finding(
                code="MFL021",
                severity="warning",
                where=str(_run(facts) / "evaluation.json"),
                value=f"{own:.2f} dB on held-out views, {margin:+.2f} dB over {best}",
                expected=f"at least {self._least:g} dB over a picture that needs no model",
                remedy="Run mfl-adapt doctor on the data: cameras that contradict the pictures "
                "end here. If they agree, look at the samples and train longer.",
                excess=self._least - margin,
            )


class InputViews:
    """Warning MFL022: what the adapter gains, it gains on views that it was not shown.

    A network can repeat pictures that it is given, and scores on those rise without any geometry.
    """

    def __init__(self, config: InputGainConfig) -> None:
        """Take the least gain."""
        self._least = config.least_db

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Compare the gains on input views and on held-out views."""
        record = _evaluation(_run(facts))
        shown = _gain(_mapping(record.get("input_view_scores")))
        held_out = _gain(_mapping(record.get("scores")))
        if shown is None or held_out is None:
            return
        if shown >= self._least and held_out <= 0:
            yield Finding(
                code="MFL022",
                severity="warning",
                where=str(_run(facts) / "evaluation.json"),
                value=f"{shown:+.2f} dB on input views, {held_out:+.2f} dB on held-out views",
                expected="a gain on held-out views",
                remedy="The adapter repeats its inputs. Check the cameras with mfl-adapt doctor, "
                "and compare with more views that are not inputs (data.views).",
                excess=shown - held_out,
            )


class NegativeTerms:
    """Law MFL029: no loss is below zero.

    1 - SSIM is from 0 to 2. It falls below where windows of equal pixels are computed in half
    precision, and training then makes pictures worse to earn more of it.
    """

    def __init__(self, config: NoConfig) -> None:
        """Take nothing but rounding."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at every line of the log; the worst of each term is said."""
        run, worst = _run(facts), dict[str, tuple[float, Any]]()
        for row in _metrics(run):
            for name, value in _mapping(row.get("parts")).items():
                if is_number(value) and value < min(-1e-4, worst.get(name, (0.0, 0))[0]):
                    worst[name] = value, row.get("number")
        for name, (value, step) in worst.items():
            yield Finding(
                code="MFL029",
                severity="law",
                where=f"{run / 'metrics.jsonl'}: {name}",
                value=f"{value:.4g} at step {step}",
                expected="at least 0",
                remedy="Compute the term in float32, with variances that cannot be negative; do "
                "not clamp its value, which hides this.",
                excess=-value,
            )


class Saved:
    """Law MFL043: what a run has trained is on the disk."""

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: files are there or not."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look for the adapter of a run that came to its end."""
        run = _run(facts)
        done, total = _steps(run)
        if total and done >= total and not (run / "adapter" / "passport.json").is_file():
            yield Finding(
                code="MFL043",
                severity="law",
                where=str(run / "adapter"),
                value=f"no adapter after {done} of {total} steps",
                expected="an adapter with its passport",
                remedy="Look for it in checkpoints; if there is none, train again with free space "
                "and write access in the run folder.",
                excess=1.0,
            )


class Checkpoints:
    """Warning MFL075: every checkpoint is as it was written.

    One that is not is passed over when a run goes on, which then begins at an earlier step.
    """

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: hashes agree or not."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Hold the files of every checkpoint against the hashes beside them."""
        for sums in sorted((_run(facts) / "checkpoints").glob("*/SHA256SUMS")):
            wrong = _changed(sums)
            if wrong:
                yield Finding(
                    code="MFL075",
                    severity="warning",
                    where=str(sums.parent),
                    value=f"{wrong[0]} is missing or was changed ({len(wrong)} such)",
                    expected="the files that SHA256SUMS names",
                    remedy="Delete this checkpoint; the run goes on from the one before it.",
                    excess=float(len(wrong)),
                )


class Unfinished:
    """Information MFL074: a run came to its end."""

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: steps are counted."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Compare the last line of the log with the number of steps."""
        run = _run(facts)
        done, total = _steps(run)
        if total and done < total:
            yield Finding(
                code="MFL074",
                severity="info",
                where=str(run / "metrics.jsonl"),
                value=f"{done} of {total} steps are logged",
                expected="all steps, if nothing is training any more",
                remedy=f"Go on with mfl-adapt train --resume {run}, or take the adapter for what "
                "it is: one of an earlier step.",
                excess=1.0 - done / total,
            )


def _run(facts: Facts) -> Path:
    """The run folder.

    Raises:
        ConfigError: If there is none.
    """
    if facts.run is None:
        raise ConfigError("facelift_checks: expected facts with a run folder, got none.")
    return facts.run


def _evaluation(run: Path) -> Mapping[str, Any]:
    """What ``evaluation.json`` holds; nothing where there is none."""
    file = run / "evaluation.json"
    return _mapping(read_json(file)) if file.is_file() else {}


def _changed(sums: Path) -> list[str]:
    """Names of files whose hash is another one; the list itself where it cannot be read."""
    try:
        lines = read_bounded(sums, _LARGEST_SUMS).decode().splitlines()
        named = [line.split("  ", 1) for line in lines if line.strip()]
        return [
            name
            for wanted, name in named
            if _sha256(find_inside(sums.parent, name)) != wanted.lower()
        ]
    except (OSError, ValueError):
        return [sums.name]


def _sha256(file: Path) -> str:
    """Hash a file; empty if it cannot be read."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""


def _metrics(run: Path) -> Iterator[Mapping[str, Any]]:
    """Lines of the log; one that was cut off while it was written is passed over.

    Raises:
        DataError: If the log cannot be read.
    """
    file = run / "metrics.jsonl"
    if not file.is_file():
        return
    try:
        lines = read_bounded(file, _LARGEST_LOG).decode().splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: expected lines of JSON, got {error}. Check the file.") from error
    for line in lines:
        try:
            yield _mapping(json.loads(line))
        except (ValueError, RecursionError):
            continue


def _steps(run: Path) -> tuple[int, int]:
    """Last step of the log, and how many there should be; 0 where nothing says so."""
    numbers = [row.get("number") for row in _metrics(run)]
    whole = [number for number in numbers if type(number) is int]
    return max(whole, default=0), _planned(run)


def _planned(run: Path) -> int:
    """``train.steps`` of the resolved configuration, which is written one key a line."""
    try:
        lines = read_bounded(run / "config.yaml", _LARGEST_LOG).decode().splitlines()
    except (OSError, ValueError):
        return 0
    inside = False
    for line in lines:
        if line and not line[0].isspace():
            inside = line.startswith("train:")
        elif inside and line.strip().startswith("steps:"):
            value = line.partition(":")[2].strip()
            return int(value) if value.isdecimal() else 0
    return 0


def _gain(scores: Mapping[str, Any]) -> float | None:
    after = _decibel(scores.get("adapted"), "foreground_psnr_db")
    before = _decibel(scores.get("frozen base"), "foreground_psnr_db")
    return None if after is None or before is None else after - before


def _decibel(scores: Any, name: str) -> float | None:
    value = _mapping(scores).get(name)
    return float(value) if is_number(value) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
