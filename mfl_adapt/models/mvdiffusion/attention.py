"""Self-attention between the views of an object, as a processor on diffusers' ``attn1`` layers.

Only the set of keys and values differs from plain self-attention, so there are no weights of its
own. ``attn2`` (the prompt) never mixes views.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from mfl_adapt.errors import BackendError, ShapeError
from mfl_adapt.models.attention import attend
from mfl_adapt.models.mvdiffusion.config import Pattern


@dataclass(slots=True)
class ViewLayout:
    """How a batch falls into objects; one record that all processors of a network share.

    Attributes:
        num_views: Views per object, V. Item n is view n % V of object n // V.
        pattern: Which views a view attends to.
    """

    num_views: int
    pattern: Pattern

    def check(self, items: int, where: str) -> None:
        """Raise unless a batch consists of whole objects.

        Raises:
            ShapeError: If the number of items is no multiple of the number of views.
        """
        if items % self.num_views:
            raise ShapeError(
                f"{where}: expected whole objects of {self.num_views} views, got {items} items. "
                "Give every view of every object, view after view."
            )


class ViewAttention:
    """Attention processor whose keys and values come from several views."""

    def __init__(self, layout: ViewLayout) -> None:
        """Bind the processor to the layout of its network."""
        self.layout = layout

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """Attend.

        Args:
            attn: Layer whose projections are called, so that adapters wrapped around them act.
            hidden_states: Normalised tokens, [N, L, C].
            encoder_hidden_states: Must be None: the tokens attend to tokens.
            attention_mask: Must be None.

        Raises:
            BackendError: If a mask or other keys are given.
        """
        if encoder_hidden_states is not None or attention_mask is not None:
            raise BackendError(
                "attn1: expected neither a mask nor tokens of another source, got one of them. "
                "Call the network without attention_mask."
            )
        self.layout.check(hidden_states.shape[0], "attn1")
        # Projected before they are gathered, so that view 0's are computed once per object.
        query, key, value = (
            project(hidden_states).unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for project in (attn.to_q, attn.to_k, attn.to_v)
        )
        mixed = attend_views(query, key, value, self.layout, scale=attn.scale)
        mixed = mixed.transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](mixed))


def attend_views(
    query: Tensor, key: Tensor, value: Tensor, layout: ViewLayout, *, scale: float
) -> Tensor:
    """Softmax attention over the keys that the pattern gives each view.

    Args:
        query: [N, heads, L, C per head].
        key: Same shape.
        value: Same shape.
        layout: Views and pattern.
        scale: Factor on the products of query and key.

    Returns:
        Same shape as ``query``.
    """
    views = layout.num_views
    if layout.pattern == "reference":
        key, value = (_after_first(tokens, views) for tokens in (key, value))
    elif layout.pattern == "dense":
        query, key, value = (_join_views(tokens, views) for tokens in (query, key, value))
    mixed = attend(query, key, value, scale=scale)
    return _split_views(mixed, views) if layout.pattern == "dense" else mixed


def attn1_layers(module: nn.Module) -> Iterator[tuple[str, Attention]]:
    """Yield name and layer of every self-attention of a UNet."""
    for name, layer in module.named_modules():
        if name.endswith(".attn1") and isinstance(layer, Attention):
            yield name, layer


def check_processors(module: nn.Module, layout: ViewLayout) -> None:
    """Raise unless every self-attention mixes views by this layout.

    Several convenience calls of diffusers replace processors without a word, after which every
    view would be made as if it were alone.

    Raises:
        BackendError: If a processor has been replaced.
    """
    for name, layer in attn1_layers(module):
        processor = layer.processor
        if not isinstance(processor, ViewAttention) or processor.layout is not layout:
            raise BackendError(
                f"{name}: expected this network's ViewAttention, got "
                f"{type(processor).__name__}. Something has replaced the processors that mix "
                "views (attention slicing, fused projections, xformers, set_attn_processor): "
                "leave that call out, or call install_views() after it."
            )


def _after_first(tokens: Tensor, views: int) -> Tensor:
    """[N, heads, L, c] -> [N, heads, 2L, c]: tokens of view 0, then the view's own."""
    by_object = tokens.unflatten(0, (-1, views))
    first = by_object[:, :1].expand_as(by_object).flatten(0, 1)
    return torch.cat([first, tokens], dim=2)


def _join_views(tokens: Tensor, views: int) -> Tensor:
    """[B * V, heads, L, c] -> [B, heads, V * L, c]."""
    return tokens.unflatten(0, (-1, views)).transpose(1, 2).flatten(2, 3)


def _split_views(tokens: Tensor, views: int) -> Tensor:
    """[B, heads, V * L, c] -> [B * V, heads, L, c]."""
    return tokens.unflatten(2, (views, -1)).transpose(1, 2).flatten(0, 1)
