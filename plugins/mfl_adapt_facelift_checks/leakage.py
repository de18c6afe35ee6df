"""Whether validation asks for anything that training did not show, and how much there is to see."""

from collections.abc import Iterator, Sequence

from mfl_adapt.images import digest_views
from mfl_adapt.plugin import Facts, Finding
from mfl_adapt.types import Sample

from .config import FewConfig, NeighboursConfig
from .facts import dataset_of


class Neighbours:
    """Warning MFL065: frames for validation are not those next to frames for training.

    A block at one end of a recording has one such neighbour, a block in its middle two. A random
    choice of frames has them everywhere: a mouse that was shown 8 frames earlier is no test.
    """

    def __init__(self, config: NeighboursConfig) -> None:
        """Take how many are allowed."""
        self._allowed = config.allowed

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at every session in the order of time, or of the samples where nobody has times."""
        if facts.split is None:
            return
        for session, samples in by_session(dataset_of(facts)).items():
            sides = [facts.split.get(sample.id) for sample in samples]
            kept = [at for at, side in enumerate(sides) if side == "validation"]
            beside = sum("train" in sides[max(0, at - 1) : at + 2] for at in kept)
            if beside > self._allowed and 2 * beside > len(kept):
                yield Finding(
                    code="MFL065",
                    severity="warning",
                    where=f"session {session}" if session else "the dataset",
                    value=f"{beside} of {len(kept)} frames for validation are next to frames for "
                    "training",
                    expected=f"at most {self._allowed}, as for one block of time",
                    remedy="Set data.split.by to time, which keeps one block apart and leaves a "
                    "gap; lists of random frames measure memory.",
                    excess=float(beside),
                )


class Few:
    """Information MFL036: how many different moments of how many animals training will see.

    An adapter of a few frames of one animal knows these frames. No number is too small to try
    with, but the scores then say nothing about the next animal.
    """

    def __init__(self, config: FewConfig) -> None:
        """Take the least number."""
        self._least = config.least

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Count what differs."""
        sides = facts.split or {}
        samples = [one for one in dataset_of(facts) if sides.get(one.id) == "train"]
        moments = len({digest_views(sample.views) for sample in samples})
        if len(samples) < 2 or moments >= self._least:
            return
        animals = {sample.animal for sample in samples if sample.animal}
        times = [sample.time_s for sample in samples if sample.time_s is not None]
        parts = [_count(moments, "different moment")]
        parts += [_count(len(animals), "animal")] if animals else []
        parts += [f"{max(times) - min(times):g} s from first to last"] if len(times) > 1 else []
        yield Finding(
            code="MFL036",
            severity="info",
            where="samples to train on",
            value=", ".join(parts),
            expected=f"{self._least} moments or more, spread over the recording",
            remedy="Take frames from all of the recording and, where there are several, from all "
            "animals; otherwise expect scores that hold for these frames alone.",
            excess=self._least / moments,
        )


def by_session(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Samples of each session, by time where all of them have one."""
    sessions: dict[str, list[Sample]] = {}
    for sample in samples:
        sessions.setdefault(sample.session, []).append(sample)
    for found in sessions.values():
        if all(sample.time_s is not None for sample in found):
            found.sort(key=lambda sample: sample.time_s or 0.0)
    return sessions


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
