"""The GS-LRM network; parameter names are those of FaceLift's checkpoint.

    rgb, rays -> patches -> tokens -> blocks -> heads -> stored Gaussians

Shapes: B batch, V views, P patches per view, T = N_free + V * P tokens, D token width.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mfl_adapt.models.gslrm.config import GSLRMConfig
from mfl_adapt.models.gslrm.decode import decode
from mfl_adapt.models.gslrm.gaussians import RawGaussians
from mfl_adapt.models.gslrm.patches import Patchify
from mfl_adapt.models.gslrm.prefix import Begun, Prefix
from mfl_adapt.models.gslrm.transformer import Block, FreeGaussianHead, init_weights
from mfl_adapt.models.rays import Rays, camera_rays, nearest_to_origin
from mfl_adapt.types import Cameras


class GSLRM(nn.Module):
    """Pictures with cameras in, Gaussians out.

    Under ``torch.autocast`` the blocks run in half precision; rays, patch embedding, heads and
    decoding stay in float32, because a half-precision direction is off by a pixel and a
    half-precision depth moves in visible steps. They are under 1 percent of the work.

    Attributes:
        architecture: The sizes it was built with.
        checkpoint_blocks: Recompute each block in the backward pass instead of keeping its
            activations; no effect on any number.
        prefix: Keeps what the embedding and the first blocks make of an item; used in training
            mode only, and only while none of their weights change. None keeps nothing.
    """

    def __init__(self, config: GSLRMConfig, *, generator: torch.Generator | None = None) -> None:
        """Build the network with the weights of a training from scratch.

        Args:
            config: Sizes and options.
            generator: Source of the weights, on the CPU; None takes torch's own.
        """
        super().__init__()
        # Not named `config`: peft reads that name and expects a transformers configuration.
        self.architecture = config
        self.checkpoint_blocks = False
        self.prefix: Prefix | None = None
        d, patch = config.d, config.patch_size
        if config.add_refsrc_marker:
            self.view_type_embeddings = nn.Parameter(torch.empty(2, d))
        self.gaussian_position_embeddings = nn.Parameter(torch.empty(config.n_gaussians, d))
        self.patch_embedder = nn.Sequential(
            Patchify(patch), nn.Linear(config.in_channels * patch**2, d, bias=False)
        )
        self.input_layer_norm = nn.LayerNorm(d, bias=False)
        self.transformer_layers = nn.ModuleList(
            Block(d, config.d_head) for _ in range(config.n_layer)
        )
        self.gaussian_upsampler = FreeGaussianHead(d, config.gaussian_channels)
        self.pixel_gaussian_decoder = nn.Sequential(
            nn.LayerNorm(d, bias=False),
            nn.Linear(d, config.gaussian_channels * patch**2, bias=False),
        )
        init_weights(self, generator)

    def forward(
        self, rgb: Tensor, cameras: Cameras, *, round_rays: torch.dtype | None = None
    ) -> RawGaussians:
        """Reconstruct a scene; the caller has checked shapes and ranges.

        Args:
            rgb: [B, V, 3, H, W] in [0, 1]; H and W are multiples of the patch.
            cameras: [B, V], tensors on the device of ``rgb``.
            round_rays: Half-precision type to which rays are rounded, see ``camera_rays``.

        Returns:
            N = N_free + V * H * W stored Gaussians per item.
        """
        may_keep = self.training and not rgb.requires_grad and round_rays is None
        if self.prefix is None or not may_keep:
            depth, begun = 0, self.begin(rgb, cameras, round_rays=round_rays)
        else:
            depth = self.prefix.depth
            begun = self.prefix.of(rgb, cameras, partial(self.begin, depth=depth))
        tokens = self.transform(begun.tokens, first=depth)
        with torch.autocast(rgb.device.type, enabled=False):
            return decode(*self.heads(tokens), begun.rays, self.architecture)

    def begin(
        self,
        rgb: Tensor,
        cameras: Cameras,
        *,
        depth: int = 0,
        round_rays: torch.dtype | None = None,
    ) -> Begun:
        """Cast the rays of pictures, embed both, and run the first ``depth`` blocks."""
        rays = camera_rays(cameras, round_to=round_rays)
        with torch.autocast(rgb.device.type, enabled=False):
            tokens = self.embed(posed_pictures(rgb, rays, self.architecture))
            tokens = self.input_layer_norm(tokens)
        return Begun(rays, self.transform(tokens, end=depth))

    def embed(self, posed: Tensor) -> Tensor:
        """Map posed pictures [B, V, C, H, W] to tokens [B, T, D], the free ones first."""
        tokens = self.patch_embedder(posed)
        if self.architecture.add_refsrc_marker:
            first, other = self.view_type_embeddings
            per_view = tokens.shape[1] // posed.shape[1]
            tokens = torch.cat((tokens[:, :per_view] + first, tokens[:, per_view:] + other), dim=1)
        free = self.gaussian_position_embeddings.expand(posed.shape[0], -1, -1)
        return torch.cat((free, tokens), dim=1)

    def transform(self, tokens: Tensor, first: int = 0, end: int | None = None) -> Tensor:
        """Run the blocks from ``first`` to before ``end`` over normalised tokens [B, T, D]."""
        recompute = self.checkpoint_blocks and torch.is_grad_enabled()
        for block in self.transformer_layers[first:end]:
            tokens = checkpoint(block, tokens, use_reentrant=False) if recompute else block(tokens)
        return tokens

    def heads(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Decode tokens [B, T, D].

        Returns:
            Free Gaussians [B, N_free, C], and pixels [B, V * P, patch * patch * C].
        """
        tokens = tokens.float()
        num_free = self.architecture.n_gaussians
        free = self.gaussian_upsampler(tokens[:, :num_free])
        return free, self.pixel_gaussian_decoder(tokens[:, num_free:])


def posed_pictures(rgb: Tensor, rays: Rays, config: GSLRMConfig) -> Tensor:
    """Stack colour in [-1, 1] and the ray channels, [B, V, C, H, W] float32."""
    channels = [2 * rgb.float() - 1]
    if config.plucker != "custom":
        channels.append(torch.linalg.cross(rays.origins, rays.directions, dim=-3))
    channels.append(rays.directions)
    if config.plucker != "standard":
        channels.append(nearest_to_origin(rays)[0])
    return torch.cat(channels, dim=2)
