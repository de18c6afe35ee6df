"""What only a whole dataset shows."""

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from mfl_adapt.images import digest_views
from mfl_adapt.plugin import Facts, Finding
from mfl_adapt.types import Sample

from .config import NoConfig
from .facts import dataset_of, place


class OutOfTime:
    """Warning MFL020: samples are split by their order, and their order is not that of time.

    A block cut off the end of a shuffled list has neighbours in time on either side.
    """

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: times are in order or not."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at every session that has times."""
        rule = _split_rule(facts.config)
        if rule not in (None, "order"):
            return
        sessions: dict[str, list[Sample]] = {}
        for sample in dataset_of(facts):
            sessions.setdefault(sample.session, []).append(sample)
        for session, samples in sessions.items():
            times = [sample.time_s for sample in samples if sample.time_s is not None]
            back = sum(later < earlier for earlier, later in pairwise(times))
            if back:
                yield Finding(
                    code="MFL020",
                    severity="warning",
                    where=f"session {session}" if session else "the dataset",
                    value=f"{back} of {len(times) - 1} steps go back in time",
                    expected="samples in the order of time, or a split by time",
                    remedy="Set data.split.by to time, so that neighbouring frames stay on one "
                    "side.",
                    excess=float(back),
                )


class MissingViews:
    """Warning MFL049: no sample has lost a view that its neighbours have."""

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: the commonest number of views is the rule."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Compare the samples of every session."""
        sessions: dict[str, list[Sample]] = {}
        for sample in dataset_of(facts):
            sessions.setdefault(sample.session, []).append(sample)
        for samples in sessions.values():
            names: Counter[str] = Counter(view.name for one in samples for view in one.views)
            usual = {name for name, count in names.items() if 2 * count > len(samples)}
            for sample in samples:
                lost = sorted(usual - {view.name for view in sample.views})
                if lost:
                    yield Finding(
                        code="MFL049",
                        severity="warning",
                        where=place(sample),
                        value=f"{len(sample.views)} views, without {', '.join(lost)}",
                        expected=f"{len(usual)} views, as most samples of its session have",
                        remedy="Find out why the view is missing; views without a mask or "
                        "picture must stop a conversion, not vanish.",
                        excess=float(len(lost)),
                    )


class Repeated:
    """Law MFL051: no two samples have the same pictures and cameras.

    A reader that skips what it cannot read and returns another sample instead makes such pairs.
    """

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: bytes are equal or not."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Compare all samples by a hash."""
        first: dict[str, str] = {}
        for sample in dataset_of(facts):
            digest = digest_views(sample.views)
            if digest in first:
                yield Finding(
                    code="MFL051",
                    severity="law",
                    where=place(sample),
                    value=f"the same bytes as {first[digest]}",
                    expected="every sample once",
                    remedy="Delete the copy, or mend the reader that gave one sample for another.",
                    excess=1.0,
                )
            first.setdefault(digest, sample.id)


def _split_rule(config: Mapping[str, Any] | None) -> str | None:
    """What the configuration splits by; None where it does not say."""
    data = (config or {}).get("data")
    split = data.get("split") if isinstance(data, Mapping) else None
    rule = split.get("by") if isinstance(split, Mapping) else None
    return rule if isinstance(rule, str) else None
