"""The network's options and its behaviour beyond the golden files."""

import numpy as np
import pytest
import torch
from helpers import shared_path
from torch import nn

from mfl_adapt.models.gslrm.config import PUBLISHED, TINY, GSLRMConfig
from mfl_adapt.models.gslrm.decode import place_pixels
from mfl_adapt.models.gslrm.model import GSLRM, posed_pictures
from mfl_adapt.models.gslrm.patches import to_images, to_patches
from mfl_adapt.models.rays import camera_rays


def build(config):
    return GSLRM(config, generator=torch.Generator().manual_seed(0)).eval()


@pytest.mark.golden
def test_names_shapes_and_order_are_those_of_the_published_file():
    lines = shared_path("spec/gslrm_state_dict.tsv").read_text().splitlines()[1:]
    rows = [line.split("\t") for line in lines if not line.startswith("loss_calculator.")]
    with torch.device("meta"):
        state = GSLRM(PUBLISHED).state_dict()
    assert [(k, str(tuple(v.shape))) for k, v in state.items()] == [(r[0], r[1]) for r in rows]
    assert len(state) == 151
    assert sum(value.numel() for value in state.values()) == 303_565_824


def test_tiny_network_has_about_three_million_weights():
    assert sum(parameter.numel() for parameter in build(TINY).parameters()) == 2_942_784


def test_patch_order_is_that_of_the_formula():
    views, height, width, patch = 2, 4, 6, 2
    images = torch.arange(views * height * width).reshape(1, views, 1, height, width)
    flat = to_patches(images, patch).flatten()
    rows, columns = height // patch, width // patch
    for v, i, j in np.ndindex(views, height, width):
        block = (v * rows + i // patch) * columns + j // patch
        index = (block * patch + i % patch) * patch + j % patch
        assert flat[index] == images[0, v, 0, i, j]
    assert torch.equal(to_images(flat[None, :, None], views, height, width, patch), images)


def test_initial_weights():
    config = GSLRMConfig(d=64, d_head=32, n_layer=1, n_gaussians=64, add_refsrc_marker=True)
    model = build(config)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.1)
        elif isinstance(module, nn.LayerNorm):
            assert (module.weight == 1).all()
    assert model.gaussian_position_embeddings.std().item() == pytest.approx(0.02, rel=0.1)
    assert model.view_type_embeddings.std().item() == pytest.approx(0.02, rel=0.3)


def test_generator_decides_the_weights():
    config = GSLRMConfig(d=16, d_head=8, n_layer=1)
    torch.manual_seed(1)
    first = build(config)
    torch.manual_seed(2)
    for a, b in zip(first.parameters(), build(config).parameters(), strict=True):
        assert torch.equal(a, b)
    other = GSLRM(config, generator=torch.Generator().manual_seed(5))
    assert not torch.equal(first.patch_embedder[1].weight, other.patch_embedder[1].weight)


# Position of a pixel's Gaussian, by the four rules of depth; q is the logistic of mean + bias.
def along_ray(config, q, origin, direction):
    if config.plucker != "standard":
        return (2 * q - 1) * 1.8 - origin @ direction
    if config.depth_range is not None:
        return q * (config.depth_range[1] - config.depth_range[0]) + config.depth_range[0]
    if config.depth_reference_origin:
        return (2 * q - 1) * 1.8 + np.linalg.norm(origin)
    return (2 * q - 1) * 1.5 + 2.7


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"plucker": "augmented", "depth_preact_bias": 0.7},
        {"plucker": "standard"},
        {"plucker": "standard", "depth_range": (0.5, 4.5)},
        {"plucker": "standard", "depth_reference_origin": True},
        {"plucker": "standard", "depth_range": (0.5, 4.5), "depth_reference_origin": True},
    ],
)
def test_depth_rules(options, ring):
    config = GSLRMConfig(image_size=8, patch_size=2, **options)
    cameras = ring(2, 4, 6)
    rng = np.random.default_rng(0)
    cameras.c2w[..., :3, 3] += rng.normal(size=(1, 2, 3))  # so that no two views are alike
    raw = rng.normal(size=(1, 2, 3, 4, 6))
    rays = camera_rays(type(cameras)(*map(torch.tensor, (cameras.c2w, cameras.fxfycxcy)), 4, 6))
    in_order = to_patches(torch.tensor(raw).float(), 2).flatten(1, 2)
    placed = to_images(place_pixels(in_order, rays, config), 2, 4, 6, 2)
    for v, i, j in np.ndindex(2, 4, 6):
        q = 1 / (1 + np.exp(-raw[0, v, :, i, j].mean() - config.depth_preact_bias))
        origin = cameras.c2w[0, v, :3, 3]
        direction = rays.directions[0, v, :, i, j].double().numpy()
        expected = origin + along_ray(config, q, origin, direction) * direction
        np.testing.assert_allclose(placed[0, v, :, i, j], expected, atol=1e-5)


def test_without_alignment_positions_are_as_decoded(scene):
    _, cameras = scene()
    config = GSLRMConfig(hard_pixelalign=False)
    raw = torch.randn(1, 2 * 16 * 16, 3) * 3
    assert torch.equal(place_pixels(raw, camera_rays(cameras), config), raw)
    clamping = GSLRMConfig(hard_pixelalign=False, clamp_positions=True)
    assert torch.equal(place_pixels(raw, camera_rays(cameras), clamping), raw.clamp(-1, 1))


@pytest.mark.parametrize(
    ("plucker", "order"),
    [("custom", "dq"), ("augmented", "mdq"), ("standard", "md")],
)
def test_channels_of_posed_pictures(plucker, order, scene):
    rgb, cameras = scene()
    posed = posed_pictures(rgb, camera_rays(cameras), GSLRMConfig(plucker=plucker)).numpy()
    direction = camera_rays(cameras).directions.numpy()
    origin = cameras.c2w[..., :3, 3, None, None].numpy() + np.zeros_like(direction)
    moment = np.cross(origin, direction, axis=2)
    nearest = np.cross(direction, moment, axis=2)  # d x (o x d) = o - (o . d) d for unit d
    triples = {"m": moment, "d": direction, "q": nearest}
    expected = np.concatenate([2 * rgb.numpy() - 1, *(triples[key] for key in order)], axis=2)
    np.testing.assert_allclose(posed, expected, atol=2e-6)


def test_marker_tells_the_first_view_from_the_others(scene):
    config = GSLRMConfig(image_size=16, d=16, d_head=8, n_layer=1, add_refsrc_marker=True)
    model = build(config)
    rgb, cameras = scene(views=3)
    posed = posed_pictures(rgb, camera_rays(cameras), config)
    with torch.no_grad():
        marked = model.embed(posed)
        plain = model.patch_embedder(posed)
    first, other = model.view_type_embeddings.detach()
    torch.testing.assert_close(marked[:, :2], model.gaussian_position_embeddings[None].detach())
    torch.testing.assert_close(marked[:, 2:6], plain[:, :4] + first)
    torch.testing.assert_close(marked[:, 6:], plain[:, 4:] + other)


def test_spherical_harmonics_and_scale_factor(scene):
    config = GSLRMConfig(
        image_size=16, d=16, d_head=8, n_layer=1, sh_degree=1, scaling_modifier=0.5
    )
    raw = build(config)(*scene())
    assert raw.features.shape == (1, 2 + 2 * 256, 4, 3)
    gaussians = raw.activate()
    torch.testing.assert_close(gaussians.scales, 0.5 * raw.scaling.exp())
    assert gaussians.opacities.shape == (1, 2 + 2 * 256)


def test_items_of_a_batch_do_not_meet(small_model, scene):
    rgb, cameras = scene(batch=2)
    with torch.no_grad():
        together = small_model(rgb, cameras)
        alone = small_model(rgb[1:], cameras[1:])
    torch.testing.assert_close(together.xyz[1:], alone.xyz, atol=1e-5, rtol=1e-5)


def test_swapping_views_swaps_their_gaussians(small_model, scene):
    rgb, cameras = scene(views=2)
    with torch.no_grad():
        raw = small_model(rgb, cameras).pixel_xyz
        swapped = small_model(rgb.flip(1), cameras[:, [1, 0]]).pixel_xyz
    torch.testing.assert_close(raw.flip(1), swapped, atol=1e-5, rtol=1e-5)


def test_recomputing_blocks_changes_no_number(small_model, scene):
    def gradients():
        small_model.zero_grad()
        small_model(*scene()).xyz.square().mean().backward()
        return [parameter.grad.clone() for parameter in small_model.parameters()]

    plain = gradients()
    small_model.checkpoint_blocks = True
    for a, b in zip(plain, gradients(), strict=True):
        assert torch.equal(a, b)


def is_bfloat16(values):
    return bool((values.bfloat16().float() == values).all())


def test_autocast_halves_the_blocks_and_nothing_else(small_model, scene):
    rgb, cameras = scene()
    seen = {}
    for name in (
        "patch_embedder.1",
        "transformer_layers.0.attn.to_qkv",
        "pixel_gaussian_decoder.1",
    ):
        small_model.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: seen.update({name: out.dtype})
        )
    with torch.no_grad():
        exact = small_model(rgb, cameras)
        with torch.autocast("cpu", torch.bfloat16):
            raw = small_model(rgb, cameras)
    assert list(seen.values()) == [torch.float32, torch.bfloat16, torch.float32]
    for field in ("xyz", "features", "scaling", "rotation", "opacity"):
        assert getattr(raw, field).dtype == torch.float32
        assert not is_bfloat16(getattr(raw, field))
    # Half-precision tokens move the depth along the ray, never the ray.
    rays = camera_rays(cameras)
    offset = raw.pixel_xyz - rays.origins
    sideways = torch.linalg.cross(offset, rays.directions, dim=2)
    assert sideways.abs().max() < 1e-5
    assert 0 < (raw.xyz - exact.xyz).abs().max() < 0.1
