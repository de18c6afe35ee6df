"""Where drawn frames go: one picture, a folder of pictures, or a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from mfl_adapt.checks import check_range
from mfl_adapt.errors import ConfigError
from mfl_adapt.images import save_picture
from mfl_adapt.plugin import ExporterSpec, FrameExporter
from mfl_adapt.types import Cameras

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfl_adapt.plugin.registry import PluginHost

OutputKind = Literal["picture", "folder", "video"]
PICTURE_SUFFIX = ".png"


def choose_output(out: Path, host: PluginHost) -> OutputKind:
    """Say what a path asks for, before anything is drawn.

    Args:
        out: ``.png`` is one picture, no ending a folder, anything else a video.
        host: Active plugins.

    Raises:
        ConfigError: If no active plugin writes such a video.
    """
    if out.suffix.lower() == PICTURE_SUFFIX:
        return "picture"
    if out.is_dir() or not out.suffix:
        return "folder"
    host.exporter_for(out, "frames")
    return "video"


def save_frames(
    frames: NDArray[np.uint8],
    out: Path,
    host: PluginHost,
    *,
    names: Sequence[str],
    fps: float,
) -> OutputKind:
    """Write frames to what a path asks for.

    Args:
        frames: [T, H, W, 3].
        out: As for ``choose_output``.
        host: Active plugins.
        names: One per frame, for the pictures of a folder.
        fps: Frames per second of a video.

    Returns:
        What was written.

    Raises:
        ConfigError: If there are several frames for one picture, or no plugin writes such a video.
        StorageError: If a file cannot be written.
    """
    kind = choose_output(out, host)
    if kind == "video":
        exporter = host.exporter_for(out, "frames")
        write: FrameExporter = host.build(ExporterSpec, exporter.name, {}, where=str(out))
        write(frames, out, fps=fps)
    elif kind == "folder":
        for name, frame in zip(names, frames, strict=True):
            save_picture(out / f"{name}{PICTURE_SUFFIX}", frame)
    else:
        check_one(len(frames), out)
        save_picture(out, frames[0])
    return kind


def check_one(count: int, out: Path) -> None:
    """Raise unless one picture is all there is to write.

    Raises:
        ConfigError: If there are more.
    """
    if count != 1:
        raise ConfigError(
            f"{out}: expected one camera for one picture, got {count}. Give a folder or a .mp4."
        )


def resize_cameras(cameras: Cameras, width: int) -> Cameras:
    """Return cameras that see the same in pictures of another width; the height follows.

    Raises:
        RangeError: If the width is below 1.
    """
    check_range("resize_cameras: width", width, 1, 65535)
    height = max(1, round(cameras.height * width / cameras.width))
    factors = np.array([width / cameras.width, height / cameras.height] * 2)
    return replace(cameras, fxfycxcy=cameras.fxfycxcy * factors, height=height, width=width)
