"""Injuries of training, each done to a run that is going on.

``injure`` takes pytest's ``monkeypatch`` and changes what the run computes with: the Gaussians of
the model, the pictures that are drawn, a loss, a rate, a mask. Guards see nothing else of it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from injury import Injury, named
from mfl_adapt_masked_loss.background import Background
from mfl_adapt_masked_loss.masked_l2 import MaskedL2
from mfl_adapt_masked_loss.silhouette import Silhouette
from torch import Tensor

from mfl_adapt import chain
from mfl_adapt.models.gslrm.frozen import FrozenGSLRM
from mfl_adapt.train import optim, reconstruction
from mfl_adapt.train import run as run_module
from mfl_adapt.train.guards import watch
from mfl_adapt.types import Gaussians, Sample

WHITE_SH = 0.5 / 0.28209
Patch = pytest.MonkeyPatch


def gaussians(name: str, change: Callable[[Gaussians], Gaussians]) -> Callable[[Patch], None]:
    """The model makes other Gaussians."""
    real = FrozenGSLRM.reconstruct

    def injure(monkeypatch: Patch) -> None:
        monkeypatch.setattr(
            FrozenGSLRM, "reconstruct", lambda self, rgb, cameras: change(real(self, rgb, cameras))
        )

    return named(name, injure)


def renders(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[Patch], None]:
    """They are drawn otherwise."""
    real = reconstruction.render

    def render(*arguments: Any, **options: Any) -> Any:
        drawn = real(*arguments, **options)
        return drawn._replace(rgb=change(drawn.rgb))

    return named(name, lambda monkeypatch: monkeypatch.setattr(reconstruction, "render", render))


def smear(rgb: Tensor) -> Tensor:
    """Average over 25 x 25 pixels."""
    flat = rgb.flatten(0, 1)
    return F.avg_pool2d(flat, 25, 1, 12, count_include_pad=False).unflatten(0, rgb.shape[:2])


def losses(
    name: str, change: Callable[[Tensor, Tensor, int], Tensor], *changed: type
) -> Callable[[Patch], None]:
    """Terms have another value: ``change`` takes the value, the renders and the step from 0."""

    def injure(monkeypatch: Patch) -> None:
        for loss in changed:
            monkeypatch.setattr(loss, "__call__", _changed(loss.__call__, change))

    return named(name, injure)


def _changed(real: Callable[..., Tensor], change: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def call(self: Any, pred: Tensor, target: Tensor, mask: Tensor, context: Any) -> Tensor:
        return change(real(self, pred, target, mask, context), pred, context.step)

    return call


def rate_of_zero(monkeypatch: Patch) -> None:
    """A schedule that ends too soon."""
    monkeypatch.setattr(optim, "warmup_cosine", lambda step, **_: float(step < 2))


def jump(monkeypatch: Patch) -> None:
    """One step weighs ten thousand times as much, once the guard knows what is usual."""
    monkeypatch.setattr(watch, "LEAST_KNOWN", 3)
    losses("", lambda x, _, step: x * (1e4 if step == 4 else 1), MaskedL2)(monkeypatch)


def overflow(monkeypatch: Patch) -> None:
    """A factor on an fp16 loss that overflows again after each step that went well."""
    from scaling import Scaling

    class Overflowing(Scaling):
        def __init__(self) -> None:
            super().__init__()
            self.scaler = torch.amp.GradScaler(
                "cpu", init_scale=2.0**127, growth_factor=2.0, growth_interval=1
            )

    monkeypatch.setattr(watch, "LEAST_TRIES", 4)
    monkeypatch.setattr(run_module, "build_accelerator", lambda device, precision: Overflowing())
    monkeypatch.setattr(reconstruction, "open_shards", lambda *_: None)


def wide_masks(monkeypatch: Patch) -> None:
    """Masks that hold three quarters of the picture after a colour was changed."""
    conform = chain.conform

    def cover(sample: Sample, contract: Any) -> Sample:
        sample = conform(sample, contract)
        mask = np.zeros_like(sample.views[0].mask)
        mask[:, : mask.shape[1] * 3 // 4] = 255
        return replace(sample, views=tuple(replace(view, mask=mask) for view in sample.views))

    monkeypatch.setattr(chain, "conform", cover)
    # The doctor sees them too, and would not let the run begin.
    monkeypatch.setattr(run_module, "build_checks", lambda host: [])


GUARDS = (
    Injury(
        code="MFL103",
        severity="law",
        value="^nan$",
        where=r"^losses\.masked_loss\.masked_l2, step 3$",
        injure=losses(
            "not_a_number", lambda x, _, step: x * float("nan") if step == 2 else x, MaskedL2
        ),
        failures=(23,),
    ),
    Injury(
        code="MFL104",
        severity="law",
        value=".",
        # The value is finite; the derivative of a root at 0 is not.
        injure=losses("root_of_zero", lambda x, pred, _: x + (0 * pred).sum().sqrt(), MaskedL2),
        failures=(23,),
    ),
    Injury(
        code="MFL105",
        severity="law",
        value="^0 everywhere$",
        where="step 1$",
        injure=gaussians(
            "transparent", lambda scene: replace(scene, opacities=scene.opacities * 0)
        ),
    ),
    Injury(
        code="MFL105",
        severity="law",
        value="^terms that were all detached$",
        injure=losses("all_detached", lambda x, *_: x.detach(), MaskedL2, Background, Silhouette),
    ),
    Injury(
        code="MFL106",
        severity="law",
        value=".",
        where="step 3$",
        injure=rate_of_zero,
        failures=(26, 38),
    ),
    Injury(
        code="MFL107",
        severity="warning",
        value="times the median",
        where="step 5$",
        injure=jump,
        failures=(23, 24, 25),
    ),
    Injury(code="MFL108", severity="warning", value=".", injure=overflow, failures=(24,)),
    Injury(
        code="MFL109",
        severity="warning",
        value=".",
        where=r"^losses\.masked_loss\.background, ",
        injure=losses("one_detached", lambda x, *_: x.detach(), Background),
    ),
    Injury(
        code="MFL110", severity="warning", value="^75.0%$", injure=wide_masks, failures=(28, 32)
    ),
    Injury(
        code="MFL111",
        severity="warning",
        value="at the end or past it$",
        where="step 6$",
        injure=gaussians("far_away", lambda scene: replace(scene, means=scene.means * 5)),
        failures=(1, 5),
    ),
    Injury(
        code="MFL112",
        severity="warning",
        value="of the subject covered$",
        where="step 6$",
        injure=gaussians(
            "vanishing", lambda scene: replace(scene, opacities=scene.opacities * 0.01)
        ),
        failures=(1, 21),
    ),
    Injury(
        code="MFL113",
        severity="warning",
        value="of the squared contrast",
        where="step 6$",
        injure=gaussians("white", lambda scene: replace(scene, sh=scene.sh * 0 + WHITE_SH)),
        failures=(21, 28),
    ),
    Injury(
        code="MFL114",
        severity="warning",
        value="of the variance",
        injure=renders("one_colour", lambda rgb: 0.4 + 0.01 * (rgb - 0.4)),
        failures=(4, 27, 35),
    ),
    Injury(
        code="MFL115",
        severity="warning",
        value="of the edges",
        injure=renders("smeared", smear),
        failures=(4, 34, 35),
    ),
)
