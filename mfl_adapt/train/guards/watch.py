"""Watches a run: remembers what is usual, and says when it is not."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any, NamedTuple, NoReturn

from mfl_adapt.config.models import Guards, Train
from mfl_adapt.errors import ConfigError
from mfl_adapt.plugin import Finding
from mfl_adapt.train.guards import table
from mfl_adapt.train.guards.measures import Measures
from mfl_adapt.train.guards.stop import GuardError
from mfl_adapt.train.guards.table import Guard

# Over 1,100 steps of the quickstart the largest gradient was 4.3 times the running median, and 1.9
# times over 480 steps of views; the runs of the field that went wrong had 10 to 100 times.
WINDOW = 100
LEAST_KNOWN = 20
ONE_SPIKE, SEVERAL_SPIKES, SEVERAL = 30.0, 10.0, 3
# An fp16 run begins with a factor that is too large by a few powers of two: its first steps are
# thrown away by design.
LEAST_TRIES, LEAST_APPLIED = 50, 0.8
IN_A_ROW = 5
"""Looks at the pictures of training that must agree, one after the other."""
IN_A_ROW_DRAWN = 2
"""The same for pictures that are only made now and then."""
PATIENCE = 1000
"""Steps after which even a long run is past its beginning; a short one is after a quarter."""
MASK_SHARES = (0.02, 0.40)
LEAST_COVER, LEAST_CONTRAST, LEAST_VARIANCE, LEAST_EDGES = 0.05, 0.05, 0.05, 0.1
MOST_BEYOND = 0.5


class Look(NamedTuple):
    """What guards want to know of a step.

    Attributes:
        pictures: Measure the pictures.
        terms: Loss terms that have not shown a gradient yet.
    """

    pictures: bool = False
    terms: tuple[str, ...] = ()


class Watch:
    """Guards of one run, with all they remember."""

    def __init__(self, settings: Train, terms: Sequence[str]) -> None:
        """Remember nothing yet.

        Args:
            settings: Section ``train``.
            terms: Names of the loss terms.
        """
        self._settings, self._chosen = settings, settings.guards
        self._settled = max(settings.warmup, min(settings.steps // 4, PATIENCE))
        self._norms: deque[float] = deque(maxlen=WINDOW)
        self._spikes: deque[bool] = deque(maxlen=WINDOW)
        self._applied: deque[bool] = deque(maxlen=WINDOW)
        self._idle = dict.fromkeys(terms, 0)
        self._rows: dict[str, int] = {}
        self._said: set[str] = set()
        self._new: list[Finding] = []

    def look(self, number: int) -> Look:
        """Say what to measure in a step, from 1."""
        due = number == 1 or number % self._chosen.every == 0
        return Look(due, tuple(self._idle)) if due else Look()

    def take_gradient(self, norm: float, number: int, factor: float | None = None) -> None:
        """Stop before a broken gradient reaches the weights; remember a good one.

        Args:
            norm: Length of the whole gradient, before clipping.
            number: Of the step, from 1.
            factor: What an fp16 loss was multiplied by; None without one. While it can be
                lowered, a gradient that is not finite passes: the optimizer leaves that step out.

        Raises:
            GuardError: If it is not finite, or exactly 0.
        """
        finite = math.isfinite(norm)
        if not finite and (factor is None or factor <= 1):
            stop(table.NON_FINITE_GRADIENT, "train", f"a norm of {norm}", number)
        if norm == 0:
            stop(table.ZERO_GRADIENT, "train", "0 everywhere", number)
        self._applied.append(finite)
        share = sum(self._applied) / len(self._applied)
        if len(self._applied) >= LEAST_TRIES and share < LEAST_APPLIED:
            value = f"{share:.0%} of the last {len(self._applied)}"
            self._say(table.APPLIED_SHARE, number, "train.precision", value)
        if finite:
            self._take_norm(norm, number)

    def take_rates(self, rates: Sequence[Any], number: int) -> None:
        """Stop a run whose optimizer cannot change anything.

        Raises:
            GuardError: If a learning rate is 0.
        """
        idle = sum(1 for rate in rates if not rate > 0)
        if idle:
            value = f"{min(rates):g} for {idle} of {len(rates)} groups of weights"
            stop(table.ZERO_RATE, "train.lr", value, number)

    def take_step(self, number: int, measures: Measures, gradients: Mapping[str, bool]) -> None:
        """Take in what a look at a step found.

        Args:
            number: Of the step, from 1.
            measures: As of ``measure_pictures`` and ``measure_gaussians``; empty without a look.
            gradients: Whether loss terms had one, by name; empty without a look.
        """
        self._take_terms(number, gradients)
        if measures and number > self._settings.warmup:
            self._take_pictures(number, measures, IN_A_ROW)

    def take_drawn(self, number: int, measures: Measures) -> None:
        """Take in measures of pictures that a task only makes where it draws samples."""
        if measures and number > self._settings.warmup:
            self._take_pictures(number, measures, IN_A_ROW_DRAWN)

    def new_findings(self) -> tuple[Finding, ...]:
        """Return what was found since the last call."""
        found, self._new = tuple(self._new), []
        return found

    def state(self) -> dict[str, Any]:
        """Return everything remembered as plain JSON values."""
        return {
            "norms": list(self._norms),
            "spikes": list(self._spikes),
            "applied": list(self._applied),
            "idle": dict(self._idle),
            "rows": dict(self._rows),
            "said": sorted(self._said),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Remember what ``state`` returned."""
        self._norms.extend(state["norms"])
        self._spikes.extend(state["spikes"])
        self._applied.extend(state["applied"])
        self._idle, self._rows = dict(state["idle"]), dict(state["rows"])
        self._said = set(state["said"])

    def _take_norm(self, norm: float, number: int) -> None:
        usual = median(self._norms) if len(self._norms) >= LEAST_KNOWN else norm
        self._norms.append(norm)
        self._spikes.append(norm > SEVERAL_SPIKES * usual)
        several = sum(self._spikes)
        if norm > ONE_SPIKE * usual or (self._spikes[-1] and several >= SEVERAL):
            value = f"a norm of {norm:.3g}, {norm / usual:.0f} times the median of {usual:.3g}"
            if several >= SEVERAL:
                value += f", {several} such steps in the last {len(self._spikes)}"
            self._say(table.SPIKE, number, "train", value)

    def _take_terms(self, number: int, gradients: Mapping[str, bool]) -> None:
        for name, has_one in gradients.items():
            if has_one:
                # It is connected, and need not be asked again.
                self._idle.pop(name, None)
                continue
            self._idle[name] = count = self._idle.get(name, 0) + 1
            if count >= IN_A_ROW and number >= self._settled:
                self._say(table.IDLE_TERM, number, f"losses.{name}", f"none in {count} looks", name)

    def _take_pictures(self, number: int, measures: Measures, needed: int) -> None:
        """Count how often in a row each failure showed; report the one that explains the rest."""
        explained = False
        for guard, broken, value in self._judge(number, measures):
            shows = broken and not explained
            # A collapse has one cause. What nobody is told explains nothing, and a mask of an odd
            # size is no reason to turn white.
            causes = guard is not table.MASK_SHARE and guard.code not in self._chosen.off
            explained = explained or (broken and causes)
            self._rows[guard.code] = self._rows.get(guard.code, 0) + 1 if shows else 0
            if self._rows[guard.code] >= needed:
                self._say(guard, number, "train", value)

    def _judge(self, number: int, measures: Measures) -> list[tuple[Guard, bool, str]]:
        """Compare with the limits, from causes to what they cause; NaN breaks none."""
        get = {name: float("nan") for name in _NAMES} | dict(measures)
        share, beyond, cover = get["mask_share"], get["beyond"], get["cover"]
        background, variance, edges = get["background"], get["variance"], get["edges"]
        least, most = MASK_SHARES
        return [
            (table.MASK_SHARE, share < least or share > most, f"{share:.1%}"),
            (table.REACH, beyond > MOST_BEYOND, f"{beyond:.0%} of it at the end or past it"),
            (table.TRANSPARENT, cover < LEAST_COVER, f"{cover:.1%} of the subject covered"),
            (
                table.BACKGROUND,
                background < LEAST_CONTRAST,
                f"{background:.1%} of the squared contrast of the photographs",
            ),
            (
                table.MEAN_COLOUR,
                variance < LEAST_VARIANCE,
                f"{variance:.1%} of the variance of the photographs",
            ),
            (
                table.BLUR,
                edges < LEAST_EDGES and number > self._settled,
                f"{edges:.1%} of the edges of the photographs",
            ),
        ]

    def _say(self, guard: Guard, number: int, where: str, value: str, about: str = "") -> None:
        """Report a finding once a run, unless the user turned its guard off.

        Raises:
            GuardError: If the user wants the run stopped by it.
        """
        key = f"{guard.code} {about}".rstrip()
        if key in self._said or guard.code in self._chosen.off:
            return
        self._said.add(key)
        if guard.code in self._chosen.stop:
            stop(guard, where, value, number)
        self._new.append(guard.finding(where, value))


def check_codes(chosen: Guards) -> None:
    """Raise unless the guards whose severity the user changed are such that only warn.

    Raises:
        ConfigError: If a code is no guard's, or the guard stops runs anyway.
    """
    known = [guard.code for guard in table.GUARDS if guard.severity == "warning"]
    for key, codes in (("stop", chosen.stop), ("off", chosen.off)):
        for code in codes:
            if code not in known:
                raise ConfigError(
                    f"train.guards.{key}: expected codes of guards that only warn, got {code}. "
                    f"Known: {', '.join(known)}."
                )


_NAMES = ("mask_share", "beyond", "cover", "background", "variance", "edges")


def stop(guard: Guard, where: str, value: str, number: int) -> NoReturn:
    """Stop the run.

    Raises:
        GuardError: Always.
    """
    raise GuardError(replace(guard.finding(where, value), severity="law"), number)
