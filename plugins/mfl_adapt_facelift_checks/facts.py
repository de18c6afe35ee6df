"""What every check of a sample starts from."""

import numpy as np

from mfl_adapt.errors import ConfigError
from mfl_adapt.plugin import Facts
from mfl_adapt.types import RigContract, Sample, View

REFERENCE_PX = 512


def sample_and_contract(facts: Facts) -> tuple[Sample, RigContract]:
    """Both facts that these checks need.

    Raises:
        ConfigError: If one is missing.
    """
    if facts.sample is None or facts.contract is None:
        raise ConfigError(
            "facelift_checks: expected facts with a sample and a rig contract, got "
            f"sample {facts.sample is not None}, contract {facts.contract is not None}."
        )
    return facts.sample, facts.contract


def place(sample: Sample, view: View | None = None) -> str:
    """How findings name a sample or one of its views."""
    return f"{sample.id}/{view.name}" if view else sample.id


def usable_cameras(sample: Sample) -> bool:
    """Whether every camera can project at all; ``rotation`` reports those that cannot."""
    return all(
        np.isfinite(view.c2w).all()
        and np.isfinite(view.fxfycxcy).all()
        and abs(np.linalg.det(view.c2w[:3, :3])) > 0.5
        and view.fxfycxcy[:2].min() > 0
        for view in sample.views
    )


def pixel_scale(view: View) -> float:
    """Pixels of this picture per pixel of a 512 x 512 one."""
    return view.width / REFERENCE_PX
