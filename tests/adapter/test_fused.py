"""Plain LoRA in few operations: peft's numbers, and peft's own way for everything else."""

import peft
import pytest
import torch
from peft.tuners.lora import Linear as LoraLinear
from small_base import Method, make_base, make_lora, output, train_a_little
from torch import nn

from mfl_adapt.adapter import attach, base_digest
from mfl_adapt.adapter.fused import AddedToOutput, AddedToWeight, fused
from mfl_adapt.adapter.layers import adapter_layers


class Counter:
    """Counts how often each operation ran."""

    def __init__(self, monkeypatch):
        self.count = 0
        for operation in (AddedToWeight, AddedToOutput):
            monkeypatch.setattr(operation, "apply", self.counting(operation.apply))

    def counting(self, apply):
        def counted(*args):
            self.count += 1
            return apply(*args)

        return counted


@pytest.fixture
def operations(monkeypatch):
    return Counter(monkeypatch)


@pytest.fixture
def adapted():
    base = make_base()
    adapter = attach(base, make_lora(lora_alpha=12), seed=0)
    train_a_little(adapter)
    base.module.train()
    return base, adapter


def results(base, adapter, *, half=False):
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        made = output(base)
    return [made.detach(), *torch.autograd.grad(made.square().sum(), adapter.parameters())]


def distance(one, other):
    return max(float((a - b).norm() / b.norm()) for a, b in zip(one, other, strict=True))


def test_float32_gives_what_peft_gives(adapted, operations):
    stock = results(*adapted)
    with fused(adapted[0].module):
        ours = results(*adapted)
    assert operations.count == len(adapted[1].layers) == 8
    assert distance(ours, stock) < 2e-6


def test_half_precision_is_about_as_far_from_float32_as_peft(adapted, operations):
    exact, stock = results(*adapted), results(*adapted, half=True)
    with fused(adapted[0].module):
        ours = results(*adapted, half=True)
    assert operations.count == 8
    assert 0 < distance(ours, exact) < 1.5 * distance(stock, exact)


@pytest.mark.parametrize("operation", [AddedToWeight, AddedToOutput])
@pytest.mark.parametrize("has_bias", [False, True])
def test_gradients_against_differences(operation, has_bias):
    generator = torch.Generator().manual_seed(0)
    x, weight, bias, down, up = (
        torch.randn(shape, generator=generator, dtype=torch.float64)
        for shape in ((5, 3), (4, 3), (4,), (2, 3), (4, 2))
    )
    low, truth = 0.5 * (x @ down.T) @ up.T, x @ weight.T + (bias if has_bias else 0)

    def apply(x, down, up):
        return operation.apply(x, weight, bias if has_bias else None, down, up, 0.5)

    torch.testing.assert_close(apply(x, down, up), truth + low)
    if operation is AddedToWeight:  # the other one rounds gradients of weights to float32
        given = [one.requires_grad_() for one in (x, down, up)]
        assert torch.autograd.gradcheck(apply, given)


def test_strength_acts_and_strength_zero_is_the_base(adapted):
    base, adapter = adapted
    with fused(base.module):
        for strength in (0.5, 0.0):
            adapter.strength = strength
            ours = output(base).detach()
            with torch.no_grad():
                assert float((ours - output(base)).abs().max()) < 1e-5


def test_without_gradients_bits_are_those_of_peft(adapted, operations):
    with torch.no_grad():
        stock = output(adapted[0])
        with fused(adapted[0].module):
            assert torch.equal(output(adapted[0]), stock)
    assert operations.count == 0


@pytest.mark.parametrize(
    "method",
    [
        make_lora(use_dora=True),
        make_lora(lora_dropout=0.5),
        Method(peft.LoKrConfig(r=4, target_modules=["fc"])),
        Method(peft.IA3Config(target_modules=["fc"], feedforward_modules=[])),
    ],
)
def test_other_methods_take_the_way_of_peft(method, operations):
    base = make_base()
    adapter = attach(base, method, seed=0)
    train_a_little(adapter)
    base.module.train()
    torch.manual_seed(0)
    stock = results(base, adapter)
    torch.manual_seed(0)
    with fused(base.module):
        ours = results(base, adapter)
    assert operations.count == 0
    assert all(map(torch.equal, ours, stock))


def test_two_adapters_in_one_layer_take_the_way_of_peft(adapted, operations):
    base, first = adapted
    second = attach(base, make_lora(target_modules=["fc"]), name="second", seed=1)
    train_a_little(second)
    stock = results(base, second)
    with fused(base.module):
        ours = results(base, second)
    assert operations.count == len(first.layers) - len(second.layers)
    assert distance(ours, stock) < 2e-6


def test_layers_are_pefts_again_afterwards_also_after_an_error(adapted):
    base, _ = adapted
    with pytest.raises(KeyError), fused(base.module):
        raise KeyError
    layers = adapter_layers(base.module).values()
    assert all(type(one) is LoraLinear and "forward" not in vars(one) for one in layers)


def test_the_base_gets_no_gradient_and_keeps_its_bits(adapted):
    base, adapter = adapted
    before = base_digest(base.module)
    with fused(base.module):
        output(base).square().sum().backward()
    assert base_digest(base.module) == before
    own = {id(one) for one in adapter.parameters()}
    others = [one for one in base.module.parameters() if id(one) not in own]
    assert all(one.grad is None for one in others)
    assert all(one.grad is not None for one in adapter.parameters())


def test_a_layer_inside_that_is_trained_too_takes_the_way_of_peft(adapted, operations):
    base, adapter = adapted
    layer = next(iter(adapter_layers(base.module).values()))
    assert isinstance(layer.base_layer, nn.Linear)
    layer.base_layer.weight.requires_grad_()
    with fused(base.module):
        results(base, adapter)
    assert operations.count == len(adapter.layers) - 1
