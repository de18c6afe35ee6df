"""What a dry run found, for readers and for scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from mfl_adapt.doctor import Report
from mfl_adapt.pipeline import OpenData
from mfl_adapt.train.memory import PeakMemory, show_size
from mfl_adapt.train.session import Session

_NOTICED = 1.1
"""By how much a step must be slower to be worth a word."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What a step takes.

    Attributes:
        step: Number of the first one that was tried, from 1: where most loss terms count.
        warm_up: Seconds of that one, which is not counted.
        fresh: Median seconds of steps whose samples come for the first time.
        again: Median seconds of steps whose samples came before, so that what the frozen networks
            make of their pictures is there; the same as ``fresh`` where nothing is kept.
        counted: Steps behind that median.
        parts: Mean seconds by part of the latter.
        kept_bytes: Memory of what the frozen beginning of the network made of the samples tried.
    """

    step: int
    warm_up: float
    fresh: float
    again: float
    counted: int
    parts: Mapping[str, float]
    kept_bytes: int


@dataclass(frozen=True, slots=True)
class Room:
    """What a run takes on the disk, in bytes.

    Attributes:
        adapter: Weights of the adapter as saved.
        checkpoint: One of them, with all its files.
        checkpoints: Most that are there at one time.
        free: What is free where the run will be written.
        seconds: To write a checkpoint.
    """

    adapter: int
    checkpoint: int
    checkpoints: int
    free: int
    seconds: float

    @property
    def needed(self) -> int:
        """Checkpoints and the adapter; pictures and logs are small beside them."""
        return self.checkpoint * self.checkpoints + self.adapter


@dataclass(frozen=True, slots=True)
class Finish:
    """Seconds to the end of a run, by what takes them.

    Attributes:
        steps: All optimizer steps.
        pictures: Drawn in the midst.
        validation: Held-out views, measured in the midst.
        checkpoints: Written.
        evaluation: Held-out views and the base's own domain, at the end.
    """

    steps: float
    pictures: float
    validation: float
    checkpoints: float
    evaluation: float

    @property
    def total(self) -> float:
        """All of them."""
        return self.steps + self.pictures + self.validation + self.checkpoints + self.evaluation


@dataclass(frozen=True, slots=True)
class Facts:
    """What is trained on what.

    Attributes:
        base: Name of the frozen base.
        device: Where.
        precision: Number format.
        steps: Length of the run.
        batch: Samples of a step.
        train: Samples that are trained on.
        validate: Samples that are held out; 0 where only views are.
        inputs: Views that the network sees.
        targets: Views that it is compared with.
        size: Side of the pictures in pixels.
        weights: Numbers in the adapter.
        layers: Layers that it changes.
    """

    base: str
    device: str
    precision: str
    steps: int
    batch: int
    train: int
    validate: int
    inputs: int
    targets: int
    size: int
    weights: int
    layers: int

    @classmethod
    def of(cls, session: Session, device: str) -> Self:
        """Gather them from a run."""
        settings, data = session.config.train, session.data
        views = data.policy.train(_first(data).cameras, seed=0)
        return cls(
            base=session.base.id,
            device=device,
            precision=settings.precision,
            steps=settings.steps,
            batch=settings.batch,
            train=len(data.split.train),
            validate=len(data.split.validation),
            inputs=len(views.inputs),
            targets=len(views.targets),
            size=data.contract.size,
            weights=session.adapter.num_parameters(),
            layers=len(session.adapter.layers),
        )


@dataclass(frozen=True, slots=True, eq=False)
class DryRun:
    """What a run will take.

    Attributes:
        facts: What is trained on what.
        findings: Of the checks, by severity.
        codes: Of those that are more than information.
        memory: Of the process, or of the CUDA device.
        pace: Of its steps.
        room: On the disk.
        finish: Until its end.
    """

    facts: Facts
    findings: Mapping[str, int]
    codes: tuple[str, ...]
    memory: PeakMemory
    pace: Pace
    room: Room
    finish: Finish

    @classmethod
    def of(
        cls,
        session: Session,
        report: Report,
        device: str,
        memory: PeakMemory,
        pace: Pace,
        room: Room,
        finish: Finish,
    ) -> Self:
        """Put everything together that does not need the run any more."""
        counts = Counter(one.severity for one in report.findings)
        findings = {name: counts[name] for name in ("law", "warning", "info")}
        codes = sorted({one.code for one in report.findings if one.severity != "info"})
        facts = Facts.of(session, device)
        return cls(facts, findings, tuple(codes), memory, pace, room, finish)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values: bytes and seconds."""
        room, finish = asdict(self.room), asdict(self.finish)
        return {
            "schema": 1,
            "run": asdict(self.facts),
            "doctor": {"findings": dict(self.findings), "codes": list(self.codes)},
            "memory": self.memory.to_json(),
            "step": {
                "seconds": self.pace.again,
                "seconds_first_time": self.pace.fresh,
                "seconds_warm_up": self.pace.warm_up,
                "from_step": self.pace.step,
                "counted": self.pace.counted,
                "parts": dict(self.pace.parts),
                "kept_bytes": self.pace.kept_bytes,
            },
            "disk": room | {"needed": self.room.needed},
            "finish": finish | {"total": self.finish.total},
        }

    def to_text(self) -> str:
        """Return a few lines."""
        facts = self.facts
        views = f"{facts.inputs} views in, {facts.targets} compared, at {facts.size} px"
        rows = {
            "dry run": f"nothing is written; {facts.base}, frozen, on {facts.device} in "
            f"{facts.precision}",
            "data": f"{facts.train} samples train, {facts.validate} validate; {views}; batch "
            f"{facts.batch}",
            "doctor": self._doctor(),
            "adapter": f"{facts.weights:,} weights in {facts.layers} layers: a file of "
            f"{show_size(self.room.adapter)}, checkpoints of {show_size(self.room.checkpoint)}",
            "memory": self._memory(),
            "step": self._step(),
            "time": self._parts(),
            "finish": self._finish(),
            "disk": f"{show_size(self.room.needed)} for {self.room.checkpoints} checkpoints and "
            f"the adapter, {show_size(self.room.free)} free",
        }
        return "\n".join(f"{name:<9} {text}" for name, text in rows.items())

    def _doctor(self) -> str:
        said = ", ".join(f"{name} {count}" for name, count in self.findings.items())
        return f"findings: {said}" + (f" ({', '.join(self.codes)})" if self.codes else "")

    def _memory(self) -> str:
        memory, kept = self.memory, self.pace.kept_bytes
        if memory.on_device:
            text = f"{show_size(memory.peak)} at the peak, {show_size(memory.reserved)} reserved"
        else:
            text = (
                f"{show_size(memory.peak)} at the peak of the process: {show_size(memory.before)} "
                f"before the first step, {show_size(memory.growth)} for it"
            )
        return text + (f"; {show_size(kept)} of it kept for the next epoch" if kept else "")

    def _step(self) -> str:
        pace = self.pace
        text = (
            f"{pace.again:.2f} s/it, the median of {pace.counted} from step {pace.step + 1} on, "
            f"after one of {pace.warm_up:.2f} s that is not counted"
        )
        if pace.fresh > _NOTICED * pace.again:
            text += f"; {pace.fresh:.2f} s/it while samples come for the first time"
        return text

    def _parts(self) -> str:
        whole = sum(self.pace.parts.values())
        return ", ".join(f"{name} {one / whole:.0%}" for name, one in self.pace.parts.items())

    def _finish(self) -> str:
        parts = asdict(self.finish)
        del parts["steps"]
        said = [f"{self.facts.steps} steps {show_time(self.finish.steps)}"]
        said += [f"{name} {show_time(one)}" for name, one in parts.items()]
        return f"in {show_time(self.finish.total)}: {', '.join(said)}"


def show_time(seconds: float) -> str:
    """Return seconds in the two largest units that matter."""
    whole = round(seconds)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min {whole % 60} s"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def _first(data: OpenData) -> Any:
    return data.samples[data.split.train[0]]
