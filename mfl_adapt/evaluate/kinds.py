"""One evaluation for every kind of base."""

from collections.abc import Callable

from mfl_adapt.adapter import Switchable
from mfl_adapt.config import RunConfig
from mfl_adapt.evaluate.held_out import evaluate
from mfl_adapt.evaluate.scores import Evaluation
from mfl_adapt.pipeline import OpenData
from mfl_adapt.plugin import Base, Reconstructor


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
    """
    limit = config.evaluate.samples
    if isinstance(base, Reconstructor):
        backend = config.train.backend
        return evaluate(base, adapter, data, backend=backend, limit=limit, report=report)
    # Where nobody makes views, nobody waits for the diffusion libraries.
    from mfl_adapt.evaluate.views import Sampling, evaluate_views
    from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion

    assert isinstance(base, FrozenMVDiffusion), "the pipeline opens these two kinds"
    sampling = Sampling(config.diffusion.sampling_steps, config.diffusion.guidance, config.seed)
    return evaluate_views(base, adapter, data, sampling, limit=limit, report=report)
