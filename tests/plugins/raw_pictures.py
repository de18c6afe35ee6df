"""Rendered pictures of known cameras, and lenses by OpenCV, for the tests of the readers."""

from typing import NamedTuple

import cv2
import numpy as np

from mfl_adapt.cameras import history, look_at, project
from mfl_adapt.synth import make_scene, render_view
from mfl_adapt.types import Sample

HEIGHT, WIDTH = 60, 84
BROWN = (-0.31, 0.09, 0.004, -0.006, -0.02)
FISHEYE = (0.05, -0.02, 0.01, -0.003)


class Shot(NamedTuple):
    """A picture with the pinhole camera that saw it; OpenCV axes, pixel centres at +0.5."""

    rgb: np.ndarray
    mask: np.ndarray
    c2w: np.ndarray
    fxfycxcy: np.ndarray


def take_shots(count: int = 3, *, centered: bool = False) -> list[Shot]:
    """Shots of a mouse off the middle, with cameras that differ in everything."""
    scene = make_scene("mice", 5)
    shots = []
    for index in range(count):
        angle = 0.4 + 2 * np.pi * index / count
        eye = np.array([2.2 * np.cos(angle), 2.2 * np.sin(angle), 0.7 + 0.2 * index])
        c2w = np.asarray(look_at(eye, np.array([0.5, 0.4, -0.25])), np.float64)
        fx, fy, cx, cy = 72.0 + index, 73.5 + index, 41.1 - index, 30.8 + 0.3 * index
        if centered:
            fy, cx, cy = fx, WIDTH / 2, HEIGHT / 2
        fxfycxcy = np.array([fx, fy, cx, cy])
        shots.append(shoot(scene, c2w, fxfycxcy))
    return shots


def shoot(scene, c2w, fxfycxcy, *, height: int = HEIGHT, width: int = WIDTH) -> Shot:
    seen = render_view(scene.ellipsoids, c2w, fxfycxcy, height=height, width=width)
    rgb = np.rint(seen.rgb * 255).astype(np.uint8)
    return Shot(rgb, np.rint(seen.alpha * 255).astype(np.uint8), c2w, fxfycxcy)


def through_lens(shot: Shot, lens: str, coefficients) -> tuple[np.ndarray, np.ndarray]:
    """The picture and mask that the same camera takes through a lens, by OpenCV.

    Every raw pixel is straightened by OpenCV and looked up in a pinhole picture of four times the
    resolution and twice the field of view.
    """
    fx, fy, cx, cy = shot.fxfycxcy
    large = shoot(
        make_scene("mice", 5),
        shot.c2w,
        np.array([4 * fx, 4 * fy, 4 * (cx + WIDTH / 2), 4 * (cy + HEIGHT / 2)]),
        height=8 * HEIGHT,
        width=8 * WIDTH,
    )
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    raw = np.stack([columns, rows], axis=-1).reshape(-1, 1, 2)
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    call = cv2.fisheye.undistortPoints if lens == "fisheye" else cv2.undistortPoints
    rays = call(raw, matrix, np.array(coefficients)).reshape(HEIGHT, WIDTH, 2)
    # OpenCV's remap counts pixel centres from 0.
    x = (4 * (fx * rays[..., 0] + cx + WIDTH / 2) - 0.5).astype(np.float32)
    y = (4 * (fy * rays[..., 1] + cy + HEIGHT / 2) - 0.5).astype(np.float32)
    layers = np.dstack([255.0 - large.rgb, np.full_like(large.mask, 255)]) * large.mask[..., None]
    # A blur of 4 is centred half a pixel up and left of its anchor.
    bent = cv2.remap(cv2.blur(layers / 255.0, (4, 4)), x + 0.5, y + 0.5, cv2.INTER_LINEAR)
    rgb = 255.0 - 255.0 * bent[..., :3] / np.maximum(bent[..., 3:], 1.0)
    return np.rint(rgb).astype(np.uint8), np.rint(bent[..., 3]).astype(np.uint8)


def lens_pixels(points, shot: Shot, lens: str, coefficients) -> np.ndarray:
    """Raw pixels of world points through a lens, by OpenCV, [P, 2]."""
    w2c = np.linalg.inv(shot.c2w)
    fx, fy, cx, cy = shot.fxfycxcy
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    turn, _ = cv2.Rodrigues(w2c[:3, :3])
    call = cv2.fisheye.projectPoints if lens == "fisheye" else cv2.projectPoints
    shift = w2c[:3, 3].copy()
    pixels, _ = call(points.reshape(-1, 1, 3), turn, shift, matrix, np.array(coefficients))
    return pixels.reshape(-1, 2)


def check_cameras(sample: Sample, shots: list[Shot]) -> None:
    """The sample's cameras are those of the shots, to 1e-9."""
    assert len(sample.views) == len(shots)
    for view, shot in zip(sample.views, shots, strict=True):
        np.testing.assert_allclose(view.c2w, shot.c2w, rtol=0, atol=1e-9)
        np.testing.assert_allclose(view.fxfycxcy, shot.fxfycxcy, rtol=0, atol=1e-9)


def check_round_trip(sample: Sample, shots: list[Shot], lens: str, coefficients) -> None:
    """Raw pixels by OpenCV, followed along the history, are where the finished cameras see them."""
    assert history.round_trip_px(sample).max() < 1e-4
    points = np.random.default_rng(0).uniform(-0.4, 0.4, (50, 3))
    for index, (view, shot) in enumerate(zip(sample.views, shots, strict=True)):
        if lens == "pinhole":
            raw, _ = project(points, shot.c2w, shot.fxfycxcy)
        else:
            raw = lens_pixels(points, shot, lens, coefficients)
        expected, _ = project(points, view.c2w, view.fxfycxcy)
        found = history.from_raw_pixels(raw, index, sample.provenance)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def check_straightened(
    sample: Sample, shots: list[Shot], raw_masks, *, px: float = 0.05, iou: float = 0.95
) -> None:
    """Pictures and masks lie where the pinhole renders lie; the raw masks, bent, lie elsewhere.

    ``px`` is how far their centres of mass may be apart, ``iou`` the least overlap of the masks.
    """
    moved = []
    for view, shot, raw_mask in zip(sample.views, shots, raw_masks, strict=True):
        center = mass_center(shot.mask)
        assert np.abs(mass_center(view.mask) - center).max() < px
        moved.append(np.abs(mass_center(raw_mask) - center).max())
        kept, true = view.mask > 127, shot.mask > 127
        assert (kept & true).sum() / (kept | true).sum() > iou
        dark = [(255.0 - one.rgb.mean(axis=2)) * one.mask for one in (view, shot)]
        assert np.abs(mass_center(dark[0]) - mass_center(dark[1])).max() < px
    assert max(moved) > 0.6


def mass_center(weight: np.ndarray) -> np.ndarray:
    """Centre of mass (x, y) in pixels."""
    weight = weight.astype(float)
    rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]] + 0.5
    return np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
