"""Whole runs on the tiny base: what they leave behind, and what they leave alone."""

import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import needs_cuda, without_cuda
from peft import PeftModel
from silent import Silent

from mfl_adapt import adapter as adapters
from mfl_adapt.config import claim_slots, load_config
from mfl_adapt.data import write_dataset
from mfl_adapt.errors import (
    AdapterError,
    CheckError,
    ConfigError,
    DataError,
    StorageError,
    TrainingError,
)
from mfl_adapt.images import load_picture
from mfl_adapt.pipeline import load_base
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.synth import render_sample
from mfl_adapt.train import run as run_module
from mfl_adapt.train.loop import Trained
from mfl_adapt.train.run import run_training


def test_a_run_leaves_the_folder_of_the_design(small_run):
    listener = Silent()
    result = small_run(listener=listener)
    folder = result.session.folder.path
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.yaml", "environment.json", "doctor.json", "metrics.jsonl", "evaluation.json",
        "samples", "checkpoints", "adapter", "origins.json", "identity.json",
    }  # fmt: skip
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["number"] for row in rows] == [1, 2, 3]
    assert set(rows[0]["parts"]) == {
        "masked_loss.masked_l2", "masked_loss.background",
        "masked_loss.silhouette",
    }  # fmt: skip
    assert [step.number for step in listener.steps] == [1, 2, 3]
    assert listener.evaluated == [(1, 1)]
    pictures = sorted(path.name for path in (folder / "samples").iterdir())
    assert pictures == ["step-000000.png", "step-000002.png", "step-000003.png"]
    assert load_picture(folder / "samples" / "step-000003.png").rgb.std() > 5
    assert (folder / "checkpoints" / "step-2" / "adapter_model.safetensors").is_file()


def test_the_base_is_frozen_and_gets_no_gradient(small_run):
    fresh = adapters.base_digest(load_base("facelift.tiny").module)
    module = small_run().session.base.module
    assert adapters.base_digest(module) == fresh
    trained = adapters.adapter_parameters(module)
    for name, parameter in module.named_parameters():
        assert parameter.requires_grad == (name in trained)
        assert name in trained or parameter.grad is None


def test_a_changed_base_is_noticed(small_run, monkeypatch):
    def meddle(session, accelerator, report):
        with torch.no_grad():
            session.base.module.input_layer_norm.weight[0] += 1e-6
        return Trained(3)

    monkeypatch.setattr(run_module, "train", meddle)
    with pytest.raises(TrainingError, match="expected the frozen base to keep the hash"):
        small_run()


def test_the_same_seed_gives_the_same_adapter(small_run):
    def hash_of(result):
        path = result.session.folder.path / "adapter" / "passport.json"
        return json.loads(path.read_text())["adapter_hash"]

    first, again, other = (hash_of(small_run(f"seed={seed}")) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_switched_off_the_adapter_is_the_base_bit_for_bit(small_run):
    session = small_run("train.lr=0.01").session
    sample = session.data.evaluation[0]
    cameras = sample.cameras
    rgb = torch.rand(1, len(cameras), 3, 64, 64, generator=torch.Generator().manual_seed(0))
    cameras = type(cameras)(cameras.c2w[None], cameras.fxfycxcy[None], height=64, width=64)
    plain, base = load_base("facelift.tiny"), session.base
    with torch.no_grad():
        expected, adapted = plain.reconstruct(rgb, cameras), base.reconstruct(rgb, cameras)
        with session.adapter.disabled():
            switched_off = base.reconstruct(rgb, cameras)
        session.adapter.merge()
        merged = base.reconstruct(rgb, cameras)
    for field in ("means", "quats", "scales", "opacities", "sh"):
        assert torch.equal(getattr(switched_off, field), getattr(expected, field))
        torch.testing.assert_close(
            getattr(merged, field), getattr(adapted, field), rtol=1e-5, atol=1e-5
        )
    assert not torch.equal(adapted.means, expected.means)


def test_stock_peft_loads_the_adapter(small_run):
    session = small_run().session
    path = session.folder.path / "adapter"
    plain = load_base("facelift.tiny")
    stock = PeftModel.from_pretrained(plain.module, str(path))
    mine = session.adapter.state_dict()
    theirs = {name: value for name, value in stock.state_dict().items() if "lora_" in name}
    assert len(theirs) == len(mine)
    for name, value in theirs.items():
        assert torch.equal(value, mine[name.replace(".default.", ".")])


def test_a_saved_adapter_scores_as_it_did_in_the_run(small_run):
    from mfl_adapt.config import load_config
    from mfl_adapt.evaluate.stored import evaluate_adapter
    from mfl_adapt.plugin.registry import load_plugins

    result = small_run()
    folder = result.session.folder.path
    loaded = load_config(folder / "config.yaml")
    again = evaluate_adapter(loaded, load_plugins(loaded.config.plugins), folder / "adapter")
    assert again == result.evaluation


def test_an_adapter_saved_in_half_precision_is_the_one_that_was_scored(small_run):
    from mfl_adapt.config import load_config
    from mfl_adapt.evaluate.stored import evaluate_adapter
    from mfl_adapt.plugin.registry import load_plugins

    result = small_run("train.save_dtype=float16", "train.lr=0.01")
    folder = result.session.folder.path
    checkpoint = adapters.read_adapter(folder / "checkpoints" / "step-2")
    for stored in (checkpoint, adapters.read_adapter(folder / "adapter")):
        assert {tensor.dtype for tensor in stored.tensors.values()} == {torch.float16}
    loaded = load_config(folder / "config.yaml")
    again = evaluate_adapter(loaded, load_plugins(loaded.config.plugins), folder / "adapter")
    assert again == result.evaluation


def test_training_brings_the_renders_closer(small_run):
    listener = Silent()
    small_run("train.steps=14", "train.lr=3.0e-3", "data.reader.samples=2",
              "data.split.validation=0.5", listener=listener)  # fmt: skip
    losses = [step.loss for step in listener.steps]
    assert sum(losses[-3:]) < 0.9 * sum(losses[:3])


def test_ctrl_c_saves_and_stops(small_run):
    class Impatient(Silent):
        def step(self, step):
            super().step(step)
            if step.number == 2:
                os.kill(os.getpid(), signal.SIGINT)

    result = small_run(listener=Impatient())
    assert result.steps == 2
    assert result.evaluation is None
    assert adapters.read_adapter(result.session.folder.path / "adapter").passport["steps"] == 2


def test_ctrl_c_twice_stops_without_saving(small_run, tmp_path):
    class VeryImpatient(Silent):
        def step(self, step):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        small_run(listener=VeryImpatient())
    assert not (tmp_path / "runs" / "quickstart" / "adapter").exists()


def test_a_broken_law_stops_the_run_unless_forced(small_run, monkeypatch):
    from mfl_adapt import chain

    conform = chain.conform

    def move_principal_points(sample, contract):
        sample = conform(sample, contract)
        views = tuple(
            replace(view, fxfycxcy=view.fxfycxcy + np.array([0, 0, 4, 0])) for view in sample.views
        )
        return replace(sample, views=views)

    monkeypatch.setattr(chain, "conform", move_principal_points)
    with pytest.raises(CheckError, match=r"expected no broken law, got .*MFL019"):
        small_run()
    folder = small_run("train.force=true", "train.steps=1").session.folder.path
    report = json.loads((folder / "doctor.json").read_text())
    assert (report["forced"], report["passed"]) == (True, False)


def test_a_broken_law_in_the_files_of_a_dataset_stops_the_run(tmp_path):
    folder = tmp_path / "mice"
    write_dataset([render_sample("mice", k, size=64, num_views=6) for k in range(4)], folder)
    (folder / "data_all.txt").write_text("nobody\n")
    loaded = load_config(
        "facelift-sample",
        overrides=["data.split.by=order", "train.steps=1", f"output={tmp_path / 'runs'}"],
        flags={"data.path": str(folder)},
    )
    host = load_plugins(loaded.config.plugins)
    with pytest.raises(CheckError, match=r"expected no broken law, got .*MFL052"):
        run_training(claim_slots(loaded, host), host, Silent())
    assert not (tmp_path / "runs").exists()


def test_a_place_that_nobody_can_write_is_refused_before_anything_is_read(
    small_run, tmp_path, monkeypatch
):
    (tmp_path / "runs").write_text("no folder")
    monkeypatch.setattr(run_module, "open_run", lambda *_: pytest.fail("something was read"))
    with pytest.raises(StorageError, match=r"expected a folder that can be made and written, got"):
        small_run()


@pytest.mark.parametrize(
    ("override", "error", "message"),
    [
        ("train.precision=fp16", TrainingError, "expected bf16 or fp32 on the CPU"),
        ("adapter.targets=[to_qkw]", AdapterError, "to_qkw"),
        ("data.views.inputs=9", DataError, "expected at least 1[01] views, got 8"),
        ("adapter=null", ConfigError, "adapter: expected a component, got nothing"),
    ],
)
def test_what_cannot_run_says_so_before_it_makes_a_folder(
    small_run, tmp_path, override, error, message
):
    with pytest.raises(error, match=message):
        small_run(override)
    assert not (tmp_path / "runs").exists()


@without_cuda
def test_cuda_without_cuda_says_so(small_run):
    with pytest.raises(TrainingError, match="expected a CUDA device, got none"):
        small_run("train.device=cuda")


@needs_cuda
@pytest.mark.gpu
def test_a_run_on_cuda_draws_with_gsplat(small_run):
    result = small_run("train.device=cuda", "train.backend=gsplat", "train.precision=bf16")
    assert result.steps == 3
    assert next(result.session.base.module.parameters()).is_cuda
    assert result.evaluation.rows["adapted"].psnr_db > 5


def test_a_second_run_may_differ_in_precision(small_run):
    for precision in ("fp32", "bf16"):
        assert small_run(f"train.precision={precision}", "train.steps=1").steps == 1
