"""Both ways to attend: an oracle in numpy, and which one is taken where."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mfl_adapt.models.attention import attend


def tensors(dtype, keys=7, learns=True):
    generator = torch.Generator().manual_seed(0)
    sizes = (5, keys, keys)
    drawn = [torch.randn(2, 3, size, 8, generator=generator, dtype=dtype) for size in sizes]
    return [one.requires_grad_(learns) for one in drawn]


def oracle(query, key, value, scale):
    query, key, value = (x.detach().double().numpy() for x in (query, key, value))
    scores = scale * np.einsum("bhlc,bhmc->bhlm", query, key)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True) @ value


@pytest.fixture
def fused_calls(monkeypatch):
    calls, fused = [], F.scaled_dot_product_attention

    def count(*args, **settings):
        calls.append(args)
        return fused(*args, **settings)

    monkeypatch.setattr(F, "scaled_dot_product_attention", count)
    return calls


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-12), (torch.bfloat16, 0.03)])
@pytest.mark.parametrize("learns", [True, False])
@pytest.mark.parametrize(("scale", "factor"), [(None, 8**-0.5), (0.3, 0.3), (0.0, 0.0)])
def test_both_ways_against_numpy(dtype, atol, learns, scale, factor):
    given = tensors(dtype, learns=learns)
    mixed = attend(*given, scale=scale).detach().double().numpy()
    np.testing.assert_allclose(mixed, oracle(*given, factor), atol=atol)


@pytest.mark.parametrize(
    ("dtype", "keys", "learns", "plain"),
    [
        (torch.bfloat16, 1024, True, True),
        (torch.bfloat16, 1025, True, False),
        (torch.bfloat16, 7, False, False),
        (torch.float32, 7, True, False),
    ],
)
def test_only_short_training_in_bf16_multiplies_plainly(fused_calls, dtype, keys, learns, plain):
    attend(*tensors(dtype, keys, learns))
    assert len(fused_calls) == (0 if plain else 1)


def test_nothing_is_learned_without_gradients(fused_calls):
    with torch.no_grad():
        attend(*tensors(torch.bfloat16))
    assert len(fused_calls) == 1


def test_plain_gradients_are_those_of_the_kernel():
    given, twins = tensors(torch.bfloat16), tensors(torch.float64)
    for twin, one in zip(twins, given, strict=True):
        twin.data = one.detach().double()
    attend(*given, scale=0.3).sum().backward()
    attend(*twins, scale=0.3).sum().backward()
    for one, twin in zip(given, twins, strict=True):
        torch.testing.assert_close(one.grad.double(), twin.grad, atol=0.05, rtol=0.05)
