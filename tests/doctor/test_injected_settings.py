"""Every failure of settings and of the files that they name, put into a good configuration."""

import re
import shutil
from pathlib import Path

import pytest
import torch
from visits import codes, only, visit, write

from mfl_adapt.models.mvdiffusion.shipped import shipped_folder

FEW = (
    "data.reader.samples=2",
    "data.reader.workers=0",
    "data.split.validation=0.5",
    "data.split.gap=0",
)


def sets(*keys: str) -> list[str]:
    return [part for key in (*FEW, "data.reader.num_views=6", *keys) for part in ("--set", key)]


def test_the_quickstart_is_clean():
    status, content = visit("quickstart", *sets())
    assert (status, codes(content), content["begin_with"]) == (0, {}, [])
    assert content["facts"]["samples"] == "all 2"


@pytest.mark.parametrize(
    ("keys", "code", "value"),
    [
        (["train.clip=100"], "MFL025", "^100$"),
        (["train.lr=1e-6"], "MFL026", "^1e-06$"),
        (["train.lr=0.1"], "MFL026", "^0.1$"),
        (["train.warmup=1100"], "MFL026", "^1100 of 1100 steps$"),
        (["train.force=true"], "MFL027", "^true$"),
        (
            ["losses.masked_loss.background=null", "losses.masked_loss.silhouette=null"],
            "MFL028",
            "",
        ),
    ],
)
def test_settings_that_cannot_end_well(keys, code, value):
    only(code, "warning", value, "quickstart", *sets(*keys))


def test_a_perceptual_term_by_whatever_plugin(tmp_path):
    """Our own may be switched off; one of another author is told by its name."""
    source = """
from mfl_adapt.plugin import ComponentConfig, LossSpec, hookimpl

MFL_API = 1


class Config(ComponentConfig):
    pass


@hookimpl
def register_components():
    build = __name__ + ":Config"
    return [LossSpec(name="lpips_vgg", summary="VGG", config=Config, build=build)]
"""
    plugin = str(write(tmp_path / "seen.py", source))
    keys = sets("losses.seen.lpips_vgg.weight=0.8")
    one = only("MFL023", "warning", "^weight 0.8$", "quickstart", "--plugins", plugin, *keys)
    assert one["where"] == "losses.seen.lpips_vgg"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("extends: quickstart\ntrain: {stps: 3}\n", r"^unknown key 'stps' in train$"),
        ("extends: quickstart\nmouse: {normalize: true}\n", r"^unknown key 'mouse'"),
        ("extends: quickstart\ntrain: {steps: none}\n", r"^'none'$"),
        ("extends: quickstart\nadapter: {rank: 3}\n", r"unknown key 'rank'"),
        ("train: [\n", ""),
    ],
)
def test_failure_46_configurations_that_cannot_be_used(tmp_path, text, value):
    only("MFL046", "law", value, str(write(tmp_path / "a.yaml", text)))


def test_failure_47_a_plugin_that_is_not_there(tmp_path):
    text = "extends: quickstart\ndata: {reader: {use: mouse_dataset.frames}}\n"
    one = only("MFL047", "law", "", str(write(tmp_path / "a.yaml", text)))
    assert "mouse_dataset" in f"{one['where']} {one['value']} {one['expected']}"


def test_failure_39_settings_that_nothing_draws():
    only("MFL039", "law", "some", "quickstart", *sets("diffusion.background=gray"))


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        (["base.id=facelift.gslrm", "base.checkpoint=gone.pt"], "base.checkpoint"),
        (["base.id=facelift.gslrm", "base.config=gone.yaml"], "base.config"),
        (["views_base.id=facelift.mvdiffusion", "views_base.checkpoint=gone"], None),
    ],
)
def test_failure_41_files_that_are_not_there(tmp_path, monkeypatch, keys, where):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MFL_HOME", str(tmp_path / "home"))
    torch.save({"model": {}}, tmp_path / "some.pt")
    if where == "base.config":
        keys = [*keys, "base.checkpoint=some.pt"]
    one = only("MFL041", "law", "^gone", "quickstart", *sets(*keys))
    assert one["where"] == (where or "views_base.checkpoint")


def test_failure_41_weights_that_were_never_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("MFL_HOME", str(tmp_path))
    one = only("MFL041", "law", "none", "quickstart", *sets("base.id=facelift.gslrm"))
    assert "mfl-adapt base fetch facelift.gslrm" in one["remedy"]


def test_failure_41_another_file_than_was_meant(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"model": {}}, path)
    keys = ["base.id=facelift.gslrm", f"base.checkpoint={path}", f"base.sha256={'ab' * 32}"]
    one = only("MFL041", "law", "^[0-9a-f]{64}$", "quickstart", *sets(*keys))
    assert one["expected"] == f"{path} with SHA-256 {'ab' * 32}"


def test_failure_42_a_file_that_holds_no_weights(tmp_path):
    path = write(tmp_path / "weights.pt", "<!doctype html>")
    keys = ["base.id=facelift.gslrm", f"base.checkpoint={path}"]
    only("MFL042", "law", "^a web page$", "quickstart", *sets(*keys))


@pytest.fixture
def model(tmp_path) -> Path:
    """A copy of the shipped model of views, to be spoilt."""
    return Path(shutil.copytree(shipped_folder(), tmp_path / "model"))


def views(model: Path, *keys: str) -> list[str]:
    named = [f"base.checkpoint={model}", "base.id=facelift.mvdiffusion", *FEW, *keys]
    return [part for key in named for part in ("--set", key)]


@pytest.mark.parametrize("part", ["tokenizer/merges.txt", "vae/config.json"])
def test_failure_54_a_model_in_parts(model, part):
    (model / part).unlink()
    status, content = visit("views-quickstart", *views(model))
    assert (status, content["begin_with"]) == (1, ["MFL054"])
    (one,) = [one for one in content["findings"] if one["code"] == "MFL054"]
    assert str(model / part) in one["expected"]


def embeds(path: Path, rows: torch.Tensor) -> str:
    torch.save(rows, path)
    return str(path)


@pytest.mark.parametrize(
    ("code", "make", "value"),
    [
        ("MFL044", lambda draw: torch.zeros(6, 77, 64), "standard deviation 0 in row 0"),
        ("MFL044", lambda draw: draw(1, 77, 64).expand(6, 77, 64).clone(), "^1.00000 between row"),
        ("MFL044", lambda draw: draw(6, 77, 64) / 0.0, "that are not"),
        ("MFL044", lambda draw: draw(77, 64), r"\[77, 64\]"),
        ("MFL045", lambda draw: draw(6, 77, 32), r"^\[6, 77, 32\]$"),
    ],
)
def test_failures_44_and_45_prompt_embeddings(tmp_path, code, make, value):
    generator = torch.Generator().manual_seed(0)
    path = embeds(tmp_path / "a.pt", make(lambda *size: torch.rand(size, generator=generator)))
    keys = [part for key in (f"base.prompts={path}", *FEW) for part in ("--set", key)]
    status, content = visit("views-quickstart", *keys)
    assert (status, codes(content)) == (1, {code: "law"})
    (one,) = [one for one in content["findings"] if one["code"] == code]
    assert re.search(value, one["value"]), one["value"]


def test_several_parts_are_examined_though_one_is_broken(tmp_path, monkeypatch):
    """A user mends all of it at once, not one thing a run."""
    monkeypatch.chdir(tmp_path)
    text = """
extends: facelift-sample
base: {id: facelift.gslrm, checkpoint: gone.pt}
data: {path: nowhere}
train: {clip: 100}
"""
    status, content = visit(str(write(tmp_path / "a.yaml", text)))
    assert status == 1
    found = {(one["code"], one["where"]) for one in content["findings"]}
    assert found == {
        ("MFL025", "train.clip"),
        ("MFL041", "base.checkpoint"),
        ("MFL041", "data.path"),
    }
