"""What a certificate must keep to be clean.

Pixel limits hold for a picture 512 px wide and scale with the picture. Limits of the rig contract
(depth reach, principal point, edges that may cut) are taken from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mfl_adapt.data.certificate_records import Certificate, Failure, ViewCertificate

if TYPE_CHECKING:
    from mfl_adapt.types import RigContract

REFERENCE_PX = 512


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a certificate; pairs are (warning, law).

    Attributes:
        rotation: Largest rotation error.
        look_at: Least cosine between viewing direction and direction to the origin.
        origin: Largest distance of the subject from the origin; a law beyond the depth reach.
        extent: Least diameter of the subject as a share of the contract's, where a camera stands
            within the depth reach: such a world is measured in too large a unit.
        residual_px: Median triangulation residual. The centre of a silhouette is not the image of
            the body's centre: exact procedural mice reach 13 px.
        hull_coverage: Least share of a mask that the other views' hull covers. Exact procedural
            mice keep 0.983 at 64 px, where tails are thinner than a pixel, and 1 from 128 px on;
            the published head keeps 0.999. One camera turned by one degree leaves 0.76-0.95 of
            some view, cameras pulled to one distance 0.35-0.57.
        aspect: Largest departure of fx / fy from 1.
        foreground: Least and greatest share of the picture; nothing at all is a law.
        foreground_law: Share beyond which the mask is the picture.
        mask_agreement: Least IoU of mask and colours.
        mask_soft: Largest doubtful share of a mask.
        round_trip_px: Largest disagreement of cameras and history, in pixels as they are.
    """

    rotation: float = 1e-4
    look_at: float = 0.9
    origin: float = 0.15
    extent: float = 1 / 3
    residual_px: tuple[float, float] = (16.0, 24.0)
    hull_coverage: tuple[float, float] = (0.98, 0.8)
    aspect: float = 0.02
    foreground: tuple[float, float] = (0.02, 0.40)
    foreground_law: float = 0.90
    mask_agreement: float = 0.8
    mask_soft: float = 0.05
    round_trip_px: float = 1e-4


def judge(certificate: Certificate, contract: RigContract, limits: Limits) -> tuple[Failure, ...]:
    """List what fails, laws first.

    Args:
        certificate: What was measured; failures already in it are not looked at.
        contract: What the base assumes.
        limits: What still passes.

    Returns:
        Failures; none for a clean sample.
    """
    failures = list(_judge_sample(certificate, contract, limits))
    for view in certificate.views:
        failures += _judge_pose(view, contract, limits)
        failures += _judge_picture(view, contract, limits)
        failures += _judge_history(view, certificate, limits)
    return tuple(sorted(failures, key=lambda failure: failure.severity != "law"))


def _judge_sample(found: Certificate, contract: RigContract, limits: Limits) -> Iterator[Failure]:
    if not found.exact:
        inexact = sum(step.endswith("(inexact)") for step in found.steps)
        yield Failure("exact", "warning", "", inexact, 0)
    if found.subject_distance is None or found.reach is None or found.residual_px is None:
        return
    if found.reach > 1.0:
        yield Failure("reach", "law", "", found.reach, 1.0)
    extent, least = 2.0 * (found.subject_radius or 0.0), limits.extent * contract.extent
    if extent < least and min(view.distance for view in found.views) < contract.depth_reach:
        yield Failure("extent", "law", "", extent, least)
    # Cut masks give a rough position: good enough for a gross failure, not for a fine one.
    if found.subject_distance > contract.depth_reach:
        yield Failure("origin", "law", "", found.subject_distance, contract.depth_reach)
    elif found.subject_distance > limits.origin and not found.subject_cut:
        yield Failure("origin", "warning", "", found.subject_distance, limits.origin)
    scale = max(view.width for view in found.views) / REFERENCE_PX
    if not found.subject_cut:
        warn, law = (limit * scale for limit in limits.residual_px)
        yield from _above("residual_px", "", found.residual_px, warn, law)


def _judge_pose(view: ViewCertificate, contract: RigContract, limits: Limits) -> Iterator[Failure]:
    # Written so that NaN fails too.
    if not view.rotation_error <= limits.rotation:
        yield Failure("rotation", "law", view.name, view.rotation_error, limits.rotation)
    if not view.look_at > limits.look_at:
        yield Failure("look_at", "law", view.name, view.look_at, limits.look_at)
    if not abs(view.aspect - 1.0) <= limits.aspect:
        severity: Literal["law", "warning"] = "warning" if view.aspect > 0 else "law"
        yield Failure("aspect", severity, view.name, abs(view.aspect - 1.0), limits.aspect)
    most = contract.principal_point_px * view.width / contract.size
    if not view.principal_point_px <= most:
        yield Failure("principal_point", "law", view.name, view.principal_point_px, most)


def _judge_picture(
    view: ViewCertificate, contract: RigContract, limits: Limits
) -> Iterator[Failure]:
    least, most = limits.foreground
    if view.foreground == 0.0:
        yield Failure("foreground", "law", view.name, 0.0, least)
    elif view.foreground < least:
        yield Failure("foreground", "warning", view.name, view.foreground, least)
    else:
        yield from _above("foreground", view.name, view.foreground, most, limits.foreground_law)
    contact = [n for edge, n in view.border_px.items() if edge not in contract.cut_edges]
    if any(contact):
        yield Failure("border_px", "warning", view.name, max(contact), 0)
    if view.hull_coverage is not None:
        warn, law = limits.hull_coverage
        if view.hull_coverage < warn:
            broken = view.hull_coverage < law
            yield Failure(
                "hull_coverage",
                "law" if broken else "warning",
                view.name,
                view.hull_coverage,
                law if broken else warn,
            )
    if view.mask_agreement is not None and view.mask_agreement < limits.mask_agreement:
        yield Failure(
            "mask_agreement", "warning", view.name, view.mask_agreement, limits.mask_agreement
        )
    if view.mask_soft is not None and view.mask_soft > limits.mask_soft:
        yield Failure("mask_soft", "warning", view.name, view.mask_soft, limits.mask_soft)


def _judge_history(view: ViewCertificate, found: Certificate, limits: Limits) -> Iterator[Failure]:
    # An inexact history has said so itself; only one that claims to be exact breaks its word.
    if found.exact and view.round_trip_px is not None:
        yield from _above(
            "round_trip_px", view.name, view.round_trip_px, math.inf, limits.round_trip_px
        )


def _above(name: str, where: str, value: float, warn: float, law: float) -> Iterator[Failure]:
    if value > law:
        yield Failure(name, "law", where, value, law)
    elif value > warn:
        yield Failure(name, "warning", where, value, warn)
