"""Is it worth telling the multi-view diffusion model where its views stand?

    python benchmarks/pose.py [--base FOLDER | --fresh] [--steps 400] [--kinds angles]

Procedural mice are seen by random rigs: view 0 is the picture that is given, the others stand
anywhere around the subject, between 10 degrees below and 50 above the horizon. On new mice and
rigs, four ways to make those views are compared with the truth:

* frozen: the base as it is, with the prompt of the slot that is nearest to each view;
* slots: LoRA trained on such mice and rigs, with the same prompts;
* one line per ``--kinds``: the same LoRA with a pose module of that kind, trained on the same
  examples in the same order for the same number of steps;
* turned: that adapter again, told cameras of other views of the rig, to see that it listens.

Beside them stand the VAE alone, which no denoiser can beat, and the input picture as the answer.
Every line gives full and foreground PSNR over all views but the first, and the gain in foreground
over ``slots`` with its 95 % interval over the held-out mice. Pictures are written to ``--out``.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from mfl_adapt_lora_mvdiffusion.config import LoraConfig
from mfl_adapt_lora_mvdiffusion.lora import Lora
from mfl_adapt_pose_mvdiffusion.config import PoseConfig
from mfl_adapt_pose_mvdiffusion.pose import Pose
from PIL import Image
from torch import Tensor

from mfl_adapt.adapter import attach
from mfl_adapt.data.collate import collate_views
from mfl_adapt.metrics import foreground_psnr, psnr
from mfl_adapt.models.mvdiffusion.encoding import Encoded
from mfl_adapt.models.mvdiffusion.fresh import build_fresh
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion, load_mvdiffusion
from mfl_adapt.models.mvdiffusion.shipped import load_shipped_views
from mfl_adapt.models.mvdiffusion.training import draw_step, training_step
from mfl_adapt.synth import render_sample
from mfl_adapt.train.optim import build_optimizer
from mfl_adapt.train.pretrain_views import SIZES
from mfl_adapt.types import Cameras, ViewBatch

log = logging.getLogger("pose")

ELEVATION_DEG = (-10.0, 50.0)
ETA = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Mice with what the frozen networks make of them.

    Attributes:
        views: Pictures, masks and cameras, [B, V].
        encoded: Of all of them.
    """

    views: ViewBatch
    encoded: Encoded

    def pick(self, rows: Tensor) -> tuple[Encoded, Cameras]:
        """Return some of the examples as a batch."""
        values = (getattr(self.encoded, field.name)[rows] for field in fields(Encoded))
        return Encoded(*values), self.views.cameras[rows]


def load_base(options: argparse.Namespace) -> FrozenMVDiffusion:
    """Load the base anew, so that no run sees what another one did to it."""
    if options.fresh:
        return FrozenMVDiffusion(build_fresh(SIZES, seed=0), id="fresh")
    if options.base:
        return load_mvdiffusion(options.base, id=str(options.base))
    return load_shipped_views()


@torch.no_grad()
def load_examples(
    base: FrozenMVDiffusion, count: int, split: Any, num_views: int, at_once: int = 16
) -> Examples:
    """Render mice, each from a rig of its own, and encode them once."""
    scenes = [
        render_sample(
            "mice",
            index,
            split,
            rig="random",
            size=base.size,
            num_views=num_views,
            elevation_deg=ELEVATION_DEG,
        )
        for index in range(count)
    ]
    views = collate_views(scenes, [range(num_views)] * count, base.contract)
    parts = [base.encode(rgb[:, 0], rgb) for rgb in views.rgb.split(at_once)]
    joined = (torch.cat([getattr(one, field.name) for one in parts]) for field in fields(Encoded))
    return Examples(views, Encoded(*joined))


def train(
    base: FrozenMVDiffusion, method: Any, examples: Examples, options: argparse.Namespace
) -> Any:
    """Attach an adapter and train it; every method sees the same examples and noise."""
    adapter = attach(base, method, seed=options.seed)
    views = examples.views.rgb.shape[1]
    base.module.num_views = views
    posed = adapter.extra is not None
    optimizer, schedule = build_optimizer(
        adapter.parameters(), lr=options.lr, weight_decay=0.0, steps=options.steps, warmup=20
    )
    generator = torch.Generator().manual_seed(options.seed)
    rows_of_all = base.prompts_for(examples.views.cameras).unflatten(0, (-1, views))
    losses: list[float] = []
    for step in range(1, options.steps + 1):
        rows = torch.randint(len(rows_of_all), (options.batch,), generator=generator)
        encoded, cameras = examples.pick(rows)
        draws = draw_step(encoded, shared=generator, own=generator)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bf16):
            result = training_step(
                encoded,
                rows_of_all[rows].flatten(0, 1),
                draws,
                base.parts,
                cameras=cameras if posed else None,
            )
        loss = torch.nn.functional.mse_loss(result.pred.float(), result.target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(adapter.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        if step % max(options.steps // 5, 1) == 0:
            log.info("  step %d: loss %.4f", step, sum(losses) / len(losses))
            losses.clear()
    base.module.eval()
    return adapter


@torch.no_grad()
def generate(
    base: FrozenMVDiffusion, truth: ViewBatch, options: argparse.Namespace, cameras: Cameras | None
) -> Tensor:
    """Make all views of all mice, [B, V, 3, H, W]; the noise is the same for every adapter."""
    count, views = truth.rgb.shape[:2]
    rows = base.prompts_for(truth.cameras if cameras is None else cameras)
    made = base.generate(
        truth.rgb[:, :1].expand_as(truth.rgb).flatten(0, 1),
        rows,
        steps=options.sampling_steps,
        guidance=options.guidance,
        eta=ETA,
        seed=options.seed,
        num_views=views,
        cameras=cameras,
    )
    return made.images.unflatten(0, (count, views))


def turn(cameras: Cameras) -> Cameras:
    """Give every view but the first the camera of the next one."""
    views = cameras.shape[1]
    return cameras[:, [0, *range(2, views), 1]]


@torch.no_grad()
def autoencode(base: FrozenMVDiffusion, pictures: Tensor) -> Tensor:
    """Send pictures [B, V, 3, H, W] through the VAE and back."""
    vae = base.parts.vae
    latents = vae.encode(2 * pictures.flatten(0, 1) - 1).latent_dist.mode()
    decoded = (vae.decode(latents).sample / 2 + 0.5).clamp(0, 1)
    return decoded.unflatten(0, pictures.shape[:2])


def score(made: Tensor, truth: ViewBatch) -> tuple[Tensor, Tensor]:
    """Full and foreground PSNR in dB per mouse, [B], over all views but the first."""
    pair = made[:, 1:], truth.rgb[:, 1:]
    full, inside = psnr(*pair), foreground_psnr(*pair, truth.mask[:, 1:])
    return full.mean(dim=1), inside.nanmean(dim=1)


def report(scores: dict[str, tuple[Tensor, Tensor]], against: str = "slots") -> str:
    """Return the table."""
    lines = [f"{'':<26} {'full':>9} {'foreground':>12} {'gain over ' + against:>22}"]
    for name, (full, inside) in scores.items():
        gain = inside - scores[against][1]
        half = 1.96 * float(gain.std()) / len(gain) ** 0.5
        said = "" if name == against else f"{float(gain.mean()):+9.2f} +- {half:.2f} dB"
        means = f"{float(full.mean()):6.2f} dB {float(inside.mean()):9.2f} dB"
        lines.append(f"{name:<26} {means} {said:>22}")
    return "\n".join(lines)


def save_sheet(rows: Sequence[Tensor], path: Path, zoom: int = 2) -> None:
    """Write one picture with a row of views [V, 3, H, W] for each entry."""
    sheet = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
    pixels = (sheet.permute(1, 2, 0) * 255).round().byte().numpy()
    Image.fromarray(np.kron(pixels, np.ones((zoom, zoom, 1), np.uint8))).save(path)


def methods(options: argparse.Namespace) -> dict[str, Any]:
    """Build what is compared, by the name of its line."""
    rank = {"r": options.rank, "lora_alpha": options.rank}
    found: dict[str, Any] = {"slots": Lora(LoraConfig(**rank))}
    for word in options.kinds.split(","):
        kind, _, prompts = word.partition(":")
        config = PoseConfig.model_validate({
            "kind": kind,
            **rank,
            **({"prompts": prompts} if prompts else {}),
        })
        found[word] = Pose(config)
    return found


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--base", type=Path, metavar="FOLDER", help="instead of the shipped model")
    source.add_argument("--fresh", action="store_true", help="untrained weights, to try it out")
    parser.add_argument(
        "--kinds",
        default="angles",
        help="angles, pluecker or both, with :nearest or :neutral prompts; several with commas",
    )
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=4, help="mice in a step")
    parser.add_argument("--views", type=int, default=6)
    parser.add_argument("--scenes", type=int, default=240, help="mice to train on")
    parser.add_argument("--held-out", type=int, default=24)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--sampling-steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, default=Path("benchmarks-pose"), metavar="FOLDER")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run everything and print the table."""
    options = parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    options.out.mkdir(parents=True, exist_ok=True)
    base = load_base(options)
    base.module.num_views = options.views
    examples = load_examples(base, options.scenes, "train", options.views)
    truth = load_examples(base, options.held_out, "test", options.views).views
    log.info("%s: %d mice to train on, %d held out", base.id, options.scenes, options.held_out)
    made = {
        "VAE alone": autoencode(base, truth.rgb),
        "copy of the input": truth.rgb[:, :1].expand_as(truth.rgb),
        "frozen": generate(base, truth, options, None),
    }
    for name, method in methods(options).items():
        base, started = load_base(options), time.perf_counter()
        adapter = train(base, method, examples, options)
        seconds = (time.perf_counter() - started) / options.steps
        log.info("%s: %d weights, %.2f s a step", name, adapter.num_parameters(), seconds)
        posed = adapter.extra is not None
        made[name] = generate(base, truth, options, truth.cameras if posed else None)
        if posed:
            # The prompts follow the cameras too, as they do in use.
            made[f"{name}, turned"] = generate(base, truth, options, turn(truth.cameras))
    print(report({name: score(pictures, truth) for name, pictures in made.items()}))
    for mouse in range(min(3, options.held_out)):
        rows = [truth.rgb[mouse], *(pictures[mouse] for pictures in made.values())]
        save_sheet(rows, options.out / f"mouse-{mouse}.png")
    log.info("pictures in %s, rows: truth, %s", options.out, ", ".join(made))


if __name__ == "__main__":
    main()
