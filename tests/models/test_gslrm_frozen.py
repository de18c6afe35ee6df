"""The frozen base: what ``reconstruct`` takes, what it refuses, and adapters inside of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import shared_path
from safetensors.torch import save_file

from mfl_adapt.errors import CheckpointError, RangeError, ShapeError
from mfl_adapt.models.gslrm.config import TINY, GSLRMConfig, read_config
from mfl_adapt.models.gslrm.frozen import FrozenGSLRM, load_gslrm, load_shipped
from mfl_adapt.plugin import Base

LINEARS = [
    "patch_embedder.1",
    "attn.to_qkv",
    "attn.fc",
    "mlp.mlp.0",
    "mlp.mlp.2",
    "gaussian_upsampler.linear",
    "pixel_gaussian_decoder.1",
]


@pytest.fixture
def base(small_model):
    return FrozenGSLRM(small_model, id="test.small", sha256="0" * 64)


def test_it_is_a_base_and_frozen(base):
    assert isinstance(base, Base)
    assert not base.module.training
    assert not any(parameter.requires_grad for parameter in base.module.parameters())
    assert (base.contract.size, base.contract.patch) == (16, 8)


def test_gaussians_have_the_shapes_that_are_promised(base, scene):
    gaussians = base.reconstruct(*scene(views=3, batch=2))
    count = 2 + 3 * 16 * 16
    assert gaussians.means.shape == (2, count, 3)
    assert gaussians.quats.shape == (2, count, 4)
    assert gaussians.scales.shape == (2, count, 3)
    assert gaussians.opacities.shape == (2, count)
    assert gaussians.sh.shape == (2, count, 1, 3)
    torch.testing.assert_close(gaussians.quats.norm(dim=-1), torch.ones(2, count))
    assert 0 < gaussians.scales.min() <= gaussians.scales.max() <= 0.30120
    assert 0 < gaussians.opacities.min() < gaussians.opacities.max() < 1


def test_numpy_and_torch_give_the_same(base, scene, ring):
    rgb, cameras = scene()
    read_only = ring(2)
    read_only.c2w.flags.writeable = False
    pictures = rgb.numpy().astype(np.float64)
    ours = base.reconstruct(pictures, read_only).means
    torch.testing.assert_close(base.reconstruct(rgb, cameras).means, ours)


def test_sizes_other_than_the_contract_work(base, scene):
    assert base.reconstruct(*scene(height=8, width=24)).means.shape == (1, 2 + 2 * 8 * 24, 3)


def test_pictures_can_carry_gradient(base, scene):
    rgb, cameras = scene()
    base.reconstruct(rgb.requires_grad_(), cameras).means.sum().backward()
    assert rgb.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda rgb: rgb[0], ShapeError, r"\[\*, \*, 3, \*, \*\], got \[2, 3, 16, 16\]"),
        (lambda rgb: rgb.movedim(2, -1), ShapeError, r"got \[1, 2, 16, 16, 3\]"),
        (lambda rgb: rgb[:, :0], ShapeError, r"at least one view, got \[1, 0, 3, 16, 16\]"),
        (lambda rgb: rgb[..., :12], ShapeError, "multiples of 8, got 16 x 12"),
        (lambda rgb: rgb[:, :1], ShapeError, r"\[1, 1, 16, 16\] like rgb, got \[1, 2, 16, 16\]"),
        (lambda rgb: rgb[..., :8], ShapeError, r"\[1, 2, 16, 8\] like rgb, got \[1, 2, 16, 16\]"),
        (lambda rgb: (rgb * 255).byte(), RangeError, r"got torch\.uint8\. Divide by 255"),
        (lambda rgb: rgb * 255, RangeError, r"colours in \[0, 1\], got .* Divide bytes by 255"),
        (lambda rgb: rgb * 2 - 1, RangeError, r"move \[-1, 1\] to \[0, 1\]"),
        (lambda rgb: rgb / 0, RangeError, r"finite numbers, got \d+ of 1536"),
    ],
)
def test_pictures_are_checked(base, scene, change, error, match):
    rgb, cameras = scene()
    with pytest.raises(error, match=r"^reconstruct: (rgb|cameras): expected .*" + match) as caught:
        base.reconstruct(change(rgb), cameras)
    assert "\n" not in str(caught.value)


def test_colours_may_leave_the_range_by_a_rounding_error(base, scene):
    rgb, cameras = scene()
    base.reconstruct(rgb * 1.005, cameras)


def scaled(cameras):
    cameras.c2w[0, 1, :3, :3] *= 1.01


def mirrored(cameras):
    cameras.c2w[0, 1, :3, 0] *= -1


def transposed(cameras):
    cameras.c2w[:] = cameras.c2w.swapaxes(-1, -2).copy()


def unfocused(cameras):
    cameras.fxfycxcy[0, 1, 1] = -5.0


def lost(cameras):
    cameras.c2w[0, 1, 0, 3] = np.nan


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (scaled, r"orthonormal rotations in c2w, got an error of 0\.02"),
        (mirrored, "determinant \\+1, got a mirrored one"),
        (transposed, r"last row of c2w to be 0, 0, 0, 1, got \[.*\]\. Is the matrix transposed"),
        (unfocused, "positive focal lengths in pixels, got -5"),
        (lost, "finite numbers, got 1 of 32"),
    ],
)
def test_cameras_are_checked(base, scene, ring, spoil, match):
    cameras = ring(2)
    spoil(cameras)
    with pytest.raises(RangeError, match=r"^reconstruct: cameras: expected .*" + match):
        base.reconstruct(scene()[0], cameras)


def test_float32_rotations_are_orthonormal_enough(base, scene, ring):
    cameras = ring(2)
    noise = np.random.default_rng(0).normal(scale=1e-6, size=cameras.c2w[..., :3, :3].shape)
    cameras.c2w[..., :3, :3] += noise
    base.reconstruct(scene()[0], cameras)


def test_rounded_rays_move_the_gaussians_a_little(base, scene):
    rgb, cameras = scene(views=3)
    exact = base.reconstruct(rgb, cameras).means
    rounded = base.reconstruct(rgb, cameras, round_rays=torch.bfloat16).means
    assert 1e-4 < (exact - rounded).abs().max() < 0.1


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("recompute", [False, True])
def test_lora_fits_in(base, scene, precision, recompute):
    from peft import LoraConfig, get_peft_model

    rgb, cameras = scene()
    before = base.reconstruct(rgb, cameras).means.clone()
    weights = {name: value.clone() for name, value in base.module.named_parameters()}
    get_peft_model(base.module, LoraConfig(r=2, target_modules=LINEARS))
    base.module.eval()
    assert torch.equal(base.reconstruct(rgb, cameras).means, before)

    base.module.checkpoint_blocks = recompute
    trained = {n: p for n, p in base.module.named_parameters() if p.requires_grad}
    assert len(trained) == 2 * (3 + 4 * 2)
    optimizer = torch.optim.SGD(trained.values(), lr=1.0)
    for _ in range(2):  # B starts at zero, so A has a gradient only from the second step on
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            gaussians = base.reconstruct(rgb, cameras)
        (gaussians.means.square().mean() + gaussians.opacities.mean()).backward()
        optimizer.step()
    assert all(parameter.grad.abs().sum() > 0 for parameter in trained.values())
    assert not torch.equal(base.reconstruct(rgb, cameras).means, before)
    for name, value in base.module.named_parameters():
        if name not in trained:
            assert value.grad is None
            assert torch.equal(value, weights[name.replace(".base_layer", "")])


@pytest.mark.golden
def test_load_from_a_facelift_checkpoint(golden):
    path = shared_path("reference/gslrm_tiny_ckpt_vggkeys.pt")
    config = read_config(shared_path("reference/gslrm_tiny_config.json"))
    base = load_gslrm(path, config, id="facelift.gslrm")
    gaussians = base.reconstruct(*golden.inputs("a"))
    torch.testing.assert_close(gaussians.means, golden["a.gs.xyz"], atol=1e-4, rtol=0)
    assert base.contract.size == 64
    with pytest.raises(CheckpointError, match=r"of another shape .*Name the configuration"):
        load_gslrm(path, TINY, id="facelift.gslrm")


def test_fingerprint_knows_options_but_not_the_picture_size(small_model, tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(small_model.state_dict(), path)
    config = small_model.architecture
    prints = [
        load_gslrm(path, GSLRMConfig(**config.model_dump() | change), id="x").fingerprint
        for change in ({}, {"image_size": 64}, {"plucker": "standard"}, {"d_head": 32})
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_missing_shipped_model_is_an_error():
    with pytest.raises(CheckpointError, match=r"facelift\.none: .* none\.json, found nothing"):
        load_shipped("none", id="facelift.none")


def test_cameras_of_the_caller_stay_as_they_are(base, scene, ring):
    cameras = ring(2)
    copy = replace(cameras, c2w=cameras.c2w.copy())
    base.reconstruct(scene()[0], cameras)
    assert np.array_equal(cameras.c2w, copy.c2w)
    assert cameras.c2w.dtype == np.float64
