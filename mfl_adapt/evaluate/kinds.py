"""One evaluation for every kind of base."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mfl_adapt.adapter import Switchable
from mfl_adapt.config import RunConfig
from mfl_adapt.evaluate.evaluation import Evaluation
from mfl_adapt.evaluate.held_out import Maker, evaluate, reconstruction_maker
from mfl_adapt.pipeline import OpenData
from mfl_adapt.plugin import Base, Reconstructor

if TYPE_CHECKING:
    from mfl_adapt.evaluate.views import Sampling


def evaluate_any(
    base: Base,
    adapter: Switchable,
    data: OpenData,
    config: RunConfig,
    report: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score a base and its adapter, whatever they make.

    Args:
        base: A ``Reconstructor``, or a ``FrozenMVDiffusion``; with the adapter inside.
        adapter: The adapter, or ``AllAdapters``; switched off for the frozen base.
        data: Samples, split and view policy.
        config: The resolved configuration.
        report: Called with scenes done and scenes in all.

    Returns:
        Means over all scenes, without ``retention``: see ``measure_retention``.
    """
    limit = config.evaluate.samples
    if isinstance(base, Reconstructor):
        backend = config.train.backend
        return evaluate(base, adapter, data, backend=backend, limit=limit, report=report)
    # Where nobody makes views, nobody waits for the diffusion libraries.
    from mfl_adapt.evaluate.views import evaluate_views
    from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion

    assert isinstance(base, FrozenMVDiffusion), "the pipeline opens these two kinds"
    return evaluate_views(base, adapter, data, _sampling(config), limit=limit, report=report)


def build_maker(base: Base, config: RunConfig, background: float) -> Maker:
    """Return what draws the pictures that a base makes of a scene."""
    if isinstance(base, Reconstructor):
        return reconstruction_maker(base, config.train.backend, background)
    from mfl_adapt.evaluate.views import view_maker
    from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion

    assert isinstance(base, FrozenMVDiffusion), "the pipeline opens these two kinds"
    return view_maker(base, background, _sampling(config))


def _sampling(config: RunConfig) -> Sampling:
    from mfl_adapt.evaluate.views import Sampling

    return Sampling(config.diffusion.sampling_steps, config.diffusion.guidance, config.seed)
