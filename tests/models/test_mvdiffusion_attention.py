"""Attention between views: an oracle in numpy, who depends on whom, and lost processors."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model

from mfl_adapt.errors import BackendError, RangeError, ShapeError
from mfl_adapt.models.mvdiffusion.attention import ViewLayout, attend_views, attn1_layers
from mfl_adapt.models.mvdiffusion.fresh import build_fresh

VIEWS = 6
PATTERNS = ("reference", "dense", "self")


@pytest.fixture
def unet():
    return build_fresh(seed=1).unet.eval().requires_grad_(requires_grad=False)


def inputs(objects=1, views=VIEWS, seed=0):
    generator = torch.Generator().manual_seed(seed)
    items = objects * views
    return {
        "sample": torch.randn(items, 8, 8, 8, generator=generator),
        "timestep": torch.tensor(437),
        "encoder_hidden_states": torch.randn(items, 7, 32, generator=generator),
        "class_labels": torch.randn(items, 32, generator=generator),
    }


def run(unet, batch):
    with torch.no_grad():
        return unet(**batch).sample


def softmax_attention(query, key, value, scale):
    """One head of one item: [L, c] against [M, c]."""
    scores = scale * query @ key.T
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (weights / weights.sum(axis=1, keepdims=True)) @ value


def keys_of(pattern, item, views):
    first = item - item % views
    chosen = {
        "reference": [first, item],
        "dense": range(first, first + views),
        "self": [item],
    }
    return chosen[pattern]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("views", [1, 2, 3, 6])
def test_each_pattern_against_numpy(pattern, views):
    random = np.random.default_rng(0)
    query, key, value = random.normal(size=(3, 6, 2, 5, 4))
    layout = ViewLayout(views, pattern)
    tensors = (torch.from_numpy(x) for x in (query, key, value))
    mixed = attend_views(*tensors, layout, scale=0.3).numpy()
    for item in range(6):
        sources = keys_of(pattern, item, views)
        for head in range(2):
            keys = np.concatenate([key[n, head] for n in sources])
            values = np.concatenate([value[n, head] for n in sources])
            expected = softmax_attention(query[item, head], keys, values, 0.3)
            np.testing.assert_allclose(mixed[item, head], expected, atol=1e-12)


def changed_views(unet, changed):
    """Views of the first object whose output a change of one view moves."""
    batch = inputs(objects=2)
    before = run(unet, batch)
    batch["sample"][changed] += 1.0
    moved = (run(unet, batch) - before).abs().amax(dim=(1, 2, 3))
    return [item for item, size in enumerate(moved.tolist()) if size > 1e-4]


def test_a_view_moves_nothing_but_itself(unet):
    assert changed_views(unet, 3) == [3]


def test_the_first_view_moves_all_of_its_object(unet):
    assert changed_views(unet, 6) == [6, 7, 8, 9, 10, 11]


def test_dense_attention_moves_all_of_its_object(unet):
    unet.layout.pattern = "dense"
    assert changed_views(unet, 3) == [0, 1, 2, 3, 4, 5]


def test_the_first_view_is_as_if_alone(unet):
    batch = inputs()
    alone = {k: v if v.dim() == 0 else v[:1] for k, v in batch.items()}
    with unet.viewing(1):
        single = run(unet, alone)
    torch.testing.assert_close(run(unet, batch)[:1], single, atol=1e-5, rtol=0)
    assert unet.num_views == VIEWS


def test_gradients_reach_the_first_view_from_every_view(unet):
    for view in range(VIEWS):
        batch = inputs()
        batch["sample"].requires_grad_()
        unet(**batch).sample[view].square().mean().backward()
        reached = batch["sample"].grad.abs().amax(dim=(1, 2, 3)) > 0
        assert reached.nonzero().flatten().tolist() == sorted({0, view})


def test_gradient_checkpointing_changes_no_gradient(unet):
    gradients = []
    for on in (False, True):
        unet.zero_grad()
        unet.train().requires_grad_(requires_grad=True)
        if on:
            unet.enable_gradient_checkpointing()
        unet(**inputs()).sample.square().mean().backward()
        layer = unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1
        gradients.append(layer.to_k.weight.grad.clone())
    torch.testing.assert_close(gradients[0], gradients[1])


def test_keys_are_projected_once_per_item(unet):
    shapes = []
    for _, layer in attn1_layers(unet):
        layer.to_k.register_forward_hook(lambda _, args, __: shapes.append(args[0].shape[0]))
    run(unet, inputs(objects=2))
    assert set(shapes) == {2 * VIEWS}
    assert len(shapes) == len(list(attn1_layers(unet))) == 4


@pytest.mark.parametrize("target", ["to_q", "to_k", "to_v", "to_out.0"])
def test_adapters_on_the_projections_act(unet, target):
    batch = inputs()
    before = run(unet, batch)
    config = LoraConfig(r=2, target_modules=rf".*\.attn1\.{target}", init_lora_weights=False)
    inject_adapter_in_model(config, unet)
    assert float((run(unet, batch) - before).abs().max()) > 1e-3


@pytest.mark.parametrize(
    "spoil",
    [
        lambda unet: unet.set_attention_slice("auto"),
        lambda unet: unet.fuse_qkv_projections(),
        lambda unet: next(attn1_layers(unet))[1].set_processor(build_processor()),
        lambda unet: unet.set_attn_processor(build_processor()),
    ],
)
def test_lost_processors_are_noticed_and_can_be_put_back(unet, spoil):
    batch = inputs()
    before = run(unet, batch)
    spoil(unet)
    with pytest.raises(BackendError, match=r"attn1: expected this network's ViewAttention, got "):
        unet(**batch)
    unet.install_views()
    torch.testing.assert_close(run(unet, batch), before)


def test_processors_of_another_network_are_noticed(unet):
    other = build_fresh(seed=2).unet
    other.num_views = 3
    for (_, layer), (_, foreign) in zip(attn1_layers(unet), attn1_layers(other), strict=True):
        layer.set_processor(foreign.processor)
    with pytest.raises(BackendError, match="expected this network's ViewAttention"):
        unet(**inputs())


def build_processor():
    from diffusers.models.attention_processor import AttnProcessor2_0

    return AttnProcessor2_0()


@pytest.mark.parametrize("items", [1, 5, 7])
def test_incomplete_objects_are_refused(unet, items):
    batch = {k: v if v.dim() == 0 else v[:items] for k, v in inputs(objects=2).items()}
    with pytest.raises(ShapeError, match=f"whole objects of 6 views, got {items} items"):
        unet(**batch)


def test_copies_have_processors_of_their_own(unet):
    """A moving average of the weights is a copy."""
    copy = deepcopy(unet)
    assert torch.equal(run(copy, inputs()), run(unet, inputs()))
    copy.num_views = 3
    assert unet.num_views == VIEWS
    assert not torch.equal(run(copy, inputs()), run(unet, inputs()))


def test_masks_are_refused(unet):
    with pytest.raises(BackendError, match="neither a mask"):
        unet(**inputs(), attention_mask=torch.ones(VIEWS, 64))


def test_no_views_are_refused(unet):
    with pytest.raises(RangeError, match="num_views: expected at least 1, got 0"):
        unet.num_views = 0


def test_fingerprint_options_do_not_name_sizes(unet):
    options = unet.architecture()
    assert options["pattern"] == "reference"
    assert not {"sample_size", "num_views"} & options.keys()
