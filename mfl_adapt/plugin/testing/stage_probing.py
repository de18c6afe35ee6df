"""Stages run on probes, once for all rules about them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, get_args

from mfl_adapt.errors import MflAdaptError
from mfl_adapt.plugin.testing.outcome import leave_unchecked
from mfl_adapt.plugin.testing.probes import Kind, Probe, copy_of, make_probe
from mfl_adapt.plugin.testing.rule import Case

if TYPE_CHECKING:
    from mfl_adapt.types import Sample

Worked = list[tuple[Probe, "Sample"]]


def worked(case: Case) -> Worked:
    """Probes that the stage takes, with what it made of them; computed once."""

    def run() -> Worked:
        stage, refusals, found = case.built(), [], []
        for kind in get_args(Kind):
            probe = make_probe(kind)
            given = copy_of(probe.sample)
            made = case.attempt("running it on a good sample", partial(stage, given))
            if isinstance(made.error, MflAdaptError):
                refusals.append(str(made.error))
            elif made.error is not None:
                case.call("running it on a good sample", partial(stage, given))
            else:
                found.append((probe, made.value))
        if not found:
            leave_unchecked(f"refuses every probe of the kit: {refusals[0]}")
        return found

    results: Worked = case.once("worked", run)
    return results
