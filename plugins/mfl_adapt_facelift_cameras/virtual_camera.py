"""Every camera turned to the subject, in a square picture with the subject in its middle."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mfl_adapt.cameras import history, look_at, look_at_map
from mfl_adapt.errors import DataError
from mfl_adapt.images import relabel_cameras, warp_sample
from mfl_adapt.types import Sample, Similarity

from .config import VirtualCameraConfig
from .dolly import error_bound_px, magnification_error, relabelled
from .keypoints import Keypoints
from .rotations import rotation_about_z, rotation_between, similarity_about
from .silhouettes import Size, agreed
from .subject import Framing, Located, distances_to, find_subject, measure_sizes
from .upright import Up, find_up

if TYPE_CHECKING:
    from mfl_adapt.types import Float

_log = logging.getLogger(__name__)

_STEP = "facelift_cameras.virtual_camera"
_FRONT_DEG = 270.0
_UP = (0.0, 0.0, 1.0)


class _Plan(NamedTuple):
    # What a sample needs, in its current world except for world and what it scales.
    subject: Located
    up: Up
    sizes: tuple[Size, ...]
    extent: float | None  # where anything measured it
    world: Similarity
    distances: "Float"  # in the new world
    focals: "Float"  # of the new pictures, in pixels


class VirtualCamera:
    """The component ``facelift_cameras.virtual_camera``.

    A camera can be turned about its centre and zoomed without knowing the scene: the new picture
    is a homography of the old one. So the pictures and cameras that come out agree exactly, in
    every mode but ``dolly``. The world is moved to the subject, turned upright and scaled, which
    changes no picture at all.
    """

    def __init__(self, config: VirtualCameraConfig) -> None:
        """Read the keypoints, if the settings name any.

        Raises:
            DataError: If their file cannot be read.
        """
        self._config = config
        self._named: Callable[[Sample], Float] | None = None
        if config.keypoints is not None:
            self._named = Keypoints(config.keypoints).find

    def __call__(self, sample: Sample) -> Sample:
        """Return the sample in the frame of the rig contract.

        The mode ``dolly`` adds two steps to the history: the exact one, and the relabelling with
        the bound of its error.

        Raises:
            DataError: If the subject cannot be found or measured, or a camera cannot see it.
        """
        plan = self._plan(sample)
        size = self._config.size
        middle = [size / 2.0, size / 2.0]
        centers = np.stack([view.c2w[:3, 3] for view in sample.views])
        poses = self._look_at(sample, centers, plan)
        maps = [
            look_at_map(view.c2w, view.fxfycxcy, pose, np.array([focal, focal, *middle]))
            for view, pose, focal in zip(sample.views, poses, plan.focals, strict=True)
        ]
        warped = warp_sample(
            sample,
            step=_STEP,
            params=self._params(sample, plan),
            pixel_maps=maps,
            sizes=[(size, size)] * len(maps),
            world=plan.world,
        )
        return self._relabel(warped, plan) if self._config.mode == "dolly" else warped

    def _plan(self, sample: Sample) -> _Plan:
        config = self._config
        fixed = None
        if not isinstance(config.extent, str):
            fixed = config.extent * history.world_change(sample.provenance).scale
        framing = self._framing(fixed)
        subject = find_subject(sample, config.center, named=self._named, framing=framing)
        up = find_up(sample, config.up)
        sizes = subject.sizes
        if fixed is None and not sizes and config.mode != "contract_focal":
            sizes = measure_sizes(sample, subject.point)
        extent = fixed or (agreed([size.extent for size in sizes]) if sizes else None)
        distances = distances_to(sample, subject.point)
        if extent is None or config.mode == "contract_focal":
            scale = config.distance / float(distances.mean())
        else:
            scale = config.contract_extent / extent
        world = similarity_about(subject.point, scale=scale, rotation=self._rotation(up))
        focals = framing(distances, extent or 1.0)
        return _Plan(subject, up, sizes, extent, world, scale * distances, focals)

    def _framing(self, fixed: float | None) -> Framing:
        """Focal lengths of the new pictures, for a measured extent or a fixed one."""
        config = self._config
        focal = config.focal_ratio * config.size

        def focals(distances: "Float", measured: float) -> "Float":
            if config.mode == "contract_focal":
                return np.full(len(distances), focal)
            scale = config.contract_extent / (fixed or measured)
            return focal * scale / config.distance * distances

        return focals

    def _rotation(self, up: Up) -> "Float":
        upright = rotation_between(up.direction, _UP)
        if self._config.front is None:
            return upright
        return rotation_about_z(_FRONT_DEG - self._config.front) @ upright

    @staticmethod
    def _look_at(sample: Sample, centers: "Float", plan: _Plan) -> "Float":
        try:
            return look_at(centers, plan.subject.point, up=plan.up.direction)
        except DataError as error:
            raise DataError(f"sample {sample.id}: {error}") from error

    def _relabel(self, sample: Sample, plan: _Plan) -> Sample:
        config = self._config
        focal = config.focal_ratio * config.size
        radius = self._radius(plan)
        if radius >= min(plan.distances.min(), config.distance):
            raise DataError(
                f"sample {sample.id}: expected all cameras outside of the subject, got a distance "
                f"of {plan.distances.min():.3g} and a radius of {radius:.3g}. Check the masks, or "
                f"use mode: subject."
            )
        ball = {"radius": radius, "distance": config.distance}
        bounds = error_bound_px(plan.distances, focal_px=focal, **ball)
        shares = magnification_error(plan.distances, **ball)
        _log.info(
            "sample %s: dolly is off by up to %.1f px, things by up to %.1f %% of their size, "
            "within %.3g of the subject's centre",
            sample.id,
            bounds.max(),
            100 * shares.max(),
            radius,
        )
        params = {
            "relabelled": {"distance": config.distance, "focal_px": focal},
            "radius": radius,
            "error_bound_px": bounds.tolist(),
            "magnification_error": shares.tolist(),
        }
        cameras = relabelled(sample.cameras, config.distance, focal)
        return relabel_cameras(sample, cameras, step=_STEP, params=params)

    def _radius(self, plan: _Plan) -> float:
        """Radius of the subject in the new world: as measured, and half its extent at least."""
        radii = [size.radius for size in plan.sizes] or [0.0]
        return plan.world.scale * max((plan.extent or 0.0) / 2, agreed(radii))

    def _params(self, sample: Sample, plan: _Plan) -> dict[str, Any]:
        raw = history.to_raw_world(plan.subject.point, sample.provenance)
        scales = plan.focals / plan.distances * plan.world.scale
        used = scales[list(plan.subject.views)]
        measured = {
            "subject_raw": raw.tolist(),
            "subject": [0.0, 0.0, 0.0],
            "subject_views": [sample.views[index].name for index in plan.subject.views],
            "residuals_px": (np.array(plan.subject.residuals) * used).tolist(),
            "scale": plan.world.scale,
            "up": plan.up.direction.tolist(),
            "up_flatness": plan.up.flatness,
            "extent": None if plan.extent is None else plan.world.scale * plan.extent,
            "extents": [plan.world.scale * size.extent for size in plan.sizes],
            "radius": self._radius(plan),
            "distances": plan.distances.tolist(),
            "focals_px": plan.focals.tolist(),
        }
        return {"settings": self._config.model_dump(mode="json"), "measured": measured}
