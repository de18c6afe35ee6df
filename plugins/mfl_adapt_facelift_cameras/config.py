"""Settings of the camera normalizers, free of torch and OpenCV.

The numbers of the rig contract (distance, focal ratio, extent) default to FaceLift's.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from mfl_adapt.cameras import FACELIFT_DISTANCE, FACELIFT_FOCAL_RATIO, FACELIFT_SLOTS_DEG
from mfl_adapt.plugin import ComponentConfig

FACELIFT_EXTENT = 1.45
"""Square root of the area of a head in FaceLift's training data, in world units.

The heads are 2.2 to 2.4 across and fill the picture. A long animal gets 1.45 as its largest
diameter: it then covers less of the picture, but its tail stays inside wherever the centre of its
masks is.
"""

Vector = tuple[float, float, float]
Positive = Annotated[float, Field(gt=0)]


def _has_length(up: Literal["auto"] | Vector) -> Literal["auto"] | Vector:
    if up != "auto" and not any(up):
        raise ValueError("expected auto or a direction, got a vector of length 0")
    return up


def _is_positive(extent: Literal["auto"] | float) -> Literal["auto"] | float:
    if extent != "auto" and not extent > 0:
        raise ValueError(f"expected auto or a number above 0, got {extent:g}")
    return extent


# Checks of the whole union: checks inside a union would also report the branch not meant.
UpSetting = Annotated[Literal["auto"] | Vector, AfterValidator(_has_length)]
ExtentSetting = Annotated[Literal["auto"] | float, AfterValidator(_is_positive)]


class VirtualCameraConfig(ComponentConfig):
    """Settings of ``virtual_camera``.

    All modes turn the cameras about their own centres towards the subject, which is exact for any
    scene. They differ in focal length and scale:

    - ``subject``: the world is scaled until the subject measures ``contract_extent``, and each
      view's focal length follows its distance, so that it is equally large in all views. True
      ratios of distances stay; exact.
    - ``contract_focal``: every view has FaceLift's focal length and the mean distance is
      FaceLift's; exact, and the subject is as small as it then is.
    - ``dolly``: pictures as in ``subject``, cameras relabelled as if all stood at FaceLift's
      distance with its focal length; approximate, with the error bound in the provenance.
    """

    mode: Literal["subject", "contract_focal", "dolly"] = Field(
        "subject", description="how focal lengths and the scale of the world are chosen"
    )
    center: Literal["masks", "keypoints"] | Vector = Field(
        "masks",
        description="where the subject is: triangulated from the masks of three or more views, "
        "from the file that keypoints names, or one point [x, y, z] of the current world",
    )
    keypoints: Path | None = Field(
        None,
        description="JSON file; per sample id a point [x, y, z] of the raw world, or the raw "
        "pixel [x, y] of one body point per view name",
    )
    extent: ExtentSetting = Field(
        "auto",
        description="diameter of the subject in raw world units; auto measures each sample's "
        "masks. Give a number for video, so that the scale does not change from frame to frame",
    )
    up: UpSetting = Field(
        (0.0, 0.0, 1.0),
        description="direction of the current world that becomes +z; auto estimates it as "
        "up_axis does",
    )
    front: float | None = Field(
        None,
        description="azimuth in degrees, once up is +z, that becomes FaceLift's front (270); "
        "null leaves the azimuths alone",
    )
    size: int = Field(512, ge=8, le=8192, description="side of the new pictures in pixels")
    distance: Positive = Field(FACELIFT_DISTANCE, description="contract: camera distance")
    focal_ratio: Positive = Field(
        FACELIFT_FOCAL_RATIO, description="contract: focal length over picture width"
    )
    contract_extent: Positive = Field(
        FACELIFT_EXTENT,
        description="contract: what extent becomes; 2.5 world units span the picture",
    )

    @model_validator(mode="after")
    def _keypoints_are_used(self) -> Self:
        # A file that nothing reads would be a silent surprise, and so would the want of one.
        if (self.center == "keypoints") != (self.keypoints is not None):
            raise ValueError(
                "expected center: keypoints together with keypoints: FILE, got one without the "
                "other"
            )
        return self


class SceneScaleConfig(ComponentConfig):
    """Settings of ``scene_scale``."""

    about: Literal["origin", "masks"] | Vector = Field(
        "origin",
        description="what stays or becomes the world's origin: the origin itself, the subject "
        "triangulated from the masks, or a point [x, y, z] of the current world",
    )
    distance: Positive = Field(
        FACELIFT_DISTANCE, description="mean camera distance from it afterwards"
    )


class UpAxisConfig(ComponentConfig):
    """Settings of ``up_axis``."""

    up: UpSetting = Field(
        "auto",
        description="direction of the current world that becomes +z; auto takes the normal of "
        "the plane through the camera centres, of three cameras or more",
    )


class SlotsConfig(ComponentConfig):
    """Settings of ``slots``."""

    slots_deg: tuple[float, ...] = Field(
        FACELIFT_SLOTS_DEG, min_length=1, description="contract: world azimuths of the slots"
    )
    front: float | str = Field(
        "best",
        description="what becomes the front: an azimuth in degrees, a view by its name, or best "
        "for the turn of the world with the least sum of angles. Give one of the first two "
        "for video, so that all frames agree",
    )
    about: Literal["origin", "masks"] | Vector = Field(
        "origin",
        description="where the slots' directions start, which becomes the world's origin: the "
        "origin itself, the subject triangulated from the masks, or a point [x, y, z]",
    )
    allow_partial: bool = Field(
        False, description="leave slots empty where there are fewer views than slots"
    )
