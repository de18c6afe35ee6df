"""How much more memory a process takes than the tensors that were counted."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import peft
import torch
from torch import nn

from mfl_adapt.adapter import attach
from mfl_adapt.cameras import orbit
from mfl_adapt.models.gslrm.config import TINY, GSLRMConfig
from mfl_adapt.models.gslrm.frozen import FrozenGSLRM, load_shipped, outline_gslrm
from mfl_adapt.render import render
from mfl_adapt.train.fast import fast_training
from mfl_adapt.train.memory import PeakMemory, resident
from mfl_adapt.train.planning.counted import Term
from mfl_adapt.train.planning.estimate import Sketch
from mfl_adapt.train.planning.setting import DTYPES, Setting
from mfl_adapt.types import Cameras, ViewBatch

if TYPE_CHECKING:
    from mfl_adapt.plugin import Base

TRIED = (Setting(views=6, targets=6, size=64), Setting(views=6, targets=6, size=128))
"""What is measured: two sizes tell what grows with the tensors from what is there once."""
_WARM_UP = Setting(views=2, targets=1, size=32)


class Trial(NamedTuple):
    """A step that was both counted and measured.

    Attributes:
        setting: Of it.
        counted: Bytes of its tensors.
        measured: Bytes by which the process grew.
    """

    setting: Setting
    counted: int
    measured: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a process takes beside the tensors that were counted.

    Attributes:
        trials: Steps of the tiny base, the smaller one first.
        process: Bytes that it held before them, with all code loaded.
    """

    trials: tuple[Trial, ...]
    process: int = 0

    @property
    def ratio(self) -> float:
        """Bytes by which a process grows for each byte that was counted; never below 1."""
        first, last = self.trials[0], self.trials[-1]
        return max(1.0, (last.measured - first.measured) / (last.counted - first.counted))

    @property
    def once(self) -> int:
        """Bytes that the first step takes whatever its size: compiled code, threads."""
        last = self.trials[-1]
        return max(0, round(last.measured - self.ratio * last.counted))


def calibrate() -> Calibration:
    """Train the tiny base for a moment, in this process, and compare with what was counted."""
    return Trainee(load_shipped("facelift_tiny", id="facelift.tiny")).measure(TRIED)


class AllLinear:
    """Plain LoRA on every linear layer of the blocks."""

    def __init__(self, r: int = 16) -> None:
        self._r = r

    def peft_config(self, module: nn.Module) -> peft.PeftConfig:
        """Return peft's settings."""
        names = [
            name
            for name, layer in module.named_modules()
            if isinstance(layer, nn.Linear) and name.startswith("transformer_layers.")
        ]
        return peft.LoraConfig(r=self._r, lora_alpha=self._r, target_modules=sorted(names))


class Trainee:
    """A network with weights, to be trained for real."""

    def __init__(self, base: FrozenGSLRM) -> None:
        """Put an adapter on a base."""
        self._base = base
        # Its module is a narrower type than a base's.
        self._adapter = attach(cast("Base", base), AllLinear(), seed=0)
        self._base.module.train()

    def measure(self, settings: Sequence[Setting]) -> Calibration:
        """Count steps, take them, and see by how much the process grows.

        What a process has freed it takes again without growing, so that a fresh one measures
        best, and larger steps come later.
        """
        self.step(replace(_WARM_UP, precision=settings[0].precision))
        config = self._base.module.architecture
        counted = [count_trial(setting, config) for setting in settings]
        gc.collect()
        trials, before = [], resident()
        for setting, tensors in zip(settings, counted, strict=True):
            with PeakMemory(torch.device("cpu")) as memory:
                self.step(setting)
            trials.append(Trial(setting, tensors, memory.peak - before))
        return Calibration(tuple(trials), before)

    def step(self, setting: Setting) -> None:
        """Take a step forward and backward; the loss is a squared error."""
        inputs, targets = (_views(setting, count) for count in (setting.views, setting.targets))
        half = DTYPES[setting.precision]
        with fast_training(self._adapter, checkpointing=setting.checkpointing):
            with torch.autocast("cpu", half, enabled=half is not torch.float32):
                gaussians = self._base.reconstruct(inputs.rgb, inputs.cameras)
            drawn = render(gaussians, targets.cameras, backend="cpu", depth=False)
            (drawn.rgb - targets.rgb).square().mean().backward()
        for parameter in self._adapter.parameters():
            parameter.grad = None


def count_trial(setting: Setting, config: GSLRMConfig = TINY) -> int:
    """Count the step that ``Trainee`` takes."""
    terms: Sequence[Term] = [Term("squared error", 1.0, _squared)]
    base = cast("Base", outline_gslrm(config, id="trial"))
    sketch = Sketch(base, AllLinear(), terms, device="cpu", ema=False)
    return sketch.count(setting).peak


def _squared(pred: Any, target: Any, mask: Any, context: Any) -> Any:
    return (pred - target).square().mean(dim=(2, 3, 4))


def _views(setting: Setting, count: int) -> ViewBatch:
    """A grey ball before white, from all sides: a subject that a trained network can place."""
    size = setting.size
    turns = [360.0 * index / count for index in range(count)]
    rig = orbit(turns, (0.0,) * count, (2.7,) * count, (1.07225,) * count, size)
    shape = (setting.at_once, count)
    cameras = Cameras(
        torch.from_numpy(rig.c2w).float().expand(setting.at_once, -1, -1, -1),
        torch.from_numpy(rig.fxfycxcy).float().expand(setting.at_once, -1, -1),
        height=size,
        width=size,
    )
    place = torch.linspace(-1, 1, size)
    ball = (place[:, None] ** 2 + place**2 < 0.3).float()
    rgb = (1 - 0.5 * ball).expand(*shape, 3, size, size).contiguous()
    return ViewBatch(rgb, ball.expand(*shape, 1, size, size).contiguous(), cameras)
