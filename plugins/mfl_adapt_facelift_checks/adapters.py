"""What an adapter's passport says for it, and against it.

Whether the folder is whole is seen when it is read, before any check; whether the adapter does
what it says, only on its base (``mfl-adapt adapter verify``).
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from mfl_adapt.checks import is_number
from mfl_adapt.errors import ConfigError
from mfl_adapt.files import read_json
from mfl_adapt.plugin import Facts, Finding

from .config import NoConfig

_LAW = ("depth_reach", "slots_deg", "background", "up", "patch")


class OtherRig:
    """Law MFL066: the rig that an adapter was trained for is that of its base here."""

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: rules agree or not."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Hold the contract in the passport against the one that the base's plugin publishes."""
        passport = _passport(facts)
        recorded = _mapping(passport.get("contract"))
        if facts.contract is None or not recorded:
            return
        here = asdict(facts.contract)
        differing = [n for n in _LAW if n in recorded and _plain(here[n]) != _plain(recorded[n])]
        if differing:
            base = _mapping(passport.get("base")).get("id")
            yield Finding(
                code="MFL066",
                severity="law",
                where=str(facts.adapter),
                value=", ".join(f"{name} {_plain(recorded[name])}" for name in differing),
                expected=", ".join(f"{name} {_plain(here[name])}" for name in differing)
                + f", as {base} has it here",
                remedy="Install the version of the base's plugin that the passport names, or train "
                "the adapter again.",
                excess=float(len(differing)),
            )


class Unproven:
    """Warning MFL067: an adapter was measured on views that it never saw, and gained there."""

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: there are scores or not."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the scores in the passport."""
        metrics = _mapping(_passport(facts).get("metrics"))
        gain = metrics.get("gain_over_base_foreground_db")
        pair = _mapping(_mapping(metrics.get("intervals")).get("gain")).get("foreground_psnr_db")
        low = pair[0] if isinstance(pair, list | tuple) and pair else None
        if not metrics.get("scores"):
            yield _unproven(facts, "no scores", "Evaluate the run with mfl-adapt evaluate.", 2.0)
        elif is_number(gain) and gain <= 0:
            yield _unproven(
                facts,
                f"{gain:+.2f} dB over the frozen base",
                "Use the base without it, or train again.",
                1.0 - gain,
            )
        elif is_number(gain) and is_number(low) and low <= 0:
            yield _unproven(
                facts,
                f"{gain:+.2f} dB, 95 % from {low:+.2f} dB",
                "Measure on more scenes: this gain may be chance.",
                1.0,
            )


def _unproven(facts: Facts, value: str, remedy: str, excess: float) -> Finding:
    rule = "a gain on held-out views over the frozen base"
    return Finding("MFL067", "warning", str(facts.adapter), value, rule, remedy, excess)


class WasForced:
    """Warning MFL068: nobody had to force an adapter onto a base."""

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: the passport says it."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at what the passport admits to."""
        forced = _passport(facts).get("forced")
        if isinstance(forced, list) and forced:
            yield Finding(
                code="MFL068",
                severity="warning",
                where=str(facts.adapter),
                value=f"{len(forced)} mismatches were forced: {str(forced[0])[:200]}",
                expected="an adapter on the base it was trained on",
                remedy="Trust no score of it but those measured after that; better train it on "
                "this base.",
                excess=float(len(forced)),
            )


def _passport(facts: Facts) -> Mapping[str, Any]:
    """The passport; nothing for an adapter of another program.

    Raises:
        ConfigError: If there is no folder.
    """
    if facts.adapter is None:
        raise ConfigError("facelift_checks: expected facts with an adapter folder, got none.")
    file = facts.adapter / "passport.json"
    return _mapping(read_json(file)) if file.is_file() else {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
