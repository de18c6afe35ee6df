"""Training a base that makes views: noise the encoded pictures, denoise, compare."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from mfl_adapt.data import StepSampler
from mfl_adapt.data.collate import collate, collate_views
from mfl_adapt.evaluate.views import Sampling, make_views, reference_picture
from mfl_adapt.images import save_picture
from mfl_adapt.metrics import foreground_psnr
from mfl_adapt.models.mvdiffusion.encoding import Encoded
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion
from mfl_adapt.models.mvdiffusion.items import choose_background
from mfl_adapt.models.mvdiffusion.training import training_step
from mfl_adapt.plugin import LossContext
from mfl_adapt.report.sheet import lay_out
from mfl_adapt.train.encodings import Encodings, join
from mfl_adapt.train.guards.measures import (
    find_gradients,
    join_measures,
    mean_of_known,
    measure_pictures,
)
from mfl_adapt.train.guards.watch import Look
from mfl_adapt.train.noise import draw_share
from mfl_adapt.train.objective import build_objective
from mfl_adapt.train.session import Session
from mfl_adapt.train.tasks import NO_LOOK, Outcome
from mfl_adapt.types import Cameras, Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

# Random streams that share the user's one seed; the sampler has the first two. Embedding noise
# and dropping come from one generator and all else from another, as in the published program.
_SHARED, _OWN, _BACKGROUND = 2, 3, 4
_DRAWN_BACKGROUNDS = {"three_choices", "random"}
_SHOWN = 2


class Diffusion:
    """Batch, encode, noise, denoise, losses."""

    def __init__(self, run: Session, base: FrozenMVDiffusion, accelerator: Accelerator) -> None:
        """Move all networks to the device and look for encodings that were kept."""
        self._run, self._base, self._accelerator = run, base.to(accelerator.device), accelerator
        self._objective = build_objective(run.opened.losses)
        train = run.data.split.train
        self._sampler = StepSampler(train, batch=run.config.train.batch, seed=run.config.seed)
        self._share = run.processes.share(run.config.train.batch)
        self._background = run.config.diffusion.background
        kept = self._background not in _DRAWN_BACKGROUNDS
        if not kept:
            log.info(
                "diffusion.background: %s is drawn anew for every example, so that encoded "
                "pictures are not kept",
                self._background,
            )
        config = run.config
        self._sampling = Sampling(
            config.diffusion.sampling_steps, config.diffusion.guidance, config.seed
        )
        self._encodings = Encodings(base, run.data, keep=kept, cache=run.config.data.cache)

    def forward(self, step: int, look: Look = NO_LOOK) -> Outcome:
        """Add noise to the encoded views of the batch and predict what was added."""
        run, schedule = self._run, self._base.parts.scheduler.config
        samples = [draw.sample for draw in self._sampler.draws(step)]
        mine = [samples[place] for place in self._share]
        encoded = self._encode(samples, step)
        prompts, cameras = self._place(run.data.samples.pick(mine))
        noise = draw_share(
            encoded,
            self._share,
            len(samples),
            shared=self._generator(_SHARED, step),
            own=self._generator(_OWN, step),
            num_train_timesteps=schedule.num_train_timesteps,
        )
        with self._accelerator.autocast():
            result = training_step(
                encoded,
                prompts,
                noise,
                self._base.parts,
                drop_rate=run.config.diffusion.drop_rate,
                cameras=cameras,
            )
        pred, target, timesteps, snr = (
            value.unflatten(0, (len(mine), encoded.num_views))
            for value in (result.pred, result.target, result.timesteps, result.snr)
        )
        context = LossContext(run.data.contract, step, extra={"timesteps": timesteps, "snr": snr})
        summed = self._objective(pred, target, torch.ones_like(pred[:, :, :1]), context)
        gradients = find_gradients(summed.values, look.terms, (pred,))
        return Outcome(summed.total, summed.parts, gradients=gradients)

    @torch.no_grad()
    def draw(self, path: Path) -> Mapping[str, float]:
        """Draw input, truth and generated views of a few held-out samples, and measure them."""
        data = self._run.data
        rows: dict[str, list[NDArray[np.float32]]] = {}
        measures = []
        for number, sample in enumerate(data.evaluation[:_SHOWN], start=1):
            background = data.contract.background
            views = collate_views([sample], [range(len(sample.views))], data.contract)
            truth = views.rgb[0]
            with self._accelerator.autocast():
                made = make_views(self._base, sample, background, self._sampling)
            seen = reference_picture(sample, background)
            rows[f"input {number}"] = [np.float32(1 / 255) * seen]
            rows[f"truth {number}"] = _to_pictures(truth)
            rows[f"made {number}"] = _to_pictures(made)
            # The first view is the input itself.
            pair = (made.cpu()[1:], truth[1:], views.mask[0, 1:])
            measures.append(measure_pictures(*pair, background))
        save_picture(path, lay_out(rows))
        return join_measures(measures)

    @torch.no_grad()
    def validate(self, limit: int) -> float:
        """Compare what is made of view 0 with all other views of a few samples."""
        data, scores = self._run.data, []
        for sample in data.evaluation[:limit]:
            batch = collate([sample], [data.policy.evaluate(sample.cameras)], data.contract)
            made = make_views(self._base, sample, data.contract.background, self._sampling)
            rgb, mask = batch.targets.rgb, batch.targets.mask
            quality = foreground_psnr(made.cpu()[None, 1:], rgb, mask).nanmean()
            scores.append(float(quality))
        return mean_of_known(scores)

    def _encode(self, samples: Sequence[int], step: int) -> Encoded:
        """Encode this process's samples of a batch, or take what was kept, on the device."""
        generator = self._generator(_BACKGROUND, step)
        colours = [choose_background(self._background, generator) for _ in samples]
        encoded = [self._encodings.of(samples[place], colours[place]) for place in self._share]
        return join(encoded, self._base.device)

    def _place(self, samples: Sequence[Sample]) -> tuple[Tensor, Cameras | None]:
        """Say where views stand: by the prompts of the slots, or to a pose adapter by cameras."""
        unet = self._base.module
        if unet.pose is None:
            return self._base.prompt_embeds, None
        rigs = [sample.cameras for sample in samples]
        cameras = Cameras(
            np.stack([rig.c2w for rig in rigs]),
            np.stack([rig.fxfycxcy for rig in rigs]),
            height=rigs[0].height,
            width=rigs[0].width,
        )
        unet.num_views = cameras.shape[1]  # a rig need not have as many views as the slots
        return self._base.prompts_for(cameras), cameras

    def _generator(self, stream: int, step: int) -> torch.Generator:
        """A generator of one step, so that no step depends on those before it."""
        entropy = np.random.SeedSequence([self._run.config.seed, stream, step])
        return torch.Generator().manual_seed(int(entropy.generate_state(1, np.uint64)[0] >> 1))


def _to_pictures(images: Tensor) -> list[NDArray[np.float32]]:
    """Pictures [H, W, 3] of a tensor [V, 3, H, W]."""
    return list(images.float().permute(0, 2, 3, 1).cpu().numpy())
