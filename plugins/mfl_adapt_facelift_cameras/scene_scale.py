"""The world scaled to a mean camera distance; no pixel moves."""

from mfl_adapt.cameras import history
from mfl_adapt.images import warp_sample
from mfl_adapt.types import Sample

from .config import SceneScaleConfig
from .rotations import similarity_about
from .subject import distances_to, find_subject


class SceneScale:
    """The component ``facelift_cameras.scene_scale``.

    Scaling the world leaves every picture and all intrinsics true: a focal length in pixels does
    not change with the unit of length.
    """

    def __init__(self, config: SceneScaleConfig) -> None:
        """Take the settings."""
        self._config = config

    def __call__(self, sample: Sample) -> Sample:
        """Return the sample in a scaled world, its origin at what the distances are about.

        Raises:
            DataError: If the subject cannot be found, or a camera cannot see the new origin.
        """
        subject = find_subject(sample, self._config.about)
        distances = distances_to(sample, subject.point)
        scale = self._config.distance / float(distances.mean())
        measured = {
            "subject_raw": history.to_raw_world(subject.point, sample.provenance).tolist(),
            "subject_views": [sample.views[index].name for index in subject.views],
            "residuals": [scale * residual for residual in subject.residuals],
            "scale": scale,
            "distances": (scale * distances).tolist(),
        }
        return warp_sample(
            sample,
            step="facelift_cameras.scene_scale",
            params={"settings": self._config.model_dump(mode="json"), "measured": measured},
            world=similarity_about(subject.point, scale=scale),
        )
