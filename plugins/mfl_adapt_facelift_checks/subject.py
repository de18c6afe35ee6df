"""Where the subject is: within reach, at the origin, and the same for all views."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from mfl_adapt.images.subject import LEAST_VIEWS, Subject
from mfl_adapt.plugin import Facts, Finding
from mfl_adapt.types import Sample

from .config import OriginConfig, ReachConfig, TriangulationConfig
from .facts import locate, pixel_scale, place, sample_and_contract

_CUT_REMEDY = (
    "The frame cuts most masks, and the centre of a cut mask is not the subject's; nothing needs "
    "to be done where that is the habit."
)


class Reach:
    """Law MFL001: the subject lies within the depth that the model can decode.

    A Gaussian sits on its pixel's ray, at most ``depth_reach`` from the point of the ray nearest
    the origin. For a ray with direction d through the subject's centre P that offset is |P . d|,
    and the subject's own radius comes on top.

    The other way round, a world in metres lies within reach whole: the cameras too, and the
    subject is a speck that no depth resolves. Both together are the law, as either alone may be
    meant.
    """

    def __init__(self, config: ReachConfig) -> None:
        """Take the least extent; the reach is the contract's."""
        self._least_extent = config.least_extent

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the sample as a whole."""
        sample, contract = sample_and_contract(facts)
        subject = locate(sample)
        if subject is None:
            yield _not_located(sample)
            return
        offset = _depth_offset(sample, subject) + subject.radius
        if offset > contract.depth_reach:
            yield Finding(
                code="MFL001",
                severity="law",
                where=place(sample),
                value=f"subject reaches {offset:.3g} from its rays' point nearest the origin "
                f"(radius {subject.radius:.3g})",
                expected=f"at most {contract.depth_reach:g} world units",
                remedy="Add --set data.cameras.use=facelift_cameras.virtual_camera, which moves "
                "the world until the subject is at the origin, and scales it until the subject "
                f"measures about {contract.extent:g}.",
                excess=offset / contract.depth_reach,
            )
        nearest = min(float(np.linalg.norm(view.c2w[:3, 3])) for view in sample.views)
        extent, least = 2.0 * subject.radius, self._least_extent * contract.extent
        if nearest < contract.depth_reach and extent < least:
            yield Finding(
                code="MFL001",
                severity="law",
                where=place(sample),
                value=f"nearest camera {nearest:.3g} from the origin, subject {extent:.3g} across",
                expected=f"cameras beyond the depth reach of {contract.depth_reach:g}, or a "
                f"subject of at least {least:.2g} world units",
                remedy="The calibration seems to be in metres: scale the world so that the "
                f"subject measures about {contract.extent:g}, with facelift_cameras.virtual_camera "
                "or scene_scale.",
                excess=least / max(extent, np.finfo(float).tiny),
            )


def _depth_offset(sample: Sample, subject: Subject) -> float:
    rays = subject.point - np.stack([view.c2w[:3, 3] for view in sample.views])
    lengths = np.maximum(np.linalg.norm(rays, axis=1), np.finfo(float).tiny)
    return float(np.abs(rays @ subject.point / lengths).max())


def _not_located(sample: Sample) -> Finding:
    return Finding(
        code="MFL001",
        severity="info",
        where=place(sample),
        value="subject not located",
        expected=f"masks in {LEAST_VIEWS} views whose rays cross",
        remedy="Geometry could not be checked; add views or masks.",
    )


def _severity(
    broken: bool, subject: Subject, *, cut_law: bool
) -> Literal["law", "warning", "info"]:
    # Cut masks give a rough position: good enough for a gross failure, not for a fine one.
    if broken and (cut_law or not subject.cut):
        return "law"
    return "info" if subject.cut else "warning"


class Origin:
    """Warning MFL005: the subject is at the origin; a law once it is out of reach.

    Where the frame cuts the masks (heads at the neck), their centre is not the subject's and the
    distance is only information.
    """

    def __init__(self, config: OriginConfig) -> None:
        """Take the threshold."""
        self._warn_above = config.warn_above

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the sample as a whole."""
        sample, contract = sample_and_contract(facts)
        subject = locate(sample)
        if subject is None:
            return
        distance = float(np.linalg.norm(subject.point))
        if distance <= self._warn_above:
            return
        x, y, z = subject.point
        yield Finding(
            code="MFL005",
            severity=_severity(distance > contract.depth_reach, subject, cut_law=True),
            where=place(sample),
            value=f"subject at ({x:.3g}, {y:.3g}, {z:.3g}), {distance:.3g} from the origin"
            + (", from cut masks" if subject.cut else ""),
            expected=f"at most {self._warn_above:g} world units",
            remedy=_CUT_REMEDY
            if subject.cut and distance <= contract.depth_reach
            else "Subtract the subject's position from all camera centres; shifting pictures "
            "does not help.",
            excess=distance / self._warn_above,
        )


class Agreement:
    """Law and warning MFL004: the rays through the mask centres meet.

    They do not where pictures were cropped, zoomed or shifted without their cameras, or cameras
    changed without their pictures. Where the frame cuts the masks, the error is only information.

    The centre of a silhouette is not where the body's centre projects to: over 60 procedural mice
    with exact cameras the median error reached 13 px, so that less proves nothing. The outlines
    (MFL002) are exact for any shape, and show what hides below.
    """

    def __init__(self, config: TriangulationConfig) -> None:
        """Take the thresholds."""
        self._config = config

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the sample as a whole."""
        sample, _ = sample_and_contract(facts)
        subject = locate(sample)
        if subject is None:
            return
        scales = np.array([pixel_scale(view) for view in sample.views])
        median = float(np.median((subject.residuals_px / scales)[subject.used]))
        if median <= self._config.warn_above_px:
            return
        yield Finding(
            code="MFL004",
            severity=_severity(median > self._config.law_above_px, subject, cut_law=False),
            where=place(sample),
            value=f"median reprojection error {median:.1f} px at 512"
            + (", from cut masks" if subject.cut else ""),
            expected=f"at most {self._config.warn_above_px:g} px, law "
            f"{self._config.law_above_px:g} px",
            remedy=_CUT_REMEDY
            if subject.cut
            else "Go back to the pictures and calibration as recorded: every crop, zoom or "
            "shift must change the intrinsics by the same map.",
            excess=median / self._config.warn_above_px,
        )
