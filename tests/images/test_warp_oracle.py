"""Warped pictures against pictures rendered analytically by the camera that they claim."""

import numpy as np
import pytest

from mfl_adapt.cameras import lens, look_at, look_at_map
from mfl_adapt.images import RawView, begin_sample, composite, warp_sample
from mfl_adapt.synth.renderer import render_view
from mfl_adapt.synth.scenes import make_scene
from mfl_adapt.types import RawCamera

HEIGHT, WIDTH, SIZE = 230, 260, 96
CENTER = np.array([1.4, -1.9, 0.9])
RAW_POSE = look_at(CENTER, [0.2, 0.1, -0.1], up=[0.1, -0.05, 1.0])


@pytest.fixture(scope="module")
def mouse():
    return make_scene("mice", 3).ellipsoids


def render(mouse, c2w, fxfycxcy, height, width):
    picture = render_view(mouse, c2w, np.array(fxfycxcy), height=height, width=width)
    rgb, mask = np.rint(picture.rgb * 255), np.rint(picture.alpha * 255)
    return rgb.astype(np.uint8), mask.astype(np.uint8)


def psnr(first, second) -> float:
    over_white = [composite(*picture, 1.0) for picture in (first, second)]
    return float(-10 * np.log10(np.mean((over_white[0] - over_white[1]) ** 2)))


def iou(first, second) -> float:
    inside = [picture[1] > 127 for picture in (first, second)]
    return float((inside[0] & inside[1]).sum() / (inside[0] | inside[1]).sum())


@pytest.mark.parametrize("focal", [70.0, 110.0, 190.0], ids=["shrunk", "same", "enlarged"])
def test_a_turned_camera_sees_what_it_would_have_seen(mouse, focal):
    raw = RawCamera(
        tuple(tuple(row) for row in RAW_POSE.tolist()), (190.0, 186.0, 128.0, 119.0), HEIGHT, WIDTH
    )
    view = RawView("cam", *render(mouse, RAW_POSE, raw.fxfycxcy, HEIGHT, WIDTH), raw)
    sample = begin_sample("s", [view], step="r", params={})
    aimed, wanted = look_at(CENTER), [focal, focal, SIZE / 2, SIZE / 2]
    moved = warp_sample(
        sample,
        step="aim",
        params={},
        pixel_maps=[look_at_map(RAW_POSE, raw.fxfycxcy, aimed, wanted)],
        sizes=[(SIZE, SIZE)],
    ).views[0]
    np.testing.assert_allclose(moved.c2w, aimed, rtol=0, atol=1e-12)
    np.testing.assert_allclose(moved.fxfycxcy, wanted, rtol=1e-12)
    expected = render(mouse, aimed, wanted, SIZE, SIZE)
    found = (moved.rgb, moved.mask)
    assert psnr(found, expected) > 34
    assert iou(found, expected) > 0.97
    # Half a pixel off is clearly worse, so that the figures above do prove something.
    half = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    shifted = warp_sample(
        sample,
        step="aim",
        params={},
        pixel_maps=[half @ look_at_map(RAW_POSE, raw.fxfycxcy, aimed, wanted)],
        sizes=[(SIZE, SIZE)],
    ).views[0]
    assert psnr((shifted.rgb, shifted.mask), expected) < psnr(found, expected) - 7


def bend(picture, camera: RawCamera, fine: int):
    """Look every raw pixel up in a straight picture with ``fine`` x ``fine`` pixels for each."""
    rgb, mask = picture
    height, width = camera.height, camera.width
    y, x = np.mgrid[0 : height * fine, 0 : width * fine] + 0.5
    rays = lens.undistort(lens.from_pixels(np.stack([x, y], axis=-1) / fine, camera), camera)
    place = (rays * camera.fxfycxcy[:2] + camera.fxfycxcy[2:]) * fine
    column, row = np.moveaxis(np.floor(place).astype(int), -1, 0)
    shown = (column >= 0) & (column < width * fine) & (row >= 0) & (row < height * fine)
    column, row = np.where(shown, column, 0), np.where(shown, row, 0)
    blocks = (height, fine, width, fine)
    weight = (mask[row, column] * shown / 255.0)[..., None]
    paint = (rgb[row, column] * weight).reshape(*blocks, 3).mean(axis=(1, 3))
    alpha = weight.reshape(*blocks, 1).mean(axis=(1, 3))
    colour = np.rint(np.clip(paint / np.maximum(alpha, 1e-9), 0, 255)).astype(np.uint8)
    return colour, np.rint(alpha[..., 0] * 255).astype(np.uint8)


def test_a_bent_picture_straightens_into_the_pinhole_one(mouse):
    # The mouse is away from the middle, where this lens moves its picture by several pixels.
    height, width, fine = 120, 140, 4
    pose = look_at([1.1, -1.4, 0.7], [0.45, 0.25, -0.4])
    k = (120.0, 117.0, 72.0, 58.0)
    rows = tuple(tuple(row) for row in pose.tolist())
    camera = RawCamera(rows, k, height, width, "brown", (-0.3, 0.1, 0.004, -0.003))
    large = render(mouse, pose, np.array(k) * fine, height * fine, width * fine)
    bent = bend(large, camera, fine)
    straight = begin_sample("s", [RawView("cam", *bent, camera)], step="r", params={}).views[0]
    expected = render(mouse, pose, k, height, width)
    found = (straight.rgb, straight.mask)
    assert iou(bent, expected) < 0.9
    assert iou(found, expected) > 0.97
    assert psnr(found, expected) > psnr(bent, expected) + 10
    assert psnr(found, expected) > 34
