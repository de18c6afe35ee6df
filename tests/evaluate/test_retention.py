"""What an adapter costs on the base's own domain."""

from dataclasses import replace
from types import SimpleNamespace

import peft
import pytest
import torch
from helpers import shared_path
from white_base import NoAdapter

from mfl_adapt.adapter import attach
from mfl_adapt.config import load_config
from mfl_adapt.data import write_dataset
from mfl_adapt.data.collate import collate
from mfl_adapt.errors import BackendError, DataError
from mfl_adapt.evaluate import Retention, Scores, measure_retention, retention
from mfl_adapt.evaluate.retention import open_home
from mfl_adapt.metrics import foreground_psnr, psnr
from mfl_adapt.models.mvdiffusion.config import PUBLISHED_CONTRACT, TINY_CONTRACT
from mfl_adapt.pipeline import load_base
from mfl_adapt.plugin import BaseSpec
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.render import render
from mfl_adapt.synth import render_sample


class Method:
    def peft_config(self, module):
        return peft.LoraConfig(r=2, lora_alpha=2, target_modules=["attn.fc"])


@pytest.fixture(scope="module")
def base():
    return load_base("facelift.tiny")


def settings(*overrides):
    config = load_config("quickstart", overrides=["train.backend=cpu", *overrides]).config
    return config, load_plugins(config.plugins)


def test_heads_that_no_training_saw_in_the_rings_of_the_pretraining(base):
    name, data = open_home(base, *settings("evaluate.retention=3"))
    assert name == "procedural heads"
    assert [one.id for one in data.evaluation] == [f"heads-test-0-{k:06d}" for k in range(3)]
    assert data.contract.size == 64
    split = data.policy.evaluate(data.samples[0].cameras)
    assert (len(split.inputs), len(split.targets)) == (4, 4)
    assert not set(split.inputs) & set(split.targets)


def test_scores_by_hand_with_the_adapter_on_and_off():
    base = load_base("facelift.tiny")
    adapter = attach(base, Method(), seed=0)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    config, host = settings("evaluate.retention=1")
    found = measure_retention(base, adapter, config, host)
    _, data = open_home(base, config, host)
    sample = data.samples[0]
    batch = collate([sample], [data.policy.evaluate(sample.cameras)], data.contract)

    def by_hand():
        with torch.no_grad():
            gaussians = base.reconstruct(batch.inputs.rgb, batch.inputs.cameras)
            return render(gaussians, batch.targets.cameras, backend="cpu", depth=False).rgb

    target, mask = batch.targets.rgb, batch.targets.mask
    for row in ("adapted", "frozen base"):
        if row == "frozen base":
            with adapter.disabled():
                rgb = by_hand()
        else:
            rgb = by_hand()
        one = found.per_scene[row][sample.id]
        assert one.psnr_db == pytest.approx(float(psnr(rgb, target).mean()), abs=1e-4)
        inside = foreground_psnr(rgb, target, mask)
        assert one.foreground_psnr_db == pytest.approx(float(inside.mean()), abs=1e-4)
    assert abs(found.gain_db) > 0.1  # otherwise on and off could not be told apart
    assert found.interval_db is None  # of one scene, nothing can be said about others
    written = found.to_json()
    assert written["scenes"] == 1
    assert written["change_foreground_db"] == pytest.approx(
        written["adapted"]["foreground_psnr_db"] - written["frozen base"]["foreground_psnr_db"]
    )


def test_a_record_by_hand():
    def scores(value):
        return {"a": Scores(value, value, 0.5, 0.9), "b": Scores(value, value + 2, 0.5, 0.9)}

    found = Retention("heads", {"frozen base": scores(20.0), "adapted": scores(18.5)})
    assert found.gain_db == -1.5
    assert found.interval_db is None  # an interval from two scenes is no 95 %
    assert found.to_text() == (
        "base's own domain (heads, 2 scenes): foreground 21.00 -> 19.50 dB with the adapter, "
        "-1.50 dB; too few scenes to decide"
    )
    assert found.to_json()["change_interval_db"] is None
    assert found.to_json()["adapted"]["foreground_psnr_db"] == 19.5


def test_six_scenes_have_an_interval():
    def scores(value):
        return {str(k): Scores(value, value + k, 0.5, 0.9) for k in range(6)}

    found = Retention("heads", {"frozen base": scores(20.0), "adapted": scores(18.5)})
    assert found.interval_db == (-1.5, -1.5)
    assert found.to_text().endswith(
        "(heads, 6 scenes): foreground 22.50 -> 21.00 dB with the adapter, -1.50 dB [-1.50, -1.50]"
    )


@pytest.mark.parametrize(
    ("overrides", "asked", "message"),
    [
        (["evaluate.home=nowhere"], "--home", "--home: expected an existing file or folder, got"),
        (["evaluate.home=few"], "evaluate.home", "evaluate.home: .*at least 8 views, got 5"),
    ],
)
def test_data_that_somebody_named_are_an_error(
    base, tmp_path, monkeypatch, overrides, asked, message
):
    monkeypatch.chdir(tmp_path)
    write_dataset([render_sample("heads", 0, num_views=5)], tmp_path / "few")
    with pytest.raises(DataError, match=message):
        measure_retention(base, NoAdapter(), *settings(*overrides), asked=asked)


def test_what_the_base_has_no_data_for_is_a_note_for_all(base):
    found = measure_retention(base, NoAdapter(), *settings("base.id=facelift.gslrm"), asked="")
    assert "do not ship with facelift.tiny" in found.reason


def test_a_fault_while_measuring_is_no_note(base, monkeypatch):
    def refuse(*_, **__):
        raise BackendError("render: expected a device, got none.")

    monkeypatch.setattr(retention, "measure_scenes", refuse)
    with pytest.raises(BackendError, match="base's own domain: render: expected a device"):
        measure_retention(base, NoAdapter(), *settings("evaluate.retention=1"), asked="")
    kept = measure_retention(base, NoAdapter(), *settings("evaluate.retention=1"))
    assert "expected a device" in kept.reason  # the end of a training loses nothing


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["evaluate.retention=0"], "evaluate.retention is 0"),
        (["evaluate.home=nowhere"], "expected an existing file or folder, got nowhere"),
        (
            ["base.id=facelift.gslrm"],
            "heads in FaceLift's format do not ship with facelift.tiny; name a dataset with --set "
            "evaluate.home=FOLDER",
        ),
    ],
)
def test_why_nothing_was_measured(base, tmp_path, monkeypatch, overrides, reason):
    monkeypatch.chdir(tmp_path)
    found = measure_retention(base, NoAdapter(), *settings(*overrides))
    assert reason in found.reason
    assert found.to_json() == {"not_measured": found.reason}
    assert found.to_text() == f"base's own domain: not measured: {found.reason}"


def test_a_dataset_of_ones_own(base, tmp_path):
    heads = [render_sample("heads", index, "test", num_views=8) for index in range(3)]
    write_dataset(heads, tmp_path / "my heads")
    config, host = settings(f"evaluate.home={tmp_path / 'my heads'}", "evaluate.retention=2")
    name, data = open_home(base, config, host)
    assert (name, len(data.samples)) == ("my heads", 2)
    found = measure_retention(base, NoAdapter(), config, host)
    assert found.rows["adapted"].foreground_psnr_db > 18
    assert found.gain_db == 0


def test_a_base_that_makes_views_gets_heads_in_its_slots():
    base = SimpleNamespace(id="facelift.tiny_views", contract=TINY_CONTRACT)
    config = load_config("views-quickstart", overrides=["evaluate.retention=2"]).config
    name, data = open_home(base, config, load_plugins(config.plugins))
    assert (name, len(data.samples)) == ("procedural heads", 2)
    assert data.policy.evaluate(data.samples[0].cameras) == ((0,), (1, 2, 3, 4, 5))


def test_data_that_do_not_fit_are_no_reason_to_lose_a_run(base, tmp_path):
    write_dataset([render_sample("heads", 0, num_views=5)], tmp_path / "few")
    found = measure_retention(base, NoAdapter(), *settings(f"evaluate.home={tmp_path / 'few'}"))
    assert "expected at least 8 views, got 5" in found.reason


def test_a_base_that_names_no_home_takes_the_views_of_the_run(base, tmp_path, monkeypatch):
    write_dataset([render_sample("heads", 0, num_views=6)], tmp_path / "mine")
    config, host = settings(f"evaluate.home={tmp_path / 'mine'}", "data.views.held_out=[1]")
    spec = replace(host.component(BaseSpec, "facelift.tiny").spec, home=None)
    component = host.component
    monkeypatch.setattr(
        host,
        "component",
        lambda slot, name, **where: (
            SimpleNamespace(spec=spec) if slot is BaseSpec else component(slot, name, **where)
        ),
    )
    _, data = open_home(base, config, host)
    assert data.policy.evaluate(data.samples[0].cameras).targets == (1,)
    nothing = load_config("quickstart").config
    assert measure_retention(base, NoAdapter(), nothing, host).reason.startswith(
        "data that the base was trained on do not ship with facelift.tiny"
    )


@pytest.mark.golden
def test_the_six_views_of_facelift_are_a_home():
    base = SimpleNamespace(id="facelift.mvdiffusion", contract=PUBLISHED_CONTRACT)
    home = shared_path("data/facelift_mv_sample")
    overrides = ["base.id=facelift.mvdiffusion", f"evaluate.home={home}"]
    config = load_config("mvdiffusion", overrides=overrides).config
    name, data = open_home(base, config, load_plugins(config.plugins))
    assert (name, len(data.samples), data.samples.size) == (home.name, 1, (512, 512))
    assert data.policy.evaluate(data.samples[0].cameras).targets == (1, 2, 3, 4, 5)


@pytest.mark.golden
def test_the_sample_of_facelift_is_a_home(base):
    sample = shared_path("data/facelift_gslrm_sample")
    config, host = settings(f"evaluate.home={sample}", "base.id=facelift.gslrm")
    # The tiny base stands in for the published one; its pictures are smaller.
    _, data = open_home(base, config, host)
    split = data.policy.evaluate(data.samples[0].cameras)
    assert (len(split.inputs), len(split.targets)) == (6, 8)
    assert data.contract.size == 64
