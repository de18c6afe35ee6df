"""Faster steps of a model of views: peft's numbers, from one operation for each linear layer."""

import numpy as np
import pytest
import torch
from peft.tuners.lora import Linear as LoraLinear

from mfl_adapt.adapter import attach, base_digest
from mfl_adapt.adapter.fused import AddedToOutput, AddedToWeight
from mfl_adapt.adapter.layers import adapter_layers
from mfl_adapt.models.mvdiffusion.fresh import build_fresh
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion
from mfl_adapt.models.mvdiffusion.training import draw_step, training_step
from mfl_adapt.plugin import AdapterSpec
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.train.fast import fast_training

TARGETS = {
    "attention": "attention",
    # As the quickstart of views: convolutions too, which take the way of peft.
    "all": ["attention", "conditioning", "ff.net.0.proj", "ff.net.2", "proj_in", "conv_out"],
}


@pytest.fixture(params=list(TARGETS))
def adapted(request):
    """A fresh model of views with an adapter that has an effect, and one example."""
    base = FrozenMVDiffusion(build_fresh(seed=3), id="facelift.mvdiffusion")
    settings = {"r": 4, "targets": TARGETS[request.param]}
    method = load_plugins(["lora_mvdiffusion"]).build(
        AdapterSpec, "lora_mvdiffusion.lora", settings
    )
    adapter = attach(base, method, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for one in adapter.parameters():
            one.add_(0.02 * torch.randn(one.shape, generator=generator))
    pictures = torch.rand(1, 6, 3, base.size, base.size, generator=generator)
    base.module.train()
    return base, adapter, base.encode(pictures[:, 0], pictures)


def results(base, adapter, encoded, *, half=False):
    """What the denoiser says in one step of training, and the gradients of the adapter."""
    drawn = [torch.Generator().manual_seed(seed) for seed in (2, 3)]
    noise = draw_step(encoded, shared=drawn[0], own=drawn[1])
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        made = training_step(encoded, base.prompt_embeds, noise, base.parts)
    loss = (made.pred.float() - made.target.float()).square().mean()
    return [made.pred.detach().float(), *torch.autograd.grad(loss, adapter.parameters())]


def distance(one, other):
    """Relative difference of all numbers together; single small gradients are all rounding."""
    pairs = [(a.float(), b.float()) for a, b in zip(one[1:], other[1:], strict=True)]
    gradients = sum(float((a - b).square().sum()) for a, b in pairs)
    made = float((one[0] - other[0]).norm() / other[0].norm())
    return max(made, np.sqrt(gradients / sum(float(b.square().sum()) for _, b in pairs)))


@pytest.fixture
def operations(monkeypatch):
    """How often a layer ran as one operation, by the operation's name."""
    count = {}
    for operation in (AddedToWeight, AddedToOutput):

        def counted(*args, name=operation.__name__, apply=operation.apply):
            count[name] = count.get(name, 0) + 1
            return apply(*args)

        monkeypatch.setattr(operation, "apply", counted)
    return count


def test_float32_gives_what_peft_gives(adapted, operations):
    base, adapter, _ = adapted
    before, stock = base_digest(base.module), results(*adapted)
    with fast_training(adapter):
        ours = results(*adapted)
    layers = [one for one in adapter_layers(base.module).values() if type(one) is LoraLinear]
    assert operations == {"AddedToWeight": len(layers)}
    assert 0 < len(layers) <= len(adapter.layers)
    assert distance(ours, stock) < 1e-5
    assert base_digest(base.module) == before
    assert all("forward" not in vars(one) for one in layers)


def test_half_precision_is_about_as_far_from_float32_as_peft(adapted, operations):
    exact, stock = results(*adapted), results(*adapted, half=True)
    with fast_training(adapted[1]):
        ours = results(*adapted, half=True)
    assert set(operations) == {"AddedToOutput"}
    assert 0 < distance(ours, exact) < 1.5 * distance(stock, exact)
