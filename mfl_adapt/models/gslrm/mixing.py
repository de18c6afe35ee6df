"""Attention among all tokens of an item, and a way of its own to train it on a CPU.

Torch's fused kernel forgets the attention weights and computes them again in the backward pass,
and in bf16 its matrix products run at a third of the processor's rate. On a CPU the weights of a
few thousand tokens fit into memory, so they are kept, and plain products work on pieces of them
that fit into a core's cache. One block's attention, forward and backward, with 1538 tokens and 4
heads of 64 on one core of an AMD EPYC (Zen 4): 62 against 102 ms in bf16, 101 against 110 ms in
float32. In bf16, as in ``attend`` for short sequences, scores are rounded before the softmax.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mfl_adapt.models.attention import attend, is_on_cpu

# Weights in a piece, 1.6 MB of float32.
_PIECE = 400_000
# Bytes of the weights of one block that may be kept for the backward pass.
_KEPT = 2**26
# Tokens up to which ``attend`` is as fast.
_SHORT = 1024


def mix(qkv: Tensor, d_head: int, *, training: bool = False) -> Tensor:
    """Let every token attend to all tokens of its item.

    Args:
        qkv: Queries, keys and values one after the other, [B, T, 3 D]; within each the head is
            the slow axis.
        d_head: Width of a head; the scale is 1 / sqrt(d_head).
        training: Whether speed comes before equal bits with and without gradients.

    Returns:
        [B, T, D].
    """
    if training and keeps_weights(qkv, d_head):
        mixed: Tensor = Kept.apply(qkv, d_head)
        return mixed
    query, key, value = qkv.unflatten(-1, (3, -1, d_head)).permute(2, 0, 3, 1, 4).unbind()
    return attend(query, key, value).transpose(1, 2).flatten(start_dim=2)


def keeps_weights(qkv: Tensor, d_head: int) -> bool:
    """Tell whether training is faster, and possible, with the attention weights in memory."""
    batch, tokens, width = qkv.shape
    kept = batch * (width // (3 * d_head)) * tokens**2 * qkv.element_size()
    learns = torch.is_grad_enabled() and qkv.requires_grad
    fits = tokens > _SHORT and kept <= _KEPT and qkv.dtype in {torch.float32, torch.bfloat16}
    return learns and fits and is_on_cpu(qkv)


class Kept(torch.autograd.Function):
    """Attention that keeps its weights; all sums over tokens are in float32 or better."""

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, d_head: int) -> Tensor:
        """Mix [B, T, 3 D] to [B, T, D]."""
        batch, tokens, _ = qkv.shape
        parts = _by_head(qkv, d_head)
        query, key, value = parts
        query.mul_(d_head**-0.5)
        mixed, weights = torch.empty_like(query), []
        for q, k, v, o in zip(query, key, value, mixed, strict=True):
            # One tensor for each head: larger ones would go back to the system at every step,
            # which clears every page of memory that it hands out.
            kept = q.new_empty(tokens, tokens)
            for piece, some_q, some_o in _pieces(kept, q, o):
                torch.mm(some_q, k.mT, out=piece)
                torch.softmax(piece, dim=-1, out=piece)
                torch.mm(piece, v, out=some_o)
            weights.append(kept)
        ctx.save_for_backward(parts, *weights)
        ctx.d_head = d_head
        return mixed.view(batch, -1, tokens, d_head).transpose(1, 2).reshape(batch, tokens, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of ``qkv``."""
        parts, *weights = ctx.saved_tensors
        query, key, value = parts
        batch, tokens, width = outer.shape
        (outer,) = _by_head(outer, ctx.d_head, parts=1)
        by_query = torch.empty_like(query)
        by_key, by_value = (torch.zeros_like(query, dtype=_wide(query)) for _ in range(2))
        room = query.new_empty(_rows(tokens), tokens)
        columns = (weights, outer, query, key, value, by_query, by_key, by_value)
        for kept, g, q, k, v, by_q, by_k, by_v in zip(*columns, strict=True):
            for piece, some_g, some_q, some_by_q in _pieces(kept, g, q, by_q):
                change = room[: len(piece)]
                _add(by_v, piece.mT, some_g)
                torch.mm(some_g, v.mT, out=change)
                torch._softmax_backward_data(change, piece, -1, change.dtype, grad_input=change)
                torch.mm(change, k, out=some_by_q)
                _add(by_k, change.mT, some_q)
        by_query.mul_(ctx.d_head**-0.5)
        inner = outer.new_empty(batch, tokens, 3, width // ctx.d_head, ctx.d_head)
        for index, part in enumerate((by_query, by_key, by_value)):
            inner[:, :, index] = part.view(batch, -1, tokens, ctx.d_head).transpose(1, 2)
        return inner.flatten(start_dim=2), None


def _by_head(tensor: Tensor, d_head: int, parts: int = 3) -> Tensor:
    """Copy [B, T, parts * D] to [parts, B * heads, T, d_head]."""
    tokens = tensor.shape[1]
    split = tensor.unflatten(-1, (parts, -1, d_head)).permute(2, 0, 3, 1, 4)
    copied = tensor.new_empty(split.shape).copy_(split)
    return copied.view(parts, -1, tokens, d_head)


def _rows(tokens: int) -> int:
    """Rows of weights in a piece."""
    return min(tokens, max(64, _PIECE // tokens // 64 * 64))


def _pieces(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Cut tensors [T, ...] into the same rows."""
    return zip(*(one.split(_rows(len(one))) for one in tensors), strict=True)


def _add(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add a product to a total of the same or a wider format."""
    if left.dtype is total.dtype:
        total.addmm_(left, right)
    else:
        total.add_(left @ right)


def _wide(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)
