"""Settings of the reader."""

import re
from pathlib import Path

from pydantic import Field, field_validator

from mfl_adapt.plugin import ComponentConfig

PLACEHOLDERS = ("{camera}", "{trial}")


class VideosConfig(ComponentConfig):
    """Settings of ``anipose.videos``.

    Attributes:
        path: Folder of a session, a folder of sessions, or a ``calibration.toml``; a run fills it
            in from ``data.path``.
        calibration: The calibration, relative to a session's folder; None tries
            ``calibration.toml`` and ``calibration/calibration.toml`` there and one folder up.
        videos: Where the videos lie, relative to a session's folder, with ``{camera}`` for the
            camera's name, ``{trial}`` for a part that tells trials apart and ``*`` for anything;
            None tries ``{trial}-cam{camera}.*`` and ``{camera}.*`` in ``videos-raw``, ``videos``
            and the session's folder.
        masks: Where mask videos lie, white on the subject, in the same terms; None: no masks.
        mask_threshold: Grey level of a mask video above which a pixel belongs to the subject; the
            compression surrounds the outline with greys.
        cameras: Names of the cameras to keep, in this order; None keeps all.
        offsets: For videos that were cropped after calibration, by camera: x and y in pixels of
            their upper left corner in the calibrated frame (``offset`` in Anipose's config).
        start: First frame.
        stop: Frame to stop before; None goes to the end.
        every: Take one frame of so many.
    """

    path: Path | None = None
    calibration: str | None = Field(default=None, min_length=1)
    videos: str | None = None
    masks: str | None = None
    mask_threshold: int = Field(default=127, ge=0, le=254)
    cameras: tuple[str, ...] | None = Field(default=None, min_length=1)
    offsets: dict[str, tuple[float, float]] = Field(default_factory=dict)
    start: int = Field(default=0, ge=0)
    stop: int | None = Field(default=None, ge=1)
    every: int = Field(default=1, ge=1)

    @field_validator("videos", "masks")
    @classmethod
    def _check_pattern(cls, value: str | None) -> str | None:
        if value is None:
            return None
        unknown = [word for word in re.findall(r"\{.*?\}", value) if word not in PLACEHOLDERS]
        if "{camera}" not in value or unknown:
            got = unknown[0] if unknown else repr(value)
            raise ValueError(
                f"expected a pattern with {{camera}} and perhaps {{trial}}, got {got}. Write for "
                f"instance 'videos-raw/{{trial}}-cam{{camera}}.avi'."
            )
        return value
