"""What every rasterizer takes and returns, and the constants that all of them share.

The constants are those of gsplat 1.5.3. They are ours and fixed: a newer gsplat must not change
what the CPU draws.
"""

from typing import Final, Protocol

from torch import Tensor

from mfl_adapt.types import RenderOutput

ALPHA_MAX: Final = 0.999  # an opaque splat still lets this little less than everything through
ALPHA_MIN: Final = 1.0 / 255.0  # fainter contributions are skipped
TRANSMITTANCE_MIN: Final = 1e-4  # a splat that would leave less light than this is not drawn
SCREEN_BLUR: Final = 0.3  # added to both variances on the screen, in square pixels
EXTENT_MAX: Final = 3.33  # standard deviations; beyond them alpha is below ALPHA_MIN anyway
JACOBIAN_MARGIN: Final = 0.15  # of the picture: clamp of x/z and y/z inside the Jacobian
FAR: Final = 1e10  # depth beyond which a Gaussian is dropped, in world units


class Rasterizer(Protocol):
    """Draws one scene of Gaussians in V views; differentiable in every tensor but fxfycxcy."""

    def __call__(
        self,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        colors: Tensor,
        viewmats: Tensor,
        fxfycxcy: Tensor,
        width: int,
        height: int,
        *,
        background: Tensor,
        near: float,
        max_alpha: float = ALPHA_MAX,
        depth: bool = True,
        boxes: Tensor | None = None,
    ) -> RenderOutput:
        """Draw.

        Args:
            means: World positions, [N, 3].
            quats: Quaternions w, x, y, z, [N, 4]; normalised inside.
            scales: Standard deviations in world units, [N, 3].
            opacities: In [0, 1], [N].
            colors: One colour for all views, [1, N, 3], or one per view, [V, N, 3].
            viewmats: World to camera, OpenCV axes, [V, 4, 4].
            fxfycxcy: Focal lengths and principal point in pixels, [V, 4]; gets no gradient.
            width: Picture width in pixels.
            height: Picture height in pixels.
            background: Colour behind the Gaussians, [V, 3].
            near: Gaussians nearer than this are dropped, in world units.
            max_alpha: Upper limit of what one Gaussian covers.
            depth: Whether to draw depth as well.
            boxes: Where to draw, [V, 4] int64: first column and row, then one past the last of
                each, within the picture; empty where both are equal. What is drawn there, and
                its gradients, are those of the whole picture. Of the rest some may be drawn too;
                where it is not, all stays background. None draws everything.

        Returns:
            The pictures without a batch axis: [V, ..., H, W].
        """
        ...
