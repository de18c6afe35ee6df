"""The pictures that the script draws, and its command line."""

import cv2
import numpy as np
import pytest
from mfl_adapt.cameras import project

from mfl_adapt_finch.bird import Ellipsoid, draw_looks, pose_bird
from mfl_adapt_finch.config import SessionsConfig
from mfl_adapt_finch.drawing import LabCamera, draw_backdrop, draw_bird
from mfl_adapt_finch.make_dataset import main
from mfl_adapt_finch.sessions import Sessions

SMALL = ["--birds", "1", "--frames", "1", "--cameras", "3", "--width", "64"]


def ahead(size=120, focal=300.0, bend=(0.0,) * 5):
    """A camera at (0, 0, 1200) that looks down at the origin."""
    matrix = np.array([[focal, 0, (size - 1) / 2], [0, focal, (size - 1) / 2], [0, 0, 1]])
    turn, shift = np.array([np.pi, 0.0, 0.0]), np.array([0.0, 0.0, 1200.0])
    return LabCamera("a", (size, size), matrix, np.array(bend), turn, shift)


def ball(radius, place=(0.0, 0.0, 0.0), colour=(1.0, 0.0, 0.0)):
    return Ellipsoid(np.array(place), np.full(3, radius), np.eye(3), colour, colour)


def test_a_ball_covers_what_geometry_says():
    camera = ahead()
    _, mask = draw_bird(camera, draw_backdrop(camera, []), [ball(100.0)])
    # The cone that touches a ball of radius r at distance d has the tangent r / sqrt(d^2 - r^2).
    radius_px = 300.0 * 100.0 / np.sqrt(1200.0**2 - 100.0**2)
    assert (mask == 255).sum() == pytest.approx(np.pi * radius_px**2, rel=0.01)
    rows, columns = np.nonzero(mask)
    assert (rows.mean(), columns.mean()) == pytest.approx((59.5, 59.5), abs=0.05)


def test_the_lens_bends_the_picture_as_opencv_does():
    camera = ahead(size=240, bend=(-0.3, 0.08, 0.001, -0.002, 0.0))
    place = (300.0, 200.0, 0.0)
    _, mask = draw_bird(camera, draw_backdrop(camera, []), [ball(25.0, place)])
    rows, columns = np.nonzero(mask)
    straight = ahead(size=240).project(np.array([place]))[0]
    bent = camera.project(np.array([place]))[0]
    assert np.linalg.norm(bent - straight) > 1.0
    assert (columns.mean(), rows.mean()) == pytest.approx(tuple(bent), abs=0.3)


def test_what_is_nearer_hides_what_is_behind():
    camera = ahead()
    behind = ball(100.0, colour=(0.0, 1.0, 0.0))
    perch = ball(40.0, (0.0, 0.0, 500.0))
    rgb, mask = draw_bird(camera, draw_backdrop(camera, [perch]), [behind])
    assert mask[60, 60] == 0
    assert rgb[60, 60, 0] > rgb[60, 60, 1]
    rgb, mask = draw_bird(camera, draw_backdrop(camera, [behind]), [perch])
    assert mask[60, 60] == 255
    assert rgb[60, 60, 0] > rgb[60, 60, 1]


def test_a_bird_out_of_sight_leaves_the_picture_alone():
    camera = ahead()
    backdrop = draw_backdrop(camera, [])
    rgb, mask = draw_bird(camera, backdrop, [ball(10.0, (900.0, 0.0, 0.0))])
    assert not mask.any()
    np.testing.assert_array_equal(rgb, backdrop.picture)


def test_birds_stand_on_their_perch_and_measure_what_finches_do():
    lengths = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        parts = pose_bird(draw_looks(rng), rng, np.array([0.0, 0.0, 1100.0]))
        reach = np.stack([np.sqrt(((one.axes * one.radii) ** 2).sum(axis=1)) for one in parts])
        centers = np.stack([one.center for one in parts])
        assert (centers - reach)[:, 2].min() > 1080
        corners = np.concatenate([centers - reach, centers + reach])
        lengths.append(np.linalg.norm(np.ptp(corners, axis=0)[:2]))
    assert 80 < np.median(lengths) < 130


def test_masks_are_where_the_cameras_see_the_bird(drawn):
    """The middle of the hull of all masks is in every mask, through the reader's own cameras."""
    for sample in Sessions(SessionsConfig(path=drawn)):
        axis = np.arange(-110.0, 111.0, 10.0)
        points = np.stack(np.meshgrid(axis, axis, 1120.0 + axis), axis=-1).reshape(-1, 3)
        inside = np.ones(len(points), bool)
        for view in sample.views:
            pixels, _ = project(points, view.c2w, view.fxfycxcy)
            columns, rows = np.floor(pixels).astype(int).T
            known = (columns >= 0) & (columns < view.width) & (rows >= 0) & (rows < view.height)
            inside &= known
            inside[known] &= view.mask[rows[known], columns[known]] > 127
        # A body of 60 x 36 x 38 mm holds some 43 points of a grid of 10 mm.
        assert 30 < inside.sum() < 200


def test_the_same_seed_draws_the_same_and_more_birds_only_add(tmp_path):
    for name, birds, seed in (("a", 1, 4), ("b", 2, 4), ("c", 1, 5)):
        words = [*SMALL, "--birds", str(birds), "--seed", str(seed)]
        assert main([str(tmp_path / name), *words]) == 0
    files = {path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*")}
    assert len(files) > 8
    for file in files:
        first = tmp_path / "a" / file
        if first.is_file():
            assert first.read_bytes() == (tmp_path / "b" / file).read_bytes(), file
    calibrations = [(tmp_path / name / "calibration.csv").read_text() for name in "ac"]
    assert calibrations[0] != calibrations[1]


def test_writes_the_configuration_of_a_run(drawn, tmp_path, capsys):
    assert (drawn / "finch.yaml").read_text().startswith("# Zebra finches")
    assert main([str(tmp_path / "new"), *SMALL]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == f"mfl-adapt train {tmp_path / 'new'}/finch.yaml --data {tmp_path / 'new'}"


@pytest.mark.parametrize(
    ("words", "expected"),
    [([], "expected a new or empty folder"), (["--bump", "cam001"], "cam000, cam120, cam240")],
)
def test_refuses_in_one_line(tmp_path, capsys, words, expected):
    if not words:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").write_text("keep")
    assert main([str(tmp_path / "out"), *SMALL, *words]) == 1
    said = capsys.readouterr().err
    assert expected in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("words", [["--birds", "0"], ["--cameras", "2"], ["--width", "x"]])
def test_impossible_wishes_are_wrong_usage(tmp_path, capsys, words):
    with pytest.raises(SystemExit) as caught:
        main([str(tmp_path / "out"), *words])
    assert caught.value.code == 2
    assert words[0] in capsys.readouterr().err


def test_pictures_are_whole_and_in_colour(drawn):
    pictures = sorted(drawn.rglob("frame_*.png"))
    assert len(pictures) == 2 * 2 * 5
    for file in pictures:
        picture = cv2.imread(str(file))
        assert picture.shape == (120, 160, 3)
        mask = cv2.imread(str(file.with_name(file.name.replace("frame", "mask"))))
        assert 0.005 < (mask[..., 0] > 127).mean() < 0.2
