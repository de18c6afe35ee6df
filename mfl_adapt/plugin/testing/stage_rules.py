"""Rules about preprocessors and camera normalizers: pictures, masks and cameras move as one."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from mfl_adapt.plugin.specs import CameraNormalizerSpec, PreprocessorSpec
from mfl_adapt.plugin.testing.outcome import fail, require
from mfl_adapt.plugin.testing.probes import copy_of, make_probe, spoiled
from mfl_adapt.plugin.testing.rule import Case, Rule, check_refusal
from mfl_adapt.plugin.testing.stage_probing import worked
from mfl_adapt.plugin.testing.stage_views import check_geometry, check_masks, check_round_trip
from mfl_adapt.plugin.testing.well_formed import check_sample, fingerprint
from mfl_adapt.plugin.testing.worker import apply_away

if TYPE_CHECKING:
    from mfl_adapt.types import Sample


def check_new_sample(case: Case) -> str:
    """The result is a whole sample that still says what it shows."""
    for probe, sample in worked(case):
        check_sample(case.name, sample)
        for field in ("id", "session", "animal", "time_s"):
            before, after = getattr(probe.sample, field), getattr(sample, field)
            require(
                before == after,
                f"{case.name}: {field}",
                expected=f"{before!r}, as it was",
                got=repr(after),
                remedy="Use dataclasses.replace, or the doors in mfl_adapt.images.",
            )
    return f"{len(worked(case))} probes"


def check_no_edits(case: Case) -> None:
    """The given sample stays as it was, to the last byte."""
    for probe, _ in worked(case):
        stage, before = case.built(), fingerprint(probe.sample)
        own = copy_of(probe.sample)
        case.call("running it again", partial(stage, own))
        require(
            fingerprint(own) == before,
            f"{case.name}: the sample it was given",
            expected="no change",
            got="other pixels, cameras or history",
            remedy="Copy an array before writing to it.",
        )


def check_twice(case: Case) -> None:
    """The same sample gives the same result, from this object and from a fresh one."""
    for probe, sample in worked(case):
        fresh = case.call("building it again", case.build)
        for name, stage in (("a second call", case.built()), ("a fresh object", fresh)):
            again = case.call(name, partial(stage, copy_of(probe.sample)))
            require(
                fingerprint(again) == fingerprint(sample),
                f"{case.name}: {name}",
                expected="the same result for the same sample",
                got="another one",
                remedy="Draw from a generator seeded by the settings and the sample's name.",
            )


def check_step(case: Case) -> None:
    """The history grows, by plain JSON and the digest of what came out."""
    from mfl_adapt.images.digest import digest_views

    for probe, sample in worked(case):
        before, after = probe.sample.provenance, sample.provenance
        where = f"{case.name}: provenance"
        require(
            len(after) > len(before) and repr(after[: len(before)]) == repr(before),
            where,
            expected="the old steps with one more after them",
            got=f"{len(after)} steps after {len(before)}",
            remedy="Use warp_sample, replace_pixels or relabel_cameras of mfl_adapt.images.",
        )
        for step in after[len(before) :]:
            _check_json(where, step.params)
        require(
            after[-1].digest == digest_views(sample.views),
            where,
            expected="the digest of the views that came out",
            got="another one",
            remedy="Change no view after the step was written.",
        )
        if all(step.exact for step in after):
            continue
        bounds = [v for step in after for k, v in step.params.items() if k.startswith("error")]
        require(
            bool(bounds),
            where,
            expected="an inexact step with the bound of its error (error_px) in params",
            got="none",
            remedy="Say how far pictures and cameras may disagree.",
        )


def _check_json(where: str, params: Any) -> None:
    try:
        json.dumps(params, allow_nan=False)
    except (TypeError, ValueError) as error:
        fail(where, expected="params of plain JSON", got=error, remedy="Use plain numbers.")


def check_errors(case: Case) -> str:
    """A sample that it cannot use is refused in one line."""
    stage, refused = case.built(), 0
    worked(case)
    for what, sample in spoiled(make_probe("raw").sample).items():
        found = case.attempt(what, partial(stage, sample))
        if found.error is not None:
            refused += 1
            check_refusal(case, what, found.error)
        else:
            check_sample(f"{case.name}, {what}", found.value)
    return f"{refused} spoiled samples refused"


def check_workers(case: Case) -> None:
    """The stage survives the way to a worker process, and does the same there."""
    probe, sample = worked(case)[0]
    found = apply_away(case, _run_there, stage=case.built(), sample=probe.sample)
    require(
        found == fingerprint(sample),
        f"{case.name}: in a worker process",
        expected="the same result as here",
        got="another one",
        remedy="Depend on no global state and on no order of sets.",
    )


def _run_there(stage: Any, sample: Sample) -> str:
    return fingerprint(stage(sample))


_STAGES = (PreprocessorSpec, CameraNormalizerSpec)
RULES = (
    Rule(
        "S01-sample",
        _STAGES,
        "It returns a whole Sample with the names that it had",
        check_new_sample,
        ("C02-build",),
    ),
    Rule(
        "S02-no-edits",
        _STAGES,
        "It leaves the sample that it was given as it was",
        check_no_edits,
        ("S01-sample",),
    ),
    Rule(
        "S03-same-twice",
        _STAGES,
        "The same sample gives the same result",
        check_twice,
        ("S02-no-edits",),
    ),
    Rule(
        "S04-masks", _STAGES, "Masks are kept, and keep the subject", check_masks, ("S01-sample",)
    ),
    Rule(
        "S05-geometry",
        _STAGES,
        "Picture, mask and camera were moved by the same map",
        check_geometry,
        ("S01-sample",),
    ),
    Rule(
        "S06-step",
        _STAGES,
        "It appends a step of plain JSON with the digest of its result",
        check_step,
        ("S01-sample",),
    ),
    Rule(
        "S07-round-trip",
        _STAGES,
        "The recorded maps lead from the raw cameras to its result",
        check_round_trip,
        ("S05-geometry", "S06-step"),
    ),
    Rule(
        "S08-errors",
        _STAGES,
        "A sample that it cannot use is refused in one line",
        check_errors,
        ("S01-sample",),
    ),
    Rule(
        "S09-workers",
        _STAGES,
        "It survives the way to a worker process and does the same there",
        check_workers,
        ("S03-same-twice",),
    ),
)
