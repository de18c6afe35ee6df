"""The order of a step, and what an fp16 loss with its factor must not change."""

import json

import pytest
import torch
from accelerate import Accelerator
from helpers import needs_cuda
from scaling import Scaling
from silent import Silent

from mfl_adapt.train import run as run_module


def adapter_hash(result):
    path = result.session.folder.path / "adapter" / "passport.json"
    return json.loads(path.read_text())["adapter_hash"]


def scaled_run(small_run, monkeypatch, factor):
    """A run whose losses are multiplied, and how often it computed gradients."""
    backward, losses = Scaling.backward, []

    def count(self, loss, **options):
        losses.append(float(loss.detach()))
        backward(self, loss, **options)

    monkeypatch.setattr(Scaling, "factor", factor)
    monkeypatch.setattr(Scaling, "backward", count)
    monkeypatch.setattr(run_module, "build_accelerator", lambda device, precision: Scaling())
    listener = Silent()
    result = small_run("train.clip=1.0e-3", "train.lr=3.0e-3", listener=listener)
    return result, listener.steps, losses


def test_handing_the_optimizer_over_changes_no_bit_without_a_factor(small_run, monkeypatch):
    handed_over = adapter_hash(small_run())
    monkeypatch.setattr(Accelerator, "prepare_optimizer", lambda self, optimizer: optimizer)
    assert adapter_hash(small_run()) == handed_over


def test_gradients_are_clipped_without_the_factor(small_run, monkeypatch):
    listener = Silent()
    plain = small_run("train.clip=1.0e-3", "train.lr=3.0e-3", listener=listener)
    scaled, steps, losses = scaled_run(small_run, monkeypatch, 1024.0)
    assert len(losses) == 3
    # A factor that is a power of two costs no bit.
    assert [step.gradient_norm for step in steps] == [one.gradient_norm for one in listener.steps]
    assert all(step.gradient_norm > 1e-3 for step in steps)
    assert adapter_hash(scaled) == adapter_hash(plain)


def test_a_factor_that_is_too_large_is_halved_and_the_step_tried_again(small_run, monkeypatch):
    # Samples side by side multiply by the factor only at the end, where nothing overflows.
    monkeypatch.setattr("mfl_adapt.train.reconstruction.open_shards", lambda *_: None)
    plain = small_run("train.clip=1.0e-3", "train.lr=3.0e-3")
    # So large that gradients leave the range of float32.
    scaled, steps, losses = scaled_run(small_run, monkeypatch, 2.0**127)
    assert len(losses) > 3
    tried_again = len(losses) - 2
    assert losses[:tried_again] == [losses[0]] * tried_again
    assert [step.number for step in steps] == [1, 2, 3]
    assert scaled.steps == 3
    # One step of rising, then half a cosine over two; no try that failed moved it on.
    assert [step.lr for step in steps] == pytest.approx([3e-3, 3e-3, 1.5e-3])
    assert adapter_hash(scaled) == adapter_hash(plain)


@needs_cuda
@pytest.mark.gpu
def test_fp16_on_cuda_clips_what_fp32_clips(small_run):
    norms = []
    for precision in ("fp32", "fp16"):
        listener = Silent()
        small_run("train.device=cuda", f"train.precision={precision}", listener=listener)
        norms.append(listener.steps[0].gradient_norm)
    assert norms[1] == pytest.approx(norms[0], rel=0.1)


def test_lora_plus_multiplies_the_second_matrices_and_logs_the_rate_of_the_run(small_run):
    def moved(*overrides):
        listener = Silent()
        result = small_run(
            "train.steps=1", "train.warmup=1", "train.weight_decay=0", *overrides, listener=listener
        )
        state = result.session.adapter.state_dict()
        return state, [step.lr for step in listener.steps]

    plain, rates = moved()
    faster, faster_rates = moved("adapter.lora_plus_ratio=4")
    assert faster_rates == rates
    for name, tensor in plain.items():
        # A first step of Adam has the size of the rate; only what started at zero shows it whole.
        if ".lora_B." in name:
            torch.testing.assert_close(faster[name], 4 * tensor, rtol=1e-5, atol=0)
        else:
            assert torch.equal(faster[name], tensor), name
