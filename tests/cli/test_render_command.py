"""``mfl-adapt render``."""

import cv2
import numpy as np
import pytest
import torch
from bad_input import call, refuse
from mfl_adapt_exporters.config import PlyConfig
from mfl_adapt_exporters.ply import Ply

from mfl_adapt.data import write_dataset
from mfl_adapt.images.video import VideoReader
from mfl_adapt.synth import render_sample
from mfl_adapt.types import Gaussians

C0 = 0.28209479177387814


@pytest.fixture
def ply(empty_folder):
    """A red ball on the right of the origin as seen from the front, in the working directory."""
    red = (torch.tensor([0.8, 0.2, 0.2]) - 0.5) / C0
    ball = Gaussians(
        means=torch.tensor([[[0.5, 0.0, 0.0]]]),
        quats=torch.tensor([[[1.0, 0.0, 0.0, 0.0]]]),
        scales=torch.full((1, 1, 3), 0.15),
        opacities=torch.ones(1, 1),
        sh=red[None, None, None],
    )
    Ply(PlyConfig())(ball, empty_folder / "ball.ply")
    return "ball.ply"


def is_red(picture, column):
    """Whether a column's middle pixel is red; pictures are RGB."""
    return np.abs(picture[len(picture) // 2, column].astype(int) - [204, 51, 51]).max() < 25


def read(path):
    return cv2.imread(str(path))[:, :, ::-1]


def test_one_picture_from_the_front(ply, empty_folder):
    result = call("render", ply, "-o", "a.png", "--size", "64", "--background", "0.0")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "wrote a.png: 1 of 64 x 64\n"
    picture = read("a.png")
    # 0.5 x 1.07225 x 64 / 2.7 pixels right of the middle.
    assert is_red(picture, 32 + 13)
    assert (picture[:8, :8] == 0).all()


def test_a_turntable_as_a_video_and_as_pictures(ply, empty_folder):
    options = ["--turntable", "4", "--size", "64"]
    assert call("render", ply, "-o", "a.mp4", *options, "--fps", "8").exit_code == 0
    assert call("render", ply, "-o", "turn", *options).exit_code == 0
    video = VideoReader(empty_folder / "a.mp4")
    assert (len(video), video.fps, video.width) == (4, 8, 64)
    names = sorted(file.name for file in (empty_folder / "turn").iterdir())
    assert names == [f"frame_{index:03d}.png" for index in range(4)]
    pictures = [read(empty_folder / "turn" / name) for name in names]
    # Right in front, nearest from +x at azimuth 0, left behind.
    assert [is_red(pictures[i], column) for i, column in ((0, 45), (1, 32), (2, 19))] == [True] * 3
    for index, picture in enumerate(pictures):
        assert np.abs(video.frame(index).astype(int) - picture).mean() < 4


def test_cameras_of_a_sample(ply, empty_folder):
    sample = render_sample("mice", 0, size=32, num_views=3)
    write_dataset([sample], empty_folder / "mice")
    (file,) = (empty_folder / "mice").glob("*/opencv_cameras.json")
    result = call("render", ply, "-o", "out", "--cameras", str(file), "--size", "64")
    assert result.stdout == "wrote out: 3 of 64 x 64\n", result.stderr
    for index, view in enumerate(sample.views):
        x, y, z = view.c2w[:3, :3].T @ (np.array([0.5, 0, 0]) - view.c2w[:3, 3])
        fx, fy, cx, cy = 2 * view.fxfycxcy
        picture = read(empty_folder / "out" / f"frame_{index:03d}.png")
        row, column = int(fy * y / z + cy), int(fx * x / z + cx)
        assert np.abs(picture[row, column].astype(int) - [204, 51, 51]).max() < 25


def test_it_refuses_in_one_line(ply, empty_folder):
    for options, message in {
        ("none.ply", "-o", "a.png"): "none.ply: expected a readable PLY file, got No such file",
        (ply, "-o", "a.gif"): "a.gif: expected a file that ends in .mp4, got .gif",
        (ply, "-o", "a.png", "--turntable", "3"): "expected one camera for one picture, got 3",
        (ply, "-o", "a.png", "--elevation", "95"): "elevation_deg: expected a value from -89 to 89",
        (ply, "-o", "a.png", "--cameras", "none.json"): "none.json: expected a JSON file",
    }.items():
        assert message in refuse("render", *options)
    for out, message in {
        "ball.ply/a.png": "ball.ply/a.png: expected to write",
        "ball.ply/a.mp4": "ball.ply/a.mp4: expected a folder to write a video to",
    }.items():
        result = call("render", ply, "-o", out, "--turntable", "1", "--size", "8")
        assert result.exit_code == 1
        # What was drawn before stands above it.
        assert result.stderr.splitlines()[-1].startswith(f"error: {message}")
    assert [file.name for file in empty_folder.iterdir()] == [ply]


def test_wrong_usage(ply):
    both = call("render", ply, "-o", "a.png", "--cameras", "a.json", "--turntable", "2")
    assert both.exit_code == 2
    assert "expected --cameras or --turntable, got both" in both.stderr
    assert call("render", ply, "-o", "a.png", "--background", "2").exit_code == 2
    assert call("render", ply, "-o", "a.png", "--size", "0").exit_code == 2
    assert call("render", ply).exit_code == 2
