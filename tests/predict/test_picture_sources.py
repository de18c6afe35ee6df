"""Pictures come from files, videos or a dataset, and the command writes them all."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_views import SIZE
from typer.testing import CliRunner

from mfl_adapt.cli.app import app
from mfl_adapt.data import write_dataset
from mfl_adapt.errors import DataError
from mfl_adapt.images import save_picture
from mfl_adapt.images.mp4 import Mp4Writer
from mfl_adapt.predict.preparation import Preparation
from mfl_adapt.predict.sources import PictureFiles, Placing, is_dataset
from mfl_adapt.synth import render_sample
from mfl_adapt.types import RigContract

CONTRACT = RigContract(size=SIZE, patch=4, depth_reach=1.8)

PLUGIN = '''
"""A base that draws the six views of one mouse, whatever its picture shows."""

import numpy as np
import torch

from mfl_adapt.images import composite
from mfl_adapt.models.mvdiffusion.config import TINY_CONTRACT
from mfl_adapt.models.mvdiffusion.fresh import build_fresh
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion
from mfl_adapt.models.mvdiffusion.sampling import GeneratedViews
from mfl_adapt.plugin import BaseSpec, ComponentConfig, hookimpl
from mfl_adapt.synth import render_sample

MFL_API = 1


class Config(ComponentConfig):
    pass


class Mouse(FrozenMVDiffusion):
    def __init__(self, config):
        super().__init__(build_fresh(), id="drawn.mouse")

    def generate(self, pictures, prompt_embeds, **settings):
        assert pictures.shape == (64, 64, 3)
        views = render_sample("mice", 3, rig="slots", size=64).views
        images = np.stack([composite(view.rgb, view.mask, 1.0) for view in views])
        images = torch.from_numpy(images).permute(0, 3, 1, 2).float()
        return GeneratedViews(images, images)


@hookimpl
def register_components():
    return [
        BaseSpec(
            name="mouse", summary="one mouse", config=Config, build=__name__ + ":Mouse",
            contract=TINY_CONTRACT, makes="views",
        )
    ]
'''


@pytest.fixture(scope="module")
def mice():
    return [render_sample("mice", index, size=SIZE, num_views=6) for index in range(2)]


@pytest.fixture
def pictures(mice, tmp_path):
    folder = tmp_path / "pictures"
    for index, sample in enumerate(mice):
        save_picture(folder / f"mouse {index}.png", sample.views[0].rgb, sample.views[0].mask)
    return folder


@pytest.fixture
def synth(tmp_path):
    """Run ``data synth`` with the drawn base."""
    plugin = tmp_path / "drawn.py"
    plugin.write_text(PLUGIN)

    def run(*arguments, out="out"):
        command = ["data", "synth", *map(str, arguments), "-o", str(tmp_path / out)]
        named = ["--plugins", str(plugin), "--views-base", "drawn.mouse", "--steps", "1"]
        return CliRunner().invoke(app, [*command, *named])

    return run


def history(folder, sample):
    return json.loads((folder / sample / "provenance.json").read_text())["steps"]


def test_a_folder_of_pictures_becomes_a_dataset(synth, pictures, tmp_path):
    result = synth(pictures)
    assert result.exit_code == 0, result.output
    assert "samples   2 (2 made now)" in result.stdout
    out = tmp_path / "out"
    assert json.loads((out / "dataset.json").read_text())["samples"] == ["mouse_0", "mouse_1"]
    picture = history(out, "mouse_0")[0]["params"]["picture"]
    assert picture["file"] == "mouse 0.png"
    assert len(picture["sha256"]) == 64
    assert picture["background"] == "auto"
    assert "framed by the mask" in picture["framing"]
    assert np.shape(picture["pixel_map"]) == (3, 3)
    again = synth(pictures)
    assert "samples   2 (0 made now, 2 were there already)" in again.stdout


def test_the_first_view_of_every_sample(synth, mice, tmp_path):
    write_dataset(mice, tmp_path / "mice")
    result = synth(tmp_path / "mice", "--limit", "1")
    assert result.exit_code == 0, result.output
    (step,) = history(tmp_path / "out", mice[0].id)
    picture = step["params"]["picture"]
    assert (picture["sample"], picture["view"]) == (mice[0].id, "cam_000")
    # The rig that took the picture is nowhere in it.
    centers = np.array([np.array(camera["c2w"])[:3, 3] for camera in step["raw_cameras"]])
    assert np.abs(centers[:, 2]).max() < 1e-12
    other = synth(tmp_path / "mice", "--limit", "1", "--view", "cam_003", out="other")
    assert other.exit_code == 0, other.output
    (step,) = history(tmp_path / "other", mice[0].id)
    assert step["params"]["picture"]["view"] == "cam_003"


def test_frames_of_a_video_keep_their_time(tmp_path, mice):
    frames = []
    for view in mice[0].views[:4]:
        white = np.where(view.mask[..., None] > 127, view.rgb, 255).astype(np.uint8)
        frames.append(white)
    path = tmp_path / "walk.mp4"
    with Mp4Writer(path, fps=20, crf=10) as film:
        for frame in frames:
            film.add(frame)
    placing = Placing(CONTRACT, Preparation())
    sources = PictureFiles([path], placing, every=2)
    assert len(sources) == 2
    second = sources[1]
    assert (second.id, second.session, second.time_s) == ("walk/frame_000002", "walk", 0.1)
    assert second.params["frame"] == 2
    assert second.rgb.shape == (SIZE, SIZE, 3)


def test_pictures_and_settings_decide_the_set(pictures):
    def described(**settings):
        return PictureFiles([pictures], Placing(CONTRACT, Preparation(**settings))).describe()

    first = described()
    assert json.loads(json.dumps(first)) == first
    assert described() == first
    assert described(largest=True) != first
    one = next(iter(sorted(pictures.iterdir())))
    shutil.copy(sorted(pictures.iterdir())[1], one)
    assert described() != first


def test_a_folder_of_pictures_is_no_dataset(pictures, tmp_path, mice):
    write_dataset(mice, tmp_path / "mice")
    assert not is_dataset(pictures)
    assert not is_dataset(next(pictures.iterdir()))
    assert is_dataset(tmp_path / "mice")
    assert is_dataset(tmp_path / "mice" / "data_all.txt")
    assert not is_dataset(Path("nowhere"))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["nowhere.png"], "nowhere.png: expected a picture, folder or video, got no such path"),
        (["--view", "cam_9", "mice"], "expected a view called 'cam_9', got none"),
        (["--view", "6", "mice"], "expected a view called 6, got none"),
        (["--reader", "facelift_reader.gslrm", "mice", "mice"], "expected one dataset for"),
        (["--views-base", "facelift.tiny", "mice"], "expected a base that makes views"),
    ],
)
def test_what_cannot_be_used_is_one_line(synth, mice, tmp_path, monkeypatch, arguments, match):
    write_dataset(mice, tmp_path / "mice")
    monkeypatch.chdir(tmp_path)
    if "--views-base" in arguments:
        result = CliRunner().invoke(app, ["data", "synth", *arguments, "-o", "out"])
    else:
        result = synth(*arguments)
    assert result.exit_code == 1
    assert match in result.stderr
    assert result.stderr.strip().splitlines()[-1].startswith("error: ")
    assert not (tmp_path / "out").exists()


def test_a_sample_without_masks_says_what_to_add(synth, mice, tmp_path):
    folder = tmp_path / "mice"
    write_dataset(mice, folder)
    bare = "data.reader={use: facelift_reader.gslrm, mask: none}"
    result = synth(folder, "--set", bare)
    assert result.exit_code == 1
    assert "expected a mask, got none" in result.stderr
    mended = synth(
        folder,
        "--set",
        bare,
        "--set",
        "data.preprocess=[{use: preprocess.auto_mask, source: white}]",
    )
    assert mended.exit_code == 0, mended.output


def test_an_empty_folder_holds_no_dataset(synth, tmp_path):
    (tmp_path / "nothing").mkdir()
    result = synth(tmp_path / "nothing")
    assert result.exit_code == 1
    assert "nothing" in result.stderr


def test_names_must_differ(pictures):
    one = next(pictures.iterdir())
    with pytest.raises(DataError, match="twice"):
        PictureFiles([one, one], Placing(CONTRACT))
