"""The two orders of per-pixel values: raster images and patches.

In patch order the views are slowest, then patch row, patch column, pixel row, pixel column; the
channels are fastest. The network reads and writes patches in this order.
"""

from torch import Tensor, nn


def to_patches(images: Tensor, patch: int) -> Tensor:
    """Cut images into patches.

    Args:
        images: [B, V, C, H, W]; H and W are multiples of ``patch``.
        patch: Side of a patch in pixels.

    Returns:
        [B, V * P, patch * patch, C] for P patches per view.
    """
    batch, views, channels, height, width = images.shape
    blocks = images.reshape(
        batch, views, channels, height // patch, patch, width // patch, patch
    ).permute(0, 1, 3, 5, 4, 6, 2)
    return blocks.reshape(batch, -1, patch * patch, channels)


def to_images(values: Tensor, views: int, height: int, width: int, patch: int) -> Tensor:
    """Undo ``to_patches`` for values [B, V * H * W, C] and return [B, V, C, H, W]."""
    batch, _, channels = values.shape
    blocks = values.reshape(
        batch, views, height // patch, width // patch, patch, patch, channels
    ).permute(0, 1, 6, 2, 4, 3, 5)
    return blocks.reshape(batch, views, channels, height, width)


class Patchify(nn.Module):
    """Posed pictures [B, V, C, H, W] to flat patches [B, V * P, patch * patch * C]."""

    def __init__(self, patch: int) -> None:
        super().__init__()
        self.patch = patch

    def forward(self, images: Tensor) -> Tensor:
        """Cut and flatten."""
        return to_patches(images, self.patch).flatten(start_dim=2)
