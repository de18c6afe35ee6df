"""Making views: the sampler's formula, its draws, guidance, portions, and bad input."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from mfl_adapt.errors import ConfigError, DataError, RangeError, ShapeError
from mfl_adapt.models.mvdiffusion.fresh import FreshSizes, build_fresh
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion, load_mvdiffusion
from mfl_adapt.models.mvdiffusion.prompts import view_prompts
from mfl_adapt.models.mvdiffusion.sampling import Draws, GeneratedViews
from mfl_adapt.models.mvdiffusion.saving import save_parts

FEW = {"steps": 2, "guidance": 2.0}


@pytest.fixture(scope="module")
def base():
    return FrozenMVDiffusion(build_fresh(seed=7), id="facelift.mvdiffusion")


@pytest.fixture(scope="module")
def prompts(base):
    return base.encode_prompts(view_prompts())


def picture(seed=0, size=64):
    random = np.random.default_rng(seed)
    return Image.fromarray(random.integers(0, 256, (size, size, 3), dtype=np.uint8))


def watch(base, **settings):
    """Run and return what the network got and gave, the steps, and the views."""
    calls, steps = [], []
    handle = base.module.register_forward_hook(
        lambda _, args, kwargs, out: calls.append((args, kwargs, out.sample)), with_kwargs=True
    )
    try:
        views = base.generate(progress=lambda *step: steps.append(step), **settings)
    finally:
        handle.remove()
    return calls, steps, views


def close(a, b, atol=1e-5):
    torch.testing.assert_close(a, b, atol=atol, rtol=0)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_steps_follow_the_formula(base, prompts, eta):
    random = torch.Generator().manual_seed(1)
    noise = tuple(torch.randn(6, 4, 8, 8, generator=random) for _ in range(4))
    draws = Draws(latents=noise[3], steps=noise[:3])
    calls, steps, _ = watch(
        base,
        pictures=picture(),
        prompt_embeds=prompts,
        steps=3,
        guidance=2.5,
        eta=eta,
        draws=draws,
    )
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
    alphas = np.cumprod(1 - betas)
    x = noise[3].double().numpy()
    assert [time for _, time, _ in steps] == [667, 334, 1]
    for (_, time, latents), (_, _, out), fresh in zip(steps, calls, noise, strict=False):
        without, with_picture = out.double().numpy().reshape(2, 6, 4, 8, 8)
        o = without + 2.5 * (with_picture - without)
        a = alphas[time]
        before = alphas[time - 333] if time >= 333 else alphas[0]
        clean = np.sqrt(a) * x - np.sqrt(1 - a) * o
        direction = np.sqrt(a) * o + np.sqrt(1 - a) * x
        spread = eta * np.sqrt((1 - before) / (1 - a) * (1 - a / before))
        x = np.sqrt(before) * clean + np.sqrt(1 - before - spread**2) * direction
        x = x + spread * fresh.double().numpy()
        np.testing.assert_allclose(latents.numpy(), x, atol=1e-5)


def test_draws_come_from_one_generator_in_order(base, prompts):
    generator = torch.Generator().manual_seed(21)
    embeds = torch.randn(6, 16, generator=generator)
    latents = torch.randn(6, 4, 8, 8, generator=generator)
    steps = tuple(torch.randn(6, 4, 8, 8, generator=generator) for _ in range(2))
    given = base.generate(picture(), prompts, draws=Draws(embeds, latents, steps), **FEW)
    drawn = base.generate(picture(), prompts, seed=21, **FEW)
    assert torch.equal(given.images, drawn.images)


def test_a_generator_goes_on_from_where_it_stands(base, prompts):
    generator = torch.Generator().manual_seed(3)
    first = base.generate(picture(), prompts, seed=generator, **FEW)
    second = base.generate(picture(), prompts, seed=generator, **FEW)
    assert torch.equal(first.images, base.generate(picture(), prompts, seed=3, **FEW).images)
    assert not torch.equal(first.images, second.images)


def test_no_noise_is_drawn_in_steps_without_eta(base, prompts):
    generator = torch.Generator().manual_seed(3)
    base.generate(picture(), prompts, seed=generator, eta=0.0, **FEW)
    expected = torch.Generator().manual_seed(3)
    torch.randn(6, 16, generator=expected)
    torch.randn(6, 4, 8, 8, generator=expected)
    assert torch.equal(torch.randn(3, generator=generator), torch.randn(3, generator=expected))


def test_results_do_not_depend_on_what_was_made_before(base, prompts):
    first = base.generate(picture(), prompts, **FEW)
    base.generate(picture(1), prompts, **FEW)
    torch.manual_seed(99)
    assert torch.equal(base.generate(picture(), prompts, **FEW).images, first.images)
    assert not torch.equal(base.generate(picture(), prompts, seed=5, **FEW).images, first.images)


def test_guidance_takes_the_picture_away_and_leaves_the_prompts(base, prompts):
    calls, _, _ = watch(base, pictures=picture(), prompt_embeds=prompts, steps=1, guidance=0.5)
    (sample, _, embeds), kwargs, _ = calls[0]
    assert sample.shape[0] == 12
    assert not sample[:6, 4:].any()
    assert torch.equal(sample[:6, :4], sample[6:, :4])
    assert not kwargs["class_labels"][:6].any()
    assert torch.equal(embeds[:6], embeds[6:])
    # Level 0: P / 2 ones, then P / 2 zeros.
    assert torch.equal(kwargs["class_labels"][6, 16:], torch.tensor([1.0] * 8 + [0.0] * 8))


def test_guidance_of_one_is_off(base, prompts):
    calls, _, _ = watch(base, pictures=picture(), prompt_embeds=prompts, steps=1, guidance=1.0)
    assert calls[0][0][0].shape[0] == 6


@pytest.mark.parametrize("at_once", [1, 2, 5, 99])
def test_views_in_portions_are_the_same(base, prompts, at_once):
    whole = base.generate(picture(), prompts, **FEW)
    calls, _, apart = watch(
        base, pictures=picture(), prompt_embeds=prompts, views_at_once=at_once, **FEW
    )
    close(apart.latents, whole.latents)
    close(apart.images, whole.images)
    assert max(args[0].shape[0] for args, _, _ in calls) == min(at_once, 5) + 1


def test_views_in_portions_without_mixing(base, prompts):
    base.module.layout.pattern = "self"
    try:
        whole = base.generate(picture(), prompts, **FEW)
        apart = base.generate(picture(), prompts, views_at_once=2, **FEW)
    finally:
        base.module.layout.pattern = "reference"
    close(apart.latents, whole.latents)


def test_views_in_portions_are_refused_where_all_see_all(base, prompts):
    base.module.layout.pattern = "dense"
    try:
        with pytest.raises(ConfigError, match="dense attention"):
            base.generate(picture(), prompts, views_at_once=2, **FEW)
    finally:
        base.module.layout.pattern = "reference"


@pytest.mark.parametrize("views", [1, 2, 4, 9])
def test_any_number_of_views(base, prompts, views):
    rows = prompts.repeat(2, 1, 1)[:views]
    made = base.generate(picture(), rows, **FEW)
    assert made.images.shape == (views, 3, 64, 64)
    close(base.generate(picture(), rows, views_at_once=2, **FEW).images, made.images)
    assert base.module.num_views == 6


def test_fewer_views_are_the_first_of_more(base, prompts):
    """A view sees view 0 and itself, so that leaving others out changes nothing."""
    noise = torch.randn(6, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    embeds = torch.zeros(6, 16)
    more = {"steps": 2, "eta": 0.0}
    six = base.generate(picture(), prompts, draws=Draws(embeds, noise), **more)
    two = base.generate(picture(), prompts[:2], draws=Draws(embeds[:2], noise[:2]), **more)
    close(two.latents, six.latents[:2])


def test_objects_do_not_touch_each_other(base, prompts):
    pictures = [picture(0)] * 6 + [picture(1)] * 6
    rows = prompts.repeat(2, 1, 1)
    noise = torch.randn(12, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    embeds = torch.zeros(12, 16)
    more = {"steps": 2, "eta": 0.0}
    both = base.generate(pictures, rows, draws=Draws(embeds, noise), **more)
    one = base.generate(picture(1), prompts, draws=Draws(embeds[6:], noise[6:]), **more)
    close(both.latents[6:], one.latents)
    apart = base.generate(pictures, rows, draws=Draws(embeds, noise), views_at_once=3, **more)
    close(apart.latents, both.latents)


def test_pictures_in_every_form_are_the_same(base, prompts):
    expected = base.generate(picture(), prompts, **FEW).images
    pixels = np.asarray(picture())
    # A little above the 8-bit value: truncation, not rounding, gives it back.
    values = (torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() + 0.5) / 255.5
    as_floats = (values * 255).floor().byte().permute(1, 2, 0).numpy()
    for form in (pixels, [pixels] * 6, [picture()] * 6):
        assert torch.equal(base.generate(form, prompts, **FEW).images, expected)
    tensor = values.expand(6, -1, -1, -1)
    truncated = base.generate(as_floats, prompts, **FEW).images
    assert torch.equal(base.generate(tensor, prompts, **FEW).images, truncated)


def test_callback_sees_every_step(base, prompts):
    _, steps, views = watch(base, pictures=picture(), prompt_embeds=prompts, **FEW)
    assert [(index, time) for index, time, _ in steps] == [(0, 501), (1, 1)]
    assert torch.equal(steps[-1][2], views.latents)


def test_bytes_are_rounded():
    values = torch.tensor([0.0, 0.4 / 255, 0.6 / 255, 254.4 / 255, 1.0])
    views = GeneratedViews(values.expand(1, 3, 1, 5), torch.zeros(1, 4, 1, 1))
    assert views.to_bytes()[0, 0, :, 0].tolist() == [0, 0, 1, 254, 255]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_runs(base, prompts, tmp_path, dtype):
    save_parts(base.parts, tmp_path / "half")
    half = load_mvdiffusion(tmp_path / "half", id="facelift.mvdiffusion", dtype=dtype)
    more = {"steps": 2, "guidance": 1.0, "eta": 0.0}
    noise = torch.randn(6, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    draws = Draws(torch.zeros(6, 16), noise)
    made = half.generate(picture(), prompts, draws=draws, **more)
    whole = base.generate(picture(), prompts, draws=draws, **more)
    assert made.latents.dtype == dtype
    assert made.images.dtype == torch.float32
    assert float((made.images - whole.images).abs().mean()) < 0.02


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"steps": 0}, RangeError, "steps: expected a value from 1 to 1000, got 0"),
        ({"steps": 1000}, RangeError, "steps: expected fewer than 1000"),
        ({"eta": 1.5}, RangeError, "eta: expected a value from 0 to 1"),
        ({"guidance": float("nan")}, RangeError, "guidance: .* got nan"),
        ({"noise_level": 1000}, RangeError, "noise_level: expected a value from 0 to 999"),
        ({"noise_level": -1}, RangeError, "noise_level"),
        ({"views_at_once": 0}, RangeError, "views_at_once: expected at least 1"),
        ({"num_views": 4}, ShapeError, "whole objects of 4 views, got 6 rows"),
        ({"num_views": 0}, RangeError, "num_views: expected a value from 1 to 6, got 0"),
        ({"draws": Draws(latents=torch.zeros(6, 4, 8, 9))}, ShapeError, r"draws.latents.*8, 9\]"),
        ({"draws": Draws(embeds=torch.zeros(5, 16))}, ShapeError, r"draws.embeds.*\[5, 16\]"),
        ({"draws": Draws(steps=())}, ShapeError, "draws.steps: expected 50 tensors"),
        (
            {"draws": Draws(latents=torch.full((6, 4, 8, 8), float("inf"))), "steps": 1},
            RangeError,
            "step 0: expected finite latents",
        ),
    ],
)
def test_settings_that_cannot_work(base, prompts, settings, error, match):
    with pytest.raises(error, match=match):
        base.generate(picture(), prompts, **settings)


def animated():
    file = io.BytesIO()
    picture(0).save(file, "webp", save_all=True, append_images=[picture(1)], lossless=True)
    return Image.open(file)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: picture().convert("RGBA"), DataError, "picture: .*RGB picture, got mode RGBA"),
        (lambda: picture().convert("CMYK"), DataError, "got mode CMYK"),
        (animated, DataError, "got 2 frames"),
        (lambda: picture().convert("L"), DataError, "got mode L"),
        (lambda: picture().convert("I;16"), DataError, "got mode I"),
        (lambda: np.zeros((64, 64, 3), np.uint16), DataError, "got .*uint16"),
        (lambda: np.zeros((64, 64, 4), np.uint8), DataError, r"got \[64, 64, 4\]"),
        (lambda: picture(size=1), ShapeError, "expected 64 x 64 pixels, got height 1"),
        (lambda: picture().resize((64, 32)), ShapeError, "got height 32 and width 64"),
        (lambda: [picture()] * 5, ShapeError, "pictures: expected 6, .* got 5"),
        (lambda: torch.zeros(6, 64, 64, 3), ShapeError, r"expected \[N, 3, H, W\]"),
        (lambda: torch.zeros(6, 3, 64, 64).byte(), ShapeError, "floating-point"),
        (lambda: torch.full((6, 3, 64, 64), 255.0), RangeError, "Divide 8-bit values"),
        (lambda: torch.full((6, 3, 64, 64), float("nan")), RangeError, "finite"),
    ],
)
def test_pictures_that_cannot_work(base, prompts, make, error, match):
    with pytest.raises(error, match=match):
        base.generate(make(), prompts, **FEW)


@pytest.mark.parametrize(
    ("spoil", "error", "match"),
    [
        (lambda p: p[..., :24], ShapeError, "expected width 32, got .*Another text encoder"),
        (lambda p: p[0], ShapeError, r"expected \[views, tokens, 32\]"),
        (lambda p: p[:0], ShapeError, "one row per view"),
        (lambda p: p.int(), ShapeError, "floating-point"),
        (lambda p: p * float("nan"), RangeError, "prompt_embeds: expected finite"),
    ],
)
def test_prompts_that_cannot_work(base, prompts, spoil, error, match):
    with pytest.raises(error, match=match):
        base.generate(picture(), spoil(prompts), **FEW)


def test_sizes_are_those_of_the_model():
    base = FrozenMVDiffusion(
        build_fresh(FreshSizes(latent=8, vae_channels=(8, 16, 16), num_views=2)), id="small"
    )
    prompts = base.encode_prompts(view_prompts(["left", "right"]))
    made = base.generate(picture(size=32), prompts, **FEW)
    assert made.images.shape == (2, 3, 32, 32)
    assert 0.0 <= float(made.images.min()) <= float(made.images.max()) <= 1.0
