"""Min-SNR: weights and errors by hand, what it needs to know, and the real model's own loss."""

import subprocess
import sys

import pytest
import torch
from helpers import shared_path
from mfl_adapt_facelift_loss import register_components
from mfl_adapt_facelift_loss.config import MinSnrConfig
from mfl_adapt_facelift_loss.min_snr import MinSnr, latent_errors, min_snr_weights
from pydantic import ValidationError
from safetensors.torch import load_file

from mfl_adapt.errors import ConfigError, RangeError, ShapeError
from mfl_adapt.plugin import LossContext
from mfl_adapt.types import RigContract

CONTRACT = RigContract(size=8, patch=8, depth_reach=1.8)
MASK = torch.ones(1, 2, 1, 1, 2)


def context(*snr):
    values = torch.tensor([snr])
    return LossContext(CONTRACT, extra={"timesteps": torch.zeros(1, len(snr)), "snr": values})


def test_weights_by_hand():
    snr = torch.tensor([0.1, 5.0, 20.0])
    torch.testing.assert_close(min_snr_weights(snr), torch.tensor([1.0, 1.0, 0.25]))
    textbook = torch.tensor([0.1 / 1.1, 5 / 6, 5 / 21])
    torch.testing.assert_close(min_snr_weights(snr, form="textbook"), textbook)
    torch.testing.assert_close(min_snr_weights(snr, 10.0)[2], torch.tensor(0.5))


def test_weights_that_cannot_work():
    with pytest.raises(RangeError, match="gamma: expected a positive number, got 0"):
        min_snr_weights(torch.ones(1), 0.0)
    with pytest.raises(ConfigError, match="expected compatible or textbook, got 'snr'"):
        min_snr_weights(torch.ones(1), form="snr")


def test_errors_by_hand_refuse_to_broadcast():
    pred = torch.zeros(1, 2, 1, 1, 2)
    target = torch.tensor([[1.0, 3.0], [2.0, 2.0]]).view(1, 2, 1, 1, 2)
    assert latent_errors(pred, target).tolist() == [[5.0, 4.0]]
    assert latent_errors(target, target).tolist() == [[0.0, 0.0]]
    with pytest.raises(ShapeError, match="min_snr: target"):
        latent_errors(pred, target[:, :1])
    with pytest.raises(ShapeError, match="min_snr: pred"):
        latent_errors(pred[0], target[0])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [5.0, 1.0]),
        ({"gamma": 10.0}, [5.0, 2.0]),
        ({"gamma": None}, [5.0, 4.0]),
        ({"form": "textbook"}, [2.5, 20 / 21]),
    ],
)
def test_component_by_hand(settings, expected):
    pred = torch.zeros(1, 2, 1, 1, 2)
    target = torch.tensor([[1.0, 3.0], [2.0, 2.0]]).view(1, 2, 1, 1, 2)
    value = MinSnr(MinSnrConfig(**settings))(pred, target, MASK, context(1.0, 20.0))
    torch.testing.assert_close(value, torch.tensor([expected]))


@pytest.mark.parametrize(
    ("extra", "missing"),
    [({}, "timesteps and snr"), ({"timesteps": torch.zeros(1, 2)}, "without snr")],
)
def test_a_step_that_is_no_diffusion_step_says_so_in_one_line(extra, missing):
    pred = torch.zeros(1, 2, 3, 4, 4)
    with pytest.raises(ConfigError, match=rf"{missing}.*facelift.mvdiffusion") as caught:
        MinSnr(MinSnrConfig())(pred, pred, MASK, LossContext(CONTRACT, extra=extra))
    assert "\n" not in str(caught.value)


def test_snr_of_other_views_is_refused():
    pred = torch.zeros(1, 2, 1, 1, 2)
    with pytest.raises(ShapeError, match=r"min_snr: snr: expected \[1, 2\], got \[1, 3\]"):
        MinSnr(MinSnrConfig())(pred, pred, MASK, context(1.0, 2.0, 3.0))


def test_half_precision_is_summed_in_single():
    target = torch.full((1, 1, 4, 64, 64), 60.0, dtype=torch.float16)
    value = latent_errors(torch.zeros_like(target), target)
    assert value.dtype == torch.float32
    assert value.item() == 3600.0


def test_gradcheck():
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(1, 2, 4, 2, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.randn(1, 2, 4, 2, 2, generator=generator, dtype=torch.float64)
    loss = MinSnr(MinSnrConfig())
    given = LossContext(
        CONTRACT,
        extra={"timesteps": None, "snr": torch.tensor([[0.5, 20.0]], dtype=torch.float64)},
    )
    assert torch.autograd.gradcheck(lambda x: loss(x, target, MASK, given), (pred,))


@pytest.mark.golden
@pytest.mark.parametrize(("run", "gamma"), [("snr5_drop", 5.0), ("mse_nodrop", None)])
def test_loss_is_that_of_the_real_model(run, gamma):
    golden = load_file(shared_path("reference/mvtrain_tiny_golden.safetensors"))
    views = golden[f"{run}.model_pred"].shape[0]
    pred, target = (golden[f"{run}.{name}"][None] for name in ("model_pred", "target"))
    loss = MinSnr(MinSnrConfig(gamma=gamma))
    given = LossContext(
        CONTRACT, extra={"timesteps": None, "snr": golden[f"{run}.snr"].view(1, views)}
    )
    value = loss(pred, target, torch.ones_like(pred[:, :, :1]), given).mean()
    torch.testing.assert_close(value, golden[f"{run}.loss"].view(()), atol=1e-6, rtol=0)


@pytest.mark.parametrize("settings", [{"gamma": 0}, {"form": "snr"}, {"gama": 5}])
def test_settings_are_checked(settings):
    with pytest.raises(ValidationError, match=next(iter(settings))):
        MinSnrConfig(**settings)


def test_listing_needs_no_torch():
    specs = {spec.name: spec.on for spec in register_components()}
    assert [name for name, on in specs.items() if on == "latents"] == ["min_snr"]
    assert sorted(specs) == [
        "l2",
        "lpips",
        "min_snr",
        "perceptual",
        "pixelalign",
        "pointsdist",
        "ssim",
    ]
    code = (
        "import sys, mfl_adapt_facelift_loss as p; p.register_components(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
