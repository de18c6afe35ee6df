"""The records that travel between the rooms.

Left of ``collate`` everything is numpy: geometry in float64, pictures in uint8. Right of it
everything is torch. This module imports neither torch nor OpenCV, so that readers and the
command line start fast.

Letters in shapes: B batch, V views, N Gaussians, K SH coefficients, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from mfl_adapt.errors import ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    Float = NDArray[np.float64]
    Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Cameras:
    """Pinhole cameras that share one picture size; numpy or torch.

    Axes are OpenCV's: x right, y down, z forward. Pixel (row i, column j) has its centre at
    (j + 0.5, i + 0.5), so ``cx = width / 2`` is the middle of the picture.

    Attributes:
        c2w: Camera to world, [..., 4, 4]; its last column is the camera centre.
        fxfycxcy: Focal lengths and principal point in pixels, [..., 4].
        height: Picture height in pixels.
        width: Picture width in pixels.
    """

    c2w: Any
    fxfycxcy: Any
    height: int
    width: int

    def __post_init__(self) -> None:
        """Hold the two shapes together.

        Raises:
            ShapeError: If ``c2w`` is not [..., 4, 4] or ``fxfycxcy`` not [..., 4] beside it.
        """
        pose, intrinsics = tuple(self.c2w.shape), tuple(self.fxfycxcy.shape)
        if pose[-2:] != (4, 4) or intrinsics != (*pose[:-2], 4):
            raise ShapeError(
                f"Cameras: expected c2w [..., 4, 4] and fxfycxcy [..., 4] with the same leading "
                f"sizes, got {list(pose)} and {list(intrinsics)}."
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Leading sizes, for instance (V,) or (B, V)."""
        return tuple(self.c2w.shape[:-2])

    def __len__(self) -> int:
        """Size of the first leading axis."""
        return int(self.c2w.shape[0])

    def __getitem__(self, index: Any) -> Cameras:
        """Index the leading axes."""
        return replace(self, c2w=self.c2w[index], fxfycxcy=self.fxfycxcy[index])

    @property
    def centers(self) -> Any:
        """Camera centres in the world, [..., 3]."""
        return self.c2w[..., :3, 3]

    @property
    def forward(self) -> Any:
        """Viewing directions in the world, [..., 3]."""
        return self.c2w[..., :3, 2]


@dataclass(frozen=True, slots=True)
class Similarity:
    """A change of world coordinates: ``x' = scale * rotation @ x + translation``.

    Attributes:
        scale: Positive factor.
        rotation: Row-major 3x3, det +1.
        translation: In units of the new world.
    """

    scale: float = 1.0
    rotation: tuple[tuple[float, float, float], ...] = (
        (1.0, 0.0, 0.0),
        (0.0, 1.0, 0.0),
        (0.0, 0.0, 1.0),
    )
    translation: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class RawCamera:
    """A camera as the recording's calibration gives it, lens included.

    Attributes:
        c2w: Camera to raw world, row-major 4x4, OpenCV axes.
        fxfycxcy: Focal lengths and principal point in pixels of the raw frame.
        height: Height of the raw frame in pixels.
        width: Width of the raw frame in pixels.
        lens: How a lens bends rays: ``pinhole`` not at all, ``brown`` as OpenCV's standard model,
            ``fisheye`` as OpenCV's fisheye model.
        distortion: Coefficients in OpenCV's order: k1 k2 p1 p2 [k3 [k4 k5 k6]] for ``brown``,
            k1 k2 k3 k4 for ``fisheye``, none for ``pinhole``.
        skew: Entry of the intrinsic matrix that shears x by y, in pixels.
    """

    c2w: tuple[tuple[float, float, float, float], ...]
    fxfycxcy: tuple[float, float, float, float]
    height: int
    width: int
    lens: Literal["pinhole", "brown", "fisheye"] = "pinhole"
    distortion: tuple[float, ...] = ()
    skew: float = 0.0


@dataclass(frozen=True, slots=True)
class Provenance:
    """One step of a sample's history, enough to undo it.

    The views are chosen first (``order``), then their pixels move (``pixel_maps``), and the world
    changes (``world``). The first step, a reader's, also names the raw cameras: its pixel maps
    start at raw pixels whose lens distortion has been undone with the raw intrinsics kept.

    Attributes:
        step: Component that made it, as the user typed it (``facelift_reader``, ``conform``).
        params: Its settings, plain JSON values.
        digest: SHA-256 over the pixels and cameras that came out.
        pixel_maps: Per view, row-major 3x3 from old to new pixel coordinates; empty = identity.
        world: Old world to new world.
        order: Per view, its index among the old views; empty = all, as they were.
        raw_cameras: Per view, the recording's camera; empty in all steps but a reader's.
        exact: False where picture and camera agree only approximately from here on; ``params``
            then holds the bound of the error.
    """

    step: str
    params: Mapping[str, Any] = field(default_factory=dict)
    digest: str = ""
    pixel_maps: tuple[tuple[tuple[float, float, float], ...], ...] = ()
    world: Similarity = Similarity()
    order: tuple[int, ...] = ()
    raw_cameras: tuple[RawCamera, ...] = ()
    exact: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One picture with its mask and its camera; they only ever change together.

    Attributes:
        name: Name of the view (``cam_000``), unique in its sample.
        rgb: Straight (not premultiplied) sRGB colour, [H, W, 3], uint8, or uint16 until
            ``conform``.
        mask: Opacity of the subject, [H, W] uint8, 255 inside; None where nobody made one yet.
        c2w: Camera to world, [4, 4] float64, OpenCV axes.
        fxfycxcy: Focal lengths and principal point in pixels, [4] float64.
        source: Where the picture came from, for messages.
    """

    name: str
    rgb: Bytes
    mask: Bytes | None
    c2w: Float
    fxfycxcy: Float
    source: str = ""

    @property
    def height(self) -> int:
        """Picture height in pixels."""
        return int(self.rgb.shape[0])

    @property
    def width(self) -> int:
        """Picture width in pixels."""
        return int(self.rgb.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One moment, seen by several calibrated cameras.

    Attributes:
        id: Name of the sample, unique in its dataset.
        views: The pictures with masks and cameras; sizes may differ until ``conform``.
        provenance: What happened to it since the raw frame, oldest first.
        session: Recording it belongs to; splits never cut through one unless told to.
        animal: Individual it shows.
        time_s: Time within the session in seconds, or None where there is no order in time.
    """

    id: str
    views: tuple[View, ...]
    provenance: tuple[Provenance, ...] = ()
    session: str = ""
    animal: str = ""
    time_s: float | None = None

    @property
    def cameras(self) -> Cameras:
        """All cameras as one record, c2w [V, 4, 4] float64.

        Raises:
            ShapeError: If the sample is empty or its pictures differ in size.
        """
        sizes = sorted({(view.height, view.width) for view in self.views})
        if len(sizes) != 1:
            raise ShapeError(
                f"sample {self.id}: expected views of one size [height, width], got "
                f"{[list(size) for size in sizes]}. Run it through conform first."
            )
        c2w = np.stack([view.c2w for view in self.views])
        fxfycxcy = np.stack([view.fxfycxcy for view in self.views])
        return Cameras(c2w, fxfycxcy, height=sizes[0][0], width=sizes[0][1])


class ViewSplit(NamedTuple):
    """Which views of one sample feed the network, which it is compared with.

    Attributes:
        inputs: Indices of the views the network sees.
        targets: Indices of the views that the renders are compared with; may overlap inputs.
    """

    inputs: tuple[int, ...]
    targets: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ViewBatch:
    """Pictures of several views of several samples, as tensors.

    Attributes:
        rgb: [B, V, 3, H, W] float32, sRGB-encoded in [0, 1], composited on the background.
        mask: [B, V, 1, H, W] float32 in [0, 1].
        cameras: c2w [B, V, 4, 4], fxfycxcy [B, V, 4], float32.
    """

    rgb: Tensor
    mask: Tensor
    cameras: Cameras

    def to(self, device: Any) -> ViewBatch:
        """Return the same views on another device."""
        c2w, fxfycxcy = self.cameras.c2w.to(device), self.cameras.fxfycxcy.to(device)
        cameras = replace(self.cameras, c2w=c2w, fxfycxcy=fxfycxcy)
        return ViewBatch(self.rgb.to(device), self.mask.to(device), cameras)

    def pick(self, index: int) -> ViewBatch:
        """Return one sample as a batch of its own."""
        one = slice(index, index + 1)
        return ViewBatch(self.rgb[one], self.mask[one], self.cameras[one])


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one training step sees.

    Attributes:
        ids: Sample names, B of them.
        inputs: Views that feed the network.
        targets: Views that the renders are compared with.
    """

    ids: tuple[str, ...]
    inputs: ViewBatch
    targets: ViewBatch

    def to(self, device: Any) -> Batch:
        """Return the same batch on another device."""
        return Batch(self.ids, self.inputs.to(device), self.targets.to(device))

    def pick(self, index: int) -> Batch:
        """Return one sample as a batch of its own."""
        return Batch((self.ids[index],), self.inputs.pick(index), self.targets.pick(index))


@dataclass(frozen=True, slots=True, eq=False)
class Gaussians:
    """3D Gaussians with activated values, in the order of the model that made them.

    Attributes:
        means: World positions, [B, N, 3].
        quats: Unit quaternions w, x, y, z, [B, N, 4].
        scales: Standard deviations along the axes, in world units, [B, N, 3].
        opacities: In [0, 1], [B, N].
        sh: Spherical-harmonic coefficients, [B, N, K, 3]; colour = max(0, 0.5 + 0.28209 sh_0 ...).
    """

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    sh: Tensor

    def __getitem__(self, index: Any) -> Gaussians:
        """Index or slice the batch axis of all five fields."""
        return Gaussians(
            self.means[index],
            self.quats[index],
            self.scales[index],
            self.opacities[index],
            self.sh[index],
        )


class RenderOutput(NamedTuple):
    """What a rasterizer returns.

    Attributes:
        rgb: [B, V, 3, H, W]; not clamped, can exceed 1.
        alpha: [B, V, 1, H, W] in [0, 1].
        depth: Opacity-weighted sum of z along each ray, [B, V, 1, H, W]; None if not asked for.
    """

    rgb: Tensor
    alpha: Tensor
    depth: Tensor | None


@dataclass(frozen=True, slots=True)
class RigContract:
    """What a frozen base assumes about pictures and cameras.

    A broken *law* cannot work; a *habit* is the custom of the training data and only informs.

    Attributes:
        size: Side of the square picture in pixels.
        patch: The size must be a multiple of this.
        depth_reach: Law. Half-length of the ray segment that can hold a Gaussian, about the
            point of the ray nearest the origin, in world units.
        principal_point_px: Law. How far the principal point may be from the middle.
        background: Law. Colour behind the subject, in [0, 1].
        up: Law. World axis that points up.
        distance: Habit. Camera distance from the origin in world units.
        focal_ratio: Habit. Focal length over picture width; the default is FaceLift's 50 degrees
            to five decimals, 0.002 px from ``FACELIFT_FOCAL_RATIO`` at 512 px.
        extent: Habit. Diameter of the subject in world units.
        foreground: Habit. Least and greatest share of the picture that the subject covers.
        input_views: Habit. Least and greatest number of input views.
        cut_edges: Habit. Picture edges that the subject may touch.
        slots_deg: World azimuths of the fixed view slots; empty where there are none.
    """

    size: int
    patch: int
    depth_reach: float
    principal_point_px: float = 2.0
    background: float = 1.0
    up: tuple[float, float, float] = (0.0, 0.0, 1.0)
    distance: float = 2.7
    focal_ratio: float = 1.07225
    extent: float = 1.45
    foreground: tuple[float, float] = (0.29, 0.37)
    input_views: tuple[int, int] = (4, 6)
    cut_edges: tuple[Literal["top", "bottom", "left", "right"], ...] = ()
    slots_deg: tuple[float, ...] = ()
