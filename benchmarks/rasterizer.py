"""Time the compiled CPU rasterizer against the torch reference, on the same scenes in one run.

    python benchmarks/rasterizer.py [--quick] [--repeats 7]

Scenes are seeded and shaped like FaceLift's: six pixel-aligned input views around the origin,
seen by eight cameras at distance 2.7. Scene T looks trained (small opaque splats on a head in
front of a transparent background), scene I looks like a network of random weights (large faint
splats on every pixel). S has 24,576 Gaussians and 64 x 64 pixels, M 98,304 and 128 x 128. The
rounds of the two backends alternate and the medians are printed, so that another job on the
machine slows both. The run ends with exit status 1 if 1, 2 and 3 threads do not give the same bits.
"""

import argparse
import math
import os
import statistics
import sys
import time

# Torch's idle threads would otherwise spin and slow both backends on a shared machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from torch import Tensor

from mfl_adapt.render import render
from mfl_adapt.render.backend import Backend
from mfl_adapt.types import Cameras, Gaussians

SIZES = {"S": 64, "M": 128}
BACKENDS: tuple[Backend, ...] = ("cpu", "torch")
DISTANCE, FOCAL_RATIO = 2.7, 1.07225


def ring(count: int, size: int) -> Cameras:
    """Cameras around the z axis that look at the origin, [1, count]."""
    poses = []
    for k in range(count):
        angle = 2 * math.pi * k / count
        center = torch.tensor([math.cos(angle), math.sin(angle), 0.2]) * DISTANCE
        forward = -center / center.norm()
        right = torch.linalg.cross(forward, torch.tensor([0.0, 0.0, 1.0]))
        right = right / right.norm()
        pose = torch.eye(4)
        pose[:3] = torch.stack([right, torch.linalg.cross(forward, right), forward, center], 1)
        poses.append(pose)
    intrinsics = torch.tensor([FOCAL_RATIO * size, FOCAL_RATIO * size, size / 2, size / 2])
    return Cameras(torch.stack(poses)[None], intrinsics.expand(1, count, 4), size, size)


def pixel_rays(cameras: Cameras) -> tuple[Tensor, Tensor]:
    """Origins and unit directions of all pixels of one scene, [V * H * W, 3]."""
    axis = torch.arange(cameras.width) + 0.5
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    fx, _, cx, cy = cameras.fxfycxcy[0, 0]
    local = torch.stack([(x - cx) / fx, (y - cy) / fx, torch.ones_like(x)], -1)
    world = torch.einsum("vij,hwj->vhwi", cameras.c2w[0, :, :3, :3], local)
    origins = cameras.centers[0][:, None, None].expand_as(world)
    directions = torch.nn.functional.normalize(world, dim=-1)
    return origins.reshape(-1, 3), directions.reshape(-1, 3)


def trained_scene(size: int, generator: torch.Generator, *, zoom: float = 1.0) -> Gaussians:
    """Scene T: splats of about a pixel where a ray meets an ellipsoid, near nothing elsewhere."""
    origins, directions = pixel_rays(ring(6, size))
    radii = zoom * torch.tensor([0.75, 0.7, 0.95])
    o, d = origins / radii, directions / radii
    a, b, c = (d * d).sum(1), (o * d).sum(1), (o * o).sum(1) - 1
    disc = b * b - a * c
    hit = disc > 0
    depth = torch.where(hit, (-b - disc.clamp_min(0).sqrt()) / a, -(origins * directions).sum(1))
    n = len(depth)
    noise = torch.randn(n, 9, generator=generator)
    pixel = DISTANCE / (FOCAL_RATIO * size)
    means = origins + (depth + 0.01 * noise[:, 0])[:, None] * directions
    opacities = torch.where(hit, 1.4 + noise[:, 1], -7 + noise[:, 1]).sigmoid()
    scales = 0.5 * pixel * (0.35 * noise[:, 2:5]).exp()
    return as_gaussians(means, scales, opacities, generator)


def initial_scene(size: int, generator: torch.Generator) -> Gaussians:
    """Scene I: large faint splats in the volume, one per pixel of every view."""
    origins, directions = pixel_rays(ring(6, size))
    n = len(origins)
    noise = torch.randn(n, 5, generator=generator)
    means = origins + (DISTANCE + 0.5 * noise[:, :1]) * directions
    scales = (-2.3 + 0.3 * noise[:, 1:4]).exp()
    return as_gaussians(means, scales, (-2 + 0.5 * noise[:, 4]).sigmoid(), generator)


def as_gaussians(
    means: Tensor, scales: Tensor, opacities: Tensor, generator: torch.Generator
) -> Gaussians:
    """Add random turns and colours, and a batch axis."""
    n = len(means)
    quats = torch.nn.functional.normalize(torch.randn(n, 4, generator=generator), dim=1)
    sh = 0.8 * torch.randn(n, 1, 3, generator=generator)
    return Gaussians(*(field[None] for field in (means, quats, scales, opacities, sh)))


def fields(scene: Gaussians) -> tuple[Tensor, ...]:
    """The five tensors of a scene."""
    return scene.means, scene.quats, scene.scales, scene.opacities, scene.sh


def draw(scene: Gaussians, cameras: Cameras, backend: Backend) -> tuple[float, float, list[Tensor]]:
    """Draw once forward and backward: both times in ms, and the picture with all gradients."""
    leaves = [field.clone().requires_grad_() for field in fields(scene)]
    start = time.perf_counter()
    rgb = render(Gaussians(*leaves), cameras, backend=backend, depth=False).rgb
    middle = time.perf_counter()
    (rgb - 0.5).square().sum().backward()
    end = time.perf_counter()
    grads = [leaf.grad for leaf in leaves if leaf.grad is not None]
    return 1e3 * (middle - start), 1e3 * (end - middle), [rgb.detach(), *grads]


def time_scene(name: str, scene: Gaussians, cameras: Cameras, repeats: int) -> None:
    """Alternate the backends and print their medians."""
    times: dict[Backend, list[tuple[float, float]]] = {backend: [] for backend in BACKENDS}
    for backend in BACKENDS:
        draw(scene, cameras, backend)  # compiles, and fills the caches
    for _ in range(repeats):
        for backend in BACKENDS:
            times[backend].append(draw(scene, cameras, backend)[:2])
    totals = {}
    for backend, pairs in times.items():
        forward, backward = (statistics.median(column) for column in zip(*pairs, strict=True))
        totals[backend] = statistics.median(sum(pair) for pair in pairs)
        print(f"{name:4} {backend:6} {forward:9.1f} {backward:9.1f} {totals[backend]:9.1f}")
    print(f"{name:4} torch / cpu = {totals['torch'] / totals['cpu']:.1f}")


def same_bits(scene: Gaussians, cameras: Cameras) -> bool:
    """Whether picture and gradients have the same bits for 1, 2 and 3 threads."""
    before, results = torch.get_num_threads(), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(draw(scene, cameras, "cpu")[2])
    torch.set_num_threads(before)
    return all(
        torch.equal(first, other)
        for result in results[1:]
        for first, other in zip(results[0], result, strict=True)
    )


def main() -> int:
    """Run all scenes; 0 if every check held."""
    parser = argparse.ArgumentParser(description="Time the CPU rasterizer against torch.")
    parser.add_argument("--quick", action="store_true", help="size S only")
    parser.add_argument("--repeats", type=int, default=7, help="rounds per scene (default 7)")
    arguments = parser.parse_args()
    print(f"threads: {torch.get_num_threads()}; medians of {arguments.repeats} rounds, ms")
    print(f"{'':4} {'':6} {'forward':>9} {'backward':>9} {'total':>9}")
    exact = True
    for label, size in list(SIZES.items())[: 1 if arguments.quick else None]:
        cameras = ring(8, size)
        for kind, build in (("T", trained_scene), ("I", initial_scene)):
            scene = build(size, torch.Generator().manual_seed(0))
            time_scene(f"{label} {kind}", scene, cameras, arguments.repeats)
            same = same_bits(scene, cameras)
            print(f"{label} {kind}  same bits for 1, 2 and 3 threads: {'yes' if same else 'NO'}")
            exact = exact and same
    return 0 if exact else 1


if __name__ == "__main__":
    sys.exit(main())
