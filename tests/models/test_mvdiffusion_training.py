"""One training step: targets, weights and dropping by hand; what gradients reach."""

import math
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model

from mfl_adapt.errors import ConfigError, RangeError, ShapeError
from mfl_adapt.models.mvdiffusion.encoding import Encoded
from mfl_adapt.models.mvdiffusion.fresh import build_fresh
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion
from mfl_adapt.models.mvdiffusion.prompts import view_prompts
from mfl_adapt.models.mvdiffusion.training import (
    build_target,
    draw_step,
    drop_conditions,
    training_step,
)


@pytest.fixture(scope="module")
def base():
    return FrozenMVDiffusion(build_fresh(seed=3), id="facelift.mvdiffusion")


@pytest.fixture(scope="module")
def prompts(base):
    return base.encode_prompts(view_prompts())


def pictures(objects=2, views=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    imgs_out = torch.rand(objects, views, 3, 64, 64, generator=generator)
    return imgs_out[:, 0], imgs_out


def draw(encoded, seed=0):
    return draw_step(
        encoded,
        shared=torch.Generator().manual_seed(seed),
        own=torch.Generator().manual_seed(seed + 1),
    )


def test_dropping_by_hand():
    keep_embed, keep_latents = drop_conditions(torch.tensor([0.05, 0.15, 0.25, 0.35]), 0.1)
    assert keep_embed.tolist() == [False, False, True, True]
    assert keep_latents.tolist() == [True, False, False, True]


def test_nothing_is_dropped_at_rate_zero():
    keep_embed, keep_latents = drop_conditions(torch.tensor([0.0, 0.5]), 0.0)
    assert keep_embed.all()
    assert keep_latents.all()


def test_targets_by_hand():
    latents, noise = torch.full((1, 1, 1, 1), 2.0), torch.full((1, 1, 1, 1), 3.0)
    alphas = torch.tensor([0.36])
    velocity = build_target(latents, noise, alphas, "v_prediction")
    assert float(velocity) == pytest.approx(0.6 * 3 - 0.8 * 2, abs=1e-6)
    assert build_target(latents, noise, alphas, "epsilon") is noise
    assert build_target(latents, noise, alphas, "sample") is latents
    with pytest.raises(ConfigError, match="got 'flow'"):
        build_target(latents, noise, alphas, "flow")


def test_input_and_snr_follow_the_schedule(base, prompts):
    encoded = base.encode(*pictures())
    draws = draw(encoded)
    step = training_step(encoded, prompts, draws, base.parts, drop_rate=0.0)
    for item in (0, 5, 7):
        time = int(draws.timesteps[item // 6])
        assert int(step.timesteps[item]) == time
        alpha = float(base.parts.scheduler.alphas_cumprod[time])
        assert float(step.snr[item]) == pytest.approx(alpha / (1 - alpha), rel=1e-5)
        noisy = math.sqrt(alpha) * step.latents[item] + math.sqrt(1 - alpha) * draws.noise[item]
        torch.testing.assert_close(step.unet_input[item, :4], noisy, atol=1e-5, rtol=0)
        condition = encoded.image_latents[item // 6]
        torch.testing.assert_close(step.unet_input[item, 4:], condition)


def test_dropped_objects_lose_their_conditions(base, prompts):
    encoded = base.encode(*pictures(objects=4))
    draws = draw(encoded)
    draws.drop.copy_(torch.tensor([0.1, 0.3, 0.5, 0.9]))
    with torch.no_grad():
        step = training_step(encoded, prompts, draws, base.parts, drop_rate=0.2)
    labels = step.class_labels.unflatten(0, (4, 6)).flatten(1).abs().amax(dim=1) > 0
    latents = step.unet_input[:, 4:].unflatten(0, (4, 6)).flatten(1).abs().amax(dim=1) > 0
    assert labels.tolist() == [False, False, True, True]
    assert latents.tolist() == [True, False, False, True]


def test_kept_encodings_are_those_of_the_pictures(base, prompts):
    """What is stored and read back gives the same step, bit for bit."""
    encoded = base.encode(*pictures())
    again = base.encode(*pictures())
    stored = Encoded(*(getattr(encoded, name).clone() for name in Encoded.__slots__))
    results = [
        training_step(one, prompts, draw(one), base.parts).pred for one in (encoded, again, stored)
    ]
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


def test_only_an_adapter_takes_gradients(prompts):
    base = FrozenMVDiffusion(build_fresh(seed=4), id="facelift.mvdiffusion")
    config = LoraConfig(r=2, target_modules=["to_q", "to_k", "to_v", "to_out.0"])
    inject_adapter_in_model(config, base.module)
    encoded = base.encode(*pictures())
    draws = draw(encoded)
    step = training_step(encoded, prompts, draws, base.parts)
    plain = FrozenMVDiffusion(build_fresh(seed=4), id="facelift.mvdiffusion")
    # A fresh adapter changes nothing.
    untouched = training_step(encoded, prompts, draws, plain.parts).pred
    assert torch.equal(step.pred.detach(), untouched)
    (step.pred - step.target).square().mean().backward()
    for name, parameter in base.module.named_parameters():
        if "lora_B" in name:
            assert float(parameter.grad.abs().max()) > 0, name
        elif "lora_" not in name:
            assert parameter.grad is None, name


def test_noise_on_embeddings_differs_between_views(base, prompts):
    encoded = base.encode(*pictures())
    step = training_step(encoded, prompts, draw(encoded), base.parts, drop_rate=0.0)
    assert not torch.equal(step.class_labels[0, :16], step.class_labels[1, :16])
    close = (step.class_labels[0, :16] - encoded.embeds[0]).abs().max()
    assert 0 < float(close) < 0.1  # level 0 adds 0.0064 standard deviations


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda i, o: (i[:1], o), "imgs_out"),
        (lambda i, o: (i[..., :32], o), "imgs_in"),
        (lambda i, o: (i, o.transpose(1, 2)), "imgs_out"),
    ],
)
def test_pictures_that_do_not_fit(base, spoil, match):
    with pytest.raises(ShapeError, match=match):
        base.encode(*spoil(*pictures()))


@pytest.mark.parametrize("factor", [255.0, -1.0, float("nan")])
def test_colours_out_of_range(base, factor):
    imgs_in, imgs_out = pictures()
    with pytest.raises(RangeError, match="imgs_out"):
        base.encode(imgs_in, imgs_out * factor)


def test_steps_that_cannot_work(base, prompts):
    encoded = base.encode(*pictures())
    draws = draw(encoded)
    with pytest.raises(RangeError, match="drop_rate"):
        training_step(encoded, prompts, draws, base.parts, drop_rate=0.5)
    with pytest.raises(ShapeError, match="6 in the targets, 5 prompts and 6 in the UNet"):
        training_step(encoded, prompts[:5], draws, base.parts)
    short = replace(draws, timesteps=draws.timesteps[:1])
    with pytest.raises(ShapeError, match=r"draws.timesteps: expected \[2\], got \[1\]"):
        training_step(encoded, prompts, short, base.parts)
    other = draw(base.encode(*pictures(objects=1)))
    with pytest.raises(ShapeError, match=r"draws.posterior: expected \[12, 4, 8, 8\]"):
        training_step(encoded, prompts, other, base.parts)
