"""Rays against a loop in numpy, the golden files and the projection matrices of the renderer."""

import numpy as np
import pytest
import torch

from mfl_adapt.models.rays import camera_rays, nearest_to_origin
from mfl_adapt.types import Cameras


def tilted_cameras():
    """Two cameras with fx != fy and an off-centre principal point, 5 x 7 pixels."""
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(2, 3, 3)))
    rotation *= np.linalg.det(rotation)[:, None, None]
    c2w = np.broadcast_to(np.eye(4), (2, 4, 4)).copy()
    c2w[:, :3, :3] = rotation
    c2w[:, :3, 3] = [[0.3, -2.0, 0.5], [1.0, 2.0, -1.0]]
    fxfycxcy = np.array([[6.0, 8.0, 3.0, 2.0], [9.0, 7.0, 3.9, 2.6]])
    return c2w, fxfycxcy


def as_tensors(c2w, fxfycxcy):
    return Cameras(torch.tensor(c2w), torch.tensor(fxfycxcy), height=5, width=7)


def test_directions_are_those_of_pixel_centres():
    c2w, fxfycxcy = tilted_cameras()
    rays = camera_rays(as_tensors(c2w, fxfycxcy))
    assert rays.directions.dtype == torch.float32
    for view in range(2):
        fx, fy, cx, cy = fxfycxcy[view]
        for i in range(5):
            for j in range(7):
                local = np.array([(j + 0.5 - cx) / fx, (i + 0.5 - cy) / fy, 1.0])
                expected = c2w[view, :3, :3] @ local / np.linalg.norm(local)
                np.testing.assert_allclose(rays.directions[view, :, i, j], expected, atol=1e-6)
        np.testing.assert_allclose(rays.origins[view].flatten(), c2w[view, :3, 3], atol=1e-7)


def test_nearest_point_is_perpendicular_to_the_ray_and_on_it():
    rays = camera_rays(as_tensors(*tilted_cameras()))
    points, distance = nearest_to_origin(rays)
    assert (points * rays.directions).sum(dim=-3).abs().max() < 1e-6
    torch.testing.assert_close(rays.origins + distance * rays.directions, points)


def test_autocast_does_not_reach_the_rays():
    cameras = as_tensors(*tilted_cameras())
    plain = camera_rays(cameras)
    with torch.autocast("cpu", torch.bfloat16):
        wrapped = camera_rays(cameras)
    assert torch.equal(plain.directions, wrapped.directions)


def test_rays_carry_no_gradient():
    c2w, fxfycxcy = tilted_cameras()
    cameras = Cameras(torch.tensor(c2w).requires_grad_(), torch.tensor(fxfycxcy), 5, 7)
    assert not camera_rays(cameras).directions.requires_grad


@pytest.mark.golden
@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_golden_directions(golden, case):
    _, cameras = golden.inputs(case)
    rays = camera_rays(cameras)
    torch.testing.assert_close(rays.directions, golden[f"{case}.mid.ray_d"], atol=1e-6, rtol=0)
    points, _ = nearest_to_origin(rays)
    expected = golden[f"{case}.mid.posed_images"][:, :, 6:]
    torch.testing.assert_close(points, expected, atol=1e-5, rtol=0)


@pytest.mark.golden
@pytest.mark.parametrize(("name", "dtype"), [("fp16", torch.float16), ("bf16", torch.bfloat16)])
def test_golden_half_precision_rays(golden, name, dtype):
    _, cameras = golden.inputs("c")
    rounded = camera_rays(cameras, round_to=dtype).directions
    expected = golden[f"c.sim.ray_d_{name}"]
    # A value beside a rounding boundary may fall either way: one unit in the last place below 1.
    ulp = float(torch.finfo(dtype).eps) / 2
    assert (rounded - expected).abs().max() < 1.01 * ulp
    # Almost all are equal, which the unrounded rays are nowhere near.
    assert ((rounded - expected).abs() < 1e-6).float().mean() > 0.99
    exact = camera_rays(cameras).directions
    assert ((exact - expected).abs() < 1e-6).float().mean() < 0.1


@pytest.mark.golden
@pytest.mark.parametrize("view", [0, 1])
def test_points_on_rays_project_to_pixel_centres(golden, view):
    rgb, cameras = golden.inputs("a")
    height, width = rgb.shape[-2:]
    rays = camera_rays(cameras)
    points = (rays.origins + 2.5 * rays.directions)[0, view].flatten(start_dim=1)
    world = torch.cat((points, torch.ones(1, points.shape[1])))
    clip = golden[f"misc.camera{view}.proj"] @ (golden[f"misc.camera{view}.view"] @ world)
    column = (clip[0] / clip[3] + 1) * width / 2
    row = (clip[1] / clip[3] + 1) * height / 2
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    torch.testing.assert_close(column, columns.flatten() + 0.5, atol=1e-3, rtol=0)
    torch.testing.assert_close(row, rows.flatten() + 0.5, atol=1e-3, rtol=0)
    # The tangents of half the field of view are those of the outermost rays.
    fx, fy = cameras.fxfycxcy[0, view, :2]
    tangents = torch.stack((width / (2 * fx), height / (2 * fy)))
    torch.testing.assert_close(golden[f"misc.camera{view}.tanfov"], tangents)
