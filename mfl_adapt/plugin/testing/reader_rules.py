"""Rules about readers: what they read, in which order, and what they do with bad input."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from mfl_adapt.plugin.specs import ReaderSpec
from mfl_adapt.plugin.testing.outcome import require
from mfl_adapt.plugin.testing.reader_input import check_errors, check_recognition
from mfl_adapt.plugin.testing.reader_samples import MOST, samples_of
from mfl_adapt.plugin.testing.reader_views import check_cameras, check_masks
from mfl_adapt.plugin.testing.rule import Case, Rule
from mfl_adapt.plugin.testing.well_formed import check_sample, fingerprint
from mfl_adapt.plugin.testing.worker import apply_away

if TYPE_CHECKING:
    from mfl_adapt.types import Sample


def check_samples(case: Case) -> str:
    """Every sample has the types, shapes and ranges of ``mfl_adapt.types``."""
    reader, samples = case.built(), samples_of(case)
    length = case.call("len()", lambda: len(reader))
    require(
        length > 0 and len(samples) == min(length, MOST),
        f"{case.name}: len",
        expected="as many samples as it yields, at least one",
        got=f"{length}, and {len(samples)} yielded of the first {MOST}",
        remedy="Count what __iter__ yields.",
    )
    for sample in samples:
        check_sample(case.name, sample)
    names = [sample.id for sample in samples]
    require(
        len(set(names)) == len(names),
        f"{case.name}: id",
        expected="samples of different names",
        got=names,
        remedy="Name a sample after its folder or frame.",
    )
    return f"{len(samples)} of {length} samples"


def check_order(case: Case) -> None:
    """A second pass, a second reader and ``reader[i]`` all give the same samples."""
    reader, first = case.built(), [fingerprint(one) for one in samples_of(case)]
    fresh = case.call("building it again", case.build)
    passes = {
        "a second pass": lambda: list(islice(reader, MOST)),
        "a second reader": lambda: list(islice(fresh, MOST)),
        "reader[i]": lambda: [reader[index] for index in range(len(first))],
    }
    for name, read in passes.items():
        again = [fingerprint(one) for one in case.call(name, read)]
        differing = [i for i, (a, b) in enumerate(zip(first, again, strict=False)) if a != b]
        require(
            not differing and len(again) == len(first),
            f"{case.name}: {name}",
            expected="the samples of the first pass in the same order",
            got=f"another sample {differing[0]}" if differing else f"{len(again)} samples",
            remedy="Sort what folders list, and draw nothing without a seed.",
        )


def check_history(case: Case) -> str:
    """The history begins at raw cameras, and leads to the cameras of the sample."""
    from mfl_adapt.cameras.history import round_trip_px
    from mfl_adapt.images.digest import digest_views

    worst = 0.0
    for sample in samples_of(case):
        where = f"{case.name}, sample {sample.id}: provenance"
        history = sample.provenance
        require(
            bool(history) and len(history[0].raw_cameras) > 0,
            where,
            expected="a first step with the raw cameras",
            got=f"{len(history)} steps" + (", the first without" if history else ""),
            remedy="Make samples with mfl_adapt.images.begin_sample.",
        )
        require(
            history[-1].digest == digest_views(sample.views),
            where,
            expected="the digest of the views as they are",
            got="another one",
            remedy="Change no view after begin_sample.",
        )
        if all(step.exact for step in history):
            worst = max(worst, float(round_trip_px(sample).max()))
            require(
                worst < 1e-3,
                where,
                expected="steps that lead from the raw cameras to the sample's",
                got=f"{worst:.3g} px between the two",
                remedy="Hand raw cameras to begin_sample and leave the lens to it.",
            )
    return f"round trip {worst:.1e} px"


def check_workers(case: Case) -> None:
    """Reader and samples survive the way to a worker process, which reads the same."""
    reader, samples = case.built(), samples_of(case)[:2]
    found = apply_away(case, _read_there, reader=reader, samples=samples)
    want = [fingerprint(sample) for sample in samples]
    for what, hashes in found.items():
        require(
            hashes == want,
            f"{case.name}: {what}",
            expected="the same samples in another process",
            got="others",
            remedy="Depend on no global state and on no order of sets.",
        )


def _read_there(reader: Any, samples: list[Sample]) -> dict[str, list[str]]:
    return {
        "samples that were sent": [fingerprint(one) for one in samples],
        "samples read by the reader that was sent": [
            fingerprint(reader[index]) for index in range(len(samples))
        ],
    }


_READERS = (ReaderSpec,)
RULES = (
    Rule(
        "R01-samples",
        _READERS,
        "Its samples have the types, shapes and ranges of a Sample",
        check_samples,
        ("C02-build",),
    ),
    Rule(
        "R02-order",
        _READERS,
        "The same samples in the same order, however they are read",
        check_order,
        ("R01-samples",),
    ),
    Rule(
        "R03-history",
        _READERS,
        "The history begins at raw cameras and leads to the sample's",
        check_history,
        ("R01-samples",),
    ),
    Rule(
        "R04-masks",
        _READERS,
        "Masks keep the subject, and not what is around it",
        check_masks,
        ("R01-samples",),
    ),
    Rule(
        "R05-cameras",
        _READERS,
        "Cameras have OpenCV axes and belong to their pictures",
        check_cameras,
        ("R04-masks",),
    ),
    Rule(
        "R06-can-read",
        _READERS,
        "can_read knows its own data and refuses the rest quietly",
        check_recognition,
    ),
    Rule(
        "R07-errors",
        _READERS,
        "Missing and damaged files end in one line that names them",
        check_errors,
        ("R01-samples",),
    ),
    Rule(
        "R08-workers",
        _READERS,
        "Reader and samples survive the way to a worker process",
        check_workers,
        ("R02-order",),
    ),
)
