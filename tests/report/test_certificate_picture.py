"""The certificate's picture: where outlines run, what the plots show, and odd samples."""

from dataclasses import replace

import numpy as np
import pytest

from mfl_adapt.data.certificate import certify
from mfl_adapt.images import decode_picture
from mfl_adapt.report import certificate as room
from mfl_adapt.report.certificate import certificate_picture, save_certificate_picture
from mfl_adapt.synth.samples import render_sample
from mfl_adapt.types import RigContract

CONTRACT = RigContract(size=64, patch=8, depth_reach=1.8)


def draw(sample):
    return certificate_picture(sample, certify(sample, CONTRACT), CONTRACT)


def near(picture, colour):
    """Pixels of about a colour, whatever they were blended with."""
    return (np.abs(picture.astype(int) - colour).max(axis=2) < 60).sum()


@pytest.fixture(scope="module")
def mouse():
    return render_sample("mice", 1, rig="slots", size=64)


def test_size_and_colours(mouse):
    picture = draw(mouse)
    header = 2 * room.LINE_PX
    row = room.TILE_PX + 2 * room.LINE_PX
    height = header + row + room.PLOT_PX + 3 * room.GAP_PX
    assert picture.shape == (height, 6 * (room.TILE_PX + room.GAP_PX), 3)
    tiles = picture[header + room.GAP_PX :][:row]
    for colour in (room.MASK_COLOUR, room.HULL_COLOUR):
        assert near(tiles, colour) > 200
    plots = picture[-room.PLOT_PX - room.GAP_PX :, : 2 * room.PLOT_PX]
    assert near(plots, room.SUBJECT_COLOUR) > 20


def test_outlines_follow_the_mask():
    """A square from 16 to 48 of 64 px: its outline is at 64 and 192 of 256."""
    tile = np.full((256, 256, 3), 255, np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 255
    room._outline(tile, mask, (0, 0, 0), thickness=1)
    rows, columns = np.nonzero(tile[:, :, 0] < 128)
    # OpenCV follows the centres of the outermost pixels, half a mask pixel inside.
    assert (rows.min(), rows.max()) == pytest.approx((64, 192), abs=3)
    assert (columns.min(), columns.max()) == pytest.approx((64, 192), abs=3)
    assert (tile[100:150, 100:150] == 255).all()


def test_an_outline_at_the_frame_is_drawn():
    tile = np.full((64, 64, 3), 255, np.uint8)
    room._outline(tile, np.full((64, 64), 255, np.uint8), (0, 0, 0), thickness=1)
    assert (tile[1:-1, 0] < 128).all() or (tile[1:-1, 1] < 128).all()


def test_the_rig_from_above(mouse):
    """The front camera, azimuth 270, is below the middle of the plot; the back one above it."""
    found = certify(mouse, CONTRACT)
    plot = room._draw_rig(mouse, found, (0, 1), "")
    front = replace(mouse, views=mouse.views[:1])
    assert near(plot, room.HULL_COLOUR) > near(
        room._draw_rig(front, found, (0, 1), ""), room.HULL_COLOUR
    )
    blue = np.abs(room._draw_rig(front, found, (0, 1), "").astype(int) - room.HULL_COLOUR)
    rows = np.nonzero((blue.max(axis=2) < 60).any(axis=1))[0]
    assert rows.min() > room.PLOT_PX / 2


def test_failures_are_named_and_counted(mouse):
    views = tuple(
        replace(view, fxfycxcy=view.fxfycxcy + np.array([0, 0, 3.0, 0])) for view in mouse.views
    )
    found = certify(replace(mouse, views=views), CONTRACT)
    lines = room._text_lines(found)
    assert any(line.startswith("law: principal_point 3 in cam_000 and 5 more") for line in lines)


def test_many_views_are_thinned():
    sample = render_sample("mice", 0, size=32, num_views=14)
    picture = draw(sample)
    assert picture.shape[0] > draw(replace(sample, views=sample.views[:6])).shape[0]
    assert len(room._some_views(sample)) == room.MOST_VIEWS
    assert room._some_views(sample)[0] == 0
    assert room._some_views(sample)[-1] == 13


def test_odd_samples_are_drawn(mouse):
    bare = replace(mouse, views=tuple(replace(view, mask=None) for view in mouse.views))
    assert draw(bare).shape == draw(mouse).shape
    broken = []
    for view in mouse.views:
        c2w = view.c2w.copy()
        c2w[0, 3] = np.nan
        broken.append(replace(view, c2w=c2w))
    assert draw(replace(mouse, views=tuple(broken))).shape == draw(mouse).shape
    wide = replace(mouse.views[0], rgb=mouse.views[0].rgb.astype(np.uint16) * 257)
    assert np.array_equal(draw(replace(mouse, views=(wide, *mouse.views[1:]))), draw(mouse))


def test_it_is_written_as_a_picture(tmp_path, mouse):
    path = tmp_path / "certificate.png"
    found = certify(mouse, CONTRACT)
    save_certificate_picture(path, mouse, found, CONTRACT)
    assert np.array_equal(decode_picture(path.read_bytes(), str(path)).rgb, draw(mouse))
