"""Poses: rotations, viewing directions and the up axis."""

from collections.abc import Iterator

import numpy as np

from mfl_adapt.plugin import Facts, Finding
from mfl_adapt.types import View

from .config import LookAtConfig, RotationConfig, UpAxisConfig
from .facts import place, sample_and_contract, usable_cameras


class Rotation:
    """Law MFL003: a pose is a rotation, not a mirror, and no scale hides in it."""

    def __init__(self, config: RotationConfig) -> None:
        """Take the tolerance."""
        self._tolerance = config.tolerance

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at every view."""
        sample, _ = sample_and_contract(facts)
        for view in sample.views:
            error, det = _rotation_error(view)
            if error > self._tolerance:
                yield Finding(
                    code="MFL003",
                    severity="law",
                    where=place(sample, view),
                    value=f"det {det:.4f}, off orthonormal by {error:.2g}",
                    expected=f"det +1, orthonormal within {self._tolerance:g}",
                    remedy="Rebuild the pose with x right, y down and z forward, so that right x "
                    "down = forward; keep scale out of the rotation.",
                    excess=error / self._tolerance,
                )


def _rotation_error(view: View) -> tuple[float, float]:
    rotation = view.c2w[:3, :3]
    if not np.isfinite(view.c2w).all():
        return float("inf"), float("nan")
    det = float(np.linalg.det(rotation))
    skew = float(np.abs(rotation.T @ rotation - np.eye(3)).max())
    return max(skew, abs(det - 1.0)), det


class LookAt:
    """Law MFL013: cameras look towards the origin.

    OpenGL poses (z backward) taken for OpenCV ones look away from it.
    """

    def __init__(self, config: LookAtConfig) -> None:
        """Take the tolerance."""
        self._least = config.least_cosine

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at every view."""
        sample, _ = sample_and_contract(facts)
        for view in sample.views:
            center, forward = view.c2w[:3, 3], view.c2w[:3, 2]
            distance = float(np.linalg.norm(center))
            cosine = float(-forward @ center) / distance if distance > 0 else 0.0
            # Written so that NaN is a finding too.
            if not cosine > self._least:
                yield Finding(
                    code="MFL013",
                    severity="law",
                    where=place(sample, view),
                    value=f"cosine {cosine:.3f} between viewing direction and direction to origin",
                    expected=f"more than {self._least:g}, origin in front of the camera",
                    remedy=_look_at_remedy(cosine),
                    excess=self._least - cosine,
                )


def _look_at_remedy(cosine: float) -> str:
    if cosine < 0:
        return (
            "The camera looks away: convert OpenGL poses to OpenCV by negating the second and "
            "third column of c2w."
        )
    return "Move the world so that the subject is at the origin, or check the pose's convention."


class UpAxis:
    """Warning MFL008: what is up in the pictures is the contract's up axis in the world."""

    def __init__(self, config: UpAxisConfig) -> None:
        """Take the tolerances."""
        self._config = config

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the sample as a whole."""
        sample, contract = sample_and_contract(facts)
        if not sample.views or not usable_cameras(sample):
            return
        mean = np.mean([-view.c2w[:3, 1] for view in sample.views], axis=0)
        agreement = float(np.linalg.norm(mean))
        if agreement < self._config.least_agreement:
            return
        cosine = float(mean @ np.asarray(contract.up)) / agreement
        if cosine < self._config.least_cosine:
            yield Finding(
                code="MFL008",
                severity="warning",
                where=place(sample),
                value=f"cosine {cosine:.3f} between the cameras' mean up and the world's",
                expected=f"at least {self._config.least_cosine:g} with up {list(contract.up)}",
                remedy="Rotate the world so that +z points up; a y-up world needs (x, y, z) -> "
                "(x, -z, y).",
                excess=self._config.least_cosine - cosine,
            )
