"""A procedural recording of a walking mouse, on disk as a laboratory would have it.

Layout: ``videos_undist/{0..5}.mp4``, mask videos ``simpleclick_undist/{0..5}.mp4`` with the animal
white, and ``new_cam.pkl``, a list of ``R``, ``T`` (world to camera, OpenCV axes, mm) and ``K``,
whose pixel centres are at whole numbers as in OpenCV. ``truth.json`` beside them says what no
laboratory knows.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.cameras import project, to_w2c
from mfl_adapt.checks import check_range
from mfl_adapt.files import write_atomically
from mfl_adapt.images import save_picture
from mfl_adapt.images.mp4 import Mp4Writer
from mfl_adapt.synth.arena import FLOOR_MM, HABITAT_MM, draw_arena, raw_lab_rig
from mfl_adapt.synth.constants import GENERATOR_VERSION, SAMPLES_PER_AXIS
from mfl_adapt.synth.renderer import Picture, render_view
from mfl_adapt.synth.walk import MM_PER_UNIT, Walk, make_walk
from mfl_adapt.types import Cameras

if TYPE_CHECKING:
    from mfl_adapt.synth.ellipsoids import Ellipsoid
    from mfl_adapt.types import Bytes, Float

# OpenCV's pixel coordinates are half a pixel smaller than ours.
_HALF_PIXEL = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """What was in front of which cameras.

    Attributes:
        seed: Seed of mouse and path.
        num_frames: Frames of each video.
        fps: Frames per second.
        cameras: The rig in mm, [V]; pixel centres at +0.5.
        walk: The mouse and its path.
    """

    seed: int
    num_frames: int
    fps: float
    cameras: Cameras
    walk: Walk

    def ellipsoids(self, frame: int) -> list[Ellipsoid]:
        """The mouse in the raw world, in mm."""
        return self.walk.ellipsoids(frame / self.fps)

    def subject(self, frame: int) -> Float:
        """Middle of the mouse's body in the raw world, [3] in mm."""
        return self.walk.position(frame / self.fps)

    def render(self, frame: int, camera: Cameras, *, samples: int = SAMPLES_PER_AXIS) -> Picture:
        """The mouse on white through any camera in mm, as ``render_view`` gives it.

        Args:
            frame: Number of the frame.
            camera: One camera, c2w [4, 4] to the raw world and fxfycxcy [4].
            samples: Samples per pixel and axis.

        Returns:
            Colour, alpha and depth.

        Raises:
            RangeError: If a size is below 1 or a focal length not positive.
            ShapeError: If the camera has leading axes.
        """
        parts = self.ellipsoids(frame)
        height, width = camera.height, camera.width
        left, right, top, bottom = _bounds(parts, camera)
        rgb, alpha = np.ones((height, width, 3)), np.zeros((height, width))
        whole = Picture(rgb, alpha, np.zeros((height, width)))
        if left < right and top < bottom:
            shifted = camera.fxfycxcy - np.array([0.0, 0.0, left, top])
            size = {"height": bottom - top, "width": right - left}
            small = render_view(parts, camera.c2w, shifted, **size, samples=samples)
            for target, source in zip(whole, small, strict=True):
                target[top:bottom, left:right] = source
        return whole


def make_recording(
    *, frames: int, seed: int = 0, fps: float = 25.0, scale: float = 1.0
) -> Recording:
    """Draw a mouse, its walk and the rig; nothing is rendered.

    Args:
        frames: Number of frames.
        seed: Decides coat, build and path of the mouse.
        fps: Frames per second; the mouse walks about 45 mm/s, one round in 2.2 s.
        scale: Factor on the pictures of 1152 x 1024 px.

    Raises:
        RangeError: If a number is out of range.
    """
    check_range("recording: frames", frames, 1, 1_000_000)
    check_range("recording: seed", seed, 0, 2**31)
    check_range("recording: fps", fps, 1e-3, 1e4)
    check_range("recording: scale", scale, 1 / 64, 8.0)
    walk = make_walk(seed, HABITAT_MM, FLOOR_MM)
    return Recording(seed, frames, fps, raw_lab_rig(scale), walk)


def write_recording(
    folder: Path,
    *,
    frames: int,
    seed: int = 0,
    fps: float = 25.0,
    scale: float = 1.0,
    samples: int = SAMPLES_PER_AXIS,
    crf: int = 8,
    true_masks: bool = False,
    on_frame: Callable[[int, int], None] | None = None,
) -> Recording:
    """Render a recording and write it as a laboratory's folder.

    The same settings give the same pixels; the bytes of the videos also depend on the codec.

    Args:
        folder: Folder to write; made where missing, its files are replaced.
        frames: Number of frames.
        seed: Decides coat, build and path of the mouse.
        fps: Frames per second.
        scale: Factor on the pictures of 1152 x 1024 px.
        samples: Samples per pixel and axis.
        crf: Quality of the H.264 videos, from 0 (lossless) to 51.
        true_masks: Also write the masks before the codec, as ``true_masks/{camera}/{frame}.png``.
        on_frame: Called with pictures done and pictures in all, for a progress bar.

    Returns:
        The recording, with its truth.

    Raises:
        RangeError: If a number is out of range.
        StorageError: If a file cannot be written, or there is no FFmpeg to write it with.
    """
    recording = make_recording(frames=frames, seed=seed, fps=fps, scale=scale)
    total = frames * len(recording.cameras)
    for number in range(len(recording.cameras)):
        film = _Film(recording, number, samples)
        masks_of = folder / "true_masks" / str(number) if true_masks else None
        with (
            Mp4Writer(folder / "videos_undist" / f"{number}.mp4", fps=fps, crf=crf) as video,
            Mp4Writer(folder / "simpleclick_undist" / f"{number}.mp4", fps=fps, crf=crf) as masks,
        ):
            for frame in range(frames):
                rgb, mask = film.shoot(frame)
                video.add(rgb)
                masks.add(np.repeat(mask[:, :, None], 3, axis=2))
                if masks_of is not None:
                    save_picture(masks_of / f"{frame:06d}.png", np.repeat(mask[..., None], 3, 2))
                if on_frame is not None:
                    on_frame(number * frames + frame + 1, total)
    write_atomically(folder / "new_cam.pkl", _calibration(recording.cameras))
    write_atomically(folder / "truth.json", _truth(recording).encode())
    return recording


class _Film:
    """What one camera records; the empty arena is drawn once."""

    def __init__(self, recording: Recording, number: int, samples: int) -> None:
        cameras = recording.cameras
        self._recording, self._samples = recording, samples
        self._camera = cameras[number]
        self._arena = draw_arena(self._camera)

    def shoot(self, frame: int) -> tuple[Bytes, Bytes]:
        """Picture [H, W, 3] and mask [H, W] of one frame."""
        picture = self._recording.render(frame, self._camera, samples=self._samples)
        alpha = picture.alpha[..., None]
        rgb = self._arena + alpha * (picture.rgb - self._arena)
        return _to_bytes(rgb), _to_bytes(picture.alpha)


def _to_bytes(values: Float) -> Bytes:
    return np.rint(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)


def _bounds(parts: list[Ellipsoid], camera: Cameras) -> tuple[int, int, int, int]:
    """Columns and rows that hold the whole mouse: left, right, top, bottom."""
    centers = np.stack([part.center for part in parts])
    reach = max(float(part.radii.max()) for part in parts)
    low, high = centers.min(axis=0) - reach, centers.max(axis=0) + reach
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True)), axis=-1).reshape(-1, 3)
    pixels, depth = project(corners, camera.c2w, camera.fxfycxcy)
    if depth.min() <= 0:  # a camera among the mouse's parts
        return 0, camera.width, 0, camera.height
    left, top = np.floor(pixels.min(axis=0)).astype(int)
    right, bottom = np.ceil(pixels.max(axis=0)).astype(int)
    return max(left, 0), min(right, camera.width), max(top, 0), min(bottom, camera.height)


def _calibration(cameras: Cameras) -> bytes:
    """The pickle that the laboratory would have written."""
    entries = []
    for w2c, (fx, fy, cx, cy) in zip(to_w2c(cameras.c2w), cameras.fxfycxcy, strict=True):
        k = np.array([[fx, 0, cx - _HALF_PIXEL], [0, fy, cy - _HALF_PIXEL], [0, 0, 1]])
        entries.append({"R": w2c[:3, :3].copy(), "T": w2c[:3, 3:].copy(), "K": k})
    return pickle.dumps(entries, protocol=4)


def _truth(recording: Recording) -> str:
    frames = range(recording.num_frames)
    cameras = recording.cameras
    content = {
        "generator": GENERATOR_VERSION,
        "seed": recording.seed,
        "fps": recording.fps,
        "unit": "mm",
        "mm_per_unit": MM_PER_UNIT,
        "subject": [recording.subject(frame).tolist() for frame in frames],
        "heading_deg": [recording.walk.heading_deg(frame / recording.fps) for frame in frames],
        "height": cameras.height,
        "width": cameras.width,
        "c2w": cameras.c2w.tolist(),
        "fxfycxcy": cameras.fxfycxcy.tolist(),
    }
    return json.dumps(content, indent=1) + "\n"
