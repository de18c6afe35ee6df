"""What a certificate holds.

Measures that could not be taken are None. Which measures fail is decided in ``verdict``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from mfl_adapt.cameras.table import CONVENTION


@dataclass(frozen=True, slots=True)
class ViewCertificate:
    """Measures of one view; None where a thing could not be measured.

    Attributes:
        name: Name of the view.
        height: Of the picture, in pixels.
        width: Of the picture, in pixels.
        rotation_error: Largest entry of R^T R - I, or the distance of det R from 1.
        det: Determinant of the rotation.
        look_at: Cosine between the viewing direction and the direction to the origin.
        look_at_subject: The same, to the subject.
        distance: Of the camera centre from the origin.
        elevation_deg: Of the camera centre above the horizontal plane.
        azimuth_deg: Of the camera centre, in [0, 360).
        fx: Focal length along x in pixels.
        focal_ratio: fx over the picture's width.
        aspect: fx over fy.
        principal_point_px: Largest offset from the middle of the picture, x or y.
        residual_px: From the centre of the mask to the image of the triangulated subject.
        subject_offset_px: From the middle of the picture to that image.
        hull_iou: Of the mask with the visual hull of all views, see ``HullFit``.
        hull_coverage: Of the mask by the visual hull of the other views.
        foreground: Share of the picture that the mask covers.
        border_px: Masked pixels along each edge of the frame.
        mask_agreement: IoU of mask and colours, see ``Agreement``.
        mask_soft: Doubtful share of the mask, see ``Agreement``.
        round_trip_px: Largest disagreement of camera and recorded maps over random points; None
            where the history does not begin at raw cameras.
    """

    name: str
    height: int
    width: int
    rotation_error: float
    det: float
    look_at: float
    look_at_subject: float | None
    distance: float
    elevation_deg: float
    azimuth_deg: float
    fx: float
    focal_ratio: float
    aspect: float
    principal_point_px: float
    residual_px: float | None
    subject_offset_px: float | None
    hull_iou: float | None
    hull_coverage: float | None
    foreground: float
    border_px: Mapping[str, int]
    mask_agreement: float | None
    mask_soft: float | None
    round_trip_px: float | None


class SlotMatch(NamedTuple):
    """The view that stands for a view slot, if the six slots are shared out by least total angle.

    Attributes:
        slot: Number of the slot.
        azimuth_deg: Of the slot, at elevation 0.
        view: Name of the view.
        angle_deg: Between the two, seen from the subject.
    """

    slot: int
    azimuth_deg: float
    view: str
    angle_deg: float


class Failure(NamedTuple):
    """One thing that is not as it should be.

    Attributes:
        name: What (``hull_coverage``).
        severity: ``law`` cannot work, ``warning`` may.
        where: Name of the view; empty for the sample as a whole.
        value: What was measured.
        limit: What it had to keep.
    """

    name: str
    severity: Literal["law", "warning"]
    where: str
    value: float
    limit: float


@dataclass(frozen=True, slots=True)
class Certificate:
    """Measures of one sample and what fails.

    Attributes:
        sample: Name of the sample.
        views: Measures of its views.
        subject: Triangulated centre of the subject in the world; None where the masks do not tell.
        subject_distance: Of that centre from the origin.
        subject_radius: Of a ball as large as the subject, in world units.
        subject_cut: The frame cuts most masks, so that subject and residuals are rough.
        residual_px: Median residual over the views that located the subject.
        reach: Depth that the model must decode, over the depth that it can; at most 1 is within.
        exact: No step of the history broke the agreement of pictures and cameras.
        steps: The history, step by step; a step that broke the agreement ends in ``(inexact)``.
        slots: FaceLift's view slots and the views nearest to them.
        failures: What is not as it should be, laws first.
    """

    sample: str
    views: tuple[ViewCertificate, ...]
    subject: tuple[float, float, float] | None
    subject_distance: float | None
    subject_radius: float | None
    subject_cut: bool
    residual_px: float | None
    reach: float | None
    exact: bool
    steps: tuple[str, ...]
    slots: tuple[SlotMatch, ...]
    failures: tuple[Failure, ...] = ()

    @property
    def verdict(self) -> Literal["clean", "warning", "law"]:
        """The worst severity, or ``clean``."""
        severities = {failure.severity for failure in self.failures}
        return "law" if "law" in severities else "warning" if severities else "clean"


def to_json(certificate: Certificate) -> dict[str, Any]:
    """Turn a certificate into plain JSON values; what is not a finite number becomes null."""
    return {
        "schema": 1,
        "convention": CONVENTION,
        "verdict": certificate.verdict,
        **{
            field.name: _plain(getattr(certificate, field.name))
            for field in dataclasses.fields(certificate)
        },
    }


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
