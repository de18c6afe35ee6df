"""Which samples train and which validate.

Neighbouring frames of a video are nearly the same picture, so a random split leaks. Time is cut
into blocks with a gap between them, and whole sessions or animals stay on one side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from mfl_adapt.checks import check_range
from mfl_adapt.errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    from mfl_adapt.types import Sample

TRAIN_LIST, VALIDATION_LIST = "data_train.txt", "data_val.txt"
SplitBy = Literal["order", "time", "session", "animal"]
_KINDS = ("order", "time", "session", "animal")
# Samples nearer in time than this are nearly the same picture, in seconds.
_SOON = 1.0


class Split(NamedTuple):
    """Indices of the samples on either side; samples in a gap are on neither.

    Attributes:
        train: Samples to train on.
        validation: Samples to validate on; empty only where ``views_only`` is set.
        views_only: No sample could be set aside, so that only held-out views are evidence.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    views_only: bool = False


def split_samples(
    samples: Sequence[Sample],
    *,
    by: SplitBy = "order",
    validation: float = 0.1,
    gap: float = 0.05,
    leave_out: Sequence[str] = (),
) -> Split:
    """Split a dataset.

    ``order`` cuts the last block off the list as it is read, with a gap before it. ``time`` does
    so in every session, by time where the samples have one. ``session`` and ``animal`` set whole
    groups aside, the last ones first, as many as fit into the share but at least one; or those
    of one's choice.

    Args:
        samples: The dataset.
        by: What must not be cut or mixed.
        validation: Share of the samples to validate on; 0 sets none aside.
        gap: Share of the samples left out between the two blocks; ``order`` and ``time`` only.
        leave_out: Names of the sessions or animals to validate on; the share does not count then.

    Returns:
        The split. One sample alone, or a share of 0, gives an empty validation side and
        ``views_only``.

    Raises:
        ConfigError: If ``by`` is not known, or is no kind of group beside ``leave_out``.
        DataError: If a side would be empty, or labels or times are missing for some samples.
        RangeError: If a share is outside [0, 1).
    """
    check_range("data.split.validation", validation, 0.0, math.nextafter(1.0, 0.0))
    check_range("data.split.gap", gap, 0.0, math.nextafter(1.0, 0.0))
    if by not in _KINDS:
        known = did_you_mean(by, _KINDS)
        raise ConfigError(f"data.split.by: expected a kind of split, got {by!r}. {known}")
    if not samples:
        raise DataError("data.split: expected at least one sample, got none. Check data.path.")
    if leave_out and by not in {"session", "animal"}:
        raise ConfigError(
            f"data.split.leave_out: expected data.split.by to be session or animal beside it, got "
            f"{by}. Set data.split.by."
        )
    if not leave_out and (len(samples) == 1 or validation == 0.0):
        return Split(tuple(range(len(samples))), (), views_only=True)
    if by == "order":
        return _blocks([list(range(len(samples)))], validation, gap)
    if by == "time":
        sessions = _groups(sample.session for sample in samples)
        ordered = [_in_order(samples, members, name) for name, members in sessions.items()]
        return _blocks(ordered, validation, gap)
    return _by_group(samples, by, validation, leave_out)


def listed_split(folder: Path, samples: Sequence[Sample]) -> Split | None:
    """Return the split that a dataset folder's own lists describe.

    Args:
        folder: Where ``data_train.txt`` and ``data_val.txt`` may lie.
        samples: What was read of it; those on neither list are left out.

    Returns:
        The split; None unless both lists are there and each names one of the samples.

    Raises:
        DataError: If a sample is on both lists, or a list cannot be read.
    """
    files = [folder / TRAIN_LIST, folder / VALIDATION_LIST]
    if not all(file.is_file() for file in files):
        return None
    train, held = (_listed(file, samples) for file in files)
    if both := sorted(set(train) & set(held)):
        raise DataError(
            f"{files[1]}: expected samples that {files[0].name} does not list, got "
            f"{samples[both[0]].id}. Divide the dataset again with mfl-adapt data split."
        )
    return Split(train, held) if train and held else None


def _listed(file: Path, samples: Sequence[Sample]) -> tuple[int, ...]:
    """Indices of the samples that a list names, increasing.

    Raises:
        DataError: If the list cannot be read.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: expected a readable list of samples, got {error}.") from error
    # Readers may shorten ids to the last parts of the path.
    names = {line.strip().rstrip("/") for line in lines if line.strip()}
    parts = [name.split("/") for name in names]
    endings = {"/".join(each[first:]) for each in parts for first in range(len(each))}
    return tuple(index for index, sample in enumerate(samples) if sample.id in endings)


def mixing_warnings(samples: Sequence[Sample], split: Split) -> list[str]:
    """Say what the two sides of a split share although the data would allow to part it.

    Args:
        samples: The dataset; only ids and labels are looked at.
        split: Its sides.

    Returns:
        One sentence per kind of label that both sides share, and one if samples of one session
        on either side are less than a second apart.
    """
    if not split.validation:
        return []
    found = []
    for kind in ("session", "animal"):
        sides = [{getattr(samples[i], kind) for i in side} for side in split[:2]]
        shared = sorted((sides[0] & sides[1]) - {""})
        if shared and len((sides[0] | sides[1]) - {""}) > 1:
            found.append(
                f"{kind} {shared[0]!r} is on both sides, as are {len(shared)} of "
                f"{len(sides[0] | sides[1])} {kind}s. Split by {kind} to measure on unseen ones."
            )
    seconds = _nearest(samples, split)
    if seconds is not None and seconds < _SOON:
        found.append(
            f"samples on either side are only {seconds:.3g} s apart and may look nearly the same. "
            f"Widen the gap, or split by session."
        )
    return found


def _nearest(samples: Sequence[Sample], split: Split) -> float | None:
    """Least time between a training and a validation sample of one session, in seconds."""
    least: float | None = None
    times: dict[str, list[float]] = {}
    for index in split.train:
        if (time := samples[index].time_s) is not None:
            times.setdefault(samples[index].session, []).append(time)
    ordered = {session: np.sort(each) for session, each in times.items()}
    for index in split.validation:
        time, others = samples[index].time_s, ordered.get(samples[index].session)
        if time is not None and others is not None:
            place = int(np.searchsorted(others, time))
            near = float(np.abs(others[max(0, place - 1) : place + 1] - time).min())
            least = near if least is None else min(least, near)
    return least


def _blocks(runs: Sequence[list[int]], validation: float, gap: float) -> Split:
    # Cut the last block off every run of samples, with a gap before it.
    train: list[int] = []
    held: list[int] = []
    for run in runs:
        num_held = max(1, round(validation * len(run)))
        num_gap = math.ceil(gap * len(run))
        num_train = len(run) - num_held - num_gap
        if num_train < 1:
            raise DataError(
                f"data.split: expected samples left to train on beside {num_held} for validation "
                f"and a gap of {num_gap}, got {len(run)} samples in all. Lower "
                f"data.split.validation or gap, or set data.split.by to session.",
                code="MFL036",
            )
        train += run[:num_train]
        held += run[-num_held:]
    return Split(tuple(train), tuple(held))


def _groups(labels: Iterable[str]) -> dict[str, list[int]]:
    # Indices by label, in the order of first appearance.
    groups: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        groups.setdefault(label, []).append(index)
    return groups


def _in_order(samples: Sequence[Sample], members: list[int], session: str) -> list[int]:
    # By time where every sample has one, else as read.
    times = {index: samples[index].time_s for index in members}
    timed = [index for index in members if times[index] is not None]
    if not timed:
        return members
    if len(timed) < len(members):
        raise DataError(
            f"data.split: expected a time for every sample of session {session!r} or for none, "
            f"got {len(timed)} of {len(members)}. Add time_s to the others."
        )
    return sorted(members, key=lambda index: (times[index] or 0.0, index))


def _by_group(
    samples: Sequence[Sample],
    by: Literal["session", "animal"],
    validation: float,
    leave_out: Sequence[str],
) -> Split:
    labels = [sample.session if by == "session" else sample.animal for sample in samples]
    if "" in labels:
        raise DataError(
            f"sample {samples[labels.index('')].id}: expected a {by} to split by, got none. Add it "
            f"to the data, or set data.split.by to time."
        )
    groups = _groups(labels)
    names = list(groups)
    if len(names) < 2:
        raise DataError(
            f"data.split: expected at least two {by}s, got only {names[0]!r}. Set data.split.by "
            f"to time, or add data."
        )
    held = _chosen(leave_out, names, by) if leave_out else [names[-1]]
    names = [name for name in names if name not in held]
    most = validation * len(samples)
    while not leave_out and len(names) > 1 and _count(groups, [*held, names[-1]]) <= most:
        held.insert(0, names.pop())
    return Split(
        tuple(index for name in names for index in groups[name]),
        tuple(index for name in held for index in groups[name]),
    )


def _chosen(leave_out: Sequence[str], names: Sequence[str], by: str) -> list[str]:
    """The groups to set aside, in their order among the samples.

    Raises:
        DataError: If one does not exist, or nothing would be left to train on.
    """
    for name in leave_out:
        if name not in names:
            raise DataError(
                f"data.split.leave_out: expected the name of a {by}, got {name!r}. "
                f"{did_you_mean(name, names)}"
            )
    if set(names) <= set(leave_out):
        raise DataError(
            f"data.split.leave_out: expected a {by} left to train on, got all {len(names)}. Leave "
            "one out at a time."
        )
    return [name for name in names if name in leave_out]


def _count(groups: dict[str, list[int]], names: list[str]) -> int:
    return sum(len(groups[name]) for name in names)
