"""Losses on features: the real VGG loss's values, LPIPS by its formula, and weight files."""

import pytest
import torch
from helpers import shared_path
from mfl_adapt_facelift_loss import register_components
from mfl_adapt_facelift_loss.config import LPIPSConfig, PerceptualConfig
from mfl_adapt_facelift_loss.lpips import LPIPS, lpips, read_lpips
from mfl_adapt_facelift_loss.perceptual import Perceptual, perceptual, read_vgg19
from mfl_adapt_facelift_loss.pixels import pixelalign, pointsdist
from mfl_adapt_facelift_loss.trunk import VGG19, Trunk
from mfl_adapt_facelift_loss.whole import l2, plain_ssim
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from stand_in_networks import (
    linear_tensors,
    save_matconvnet,
    torchvision_tensors,
    vgg19_tensors,
)
from torch.nn import functional as F

from mfl_adapt.errors import CheckpointError, ShapeError
from mfl_adapt.plugin import LossContext
from mfl_adapt.plugin.testing import check_plugin
from mfl_adapt.types import Cameras, RigContract, ViewBatch

CONTEXT = LossContext(RigContract(size=32, patch=8, depth_reach=1.8))
PREFIX = "loss_calculator.perceptual_loss_module.net."


def noise(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def vgg19():
    return vgg19_tensors()


@pytest.fixture(scope="module")
def files(tmp_path_factory, vgg19):
    """Every file that a user may give, with stand-in weights."""
    folder = tmp_path_factory.mktemp("weights")
    paths = {
        name: folder / name
        for name in ("ckpt.pt", "vgg.mat", "alex.pth", "alex.old.pth", "lin.pth", "vgg16.pth")
    }
    model = {"input_layer_norm.weight": torch.ones(4)}
    model |= {PREFIX + name: value for name, value in vgg19.items()}
    torch.save({"model": model, "param_update_step": 3}, paths["ckpt.pt"])
    alex = torchvision_tensors("alex")
    torch.save(alex, paths["alex.pth"])
    torch.save(alex, paths["alex.old.pth"], _use_new_zipfile_serialization=False)
    torch.save(linear_tensors("alex"), paths["lin.pth"], _use_new_zipfile_serialization=False)
    return paths | {"md5": save_matconvnet(paths["vgg.mat"], vgg19)}


@pytest.mark.golden
def test_perceptual_is_that_of_the_real_model(vgg19):
    golden = load_file(shared_path("reference/gslrm_tiny.safetensors"))
    trunk = Trunk(VGG19, vgg19)
    target = golden["loss.in.target"][:, :, :3]
    mean = torch.tensor([123.68, 116.779, 103.939]).view(1, 3, 1, 1)
    features = [tap.abs().mean() for tap in trunk(255 * target[0, :1] - mean)]
    torch.testing.assert_close(
        torch.stack(features), golden["loss.out.vgg_feature_mean_abs"], rtol=1e-4, atol=0
    )
    pred = golden["loss.in.rendering"].clone().requires_grad_()
    value = perceptual(pred, target, trunk)
    assert value.shape == (2, 3)
    value.mean().backward()
    torch.testing.assert_close(value.mean(), golden["loss.out.perceptual"][0], rtol=0, atol=1e-5)
    wanted = golden["loss.grad.perceptual"]
    assert (pred.grad - wanted).abs().max() < 1e-3 * wanted.abs().max()
    assert (pred.grad - wanted).abs().median() < 1e-5 * wanted.abs().max()


@pytest.mark.golden
def test_the_published_loss_is_the_weighted_sum(vgg19):
    golden = load_file(shared_path("reference/gslrm_tiny.safetensors"))
    rgba = golden["loss.in.target"]
    cameras = Cameras(golden["loss.in.c2w"], golden["loss.in.fxfycxcy"], height=48, width=48)
    seen = ViewBatch(rgba[:, :, :3], rgba[:, :, 3:], cameras)
    pred, where = golden["loss.in.rendering"], golden["loss.in.xyz"]
    total = (
        l2(pred, seen.rgb).mean()
        + 0.5 * perceptual(pred, seen.rgb, Trunk(VGG19, vgg19)).mean()
        + 0.2 * plain_ssim(pred, seen.rgb).mean()
        + 0.1 * pixelalign(where, cameras, seen.mask).mean()
        + 0.05 * pointsdist(where, cameras).mean()
    )
    torch.testing.assert_close(total, golden["loss.out.total"][0], rtol=0, atol=1e-5)


def test_checkpoint_and_mat_file_hold_the_same_network(files):
    pred, target = noise(1, 2, 3, 16, 16), noise(1, 2, 3, 16, 16, seed=1)
    mask = torch.ones(1, 2, 1, 16, 16)
    values = [
        Perceptual(PerceptualConfig(weights=files[name], md5=files["md5"]))(
            pred, target, mask, CONTEXT
        )
        for name in ("ckpt.pt", "vgg.mat")
    ]
    assert torch.equal(*values)
    assert values[0].min() > 0


def test_perceptual_is_zero_for_equal_pictures_and_float32_under_autocast(vgg19):
    trunk = Trunk(VGG19, vgg19)
    pred, target = noise(1, 2, 3, 16, 16).bfloat16(), noise(1, 2, 3, 16, 16, seed=1).bfloat16()
    assert torch.equal(perceptual(pred, pred, trunk), torch.zeros(1, 2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = perceptual(pred, target, trunk)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, perceptual(pred.float(), target.float(), trunk))


def by_hand(pred, target, tensors, linear):
    """LPIPS of one picture by its definition, with AlexNet written out."""
    shift = torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1)
    scale = torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1)

    def features(x):
        x = (2 * x[None] - 1 - shift) / scale
        for place, stride, padding in ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)):
            if place in {3, 6}:
                x = F.max_pool2d(x, 3, 2)
            weight, bias = (tensors[f"features.{place}.{k}"] for k in ("weight", "bias"))
            x = F.relu(F.conv2d(x, weight, bias, stride, padding))
            yield F.normalize(x, dim=1, eps=1e-10)

    pairs = zip(features(pred), features(target), strict=True)
    return sum(
        F.conv2d((a - b) ** 2, linear[f"lin{place}.model.1.weight"]).mean()
        for place, (a, b) in enumerate(pairs)
    )


def test_lpips_is_its_definition(files):
    trunk, linear = read_lpips(files["alex.pth"], files["lin.pth"], "alex")
    pred, target = noise(2, 2, 3, 40, 35), noise(2, 2, 3, 40, 35, seed=1)
    value = lpips(pred, target, trunk, linear)
    assert value.shape == (2, 2)
    expected = by_hand(
        pred[1, 0], target[1, 0], torchvision_tensors("alex"), linear_tensors("alex")
    )
    torch.testing.assert_close(value[1, 0], expected, rtol=1e-5, atol=1e-7)
    assert torch.equal(lpips(pred, pred, trunk, linear), torch.zeros(2, 2))


def test_lpips_has_a_gradient_along_which_it_changes(files):
    trunk, linear = read_lpips(files["alex.pth"], files["lin.pth"], "alex")
    pred = noise(1, 1, 3, 32, 32).double().requires_grad_()
    target = noise(1, 1, 3, 32, 32, seed=1).double()
    way = noise(1, 1, 3, 32, 32, seed=2).double() - 0.5
    (gradient,) = torch.autograd.grad(lpips(pred, target, trunk, linear).sum(), pred)
    step = 1e-6
    ahead, behind = (lpips(pred + s * way, target, trunk, linear).item() for s in (step, -step))
    slope = (ahead - behind) / (2 * step)
    assert (gradient * way).sum().item() == pytest.approx(slope, rel=1e-4)


def test_lpips_of_dead_features_has_a_finite_gradient(files):
    tensors = torchvision_tensors("alex")
    # No picture makes these channels positive: every later feature is 0 or constant.
    tensors["features.0.bias"] = torch.full((64,), -100.0)
    trunk = Trunk(read_lpips(files["alex.pth"], files["lin.pth"], "alex")[0].plan, tensors)
    linear = [one.flatten() for one in linear_tensors("alex").values()]
    pred = noise(1, 1, 3, 32, 32).requires_grad_()
    value = lpips(pred, noise(1, 1, 3, 32, 32, seed=1), trunk, linear)
    value.sum().backward()
    assert value.item() == 0
    assert torch.isfinite(pred.grad).all()


def test_files_of_old_and_new_torch_are_read_alike(files):
    pred, target = noise(1, 1, 3, 32, 32), noise(1, 1, 3, 32, 32, seed=1)
    mask = torch.ones(1, 1, 1, 32, 32)
    values = [
        LPIPS(LPIPSConfig(trunk=files[name], linear=files["lin.pth"], net="alex"))(
            pred, target, mask, CONTEXT
        )
        for name in ("alex.pth", "alex.old.pth")
    ]
    assert torch.equal(*values)


def refusal(read):
    with pytest.raises(CheckpointError) as caught:
        read()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_missing_file_a_folder_and_another_file_are_one_line(tmp_path, files):
    def read(path, md5=files["md5"]):
        return refusal(lambda: read_vgg19(path, md5=md5))

    assert "nothing there" in read(tmp_path / "none.pt")
    assert "got a folder" in read(tmp_path)
    text = tmp_path / "page.pt"
    text.write_text("<html>")
    assert "a web page" in read(text)
    assert read(files["vgg.mat"], "0" * 32) == (
        f"{files['vgg.mat']}: expected the file with MD5 {'0' * 32}, got {files['md5']}. Download "
        "imagenet-vgg-verydeep-19.mat again, or set md5 if another file is meant."
    )
    assert "got a file without 28 of its 28 tensors" in read(files["alex.pth"])
    assert "torchvision's VGG-19 is another network" in read(files["alex.pth"])


def test_a_mat_file_of_something_else_or_cut_off_is_one_line(tmp_path, files):
    import hashlib

    from scipy.io import savemat

    other, cut = tmp_path / "other.mat", tmp_path / "cut.mat"
    savemat(other, {"layers": [1.0, 2.0]})
    cut.write_bytes(files["vgg.mat"].read_bytes()[:20000])
    newer = tmp_path / "newer.mat"
    head = b"MATLAB 7.3 MAT-file".ljust(124) + (0x0200).to_bytes(2, "little") + b"IM"
    newer.write_bytes(head + b"\0" * 400)
    for path in (other, cut, newer):
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        message = refusal(lambda path=path, md5=md5: read_vgg19(path, md5=md5))
        assert "expected MatConvNet's VGG-19, got something else" in message


@pytest.mark.parametrize(
    ("change", "got"),
    [
        (lambda t: t[:, :2], r"conv3\.weight \[128, 64, 3, 3\], got \[128, 2, 3, 3\]"),
        (lambda t: t.to(torch.int8), "int8"),
        (lambda t: torch.zeros_like(t), "conv3.weight 0 everywhere"),
        (lambda t: t.index_fill(0, torch.tensor([0]), torch.nan), "576 values of conv3.weight not"),
    ],
)
def test_weights_that_cannot_be_right_are_refused(tmp_path, vgg19, change, got):
    import re

    path = tmp_path / "vgg.safetensors"
    save_file(vgg19 | {"conv3.weight": change(vgg19["conv3.weight"]).contiguous()}, path)
    assert re.search(got, refusal(lambda: read_vgg19(path, md5="0" * 32)))


@pytest.mark.golden
def test_zeros_in_place_of_a_network_are_refused():
    path = shared_path("reference/gslrm_tiny_ckpt_vggkeys.pt")
    assert "conv1.weight 0 everywhere" in refusal(lambda: read_vgg19(path, md5="0" * 32))


def test_the_files_of_another_network_are_refused(tmp_path, files):
    vgg = refusal(lambda: read_lpips(files["alex.pth"], files["lin.pth"], "vgg"))
    assert "torchvision's VGG-16" in vgg
    swapped = refusal(lambda: read_lpips(files["alex.pth"], files["alex.pth"], "alex"))
    assert "the linear layers of LPIPS 0.1 for AlexNet" in swapped
    other = tmp_path / "vgg.pth"
    torch.save(linear_tensors("vgg"), other)
    channels = refusal(lambda: read_lpips(files["alex.pth"], other, "alex"))
    assert "lin1.weight [1, 192, 1, 1], got [1, 128, 1, 1]" in channels


def test_an_old_file_that_could_run_code_is_refused(tmp_path):
    path = tmp_path / "old.pth"
    torch.save({"features.0.weight": print}, path, _use_new_zipfile_serialization=False)
    message = refusal(lambda: read_lpips(path, path, "alex"))
    assert "which could run code" in message


def test_too_small_pictures_are_refused(vgg19, files):
    small = torch.zeros(1, 1, 3, 15, 40)
    with pytest.raises(ShapeError, match=r"perceptual: expected pictures of at least 16 x 16"):
        perceptual(small, small, Trunk(VGG19, vgg19))
    trunk, linear = read_lpips(files["alex.pth"], files["lin.pth"], "alex")
    with pytest.raises(ShapeError, match=r"lpips: expected pictures of at least 31 x 31"):
        lpips(small, small, trunk, linear)
    edge = noise(1, 1, 3, 31, 31)
    assert torch.isfinite(lpips(edge, 1 - edge, trunk, linear)).all()


@pytest.mark.parametrize(
    ("model", "settings", "key"),
    [
        (PerceptualConfig, {}, "weights"),
        (PerceptualConfig, {"weights": "a.mat", "md5": "abc"}, "md5"),
        (LPIPSConfig, {"trunk": "a.pth"}, "linear"),
        (LPIPSConfig, {"trunk": "a.pth", "linear": "b.pth", "net": "squeeze"}, "net"),
    ],
)
def test_settings_are_checked(model, settings, key):
    with pytest.raises(ValidationError, match=key):
        model(**settings)


def test_what_speaks_against_features_is_said():
    cautions = {spec.name: spec.caution for spec in register_components()}
    assert {name for name, caution in cautions.items() if caution} == {
        "perceptual",
        "lpips",
        "pixelalign",
    }
    assert "its weight is 0 unless you give one" in cautions["perceptual"]


@pytest.mark.slow
def test_the_plugin_with_weights_breaks_no_rule(files):
    torch.save(torchvision_tensors("vgg"), files["vgg16.pth"])
    linear = files["vgg16.pth"].with_name("lin16.pth")
    torch.save(linear_tensors("vgg"), linear)
    settings = {
        "perceptual": {"weights": str(files["ckpt.pt"])},
        "lpips": {"trunk": str(files["vgg16.pth"]), "linear": str(linear)},
    }
    report = check_plugin("facelift_loss", None, settings=settings)
    assert report.failed == (), "\n".join(one.line() for one in report.failed)
    assert report.unchecked == ()
