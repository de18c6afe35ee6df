"""Attention that keeps its weights, against torch's own."""

import pytest
import torch
from torch.nn import functional as F

from mfl_adapt.models.gslrm import mixing
from mfl_adapt.models.gslrm.mixing import Kept, keeps_weights, mix

LONG = mixing._SHORT + 1


def drawn(batch, tokens, heads, d_head, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    shape = (batch, tokens, 3 * heads * d_head)
    return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()


def stock(qkv, d_head):
    parts = qkv.unflatten(-1, (3, -1, d_head)).permute(2, 0, 3, 1, 4).unbind()
    return F.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(start_dim=2)


def both(function, qkv, d_head):
    mixed = function(qkv, d_head)
    weights = torch.linspace(-1, 1, mixed.numel(), dtype=mixed.dtype).view_as(mixed).sin()
    return mixed.detach(), torch.autograd.grad(mixed, qkv, weights)[0]


@pytest.mark.parametrize("shape", [(1, 1, 1, 4), (2, 5, 3, 2), (1, 7, 1, 3)])
def test_gradients_against_differences(shape):
    qkv = drawn(*shape, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda given: Kept.apply(given, shape[-1]), (qkv,))


@pytest.mark.parametrize("piece", [1, 150 * 64, 150 * 150])
def test_pieces_of_any_size_give_what_torch_gives(monkeypatch, piece):
    monkeypatch.setattr(mixing, "_PIECE", piece)
    qkv = drawn(2, 150, 3, 8, torch.float64)
    for ours, theirs in zip(both(Kept.apply, qkv, 8), both(stock, qkv, 8), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("dtype", "share"), [(torch.float32, 2e-6), (torch.bfloat16, 0.02)])
def test_long_training_keeps_weights_and_agrees(dtype, share):
    qkv = drawn(1, LONG, 2, 16).detach().to(dtype).requires_grad_()
    assert keeps_weights(qkv, 16)
    exact = qkv.detach().double().requires_grad_()
    ours = both(lambda given, d_head: mix(given, d_head, training=True), qkv, 16)
    for mine, truth in zip(ours, both(stock, exact, 16), strict=True):
        assert (mine.double() - truth).norm() <= share * truth.norm()


def test_the_input_stays_as_it_was():
    qkv = drawn(1, 1, 1, 4)
    before = qkv.detach().clone()
    both(Kept.apply, qkv, 4)
    assert torch.equal(qkv.detach(), before)


def test_weights_are_kept_only_where_that_helps_and_fits(monkeypatch):
    qkv = drawn(1, LONG, 1, 2)
    assert keeps_weights(qkv, 2)
    assert not keeps_weights(qkv.detach(), 2)
    assert not keeps_weights(qkv[:, 1:], 2)
    with torch.no_grad():
        assert not keeps_weights(qkv, 2)
    monkeypatch.setattr(mixing, "_KEPT", 4 * LONG**2 - 1)
    assert not keeps_weights(qkv, 2)


def test_outside_training_bits_do_not_depend_on_gradients():
    qkv = drawn(1, LONG, 1, 8)
    assert torch.equal(mix(qkv, 8).detach(), mix(qkv.detach(), 8))
