"""Rendering only around the masks: who asks for it, and that nothing but time changes."""

import logging
from dataclasses import fields

import pytest
import torch
from mfl_adapt_masked_loss.config import MaskedL2Config, MaskedSSIMConfig
from mfl_adapt_masked_loss.masked_l2 import MaskedL2
from mfl_adapt_masked_loss.masked_ssim import MaskedSSIM
from silent import Silent
from small_runs import run_small

from mfl_adapt.adapter import attach, read_header
from mfl_adapt.config import LossSchedule, load_config
from mfl_adapt.data.collate import collate
from mfl_adapt.errors import TrainingError
from mfl_adapt.metrics import foreground_psnr
from mfl_adapt.plugin import AdapterSpec, LocalLoss, LossContext, LossSpec
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.render import render
from mfl_adapt.synth import render_sample
from mfl_adapt.train.boxes import boxes_around
from mfl_adapt.train.objective import Objective, Term
from mfl_adapt.train.reconstruction import Reconstruction
from mfl_adapt.types import ViewSplit

import mfl_adapt as mfl  # isort: skip


def masks_of(*rectangles, size=96):
    """Masks [1, V, 1, H, W] of rectangles (left, top, right, bottom)."""
    mask = torch.zeros(1, len(rectangles), 1, size, size)
    for view, (left, top, right, bottom) in enumerate(rectangles):
        mask[0, view, 0, top:bottom, left:right] = 1.0
    return mask


def test_boxes_around_masks():
    mask = torch.zeros(2, 3, 1, 7, 9)
    mask[0, 0, 0, 2, 3] = 1 / 255  # the faintest pixel belongs to it
    mask[0, 1, 0, 1:4, 2] = 1
    mask[0, 1, 0, 5, 8] = 1
    mask[1, 0] = 1
    mask[1, 2, 0, 6, 0] = 0.5
    assert boxes_around(mask).tolist() == [
        [[3, 2, 4, 3], [2, 1, 9, 6], [0, 0, 0, 0]],
        [[0, 0, 9, 7], [0, 0, 0, 0], [0, 6, 1, 7]],
    ]
    assert boxes_around(mask, 2).tolist() == [
        [[1, 0, 6, 5], [0, 0, 9, 7], [0, 0, 0, 0]],
        [[0, 0, 9, 7], [0, 0, 0, 0], [0, 4, 3, 7]],
    ]


def reader(reach):
    """A loss that reads so far, or whole pictures."""

    class Reads:
        def __call__(self, pred, target, mask, context):
            return pred.mean(dim=(2, 3, 4))

    loss = Reads()
    if reach is not None:
        loss.reach_px = reach
    return loss


def test_one_term_that_reads_whole_pictures_is_enough():
    assert Objective((Term("a.x", 1.0, reader(0)), Term("a.y", 1.0, reader(5)))).reach_px(0) == 5
    assert (
        Objective((Term("a.x", 1.0, reader(0)), Term("a.y", 1.0, reader(None)))).reach_px(0) is None
    )
    with pytest.raises(
        TrainingError, match=r"losses\.a\.x: expected reach_px of at least 0, got -1"
    ):
        Objective((Term("a.x", 1.0, reader(-1)),))


def test_terms_that_do_not_count_at_a_step_have_no_say():
    late = Term("a.late", 1.0, reader(None), LossSchedule(start=5))
    early = Term("a.early", 1.0, reader(7), LossSchedule(stop=3))
    objective = Objective((Term("a.x", 1.0, reader(1)), late, early))
    assert [objective.reach_px(step) for step in (0, 2, 3, 4, 5)] == [7, 7, 1, 1, None]
    assert Objective((late,)).reach_px(0) is None


def test_what_the_losses_of_the_tree_say():
    host = load_plugins(["masked_loss", "facelift_loss"])
    said = {}
    for name in (
        *("masked_loss.masked_l2", "masked_loss.masked_ssim"),
        *("masked_loss.background", "masked_loss.silhouette"),
        *("facelift_loss.l2", "facelift_loss.ssim", "facelift_loss.min_snr"),
        *("facelift_loss.pixelalign", "facelift_loss.pointsdist"),
    ):
        loss = host.build(LossSpec, name)
        said[name] = loss.reach_px if isinstance(loss, LocalLoss) else None
    assert {name for name, reach in said.items() if reach is None} == {
        *("masked_loss.background", "masked_loss.silhouette"),
        *("facelift_loss.l2", "facelift_loss.ssim", "facelift_loss.min_snr"),
    }
    assert {reach for reach in said.values() if reach is not None} == {0}


class GrownL2(MaskedL2):
    """One that reads around the mask as well."""

    reach_px = 3

    def __call__(self, pred, target, mask, context):
        grown = torch.nn.functional.max_pool2d(mask.flatten(0, 1), 7, 1, 3)
        return super().__call__(pred, target, grown.view_as(mask), context)


LOSSES = {
    "l2": (MaskedL2(MaskedL2Config()),),
    "l2 and ssim": (MaskedL2(MaskedL2Config()), MaskedSSIM(MaskedSSIMConfig())),
    "around the mask": (GrownL2(MaskedL2Config()), MaskedSSIM(MaskedSSIMConfig())),
}
MASKS = {
    "own": None,
    "small": masks_of((40, 30, 60, 55), (10, 70, 20, 90)),
    "at the borders": masks_of((0, 0, 96, 9), (70, 50, 96, 96)),
    "one empty": masks_of((0, 0, 0, 0), (31, 31, 33, 33)),
    "all empty": masks_of((0, 0, 0, 0), (0, 0, 0, 0)),
    "everything": masks_of((0, 0, 96, 96), (0, 0, 96, 96)),
    "two far parts": masks_of((2, 2, 5, 5), (2, 2, 5, 5))
    + masks_of((80, 3, 90, 5), (3, 90, 5, 96)),
}


@pytest.fixture(scope="module")
def scene():
    """The tiny base with an adapter that has an effect, and a batch of two mice."""
    base = mfl.load_base("facelift.tiny")
    method = load_plugins(["lora_gslrm"]).build(AdapterSpec, "lora_gslrm.lora", {"r": 2})
    adapter = attach(base, method, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for one in adapter.parameters():
            one.add_(0.02 * torch.randn(one.shape, generator=generator))
    samples = [render_sample("mice", seed, size=96) for seed in (0, 1)]
    split = ViewSplit((0, 1, 2, 3), (4, 5))
    batch = collate(samples, [split, split], base.contract)
    return base, adapter, batch, base.reconstruct(batch.inputs.rgb, batch.inputs.cameras)


def learn(scene, mask, losses, boxed):
    """Value, quality, and gradients of the Gaussians: all that can reach an adapter."""
    base, _, batch, made = scene
    target = batch.targets
    objective = Objective(tuple(Term(f"a.{i}", 1.0, one) for i, one in enumerate(losses)))
    boxes = boxes_around(mask, objective.reach_px(0)) if boxed else None
    drawn = render(made, target.cameras, backend="cpu", depth=False, boxes=boxes)
    context = LossContext(base.contract, 0, made, target.cameras, drawn.alpha)
    total = objective(drawn.rgb, target.rgb, mask, context).total
    quality = foreground_psnr(drawn.rgb.detach(), target.rgb, mask)
    leaves = [getattr(made, field.name) for field in fields(made)]
    return total, quality.nan_to_num(), torch.autograd.grad(total, leaves, retain_graph=True)


@pytest.mark.parametrize("losses", list(LOSSES))
@pytest.mark.parametrize("masks", list(MASKS))
def test_values_and_gradients_are_those_of_whole_pictures(scene, losses, masks):
    mask = scene[2].targets.mask
    if MASKS[masks] is not None:
        mask = torch.cat([MASKS[masks], mask[1:]])  # and another box for the second sample
    total, quality, grads = learn(scene, mask, LOSSES[losses], boxed=False)
    value, same, others = learn(scene, mask, LOSSES[losses], boxed=True)
    assert torch.equal(total, value)
    assert torch.equal(quality, same)
    assert all(torch.equal(*pair) for pair in zip(grads, others, strict=True))
    assert all(one.any() for one in grads)


def test_gradients_of_an_adapter_are_those_of_whole_pictures(scene):
    _, adapter, batch, made = scene
    leaves = [getattr(made, field.name) for field in fields(made)]
    results = []
    for boxed in (False, True):
        _, _, grads = learn(scene, batch.targets.mask, LOSSES["l2 and ssim"], boxed)
        found = torch.autograd.grad(leaves, adapter.parameters(), grads, retain_graph=True)
        results.append(found)
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))
    assert any(one.any() for one in results[0])


MASKED = (
    "losses.masked_loss.background=null",
    "losses.masked_loss.silhouette=null",
    "losses.masked_loss.masked_ssim={weight: 0.3}",
)


QUICK = ("evaluate.retention=0", "train.sample_every=9", "train.validate_every=null")


def hash_of(result):
    return read_header(result.session.folder.path / "adapter").passport["adapter_hash"]


def test_a_run_in_boxes_is_the_same_run_bit_for_bit(tmp_path, monkeypatch, caplog):
    seen, boxes_of = [], Reconstruction._boxes

    def note(self, mask, step, look):
        boxes = boxes_of(self, mask, step, look)
        seen.append((step, boxes is not None))
        return boxes

    monkeypatch.setattr(Reconstruction, "_boxes", note)
    steps = ("train.steps=4", "train.guards.every=3", *QUICK, *MASKED)
    listeners = [Silent(), Silent()]
    with caplog.at_level(logging.DEBUG, "mfl_adapt.train.reconstruction"):
        boxed = run_small(tmp_path / "boxed", *steps, listener=listeners[0])
    assert "render: boxes around the masks" in caplog.text
    # Guards look at whole pictures at the first step and at every third.
    assert dict(seen) == {0: False, 1: True, 2: False, 3: True}
    monkeypatch.setattr(Reconstruction, "_boxes", lambda *_: None)
    whole = run_small(tmp_path / "whole", *steps, listener=listeners[1])
    assert hash_of(boxed) == hash_of(whole)
    losses = [[step.loss for step in one.steps] for one in listeners]
    assert losses[0] == losses[1]


def test_the_quickstart_needs_whole_pictures():
    config = load_config("quickstart").config
    host = load_plugins(config.plugins)
    terms = [
        Term(name, one.weight, host.build(LossSpec, name, one.settings))
        for name, one in config.losses.items()
    ]
    assert Objective(tuple(terms)).reach_px(0) is None
