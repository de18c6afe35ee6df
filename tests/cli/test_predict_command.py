"""``predict`` and ``reconstruct`` as a user types them."""

import json
from pathlib import Path

import numpy as np
import pytest
from bad_input import call

from mfl_adapt.images import save_picture

VIEWS = '''
"""A views base that answers at once with grey discs."""

import numpy as np
import torch

from mfl_adapt.plugin import BaseSpec, ComponentConfig, hookimpl
from mfl_adapt.types import RigContract

MFL_API = 1
SLOTS = (270.0, 225.0, 180.0, 90.0, 0.0, 315.0)
CONTRACT = RigContract(size=64, patch=4, depth_reach=1.8, slots_deg=SLOTS)


class Discs(ComponentConfig):
    grey: int = 90


class Made:
    def __init__(self, views):
        self.views = views

    def to_bytes(self):
        return self.views


class DiscViews:
    id, contract, sha256, fingerprint = "discs.views", CONTRACT, "1" * 64, "2" * 64

    def __init__(self, config):
        self.module, self.grey = torch.nn.Linear(1, 1), config.grey

    @property
    def prompt_embeds(self):
        return torch.zeros(6, 77, 4)

    def generate(self, pictures, prompt_embeds, **settings):
        y, x = np.mgrid[:64, :64] - 31.5
        disc = np.where((x * x + y * y < 400)[..., None], self.grey, 255).astype(np.uint8)
        return Made(torch.from_numpy(disc.repeat(3, axis=2)).expand(6, 64, 64, 3))


@hookimpl
def register_components():
    return [
        BaseSpec(
            name="views", summary="grey discs", config=Discs, build="discs:DiscViews",
            contract=CONTRACT, makes="views",
        )
    ]
'''
FEW = ("--no-video", "--no-viewer", "--plugins", "./discs.py")


@pytest.fixture
def here(empty_folder: Path) -> Path:
    """The working directory, with a picture of a ball and the plugin."""
    (empty_folder / "discs.py").write_text(VIEWS)
    y, x = np.mgrid[:80, :120] + 0.5
    inside = (x - 60) ** 2 + (y - 40) ** 2 < 400
    rgb = np.where(inside[..., None], np.uint8((60, 90, 120)), np.uint8(128)).repeat(1, axis=2)
    save_picture(empty_folder / "ball.png", rgb, np.where(inside, 255, 0).astype(np.uint8))
    return empty_folder


def refused(*arguments):
    result = call("predict", *arguments, "-o", "out", *FEW)
    assert result.exit_code == 1, result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Traceback" not in result.stderr
    assert not Path("out").exists()
    return errors[0]


def test_a_picture_becomes_files_and_the_last_lines_say_where(here):
    command = ("predict", "ball.png", "-o", "out", *FEW, "--views-base", "discs.views")
    result = call(*command, "--set", "views_base.grey=40")
    assert result.exit_code == 0, result.stderr
    assert "gaussians  out/ball/gaussians.ply" in result.stdout
    assert "1 predicted, 0 unchanged and kept, 0 failed" in result.stdout
    record = json.loads((here / "out" / "ball" / "prediction.json").read_text())
    assert record["base"]["id"] == "facelift.tiny"
    assert record["views_base"]["id"] == "discs.views"
    assert record["gaussians"]["made"] == 6 * 64 * 64 + 2
    again = call(*command, "--set", "views_base.grey=40")
    assert "0 predicted, 1 unchanged and kept, 0 failed" in again.stdout


def test_one_of_several_that_fails_is_told_at_the_end(here):
    (here / "text.png").write_text("no picture")
    result = call("predict", "ball.png", "text.png", "-o", "out", *FEW)
    assert result.exit_code == 1
    assert "1 predicted, 0 unchanged and kept, 1 failed" in result.stdout
    assert "failed     text.png: expected a PNG or JPEG picture" in result.stdout
    assert (here / "out" / "ball" / "gaussians.ply").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.png",), "none.png: expected a picture, folder or video, got no such path"),
        (("ball.png", "--background", "nowhere.png"), "--background: expected auto, alpha"),
        (("ball.png", "--background", "white:5"), "ball.png: expected a subject, got none"),
        (("ball.png", "--face-box", "1,2,3"), "--face-box: expected four numbers"),
        (("ball.png", "--face-box", "0,0,900,900"), "inside of the picture's 120 x 80 px"),
        (("ball.png", "--framing", "face"), "Give --face-box x,y,w,h"),
        (("ball.png", "--framing", "none"), "expected a square picture"),
        (("ball.png", "--views", "front"), "--views: expected all, or slots"),
        (("ball.png", "--format", "obj"), "expected an exporter of plugin 'exporters', got 'obj'"),
        (("ball.png", "--format", "mp4"), "got mp4, which takes frames"),
        (("ball.png", "--adapter", "none"), "passport.json: expected a file of an adapter folder"),
        (
            ("ball.png", "--views-base", "discs.views", "--base", "facelift.mvdiffusion"),
            "base: expected a base that makes Gaussians",
        ),
        (
            ("ball.png", "--base", "facelift.tiny"),
            "got one whose base discs.views is used nowhere. Add --views-base discs.views if",
        ),
        (
            ("ball.png", "--set", "views_base.prompts=none.pt"),
            "got one whose base discs.views is not used, as views_base is facelift.tiny_views",
        ),
    ],
)
def test_bad_input_is_one_line(here, arguments, message):
    assert message in refused(*arguments)


def test_a_file_in_the_place_of_the_folder_is_refused_before_the_work(here):
    (here / "taken").write_text("mine")
    result = call("predict", "ball.png", "-o", "taken", *FEW, "--views-base", "discs.views")
    assert result.exit_code == 1
    assert "taken: expected a folder, got a file. Choose another --out." in result.stderr
    assert "views" not in result.stderr
    assert (here / "taken").read_text() == "mine"


def test_a_base_for_views_must_make_views(here):
    result = call("predict", "ball.png", "-o", "out", "--views-base", "facelift.tiny")
    assert result.exit_code == 1
    assert "views_base: expected a base that makes views, got facelift.tiny" in result.stderr


def test_reconstruct(mice, here):
    result = call("reconstruct", str(mice), "-o", "out", "--no-video", "--no-viewer")
    assert result.exit_code == 0, result.stderr
    folder = here / "out" / "mice-train-0-000000"
    assert f"gaussians  {folder.relative_to(here)}/gaussians.ply" in result.stdout
    assert (folder / "sheet.png").is_file()


def test_reconstruct_refuses_what_is_no_dataset(here):
    result = call("reconstruct", "ball.png", "-o", "out")
    assert result.exit_code == 1
    assert "expected one active reader that knows ball.png, got none" in result.stderr
    assert not (here / "out").exists()
