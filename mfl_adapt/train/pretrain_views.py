"""Pretrain the tiny model of views: ``python -m mfl_adapt.train.pretrain_views --out FOLDER``.

It makes ``facelift.tiny_views``, a multi-view diffusion model of the published structure at 64
pixels, from scratch on procedural heads: first the VAE and the image encoder, each with a task of
its own (``view_parts``), then the denoiser on what those two make of the pictures. The text tower
keeps its first weights: all it has to do is to tell six prompts apart. The README beside the
shipped weights gives commands, time and scores.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mfl_adapt.data.collate import collate_views
from mfl_adapt.metrics import foreground_psnr, mean_colour_baseline, psnr, white_baseline
from mfl_adapt.models.mvdiffusion.config import TINY_CONTRACT
from mfl_adapt.models.mvdiffusion.encoding import Encoded
from mfl_adapt.models.mvdiffusion.fresh import FreshSizes, build_fresh
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion, load_mvdiffusion
from mfl_adapt.models.mvdiffusion.parts import Parts
from mfl_adapt.models.mvdiffusion.saving import save_parts
from mfl_adapt.models.mvdiffusion.training import draw_step, training_step
from mfl_adapt.synth import render_sample
from mfl_adapt.train.average import MovingAverage
from mfl_adapt.train.encodings import join
from mfl_adapt.train.optim import build_optimizer
from mfl_adapt.train.view_parts import train_embedder, train_vae
from mfl_adapt.types import Sample, ViewBatch

Split = Literal["train", "validation", "test"]

log = logging.getLogger(__name__)

ID = "facelift.tiny_views"
SIZES = FreshSizes(
    latent=16,
    channels=(64, 128, 160),
    heads=(2, 4, 5),
    groups=16,
    vae_channels=(32, 48, 64),
    vae_groups=8,
    embed_width=128,
    tower_width=128,
    crop=64,
    patch=8,
    text_width=64,
)
"""Sizes of the shipped model: 16 x 16 latents of 64 px pictures."""

WARMUP = 200
EMA_DECAY = 0.999
SCORE_STEPS, SCORE_GUIDANCE = 20, 2.0
SCORED = 50  # heads of the test split


def load_scenes(count: int, split: Split, *, workers: int) -> list[Sample]:
    """Render heads from the six slots."""
    size = SIZES.latent * 2 ** (len(SIZES.vae_channels) - 1)
    make = partial(render_sample, "heads", split=split, rig="slots", size=size)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(make, range(count), chunksize=8))


def to_batch(scenes: Sequence[Sample]) -> ViewBatch:
    """Stack all views of all scenes, [B, 6, 3, H, W] on white."""
    views = [range(len(scene.views)) for scene in scenes]
    return collate_views(scenes, views, TINY_CONTRACT)


@torch.no_grad()
def encode_all(parts: Parts, pictures: Tensor, *, at_once: int = 16) -> list[Encoded]:
    """Encode every scene once; the first view is the reference."""
    base = FrozenMVDiffusion(parts, id=ID)
    encoded: list[Encoded] = []
    for chunk in pictures.split(at_once):
        both = base.encode(chunk[:, 0], chunk)
        encoded.extend(both.pick(index) for index in range(len(chunk)))
    return encoded


def train_denoiser(
    parts: Parts,
    encoded: Sequence[Encoded],
    validation: Sequence[Sample],
    *,
    steps: int,
    lr: float,
    batch_size: int,
    seed: int,
    out: Path,
    report_every: int,
) -> Parts:
    """Train the UNet, and write the averaged model at every report."""
    prompts = FrozenMVDiffusion(parts, id=ID).prompt_embeds
    unet = parts.unet.train().requires_grad_()
    parameters = list(unet.parameters())
    average = MovingAverage(parameters, EMA_DECAY)
    optimizer, schedule = build_optimizer(
        parameters, lr=lr, weight_decay=0.01, steps=steps, warmup=WARMUP
    )
    generator = torch.Generator().manual_seed(seed)
    started, losses = time.perf_counter(), []
    for step in range(1, steps + 1):
        rows = torch.randint(len(encoded), (batch_size,), generator=generator).tolist()
        batch = join([encoded[row] for row in rows], unet.device)
        draws = draw_step(batch, shared=generator, own=generator)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            result = training_step(batch, prompts, draws, parts)
        loss = F.mse_loss(result.pred.float(), result.target)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        average.update()
        losses.append(float(loss.detach()))
        if step % report_every == 0 or step == steps:
            seconds = (time.perf_counter() - started) / step
            mean = sum(losses) / len(losses)
            log.info("step %d: loss %.4f, %.3f s a step", step, mean, seconds)
            losses.clear()
            with average.applied():
                stored = to_half(parts)
            log.info("\n%s", score(in_single(stored), validation))
            save_parts(stored, out.with_name(f"{out.name}-step-{step:05d}"))
    average.settle()
    return parts


@torch.no_grad()
def score(base: FrozenMVDiffusion, scenes: Sequence[Sample]) -> str:
    """Compare generated views with the truth, in the five views that are not the input."""
    batch = to_batch(scenes)
    rows: dict[str, list[tuple[Tensor, Tensor]]] = {}
    for number, truth in enumerate(batch.rgb):
        made = base.generate(
            truth[:1].expand(len(truth), -1, -1, -1),
            base.prompt_embeds,
            steps=SCORE_STEPS,
            guidance=SCORE_GUIDANCE,
            seed=number,
        ).images
        rgb, mask = truth[None, 1:], batch.mask[number][None, 1:]
        copied = truth[:1].expand_as(truth[1:])[None]
        decoded = autoencode(base.parts, truth[1:])[None]
        for name, pair in {
            "model": (psnr(made[None, 1:], rgb), foreground_psnr(made[None, 1:], rgb, mask)),
            "VAE alone": (psnr(decoded, rgb), foreground_psnr(decoded, rgb, mask)),
            "copy of the input": (psnr(copied, rgb), foreground_psnr(copied, rgb, mask)),
            "white": white_baseline(rgb, mask)[1:],
            "mean colour": mean_colour_baseline(rgb, mask)[1:],
        }.items():
            rows.setdefault(name, []).append(pair)
    lines = [f"{len(scenes)} heads, views 1 to 5:   full   foreground"]
    for name, pairs in rows.items():
        full, inside = (torch.stack([p[k].mean() for p in pairs]).mean() for k in range(2))
        lines.append(f"{name:<20} {float(full):6.2f} dB {float(inside):6.2f} dB")
    return "\n".join(lines)


def autoencode(parts: Parts, pictures: Tensor) -> Tensor:
    """Send pictures through the VAE: the best that any denoiser could do."""
    latents = parts.vae.encode(2 * pictures - 1).latent_dist.mode()
    return (parts.vae.decode(latents).sample / 2 + 0.5).clamp(0, 1)


def to_half(parts: Parts) -> Parts:
    """Copy a model in float16, as it is stored."""
    copied = deepcopy(parts)
    for network in copied.networks():
        network.half()
    return copied


def in_single(parts: Parts) -> FrozenMVDiffusion:
    """Return a stored model as it will be loaded, in float32."""
    copied = deepcopy(parts)
    for network in copied.networks():
        network.float()
    return FrozenMVDiffusion(copied, id=ID)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    goal = parser.add_mutually_exclusive_group(required=True)
    goal.add_argument("--out", type=Path, metavar="FOLDER", help="pretrain and write this folder")
    goal.add_argument("--score", type=Path, metavar="FOLDER", help="only score this folder")
    parser.add_argument("--init", type=Path, metavar="FOLDER", help="take VAE and encoder of it")
    parser.add_argument("--resume", action="store_true", help="with --init: its UNet too")
    parser.add_argument("--scenes", type=int, default=1500)
    parser.add_argument("--vae-steps", type=int, default=2000)
    parser.add_argument("--embedder-steps", type=int, default=1500)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--report-every", type=int, default=1000)
    return parser.parse_args(arguments)


def prepare_parts(options: argparse.Namespace, pictures: Tensor) -> Parts:
    """Return a model whose VAE and image encoder are trained, or that of a folder."""
    if options.init:
        parts = load_mvdiffusion(options.init, id=ID).parts
        return (
            parts
            if options.resume
            else replace(parts, unet=build_fresh(SIZES, seed=options.seed).unet)
        )
    parts = build_fresh(SIZES, seed=options.seed)
    train_vae(parts.vae, pictures, steps=options.vae_steps, seed=options.seed)
    parts = train_embedder(parts, pictures, steps=options.embedder_steps, seed=options.seed)
    save_parts(to_half(parts), options.out.with_name(f"{options.out.name}-parts"))
    return parts


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line."""
    options = parse_arguments(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if options.score:
        base = load_mvdiffusion(options.score, id=ID)
        log.info("%s", score(base, load_scenes(SCORED, "test", workers=options.workers)))
        return
    scenes = load_scenes(options.scenes, "train", workers=options.workers)
    validation = load_scenes(6, "validation", workers=options.workers)
    log.info("rendered %d scenes", len(scenes))
    pictures = to_batch(scenes).rgb
    parts = prepare_parts(options, pictures)
    trained = train_denoiser(
        parts,
        encode_all(parts, pictures),
        validation,
        steps=options.steps,
        lr=options.lr,
        batch_size=options.batch,
        seed=options.seed,
        out=options.out,
        report_every=options.report_every,
    )
    save_parts(to_half(trained), options.out)


if __name__ == "__main__":
    main()
