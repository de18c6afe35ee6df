"""The kept beginning of a network: the same bits, and only where nothing of it changes."""

import logging

import pytest
import torch

from mfl_adapt.models.gslrm.prefix import Prefix, frozen_depth

BLOCK = "transformer_layers.{}.attn.to_qkv.lora_A.default.weight"


@pytest.mark.parametrize(
    ("changing", "depth"),
    [
        ([], 4),
        ([BLOCK.format(2), BLOCK.format(3)], 2),
        ([BLOCK.format(0)], 0),
        (["transformer_layers.1"], 1),
        (["pixel_gaussian_decoder.1.weight", "gaussian_upsampler.linear"], 4),
        (["patch_embedder.1.lora_A.default.weight", BLOCK.format(2)], None),
        (["gaussian_position_embeddings"], None),
        (["unknown"], None),
    ],
)
def test_the_depth_ends_before_the_first_change(changing, depth):
    assert frozen_depth(changing, 4) == depth


def results(model, rgb, cameras):
    made = model(rgb, cameras)
    loss = made.xyz.square().sum() + made.features.sum()
    own = [one for one in model.parameters() if one.requires_grad]
    return made, torch.autograd.grad(loss, own)


@pytest.fixture
def learning(small_model):
    """The small model with only its second block in training."""
    small_model.requires_grad_(False)
    small_model.transformer_layers[1].requires_grad_(True)
    return small_model.train()


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("depth", [0, 1])
def test_kept_and_computed_are_the_same_bits(learning, scene, half, depth):
    rgb, cameras = scene()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        plain = results(learning, rgb, cameras)
        learning.prefix = Prefix(depth)
        first, again = results(learning, rgb, cameras), results(learning, rgb, cameras)
    assert learning.prefix.hits == 1
    for made, gradients in (first, again):
        for field in ("xyz", "features", "scaling", "rotation", "opacity"):
            assert torch.equal(getattr(made, field), getattr(plain[0], field))
        assert all(map(torch.equal, gradients, plain[1]))


def test_items_do_not_depend_on_the_batch_they_meet_in(learning, scene):
    rgb, cameras = scene(batch=2)
    learning.prefix = Prefix(1)
    learning(rgb, cameras)
    one = type(cameras)(cameras.c2w[1:], cameras.fxfycxcy[1:], height=16, width=16)
    learning(rgb[1:], one)
    assert (len(learning.prefix), learning.prefix.hits) == (2, 1)


def test_any_change_of_the_input_is_another_item(learning, scene):
    rgb, cameras = scene()
    learning.prefix = Prefix(1)
    learning(rgb, cameras)
    learning(rgb.clone().index_fill_(4, torch.tensor(3), 0.5), cameras)
    turned = type(cameras)(cameras.c2w, cameras.fxfycxcy + 1e-3, height=16, width=16)
    learning(rgb, turned)
    with torch.autocast("cpu", torch.bfloat16):
        learning(rgb, cameras)
    assert (len(learning.prefix), learning.prefix.hits) == (4, 0)


def test_nothing_is_kept_outside_training_or_for_pictures_that_learn(learning, scene):
    rgb, cameras = scene()
    learning.prefix = Prefix(1)
    learning(rgb.requires_grad_(), cameras).xyz.sum().backward()
    assert rgb.grad is not None
    learning.eval()
    learning(rgb.detach(), cameras)
    learning.train()
    learning(rgb.detach(), cameras, round_rays=torch.bfloat16)
    assert len(learning.prefix) == 0


def test_pictures_that_never_come_again_switch_it_off(learning, scene, caplog):
    rgb, cameras = scene()
    learning.prefix = Prefix(1, most_bytes=15_000)
    with caplog.at_level(logging.INFO):
        for shade in range(4):
            learning(rgb * (1 - shade / 8), cameras)
    assert len(learning.prefix) == 0
    assert caplog.text.count("nothing of them is kept") == 1


def test_full_memory_keeps_what_was_found_again(learning, scene):
    rgb, cameras = scene()
    learning.prefix = Prefix(1, most_bytes=15_000)
    for shade in (0, 0, 1, 2, 3):
        learning(rgb * (1 - shade / 8), cameras)
    assert len(learning.prefix) >= 1
    learning(rgb, cameras)
    assert learning.prefix.hits == 2
