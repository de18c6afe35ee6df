"""What the frozen networks make of training pictures.

It holds no random number, so that it can be computed once per example and kept for as long as
the pictures stay the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mfl_adapt.checks import check_finite, check_range, check_shape
from mfl_adapt.models.mvdiffusion.conditioning import embed_pixels, encode_condition
from mfl_adapt.models.mvdiffusion.parts import Parts


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What the frozen networks make of the pictures of B objects.

    Attributes:
        embeds: Image embedding of the reference view, [B, P].
        image_latents: Its scaled latents, [B, 4, h, w].
        target_mean: Mean of the posterior of every view, unscaled, [B, V, 4, h, w].
        target_std: Its standard deviation, same shape.
    """

    embeds: Tensor
    image_latents: Tensor
    target_mean: Tensor
    target_std: Tensor

    @property
    def num_views(self) -> int:
        """Views per object, V."""
        return int(self.target_mean.shape[1])

    @property
    def num_bytes(self) -> int:
        """Memory of all tensors."""
        tensors = (self.embeds, self.image_latents, self.target_mean, self.target_std)
        return sum(one.numel() * one.element_size() for one in tensors)

    def pick(self, index: int) -> Encoded:
        """Return one object as a batch of its own."""
        one = slice(index, index + 1)
        return Encoded(
            self.embeds[one],
            self.image_latents[one],
            self.target_mean[one],
            self.target_std[one],
        )


@torch.no_grad()
def encode_example(imgs_in: Tensor, imgs_out: Tensor, parts: Parts) -> Encoded:
    """Run the frozen networks.

    Unlike sampling, the pictures are not rounded to 8 bits on the way to CLIP: they are resized
    as float tensors, so that the embeddings differ a little.

    Args:
        imgs_in: Reference view, [B, 3, H, W] in [0, 1].
        imgs_out: All views, [B, V, 3, H, W].
        parts: Of the base.

    Raises:
        ShapeError: If the shapes do not fit each other or the model.
        RangeError: If colours leave [0, 1] or are not finite.
    """
    size = parts.size
    check_shape("imgs_in", imgs_in, (None, 3, size, size))
    check_shape("imgs_out", imgs_out, (imgs_in.shape[0], None, 3, size, size))
    for name, pictures in (("imgs_in", imgs_in), ("imgs_out", imgs_out)):
        check_finite(name, pictures)
        for bound in (pictures.min(), pictures.max()):
            # A picture resized by Lanczos in float may overshoot by rounding, never by more.
            check_range(name, float(bound), -1e-4, 1 + 1e-4, hint="Divide by 255.")
    vae = parts.vae
    targets = 2.0 * imgs_out.flatten(0, 1) - 1.0
    posterior = vae.encode(targets.to(vae.device, vae.dtype)).latent_dist
    views = imgs_out.shape[1]
    return Encoded(
        embed_pixels(prepare_pixels(imgs_in, parts), parts.image_encoder),
        encode_condition(2.0 * imgs_in - 1.0, vae),
        posterior.mean.contiguous().unflatten(0, (-1, views)),
        posterior.std.contiguous().unflatten(0, (-1, views)),
    )


def prepare_pixels(pictures: Tensor, parts: Parts) -> Tensor:
    """Resize float pictures [B, 3, H, W] for CLIP and normalise their colours."""
    side = parts.image_encoder.config.image_size
    small = F.interpolate(pictures.float(), (side, side), mode="bicubic", antialias=True)
    mean, std = (
        small.new_tensor(values)[:, None, None]
        for values in (parts.feature_extractor.image_mean, parts.feature_extractor.image_std)
    )
    return (small - mean) / std
