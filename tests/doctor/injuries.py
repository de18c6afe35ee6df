"""Ways to spoil a good dataset folder, each one a mistake that laboratories have made.

Every function changes the files of a dataset in place, as a script or a careless hand would. The
history that a dataset of our own carries goes with it, since a foreign tool writes none; only
``moved_after_preparation`` leaves it.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mfl_adapt.cameras import facelift_ring, to_w2c
from mfl_adapt.images import load_picture, save_picture

CAMERAS = "opencv_cameras.json"
# Factors by which a fork of FaceLift moves the cameras of its rig, one by one.
RADIAL = (1.346, 0.799, 0.911, 0.975, 1.041, 1.084)
# World units of the lab rig: its mean distance is 331.4 mm, which becomes 2.7.
MM_PER_UNIT = 331.4 / 2.7


def samples(folder: Path) -> list[Path]:
    """Sample folders by name."""
    return sorted(file.parent for file in folder.glob(f"*/{CAMERAS}"))


def pictures(sample: Path) -> list[Path]:
    """Pictures of a sample in the order of its views."""
    return sorted((sample / "images").glob("cam_*.png"))


def edit_frames(sample: Path, edit: Callable[[int, dict[str, Any]], None]) -> None:
    """Change the cameras of one sample; its history, which knows better, goes."""
    file = sample / CAMERAS
    content = json.loads(file.read_text())
    for index, frame in enumerate(content["frames"]):
        edit(index, frame)
    file.write_text(json.dumps(content))
    (sample / "provenance.json").unlink(missing_ok=True)


def edit_poses(folder: Path, edit: Callable[[int, np.ndarray], None]) -> None:
    """Change c2w, [4, 4], of every view in place."""

    def change(index, frame):
        c2w = to_w2c(np.array(frame["w2c"]))
        edit(index, c2w)
        frame["w2c"] = np.linalg.inv(c2w).tolist()

    for sample in samples(folder):
        edit_frames(sample, change)


def warp(sample: Path, maps: list[np.ndarray], *, with_cameras: bool = False) -> None:
    """Move the pixels of every view by an affine map [3, 3], with or without their cameras."""
    for path, matrix in zip(pictures(sample), maps, strict=True):
        rgb, mask = load_picture(path)
        white = np.where(mask[..., None] > 0, rgb, 255).astype(np.uint8)
        # OpenCV puts pixel centres at whole numbers.
        half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
        moved = (np.linalg.inv(half) @ matrix @ half)[:2]
        size = mask.shape[::-1]
        save_picture(
            path,
            cv2.warpAffine(white, moved, size, flags=cv2.INTER_LINEAR, borderValue=(255,) * 3),
            cv2.warpAffine(mask, moved, size, flags=cv2.INTER_LINEAR, borderValue=0),
        )

    def follow(index, frame):
        frame["fx"] *= maps[index][0, 0]
        frame["fy"] *= maps[index][1, 1]
        x, y, _ = maps[index] @ np.array([frame["cx"], frame["cy"], 1.0])
        frame["cx"], frame["cy"] = float(x), float(y)

    edit_frames(sample, follow if with_cameras else lambda index, frame: None)


def zoom(scale: float, about: tuple[float, float], to: tuple[float, float]) -> np.ndarray:
    """Affine map that scales and takes one pixel to another."""
    shift = np.subtract(to, scale * np.array(about))
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]], [0, 0, 1]])


def masks(sample: Path) -> list[np.ndarray]:
    """Where the subject is, [H, W] booleans per view."""
    return [load_picture(path).mask > 127 for path in pictures(sample)]


def millimetres(folder: Path) -> None:
    """The calibration's own units, and its own origin beside the animal."""

    def raw(index, c2w):
        c2w[:3, 3] = MM_PER_UNIT * c2w[:3, 3] + [60.0, -40.0, 20.0]

    edit_poses(folder, raw)


def metres(folder: Path) -> None:
    """The same in metres: everything lies within a unit of the origin, the cameras too."""

    def raw(index, c2w):
        c2w[:3, 3] *= MM_PER_UNIT / 1000

    edit_poses(folder, raw)


def cameras_of_another_rig(folder: Path) -> None:
    """Pictures from one rig, camera files from another."""
    ring = facelift_ring(6, size=96)

    def swap(index, frame):
        frame["w2c"] = to_w2c(ring.c2w[index]).tolist()
        for key, value in zip(("fx", "fy", "cx", "cy"), ring.fxfycxcy[index], strict=True):
            frame[key] = float(value)

    for sample in samples(folder):
        edit_frames(sample, swap)


def mirrored_pose(folder: Path) -> None:
    """A look-at matrix built with a left-handed cross product."""

    def mirror(index, c2w):
        c2w[:3, 0] *= -1

    edit_poses(folder, mirror)


def looking_away(folder: Path) -> None:
    """A proper rotation whose camera has the subject behind it."""

    def turn(index, c2w):
        c2w[:3, [0, 2]] *= -1

    edit_poses(folder, turn)


def intrinsics_overwritten(folder: Path) -> None:
    """Crops around the animal, then the focal length and centre that the model likes."""

    def overwrite(index, frame):
        frame["fx"] = frame["fy"] = 1.07225 * frame["w"]
        frame["cx"] = frame["cy"] = frame["w"] / 2

    for number, sample in enumerate(samples(folder)):
        rng = np.random.default_rng(number)
        middle = 48 + rng.uniform(-10, 10, (6, 2))
        warp(sample, [zoom(1.0, tuple(point), (48, 48)) for point in middle])
        edit_frames(sample, overwrite)


def subject_off_the_origin(folder: Path) -> None:
    """The calibration's origin is not the animal."""

    def shift(index, c2w):
        c2w[:3, 3] += [0.3, 0.1, 0.0]

    edit_poses(folder, shift)


def zoomed_one_by_one(folder: Path) -> None:
    """Every view scaled to one size about its mask's centre, under its old camera."""
    for sample in samples(folder):
        maps = []
        for mask in masks(sample):
            rows, columns = np.nonzero(mask)
            center = (columns.mean() + 0.5, rows.mean() + 0.5)
            maps.append(zoom(0.3 / np.sqrt(mask.mean()), center, (48, 48)))
        warp(sample, maps)


def pulled_to_one_distance(folder: Path) -> None:
    """Each camera moved along its own axis, as a fork of FaceLift does while it loads them."""

    def pull(index, c2w):
        c2w[:3, 3] *= 2.7 / np.linalg.norm(c2w[:3, 3])

    edit_poses(folder, pull)


def y_up(folder: Path) -> None:
    """A world whose y axis points up: (x, y, z) -> (x, z, -y)."""

    def turn(index, c2w):
        c2w[:3] = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]) @ c2w[:3]

    edit_poses(folder, turn)


def without_camera_files(folder: Path) -> None:
    """Six pictures flat in each folder, which then stand for FaceLift's default cameras."""
    (folder / "dataset.json").unlink()
    for sample in samples(folder):
        for path in pictures(sample):
            path.rename(sample / path.name)
        (sample / CAMERAS).unlink()
        (sample / "provenance.json").unlink()


def opengl(folder: Path) -> None:
    """Poses of a NeRF tool: y up and z backward."""

    def flip(index, c2w):
        c2w[:3, 1:3] *= -1

    edit_poses(folder, flip)


def one_picture_flipped(folder: Path) -> None:
    """An augmentation left to right, of one view only."""
    for sample in samples(folder):
        _flip(pictures(sample)[2])


def all_pictures_flipped(folder: Path) -> None:
    """An augmentation left to right that knows nothing of cameras."""
    for sample in samples(folder):
        for path in pictures(sample):
            _flip(path)


def _flip(path: Path) -> None:
    rgb, mask = load_picture(path)
    save_picture(path, rgb[:, ::-1].copy(), mask[:, ::-1].copy())
    (path.parents[1] / "provenance.json").unlink(missing_ok=True)


def stretched_pixels(folder: Path) -> None:
    """fx and fy scaled by the factors of another resize than the pictures'."""

    def stretch(index, frame):
        frame["fy"] *= 1.13

    for sample in samples(folder):
        edit_frames(sample, stretch)


def zoomed_out_of_the_frame(folder: Path) -> None:
    """A crop that cuts the animal, its camera with it."""
    for sample in samples(folder):
        warp(sample, [zoom(2.0, (48, 48), (48, 48))] * 6, with_cameras=True)


def centred_by_boxes(folder: Path) -> None:
    """Every picture shifted until its mask's bounding box is in the middle, tail and all."""
    for sample in samples(folder):
        maps = []
        for mask in masks(sample):
            rows, columns = np.nonzero(mask)
            x = (columns.min() + columns.max() + 1) // 2
            y = (rows.min() + rows.max() + 1) // 2
            maps.append(zoom(1.0, (x, y), (48, 48)))
        warp(sample, maps)


def unequal_sizes(folder: Path) -> None:
    """One view through a much shorter lens, rightly calibrated: no failure at all."""
    for sample in samples(folder):
        maps = [zoom(1.2, (48, 48), (48, 48))] * 5 + [zoom(0.5, (48, 48), (48, 48))]
        warp(sample, maps, with_cameras=True)


def principal_points_shifted(folder: Path) -> None:
    """Centred by a shift of cx and cy instead of a turn of the camera; exact, but off centre."""
    for sample in samples(folder):
        warp(sample, [zoom(1.0, (48, 48), (54, 44))] * 6, with_cameras=True)


def shuffled(folder: Path) -> None:
    """A list that somebody shuffled before cutting the validation set off its end."""
    file = folder / "dataset.json"
    content = json.loads(file.read_text())
    content["samples"] = content["samples"][1:] + content["samples"][:1]
    file.write_text(json.dumps(content))


def one_view_dropped(folder: Path) -> None:
    """A view without a mask was skipped without a word."""
    sample = samples(folder)[1]
    file = sample / CAMERAS
    content = json.loads(file.read_text())
    del content["frames"][2]
    file.write_text(json.dumps(content))
    (sample / "provenance.json").unlink()


def one_sample_for_another(folder: Path) -> None:
    """What a loader leaves that returns some other sample where one cannot be read."""
    first, _, last = samples(folder)
    shutil.rmtree(last)
    shutil.copytree(first, last)


def clipped_from_16_bits(folder: Path) -> None:
    """Pictures of 16 bits, clipped into 8 instead of divided by 257."""
    for sample in samples(folder):
        for path in pictures(sample):
            rgb, mask = load_picture(path)
            wide = rgb.astype(np.uint16) * 257
            save_picture(path, np.minimum(wide, 255).astype(np.uint8), mask)


def twelve_bits_in_sixteen(folder: Path) -> None:
    """The 12 bits of a sensor, stored in the low bits of a 16-bit PNG."""
    for sample in samples(folder):
        for path in pictures(sample):
            rgb, mask = load_picture(path)
            alpha = mask.astype(np.uint16)[..., None] * 257
            sensor = (rgb.astype(np.float64) / 255 * 4095).astype(np.uint16)
            write_16_bits(path, np.concatenate([sensor, alpha], axis=2))


def write_16_bits(path: Path, rgba: np.ndarray) -> None:
    """Write a PNG of 16 bits per channel, [H, W, 4] uint16."""
    assert rgba.dtype == np.uint16
    assert cv2.imwrite(str(path), rgba[..., [2, 1, 0, 3]])


def moved_after_preparation(folder: Path) -> None:
    """One camera edited by hand after the dataset was prepared; its history says otherwise."""
    file = samples(folder)[0] / CAMERAS
    content = json.loads(file.read_text())
    content["frames"][1]["w2c"][2][3] += 0.02
    file.write_text(json.dumps(content))
