"""What every check starts from."""

from functools import lru_cache

import numpy as np

from mfl_adapt.errors import ConfigError
from mfl_adapt.images.hull import HullFit, fit_hull
from mfl_adapt.images.subject import Subject, locate_subject
from mfl_adapt.plugin import Facts
from mfl_adapt.types import RigContract, Sample, View

REFERENCE_PX = 512
# A share over so many pixels of six views is exact to half a percent; a doctor sees many samples.
_RAYS = 9000


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


def dataset_of(facts: Facts) -> tuple[Sample, ...]:
    """All samples of the dataset.

    Raises:
        ConfigError: If they are missing.
    """
    if facts.dataset is None:
        raise ConfigError("facelift_checks: expected facts with a dataset, got none.")
    return facts.dataset


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


def locate(sample: Sample) -> Subject | None:
    """Triangulate the subject; None with fewer than three masks or without crossing rays."""
    return locate_subject(sample.views) if usable_cameras(sample) else None


# Several checks ask about the same sample in turn; a sample never changes.
@lru_cache(maxsize=1)
def hull_of(sample: Sample) -> HullFit:
    """Remember ``measure_hull`` of the sample that is being looked at."""
    return measure_hull(sample)


def measure_hull(sample: Sample, *, rays: int = _RAYS) -> HullFit:
    """How well the masks fit one solid body; NaN where a view cannot be judged."""
    if not sample.views or not usable_cameras(sample):
        unknown = np.full(len(sample.views), np.nan)
        return HullFit(unknown, unknown)
    return fit_hull(sample.views, rays=rays)


def size_ratios(sample: Sample) -> list[float]:
    """Square root of the share of the picture that the subject covers, per view with a mask."""
    shares = [float((view.mask > 127).mean()) for view in sample.views if view.mask is not None]
    return [float(np.sqrt(share)) for share in shares]
