"""The plugin ``facelift``: what it offers, what it costs to list, and what it builds."""

import json
import subprocess
import sys
from importlib import import_module

import mfl_adapt_facelift
import pytest
import torch
from helpers import shared_path
from mfl_adapt_facelift.config import GSLRMBaseConfig, TinyBaseConfig
from mfl_adapt_facelift.gslrm import build_gslrm
from mfl_adapt_facelift.tiny import build_tiny
from pydantic import ValidationError
from safetensors.torch import load_file

from mfl_adapt.errors import CheckpointError, ConfigError
from mfl_adapt.plugin import BaseSpec
from mfl_adapt.types import Cameras


def test_components():
    specs = {spec.name: spec for spec in mfl_adapt_facelift.register_components()}
    assert specs.keys() == {"tiny", "gslrm"}
    assert all(isinstance(spec, BaseSpec) for spec in specs.values())
    assert specs["tiny"].contract.size == 64
    contract = specs["gslrm"].contract
    assert (contract.size, contract.patch, contract.depth_reach) == (512, 8, 1.8)
    assert contract.cut_edges == ("bottom",)


def test_build_targets_exist():
    for spec in mfl_adapt_facelift.register_components():
        name, attribute = spec.build.split(":")
        assert callable(getattr(import_module(name), attribute))


def test_listing_and_validating_import_no_torch():
    code = (
        "import sys, mfl_adapt_facelift as plugin\n"
        "specs = {s.name: s for s in plugin.register_components()}\n"
        "specs['gslrm'].config(checkpoint='x.pt'), specs['tiny'].config()\n"
        "heavy = {'torch', 'cv2', 'numba', 'diffusers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_configs_refuse_unknown_keys_and_need_a_checkpoint():
    with pytest.raises(ValidationError, match="checkpiont"):
        GSLRMBaseConfig(checkpiont="x.pt")
    with pytest.raises(ValidationError, match="checkpoint"):
        GSLRMBaseConfig()
    with pytest.raises(ValidationError, match="checkpoint"):
        TinyBaseConfig(checkpoint="x.pt")


def test_tiny_ships_with_the_package():
    base = build_tiny(TinyBaseConfig())
    assert base.id == "facelift.tiny"
    assert (base.contract.size, base.contract.patch) == (64, 8)
    # One camera 2.7 in front of the origin: x to the right, y down, looking along +y.
    c2w = torch.tensor([[1.0, 0, 0, 0], [0, 0, 1, -2.7], [0, -1, 0, 0], [0, 0, 0, 1]])
    fxfycxcy = torch.tensor([68.6, 68.6, 32.0, 32.0])
    cameras = Cameras(c2w[None, None], fxfycxcy[None, None], height=64, width=64)
    gaussians = base.reconstruct(torch.ones(1, 1, 3, 64, 64), cameras)
    assert gaussians.means.shape == (1, 2 + 64 * 64, 3)
    assert torch.isfinite(gaussians.means).all()


@pytest.mark.golden
def test_gslrm_with_file_or_mapping():
    path = shared_path("reference/gslrm_tiny_config.json")
    checkpoint = shared_path("reference/gslrm_tiny_ckpt.pt")
    from_file = build_gslrm(GSLRMBaseConfig(checkpoint=checkpoint, config=path))
    mapping = json.loads(path.read_text())
    from_mapping = build_gslrm(GSLRMBaseConfig(checkpoint=checkpoint, config=mapping))
    assert from_file.id == "facelift.gslrm"
    assert from_file.fingerprint == from_mapping.fingerprint
    golden = load_file(shared_path("reference/gslrm_tiny.safetensors"))
    cameras = Cameras(golden["c.in.c2w"], golden["c.in.fxfycxcy"], height=32, width=48)
    with torch.no_grad():
        gaussians = from_file.reconstruct(golden["c.in.image"], cameras)
    torch.testing.assert_close(gaussians.means, golden["c.gs.xyz"], atol=1e-4, rtol=0)


@pytest.mark.golden
def test_gslrm_is_the_published_network_by_default():
    checkpoint = shared_path("reference/gslrm_tiny_ckpt.pt")
    with pytest.raises(CheckpointError, match=r"expected the 151 tensors .* 132 missing"):
        build_gslrm(GSLRMBaseConfig(checkpoint=checkpoint))


def test_gslrm_errors(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.pt: .* found nothing there"):
        build_gslrm(GSLRMBaseConfig(checkpoint=tmp_path / "none.pt"))
    with pytest.raises(ConfigError, match=r"none\.yaml: expected a readable file"):
        build_gslrm(GSLRMBaseConfig(checkpoint="x.pt", config=tmp_path / "none.yaml"))
    with pytest.raises(ConfigError, match=r"base\.config: expected a mapping under 'model'"):
        build_gslrm(GSLRMBaseConfig(checkpoint="x.pt", config={}))
