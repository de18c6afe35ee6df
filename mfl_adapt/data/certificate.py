"""The geometric certificate of a sample: how exactly pictures and cameras agree, in numbers.

What is measured is listed in ``certificate_records``; which of it fails is decided in
``verdict``. Nothing here compares the views' sizes with one another: a long animal
is large in some views and small in others, and equal sizes prove nothing.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.cameras import FACELIFT_SLOTS_DEG, history, project
from mfl_adapt.cameras.slots import assign_slots
from mfl_adapt.cameras.table import directions_deg
from mfl_adapt.data.certificate_records import (
    Certificate,
    Failure,
    SlotMatch,
    ViewCertificate,
    to_json,
)
from mfl_adapt.data.verdict import Limits, judge
from mfl_adapt.images import measure_foreground
from mfl_adapt.images.agreement import measure_agreement
from mfl_adapt.images.hull import HullFit, fit_hull
from mfl_adapt.images.subject import Subject, locate_subject

if TYPE_CHECKING:
    from mfl_adapt.types import Float, RigContract, Sample, View

__all__ = [
    "Certificate",
    "Failure",
    "Limits",
    "SlotMatch",
    "ViewCertificate",
    "certify",
    "to_json",
]


def certify(
    sample: Sample, contract: RigContract, limits: Limits | None = None, *, seed: int = 0
) -> Certificate:
    """Measure a sample and judge it.

    Args:
        sample: Finished or raw; its views may differ in size and lack masks.
        contract: What the base assumes.
        limits: What still passes; None takes the defaults.
        seed: Of the random points of the round trip.

    Returns:
        The certificate; a measure that could not be taken is None there and never a failure
        by itself.
    """
    usable = bool(sample.views) and all(_projects(view) for view in sample.views)
    subject = locate_subject(sample.views) if usable else None
    unknown = np.full(len(sample.views), np.nan)
    fit = fit_hull(sample.views) if usable else HullFit(unknown, unknown)
    trips = _round_trips(sample, seed) if usable else unknown
    steps = tuple(step.step + ("" if step.exact else " (inexact)") for step in sample.provenance)
    found = Certificate(
        sample=sample.id,
        views=tuple(
            _certify_view(sample, index, contract, subject, fit, trips[index])
            for index in range(len(sample.views))
        ),
        subject=None if subject is None else _triple(subject.point),
        subject_distance=None if subject is None else float(np.linalg.norm(subject.point)),
        subject_radius=None if subject is None else subject.radius,
        subject_cut=subject is not None and subject.cut,
        residual_px=None if subject is None else _median(subject.residuals_px[subject.used]),
        reach=None if subject is None else _reach(sample, subject) / contract.depth_reach,
        exact=all(step.exact for step in sample.provenance),
        steps=steps,
        slots=_match_slots(sample, contract, subject) if usable else (),
    )
    return dataclasses.replace(found, failures=judge(found, contract, limits or Limits()))


def _certify_view(
    sample: Sample,
    index: int,
    contract: RigContract,
    subject: Subject | None,
    fit: HullFit,
    round_trip: float,
) -> ViewCertificate:
    view = sample.views[index]
    fx, fy, cx, cy = (float(value) for value in view.fxfycxcy)
    rotation, center = view.c2w[:3, :3], view.c2w[:3, 3]
    with np.errstate(invalid="ignore"):  # a pose may hold NaN, and then has no determinant
        det = float(np.linalg.det(rotation))
    skew = float(np.abs(rotation.T @ rotation - np.eye(3)).max())
    azimuth, elevation = directions_deg(center, contract.up)
    shown = None if view.mask is None else measure_foreground(view.mask)
    agreement = measure_agreement(view, contract.background)
    return ViewCertificate(
        name=view.name,
        height=view.height,
        width=view.width,
        rotation_error=max(skew, abs(det - 1.0)),
        det=det,
        look_at=_cosine(view.c2w[:3, 2], -center),
        look_at_subject=None
        if subject is None
        else _cosine(view.c2w[:3, 2], subject.point - center),
        distance=float(np.linalg.norm(center)),
        elevation_deg=elevation,
        azimuth_deg=azimuth,
        fx=fx,
        focal_ratio=fx / view.width,
        aspect=fx / fy if fy else math.nan,
        principal_point_px=max(abs(cx - view.width / 2), abs(cy - view.height / 2)),
        residual_px=None if subject is None else _known(subject.residuals_px[index]),
        subject_offset_px=None if subject is None else _offset(view, subject.point),
        hull_iou=_known(fit.iou[index]),
        hull_coverage=_known(fit.coverage[index]),
        foreground=0.0 if shown is None else shown.share,
        border_px={} if shown is None else {str(k): n for k, n in shown.border_px.items()},
        mask_agreement=None if agreement is None else agreement.iou,
        mask_soft=None if agreement is None else agreement.soft,
        round_trip_px=_known(round_trip),
    )


def _projects(view: View) -> bool:
    """Whether a camera can project at all; the rotation's own measures tell why not."""
    finite = np.isfinite(view.c2w).all() and np.isfinite(view.fxfycxcy).all()
    return bool(
        finite and abs(np.linalg.det(view.c2w[:3, :3])) > 0.5 and view.fxfycxcy[:2].min() > 0
    )


def _round_trips(sample: Sample, seed: int) -> Float:
    if not sample.provenance or not sample.provenance[0].raw_cameras:
        return np.full(len(sample.views), np.nan)
    return history.round_trip_px(sample, seed=seed)


def _reach(sample: Sample, subject: Subject) -> float:
    """Largest offset of the subject along a ray from its point nearest the origin, plus radius."""
    rays = subject.point - np.stack([view.c2w[:3, 3] for view in sample.views])
    lengths = np.maximum(np.linalg.norm(rays, axis=1), np.finfo(float).tiny)
    return float(np.abs(rays @ subject.point / lengths).max()) + subject.radius


def _match_slots(
    sample: Sample, contract: RigContract, subject: Subject | None
) -> tuple[SlotMatch, ...]:
    centers = np.stack([view.c2w[:3, 3] for view in sample.views])
    if subject is not None and not subject.cut:
        centers = centers - subject.point
    if not np.linalg.norm(centers, axis=1).all():
        return ()
    azimuths = contract.slots_deg or FACELIFT_SLOTS_DEG
    found = assign_slots(centers, azimuths)
    return tuple(
        SlotMatch(slot, float(azimuths[slot]), sample.views[index].name, angle)
        for slot, index, angle in zip(found.slots, found.order, found.angles_deg, strict=True)
    )


def _offset(view: View, point: Float) -> float | None:
    pixels, _ = project(point[None], view.c2w, view.fxfycxcy)
    return _known(np.linalg.norm(pixels[0] - [view.width / 2, view.height / 2]))


def _cosine(one: Float, other: Float) -> float:
    length = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float(one @ other) / length if length > 0 else 0.0


def _median(values: Float) -> float:
    return float(np.median(values))


def _known(value: Any) -> float | None:
    return None if math.isnan(value) else float(value)


def _triple(point: Float) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in point)
    return x, y, z
