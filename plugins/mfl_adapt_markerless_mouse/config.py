"""Settings of the reader."""

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from mfl_adapt.plugin import ComponentConfig


class RecordingConfig(ComponentConfig):
    """Settings of ``markerless_mouse.recording``.

    Attributes:
        path: Folder of the recording; a run fills it in from ``data.path``.
        start: First frame.
        stop: Frame to stop before; None goes to the end.
        every: Take one frame of so many.
        count: Take this many frames, spread evenly from ``start`` to ``stop``, both ends included.
        skip: Frames to leave out, for instance where the recording jumps.
        cameras: Numbers of the cameras to read, in this order; None reads all.
        masks: ``video`` takes the masks from the mask videos; ``none`` leaves them to a
            preprocessor.
        mask_threshold: Grey level of a mask video above which a pixel belongs to the animal; the
            videos are lossy, so their edges are grey.
        fps: Frames per second; None takes the videos' own, which must then agree.
        calibration: Name of the calibration in the folder.
        pixel_centers: Where ``K`` puts the centre of the first pixel: ``integer`` at (0, 0), as
            OpenCV does, ``half`` at (0.5, 0.5).
        off_center: How far the principal point may be from the middle of the picture, as a share
            of its width or height; further off, ``K`` most likely belongs to another resolution.
        session: Name of the recording; None takes the folder's.
        animal: Name of the animal, so that splits can keep it on one side.
    """

    path: Path | None = None
    start: int = Field(default=0, ge=0)
    stop: int | None = Field(default=None, ge=1)
    every: int = Field(default=1, ge=1)
    count: int | None = Field(default=None, ge=1)
    skip: tuple[int, ...] = ()
    cameras: tuple[int, ...] | None = Field(default=None, min_length=1)
    masks: Literal["video", "none"] = "video"
    mask_threshold: int = Field(default=127, ge=0, le=254)
    fps: float | None = Field(default=None, gt=0)
    calibration: str = "new_cam.pkl"
    pixel_centers: Literal["integer", "half"] = "integer"
    off_center: float = Field(default=0.2, gt=0)
    session: str | None = None
    animal: str = ""

    @model_validator(mode="after")
    def _one_way_to_choose(self) -> "RecordingConfig":
        if self.count is not None and self.every != 1:
            raise ValueError(
                f"every and count exclude each other, got {self.every} and {self.count}"
            )
        if self.stop is not None and self.stop <= self.start:
            raise ValueError(f"stop must be above start {self.start}, got {self.stop}")
        if self.cameras is not None and len(set(self.cameras)) < len(self.cameras):
            raise ValueError(f"cameras must name every camera once, got {list(self.cameras)}")
        return self
