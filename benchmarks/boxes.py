"""What rendering saves that is restricted to the boxes around masks.

    python benchmarks/boxes.py [--size 256] [--rounds 5]

An ellipsoid that covers about 7, 19 or 33 % of eight pictures is drawn from 6 x size x size
Gaussians, compared with grey under its mask alone (the loss ``masked_l2``), and the gradient is
taken back to the Gaussians: once on whole pictures, once in the boxes around the masks. Scenes T
and I are those of ``rasterizer.py``: as a trained network makes them, with next to nothing around
the subject, and as random weights do, with large faint splats everywhere. A last line is for what
``facelift.tiny`` makes of a procedural mouse, at its own size. Rounds alternate, one
thread's processor time counts, and the medians of the ratios of single rounds are printed. The
run ends with exit status 1 if a gradient differs in one bit.
"""

import argparse
import os
import statistics
import sys
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from mfl_adapt_masked_loss.masked_l2 import masked_l2
from rasterizer import fields, initial_scene, ring, trained_scene
from torch import Tensor

import mfl_adapt as mfl
from mfl_adapt.data.collate import collate
from mfl_adapt.plugin import Reconstructor
from mfl_adapt.render import render
from mfl_adapt.synth import render_sample
from mfl_adapt.train.boxes import boxes_around
from mfl_adapt.types import Cameras, Gaussians, ViewSplit

ZOOMS = (0.455, 0.76, 1.0)


def learn(
    scene: Gaussians, cameras: Cameras, mask: Tensor, *, boxed: bool
) -> tuple[float, list[Tensor]]:
    """Draw, compare, and go back: seconds, and value and gradients."""
    leaves = [field.clone().requires_grad_() for field in fields(scene)]
    start = time.process_time()
    boxes = boxes_around(mask) if boxed else None
    rgb = render(Gaussians(*leaves), cameras, backend="cpu", depth=False, boxes=boxes).rgb
    loss = masked_l2(rgb, torch.full_like(rgb, 0.5), mask).mean()
    grads = torch.autograd.grad(loss, leaves)
    return time.process_time() - start, [loss.detach(), *grads]


def compare(name: str, scene: Gaussians, cameras: Cameras, mask: Tensor, rounds: int) -> bool:
    """Print one line; whether both ways give the same bits."""
    whole, boxed = (learn(scene, cameras, mask, boxed=way)[1] for way in (False, True))
    same = all(torch.equal(*pair) for pair in zip(whole, boxed, strict=True))
    seconds = [
        [learn(scene, cameras, mask, boxed=way)[0] for way in (False, True)] for _ in range(rounds)
    ]
    ratio = statistics.median(boxed / whole for whole, boxed in seconds)
    left, top, right, bottom = boxes_around(mask).double().unbind(dim=-1)
    share = float(((right - left) * (bottom - top)).mean()) / cameras.width**2
    medians = [1e3 * statistics.median(column) for column in zip(*seconds, strict=True)]
    print(
        f"{name:4}  mask {float(mask.mean()):4.0%}  box {share:4.0%}  whole {medians[0]:7.0f} ms  "
        f"boxes {medians[1]:7.0f} ms  ratio {ratio:.2f}  same bits: {'yes' if same else 'NO'}"
    )
    return same


def mouse() -> tuple[Gaussians, Cameras, Tensor]:
    """What the tiny base makes of four views of a mouse, and the cameras and masks of two more."""
    base = mfl.load_base("facelift.tiny")
    assert isinstance(base, Reconstructor)
    sample = render_sample("mice", 0, size=base.contract.size)
    batch = collate([sample], [ViewSplit((0, 1, 2, 3), (4, 5))], base.contract)
    with torch.no_grad():
        made = base.reconstruct(batch.inputs.rgb, batch.inputs.cameras)
    return made, batch.targets.cameras, batch.targets.mask


def main() -> int:
    """Run all scenes; 0 if every gradient was the same."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256, help="Side of the pictures.")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cameras, same = ring(8, options.size), True
    for zoom in ZOOMS:
        subject = trained_scene(options.size, torch.Generator().manual_seed(0), zoom=zoom)
        alpha = render(subject, cameras, backend="cpu", depth=False).alpha
        mask = (alpha > 0.5).float()
        others = initial_scene(options.size, torch.Generator().manual_seed(0))
        for kind, scene in (("T", subject), ("I", others)):
            same &= compare(kind, scene, cameras, mask, options.rounds)
    same &= compare("tiny", *mouse(), options.rounds)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
