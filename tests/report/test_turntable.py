"""Which way the turntable turns, and where it begins."""

import numpy as np
import pytest
import torch
from balls import BLUE, GREEN, PURPLE, RED, YELLOW, make_balls

from mfl_adapt.errors import BackendError, RangeError
from mfl_adapt.report.turntable import draw_frames, to_device, turntable_frames
from mfl_adapt.types import RigContract

CONTRACT = RigContract(size=64, patch=8, depth_reach=1.8)


def at(right, up, size=64, distance=2.7):
    """Row and column of a point at the origin's depth, by hand: focal ratio 1.07225."""
    scale = 1.07225 * size / distance
    return round(size / 2 - up * scale), round(size / 2 + right * scale)


MIDDLE, LEFT, RIGHT, ABOVE = at(0, 0), at(-0.55, 0), at(0.55, 0), at(0, 0.55)


def colour(frame, place):
    """Mean colour of the four pixels around a place, in [0, 1]."""
    row, column = place
    return frame[row - 1 : row + 1, column - 1 : column + 1].reshape(-1, 3).mean(axis=0) / 255


def near(frame, place, wanted):
    return np.abs(colour(frame, place) - np.array(wanted)).max() < 0.12


def test_the_first_frame_is_the_front_and_azimuths_rise():
    frames = turntable_frames(make_balls(), contract=CONTRACT, frames=4)
    assert (frames.shape, frames.dtype) == ((4, 64, 64, 3), np.uint8)
    front, left, back, right = frames
    assert near(front, MIDDLE, YELLOW)
    assert near(front, RIGHT, RED)
    assert near(front, LEFT, BLUE)
    # From +x at azimuth 0, +y is on the right.
    assert near(left, MIDDLE, RED)
    assert near(left, at(0.4, 0), PURPLE)
    assert near(left, at(-0.4, 0), YELLOW)
    assert near(back, MIDDLE, PURPLE)
    assert near(back, RIGHT, BLUE)
    assert near(right, MIDDLE, BLUE)
    assert all(near(frame, ABOVE, GREEN) for frame in frames)
    assert (frames[:, :4, :4] == 255).all()


def test_distance_focal_size_and_background_come_from_the_contract():
    far = RigContract(size=96, patch=8, depth_reach=1.8, distance=5.4, background=0.0)
    (frame,) = turntable_frames(make_balls(), contract=far, frames=1)
    assert frame.shape == (96, 96, 3)
    assert (frame[:4, :4] == 0).all()
    assert near(frame, at(0.55, 0, size=96, distance=5.4), RED)
    (frame,) = turntable_frames(make_balls(), contract=far, frames=1, size=48, background=0.2)
    assert frame.shape == (48, 48, 3)
    assert (frame[:4, :4] == 51).all()


def test_elevation_looks_down():
    (frame,) = turntable_frames(make_balls(), contract=CONTRACT, frames=1, elevation_deg=89.0)
    # From above, the front is at the lower edge.
    assert near(frame, MIDDLE, GREEN)
    assert near(frame, RIGHT, RED)
    assert near(frame, at(0, -0.4), YELLOW)


def test_progress_is_told_after_each_frame():
    told = []
    turntable_frames(
        make_balls(), contract=CONTRACT, frames=3, size=8, report=lambda *at: told.append(at)
    )
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_frames_need_no_gradient_and_draw_the_first_item():
    one = make_balls()
    one.means.requires_grad_()
    dark = make_balls(opacity=0.0)
    both = type(one)(*(torch.cat([getattr(s, n) for s in (one, dark)]) for n in one.__slots__))
    frames = [turntable_frames(s, contract=CONTRACT, frames=1) for s in (one, both)]
    np.testing.assert_array_equal(*frames)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"frames": 0}, RangeError, "num_views: expected a value from 1"),
        ({"size": 0}, RangeError, "size: expected a value from 1"),
        ({"elevation_deg": 90.0}, RangeError, "elevation_deg: expected a value from -89 to 89"),
        ({"elevation_deg": float("nan")}, RangeError, "elevation_deg: .* got nan"),
        ({"backend": "opengl"}, BackendError, "expected one of auto, gsplat, cpu, torch"),
    ],
)
def test_settings_are_checked(settings, error, message):
    with pytest.raises(error, match=message):
        turntable_frames(make_balls(), contract=CONTRACT, **settings)


def test_an_empty_set_is_refused():
    none = make_balls()
    none = type(none)(*(getattr(none, name)[:, :0] for name in none.__slots__))
    with pytest.raises(RangeError, match="turntable: expected at least one Gaussian, got none"):
        turntable_frames(none, contract=CONTRACT)


def test_cpu_backends_leave_gaussians_on_the_cpu():
    assert to_device(make_balls(), "cpu").means.device.type == "cpu"
    assert to_device(make_balls(), "torch").means.device.type == "cpu"


def test_colours_beyond_white_are_cut():
    from mfl_adapt.cameras import turntable

    bright = make_balls({(0.0, 0.0, 0.0): (3.0, 0.5, -2.0)}, opacity=1.0)
    (frame,) = draw_frames(bright, turntable(1, 16), background=0.0)
    assert frame[8, 8, 0] == 255
    assert frame[8, 8, 2] == 0
