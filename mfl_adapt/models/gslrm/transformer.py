"""The pre-norm transformer block of GS-LRM. No linear map has a bias, no norm an offset.

Shapes: B batch, T tokens (free Gaussians, then all patches of all views), D width.
"""

import torch
from torch import Tensor, nn

from mfl_adapt.models.gslrm.mixing import mix


class Attention(nn.Module):
    """Full attention among all tokens of a batch item.

    ``to_qkv`` writes queries, keys and values one after the other; within each, the head is the
    slow axis.
    """

    def __init__(self, d: int, d_head: int) -> None:
        super().__init__()
        self.d_head = d_head
        self.to_qkv = nn.Linear(d, 3 * d, bias=False)
        self.fc = nn.Linear(d, d, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Mix [B, T, D]; the scale is 1 / sqrt(d_head)."""
        return self.fc(mix(self.to_qkv(tokens), self.d_head, training=self.training))


class FeedForward(nn.Module):
    """Two linear maps around an exact GELU, four times as wide inside."""

    def __init__(self, d: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(d, 4 * d, bias=False), nn.GELU(), nn.Linear(4 * d, d, bias=False)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Map each token of [B, T, D] by itself."""
        return self.mlp(tokens)


class Block(nn.Module):
    """Attention, then feed-forward, each on normalised tokens and added to the stream."""

    def __init__(self, d: int, d_head: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(d, bias=False)
        self.norm2 = nn.LayerNorm(d, bias=False)
        self.attn = Attention(d, d_head)
        self.mlp = FeedForward(d)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return [B, T, D]; the stream keeps the dtype it came in, also under autocast."""
        tokens = tokens + self.attn(self.norm1(tokens))
        return tokens + self.mlp(self.norm2(tokens))


class FreeGaussianHead(nn.Module):
    """Decodes the tokens of the free Gaussians, one Gaussian each."""

    def __init__(self, d: int, channels: int) -> None:
        super().__init__()
        self.layernorm = nn.LayerNorm(d, bias=False)
        self.linear = nn.Linear(d, channels, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map [B, N_free, D] to [B, N_free, channels]."""
        return self.linear(self.layernorm(tokens))


def init_weights(module: nn.Module, generator: torch.Generator | None) -> None:
    """Set the weights as for training from scratch.

    Linear weights are normal with sigma 0.02, norms 1, and the free-standing embeddings a
    truncated normal with sigma 0.02.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.02, generator=generator)
        elif isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight)
        for parameter in part.parameters(recurse=False):
            if not isinstance(part, nn.Linear | nn.LayerNorm):
                nn.init.trunc_normal_(parameter, std=0.02, generator=generator)
