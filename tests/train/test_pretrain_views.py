"""The script that made the tiny model of views still makes such models."""

import pytest
import torch

from mfl_adapt.models.mvdiffusion.fresh import FreshSizes, build_fresh
from mfl_adapt.models.mvdiffusion.frozen import load_mvdiffusion
from mfl_adapt.synth import render_sample
from mfl_adapt.train.pretrain_views import (
    SIZES,
    encode_all,
    score,
    to_batch,
    train_denoiser,
)
from mfl_adapt.train.view_parts import augment, latent_deviation, train_embedder, train_vae


@pytest.fixture(scope="module")
def scenes():
    return [render_sample("heads", index, rig="slots") for index in range(2)]


@pytest.fixture
def parts():
    return build_fresh(FreshSizes(), seed=0)


def test_a_few_steps_write_folders_that_load_as_bases(tmp_path, scenes, parts):
    pictures = to_batch(scenes).rgb
    encoded = encode_all(parts, pictures, at_once=1)
    before = {name: value.clone() for name, value in parts.unet.state_dict().items()}
    trained = train_denoiser(
        parts, encoded, scenes[:1], steps=2, lr=1e-3, batch_size=2, seed=0,
        out=tmp_path / "views", report_every=2,
    )  # fmt: skip
    base = load_mvdiffusion(tmp_path / "views-step-00002", id="test.views")
    after = trained.unet.state_dict()
    for name, value in base.module.state_dict().items():
        assert torch.equal(value, after[name].half().float())
    assert any(not torch.equal(before[name], after[name]) for name in before)
    text = score(base, scenes[:1])
    assert [line.split("  ")[0] for line in text.splitlines()[1:]] == [
        "model",
        "VAE alone",
        "copy of the input",
        "white",
        "mean colour",
    ]


def test_objects_are_encoded_one_by_one_as_together(scenes, parts):
    pictures = to_batch(scenes).rgb
    together = encode_all(parts, pictures, at_once=2)
    alone = encode_all(parts, pictures, at_once=1)
    assert len(together) == 2
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one.target_mean, other.target_mean, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(one.embeds, other.embeds, atol=1e-4, rtol=1e-4)
    assert torch.equal(together[0].pick(0).embeds, together[0].embeds)


def test_the_vae_learns_and_its_latents_get_size_one(scenes, parts):
    pictures = to_batch(scenes).rgb
    before = _error(parts.vae, pictures.flatten(0, 1))
    train_vae(parts.vae, pictures, steps=12, seed=0)
    assert _error(parts.vae, pictures.flatten(0, 1)) < before
    size = latent_deviation(parts.vae, pictures.flatten(0, 1)) * parts.vae.config.scaling_factor
    assert size == pytest.approx(1.0, rel=1e-3)
    assert not any(one.requires_grad for one in parts.vae.parameters())


def test_the_embedder_tells_objects_apart_afterwards(scenes, parts):
    changed = train_embedder(parts, to_batch(scenes).rgb, steps=3, seed=0, batch_size=2)
    assert torch.isfinite(changed.normalizer.mean).all()
    assert (changed.normalizer.std > 0).all()
    assert not any(one.requires_grad for one in changed.image_encoder.parameters())


def test_augmentation_keeps_white_and_the_range(scenes):
    pictures = to_batch(scenes).rgb.flatten(0, 1)
    changed = augment(pictures, torch.Generator().manual_seed(0))
    assert changed.shape == pictures.shape
    assert float(changed.min()) >= 0
    assert float(changed.max()) <= 1 + 1e-6
    white = torch.ones_like(pictures)
    torch.testing.assert_close(augment(white, torch.Generator().manual_seed(0)), white)


def test_the_shipped_sizes_fit_the_contract():
    assert SIZES.latent * 2 ** (len(SIZES.vae_channels) - 1) == 64


@torch.no_grad()
def _error(vae, pictures):
    truth = 2 * pictures - 1
    return float((vae(truth).sample - truth).square().mean())
