"""``mfl-adapt adapter diff | merge | scale | resize | convert``, as a user types them."""

import json
import shutil
from pathlib import Path

import peft
import pytest
import torch
from bad_input import call, refuse

from mfl_adapt.adapter import attach, base_tensors, load, read_adapter, save
from mfl_adapt.pipeline import load_base


@pytest.fixture(scope="module")
def adapters(finished_run, tmp_path_factory) -> Path:
    """A folder with the adapter ``a`` of a run and ``b``, half of it."""
    folder = tmp_path_factory.mktemp("adapters")
    shutil.copytree(finished_run / "adapter", folder / "a")
    done = call("adapter", "scale", str(folder / "a"), "0.5", "-o", str(folder / "b"))
    assert (done.exit_code, done.stdout) == (0, f"adapter   {folder / 'b'}\n"), done.output
    return folder


@pytest.fixture
def here(adapters, empty_folder) -> Path:
    """The working directory, with copies of both."""
    for name in "ab":
        shutil.copytree(adapters / name, name)
    return empty_folder


def passport(folder):
    return json.loads((Path(folder) / "passport.json").read_text())


def hash_of(folder):
    return passport(folder)["adapter_hash"]


def test_diff_prints_a_table_and_json(here):
    done = call("adapter", "diff", "a", "b")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].split()[:3] == ["all", "layers", "+1.0000"]
    found = json.loads(call("adapter", "diff", "a", "b", "--json").stdout)
    assert found["overall"]["ratio"] == pytest.approx(0.5)
    assert (found["first"], found["second"]) == (hash_of("a"), hash_of("b"))
    assert len(found["layers"]) == passport("a")["adapter"]["layers"]


def test_merge_measures_what_it_can(here):
    done = call("adapter", "merge", "a", "b", "-o", "m", "--weights", "0.5,1", "--limit", "1")
    assert done.exit_code == 0, done.output
    assert "by linear, rank" in done.stdout
    rows = [line.split()[0] for line in done.stdout.splitlines() if " dB " in line]
    # ``b`` was made by a command, and no run's data stand in its passport.
    assert rows == ["frozen", "source", "merged"]
    assert "not measured: its passport names no data" in done.stdout
    assert done.stdout.endswith("adapter   m\n")
    first, second = passport("m")["metrics"]["sources"]
    assert first["scores"].keys() == {"frozen base", "source", "merged"}
    assert second["not_measured"] == "its passport names no data"
    # 0.5 of the whole and 1 of its half are the whole.
    found = json.loads(call("adapter", "diff", "a", "m", "--json").stdout)
    assert (found["overall"]["cosine"], found["overall"]["ratio"]) == pytest.approx((1, 1))


def test_merge_as_json_without_measuring(here):
    arguments = ["--method", "dare_ties", "--density", "0.3", "--rank", "4", "--seed", "9"]
    done = call("adapter", "merge", "a", "b", "-o", "m", *arguments, "--no-evaluate", "--json")
    found = json.loads(done.stdout)
    assert found["sources"] == []
    named = {key: found["merge"][key] for key in ("method", "density", "rank", "seed")}
    assert named == {"method": "dare_ties", "density": 0.3, "rank": 4, "seed": 9}
    assert passport("m")["merge"] == found["merge"]
    again = call("adapter", "merge", "a", "b", "-o", "n", *arguments, "--no-evaluate")
    assert again.exit_code == 0, again.output
    assert hash_of("m") == hash_of("n")


def test_resize_prints_and_records_its_error(here):
    done = call("adapter", "resize", "a", "--rank", "2", "-o", "r")
    assert done.exit_code == 0, done.output
    assert "relative error" in done.stdout
    assert "of what the adapter does to the probe" in done.stdout
    recorded = passport("r")
    assert recorded["made_by"] == "mfl-adapt adapter resize"
    assert 0 < recorded["resize"]["error"]["overall"] < 1
    assert 0 < recorded["resize"]["probe_change"] < 1
    assert set(recorded["resize"]["error"]["ranks"].values()) == {2}
    found = json.loads(
        call("adapter", "resize", "a", "--energy", "0.9", "-o", "e", "--json").stdout
    )
    assert found["error"] == passport("e")["resize"]["error"]


@pytest.mark.parametrize(("form", "out"), [("peft", "out"), ("kohya", "out.safetensors")])
def test_a_round_trip_keeps_every_bit(here, form, out):
    done = call("adapter", "convert", "a", "--to", form, "-o", out)
    assert (done.exit_code, done.stdout) == (0, f"written   {out}\n"), done.output
    arguments = ["--from", form, "--base", "facelift.tiny", "-o", "again"]
    done = call("adapter", "convert", out, *arguments)
    assert done.exit_code == 0, done.output
    assert hash_of("again") == hash_of("a")
    said = passport("again")
    assert said["made_by"] == "mfl-adapt adapter convert"
    assert said["converted"]["from"] == form
    assert len(said["converted"]["sha256"]) == 64
    assert said["metrics"] == {}
    assert said["config"] == {"base": {"id": "facelift.tiny"}}
    assert said["licence"]["inherited"][0]["of"] == "facelift.tiny"
    assert said["plugins"]["facelift"]["distribution"] == "mfl-adapt"


def test_into_the_base_and_back(here):
    found = json.loads(call("adapter", "convert", "a", "--to", "base", "-o", "w", "--json").stdout)
    settings = dict(one.split("=", 1) for one in found["settings"])
    assert settings.pop("base.id") == "facelift.gslrm"
    opened = {key.removeprefix("base."): Path(value) for key, value in settings.items()}
    merged = load_base("facelift.gslrm", **opened)
    base = load_base("facelift.tiny")
    bare = base.probe()
    load(base, Path("a"))
    torch.testing.assert_close(merged.probe(), base.probe(), rtol=1e-3, atol=1e-4)
    assert not torch.allclose(merged.probe(), bare, rtol=0, atol=1e-4)
    note = json.loads(Path("w/merged.json").read_text())
    assert (note["adapter_hash"], note["base"]["id"]) == (hash_of("a"), "facelift.tiny")
    rank = str(max(one.shape[0] for one in read_adapter("a").tensors.values() if one.shape[0] < 32))
    arguments = ["--from", "base", "--base", "facelift.tiny", "--rank", rank, "-o", "again"]
    done = call("adapter", "convert", "w", *arguments)
    assert done.exit_code == 0, done.output
    assert passport("again")["converted"]["error"]["overall"] < 1e-3
    overall = json.loads(call("adapter", "diff", "a", "again", "--json").stdout)["overall"]
    assert overall["cosine"] > 1 - 1e-6


@pytest.fixture(scope="module")
def views_adapter(tmp_path_factory) -> Path:
    """An adapter of the small model of views."""

    class Method:
        def peft_config(self, module):
            return peft.LoraConfig(r=2, lora_alpha=4, target_modules=["attn1.to_q", "conv_in"])

    adapter = attach(load_base("facelift.tiny_views"), Method(), seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    folder = tmp_path_factory.mktemp("views") / "v"
    return save(adapter, folder, passport={"config": {"base": {"id": "facelift.tiny_views"}}})


def test_a_unet_through_diffusers(empty_folder, views_adapter):
    done = call("adapter", "convert", str(views_adapter), "--to", "diffusers", "-o", "d")
    assert done.stdout == "written   d/pytorch_lora_weights.safetensors\n", done.output
    arguments = ["--from", "diffusers", "--base", "facelift.tiny_views", "-o", "again"]
    done = call("adapter", "convert", "d", *arguments)
    assert done.exit_code == 0, done.output
    assert hash_of("again") == hash_of(views_adapter)


def test_a_unet_into_its_base_and_back(empty_folder, views_adapter):
    done = call("adapter", "convert", str(views_adapter), "--to", "base", "-o", "w", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["settings"][0] == "base.id=facelift.mvdiffusion"
    merged = load_base("facelift.mvdiffusion", checkpoint=Path("w"))
    bare = load_base("facelift.tiny_views")
    changed = {
        name
        for name, tensor in base_tensors(merged.module).items()
        if not torch.equal(tensor, base_tensors(bare.module)[name])
    }
    assert changed == {f"{name}.weight" for name in passport(views_adapter)["effect"]["layers"]}
    arguments = ["--from", "base", "--base", "facelift.tiny_views", "--rank", "2", "-o", "again"]
    done = call("adapter", "convert", "w", *arguments)
    assert done.exit_code == 0, done.output
    found = json.loads(call("adapter", "diff", str(views_adapter), "again", "--json").stdout)
    assert found["overall"]["cosine"] > 1 - 1e-6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["diff", "a", "gone"], "gone/passport.json: expected a file of an adapter folder"),
        (["merge", "a", "-o", "m"], "adapter merge: expected at least 2 adapters, got 1"),
        (["merge", "a", "b", "-o", "a"], "a: expected another folder than that of the source"),
        (["merge", "a", "b", "-o", "m", "--weights", "1;2"], "--weights: expected numbers between"),
        (["merge", "a", "b", "-o", "m", "--rank", "x"], "--rank: expected a number or 'cat'"),
        (["merge", "a", "b", "-o", "m", "--density", "0.5"], "--density: expected none for linear"),
        (["scale", "a", "0", "-o", "m"], "FACTOR: expected a finite number"),
        (["resize", "a", "-o", "m"], "adapter resize: expected --rank or --energy, got neither"),
        (["resize", "a", "--rank", "999", "-o", "m"], "--rank: expected at most"),
        (["convert", "a", "--to", "diffusers", "-o", "m"], "a: expected an adapter of a UNet"),
        (["convert", "a", "--to", "kohya", "-o", "m"], "m: expected a name that ends in .safet"),
        (
            ["convert", "b", "--from", "kohya", "--base", "facelift.tiny", "-o", "m"],
            "b: expected a .safetensors file, or a folder with model.safetensors",
        ),
        (
            ["convert", "b", "--from", "base", "--base", "facelift.tiny", "-o", "m"],
            "b: expected a checkpoint file, got a folder.",
        ),
        (
            ["convert", "a", "--from", "peft", "--base", "facelift.tiny_views", "-o", "m"],
            "facelift.tiny_views: expected settings that peft can apply",
        ),
        (
            ["convert", "a", "--from", "peft", "--base", "facelift.tin", "-o", "m"],
            "flag for base.id: base: expected a base of plugin 'facelift', got 'tin'",
        ),
        (
            ["convert", "a", "--from", "peft", "--base", "facelift.tiny", "-o", "m", "--rank", "2"],
            "--rank: expected none for --from peft",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(here, arguments, message):
    assert refuse("adapter", *arguments).startswith(message)
    assert sorted(one.name for one in here.iterdir()) == ["a", "b"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["convert", "a", "-o", "m"],
        ["convert", "a", "-o", "m", "--to", "peft", "--from", "peft"],
        ["convert", "a", "-o", "m", "--from", "peft"],
        ["convert", "a", "-o", "m", "--to", "peft", "--base", "facelift.tiny"],
        ["convert", "a", "-o", "m", "--to", "peft", "--rank", "3"],
        ["convert", "a", "-o", "m", "--to", "zip"],
        ["merge", "a", "b", "-o", "m", "--method", "magic"],
    ],
)
def test_options_that_do_not_go_together(here, arguments):
    assert call("adapter", *arguments).exit_code == 2
    assert sorted(one.name for one in here.iterdir()) == ["a", "b"]
