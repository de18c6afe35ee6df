"""Calibrated samples rendered from scenes."""

from __future__ import annotations

from typing import get_args

import numpy as np

from mfl_adapt.cameras import (
    FACELIFT_DISTANCE,
    FACELIFT_FOCAL_RATIO,
    facelift_ring,
    facelift_slots,
    lab_rig,
    random_rig,
)
from mfl_adapt.images import RawView, begin_sample
from mfl_adapt.synth.constants import GENERATOR_VERSION, RigName, Species, Split
from mfl_adapt.synth.renderer import Picture, render_view
from mfl_adapt.synth.scenes import (
    RIG_DRAWS,
    Scene,
    check_known,
    make_scene,
    scene_generator,
    scene_seed,
)
from mfl_adapt.types import Cameras, RawCamera, Sample

FACELIFT_ELEVATION_DEG = (20.0, 20.0)


def make_rig(
    species: Species,
    seed: int,
    rig: RigName,
    *,
    size: int = 64,
    num_views: int = 16,
    elevation_deg: tuple[float, float] = FACELIFT_ELEVATION_DEG,
    focal_ratio: float = FACELIFT_FOCAL_RATIO,
) -> Cameras:
    """Cameras of a sample; what is random in them depends on species and seed alone.

    Args:
        species: ``heads`` or ``mice``.
        seed: Seed of the scene.
        rig: ``ring``: FaceLift's training ring with a random phase and one elevation;
            ``random``: one camera per azimuth sector, each with its own elevation;
            ``slots``: FaceLift's six inference cameras; ``lab``: a real rig of six cameras.
        size: Picture side in pixels.
        num_views: Number of cameras of ``ring`` and ``random``; the others have six.
        elevation_deg: Least and greatest elevation in ``ring`` and ``random``.
        focal_ratio: Focal length over picture width in ``ring`` and ``random``; FaceLift's is
            1.07225, the lab rig's lenses have 1.52 to 1.60.

    Returns:
        The cameras, all looking at the origin.

    Raises:
        DataError: If the species or the rig is unknown.
        RangeError: If the seed is negative, or a size, number or elevation is out of range.
    """
    check_known("rig", rig, get_args(RigName))
    rng = scene_generator(species, seed, RIG_DRAWS)
    if rig == "slots":
        return facelift_slots(size)
    if rig == "lab":
        return lab_rig(size)
    if rig == "random":
        ratios = (focal_ratio, focal_ratio)
        return random_rig(
            rng, num_views, size=size, elevation_deg=elevation_deg, focal_ratio=ratios
        )
    phase, elevation = rng.uniform(0.0, 360.0), rng.uniform(*elevation_deg)
    return facelift_ring(
        num_views, elevation, FACELIFT_DISTANCE, focal_ratio, size=size, phase_deg=phase
    )


def render_scene(scene: Scene, cameras: Cameras) -> list[Picture]:
    """Analytic pictures of a scene, one per camera [V].

    Raises:
        ShapeError: If the cameras have other leading axes than [V].
        RangeError: If the picture size is below 1.
    """
    height, width = cameras.height, cameras.width
    return [
        render_view(scene.ellipsoids, c2w, fxfycxcy, height=height, width=width)
        for c2w, fxfycxcy in zip(cameras.c2w, cameras.fxfycxcy, strict=True)
    ]


def render_sample(
    species: Species,
    index: int,
    split: Split = "train",
    *,
    rig: RigName = "ring",
    size: int = 64,
    num_views: int = 16,
    stream: int = 0,
    elevation_deg: tuple[float, float] = FACELIFT_ELEVATION_DEG,
    focal_ratio: float = FACELIFT_FOCAL_RATIO,
) -> Sample:
    """Draw one scene and render it as a calibrated sample.

    Views are named ``cam_000`` onwards. Colour is straight: where the mask is 0 it is white, and
    at the outline it is that of the subject alone. The mask is the share of covered samples times
    255, rounded.

    Args:
        species: ``heads`` or ``mice``.
        index: Number of the sample within split and stream.
        split: ``train``, ``validation`` or ``test``; their scenes never coincide.
        rig: ``ring``, ``slots``, ``lab`` or ``random``, see ``make_rig``.
        size: Picture side in pixels.
        num_views: Number of cameras of ``ring`` and ``random``; the others have six.
        stream: Another series of scenes within the split.
        elevation_deg: Least and greatest elevation in ``ring`` and ``random``.
        focal_ratio: Focal length over picture width in ``ring`` and ``random``; FaceLift's is
            1.07225, the lab rig's lenses have 1.52 to 1.60.

    Returns:
        The sample with one provenance record.

    Raises:
        DataError: If species, split or rig is unknown.
        RangeError: If a number is out of its range.
    """
    seed = scene_seed(split, index, stream=stream)
    cameras = make_rig(
        species,
        seed,
        rig,
        size=size,
        num_views=num_views,
        elevation_deg=elevation_deg,
        focal_ratio=focal_ratio,
    )
    pictures = render_scene(make_scene(species, seed), cameras)
    views = [_to_view(number, picture, cameras[number]) for number, picture in enumerate(pictures)]
    settings = {
        "generator": GENERATOR_VERSION,
        "species": species,
        "seed": seed,
        "rig": rig,
        "size": size,
        "num_views": len(views),
        "elevation_deg": list(elevation_deg),
        "focal_ratio": focal_ratio,
    }
    session = f"{species}-{split}-{stream}"
    name = f"{session}-{index:06d}"
    return begin_sample(
        name, views, step="procedural", params=settings, session=session, animal=name
    )


def _to_view(number: int, picture: Picture, camera: Cameras) -> RawView:
    """Eight bits per channel, as a camera would deliver."""
    rgb = np.rint(picture.rgb * 255.0).astype(np.uint8)
    mask = np.rint(picture.alpha * 255.0).astype(np.uint8)
    name = f"cam_{number:03d}"
    raw = RawCamera(
        c2w=tuple(tuple(row) for row in camera.c2w.tolist()),
        fxfycxcy=tuple(camera.fxfycxcy.tolist()),
        height=camera.height,
        width=camera.width,
    )
    return RawView(name, rgb, mask, raw, source=f"synthetic {name}")
