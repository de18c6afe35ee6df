"""The network against numbers that the real one wrote, step by step."""

import pytest
import torch
from helpers import shared_path

from mfl_adapt.models.gslrm.config import GSLRMConfig
from mfl_adapt.models.gslrm.facelift_file import read_mapping
from mfl_adapt.models.gslrm.gaussians import covariances
from mfl_adapt.models.gslrm.model import posed_pictures
from mfl_adapt.models.rays import camera_rays

pytestmark = pytest.mark.golden

FIELDS = ("xyz", "features", "scaling", "rotation", "opacity")
CASES = ("a", "b", "c")


def close(value, expected, atol=1e-4):
    torch.testing.assert_close(value, expected, atol=atol, rtol=0)


@pytest.mark.parametrize("case", CASES)
def test_steps(golden, case):
    model, (rgb, cameras) = golden.model(), golden.inputs(case)
    seen = {}
    for i, block in enumerate(model.transformer_layers):
        block.register_forward_hook(lambda _, __, out, i=i: seen.update({i: out}))
    with torch.no_grad():
        posed = posed_pictures(rgb, camera_rays(cameras), model.architecture)
        embedded = model.embed(posed)
        last = model.transform(model.input_layer_norm(embedded))
        free, pixel = model.heads(last)
    close(posed, golden[f"{case}.mid.posed_images"])
    close(embedded, golden[f"{case}.mid.tokens_embedded"])
    close(seen[0], golden[f"{case}.mid.tokens_layer0"])
    close(last, golden[f"{case}.mid.tokens_last"])
    close(free, golden[f"{case}.mid.raw_free"])
    close(pixel, golden[f"{case}.mid.raw_pixel"])


@pytest.mark.parametrize("case", CASES)
def test_stored_gaussians(golden, case):
    with torch.no_grad():
        raw = golden.model()(*golden.inputs(case))
    for field in FIELDS:
        close(getattr(raw, field), golden[f"{case}.gs.{field}"])
    close(raw.usage(), golden[f"{case}.gs_act.usage"])


@pytest.mark.parametrize("case", ["a", "c"])
def test_activated_gaussians(golden, case):
    with torch.no_grad():
        raw = golden.model()(*golden.inputs(case))
    gaussians = raw.activate()
    close(gaussians.means, golden[f"{case}.gs.xyz"])
    close(gaussians.scales, golden[f"{case}.gs_act.scaling"])
    close(gaussians.quats, golden[f"{case}.gs_act.rotation"])
    close(gaussians.opacities[..., None], golden[f"{case}.gs_act.opacity"])
    close(0.5 + 0.28209479177387814 * gaussians.sh[:, :, 0], golden[f"{case}.gs_act.rgb"])
    close(raw.pixel_xyz, golden[f"{case}.pixelalign_xyz"])


def test_covariances(golden):
    with torch.no_grad():
        gaussians = golden.model()(*golden.inputs("a")).activate()
    close(covariances(gaussians)[0, :64], golden["misc.gs_act.covariance64"], atol=1e-6)


def test_position_clamp_runs_only_without_an_inference_entry(golden):
    mapping = dict(read_mapping(shared_path("reference/gslrm_tiny_config.json")))
    assert mapping["model"]["clip_xyz"]
    assert not GSLRMConfig.from_facelift(mapping).clamp_positions
    del mapping["inference"]
    clamping = GSLRMConfig.from_facelift(mapping)
    with torch.no_grad():
        raw = golden.model(clamping)(*golden.inputs("c"))
    close(raw.xyz, golden["c.clip.xyz"])
    assert (golden["c.clip.xyz"] - golden["c.gs.xyz"]).abs().max() > 0.1


def test_gradients(golden):
    model = golden.model()
    raw = model(*golden.inputs("c"))
    objective = sum(getattr(raw, field).square().mean() for field in FIELDS)
    objective.backward()
    close(objective.detach().reshape(1), golden["c.grad.objective"])
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    expected = golden.group("c.grad.")
    expected.pop("objective")
    assert len(expected) == 12
    for name, gradient in expected.items():
        error = (gradients[name] - gradient).norm() / gradient.norm()
        assert error < 1e-4, name
    norms = golden.group("c.grad_norm.")
    assert norms.keys() == gradients.keys()
    for name, norm in norms.items():
        torch.testing.assert_close(gradients[name].norm().reshape(1), norm, rtol=1e-4, atol=0)
