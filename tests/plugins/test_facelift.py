"""The plugin ``facelift``: what it offers, what it costs to list, and what it builds."""

import json
import subprocess
import sys
from importlib import import_module

import mfl_adapt_facelift
import pytest
import torch
from helpers import shared_path
from mfl_adapt_facelift.config import GSLRMBaseConfig, MVDiffusionBaseConfig, TinyBaseConfig
from mfl_adapt_facelift.gslrm import build_gslrm
from mfl_adapt_facelift.mvdiffusion import build_mvdiffusion
from mfl_adapt_facelift.tiny import build_tiny
from pydantic import ValidationError
from safetensors.torch import load_file

from mfl_adapt.errors import CheckpointError, ConfigError
from mfl_adapt.models.mvdiffusion.fresh import build_fresh
from mfl_adapt.models.mvdiffusion.prompts import view_prompts
from mfl_adapt.models.mvdiffusion.saving import save_parts
from mfl_adapt.plugin import BaseSpec, Reconstructor
from mfl_adapt.types import Cameras


def test_components():
    specs = {spec.name: spec for spec in mfl_adapt_facelift.register_components()}
    assert specs.keys() == {"tiny", "gslrm", "tiny_views", "mvdiffusion"}
    assert all(isinstance(spec, BaseSpec) for spec in specs.values())
    assert specs["tiny"].contract.size == 64
    contract = specs["gslrm"].contract
    assert (contract.size, contract.patch, contract.depth_reach) == (512, 8, 1.8)
    assert contract.cut_edges == ("bottom",)
    contract = specs["tiny_views"].contract
    assert (contract.size, contract.patch, contract.input_views) == (64, 4, (1, 1))
    contract = specs["mvdiffusion"].contract
    assert (contract.size, contract.patch, contract.input_views) == (512, 8, (1, 1))
    assert contract.slots_deg == (270, 225, 180, 90, 0, 315)


def test_what_can_be_fetched_and_under_which_licence():
    specs = {spec.name: spec for spec in mfl_adapt_facelift.register_components()}
    assert {name: spec.makes for name, spec in specs.items()} == {
        "tiny": "gaussians",
        "gslrm": "gaussians",
        "tiny_views": "views",
        "mvdiffusion": "views",
    }
    for name in ("tiny", "tiny_views"):
        assert specs[name].published is None
        assert specs[name].licence.name == "Apache-2.0"
    for name, path in {
        "gslrm": "gslrm/ckpt_0000000000021125.pt",
        "mvdiffusion": "mvdiffusion/pipeckpts",
    }.items():
        assert specs[name].published.repository == "wlyu/OpenFaceLift"
        assert specs[name].published.path == path
        assert "non-commercial" in specs[name].licence.terms


def test_build_targets_exist():
    for spec in mfl_adapt_facelift.register_components():
        name, attribute = spec.build.split(":")
        assert callable(getattr(import_module(name), attribute))


def test_listing_and_validating_import_no_torch():
    code = (
        "import sys, mfl_adapt_facelift as plugin\n"
        "specs = {s.name: s for s in plugin.register_components()}\n"
        "specs['gslrm'].config(checkpoint='x.pt'), specs['tiny'].config()\n"
        "specs['mvdiffusion'].config(checkpoint='folder', dtype='float16')\n"
        "heavy = {'torch', 'cv2', 'numba', 'diffusers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_configs_refuse_unknown_keys_and_values():
    with pytest.raises(ValidationError, match="checkpiont"):
        GSLRMBaseConfig(checkpiont="x.pt")
    with pytest.raises(ValidationError, match="checkpoint"):
        TinyBaseConfig(checkpoint="x.pt")
    with pytest.raises(ValidationError, match="float64"):
        MVDiffusionBaseConfig(dtype="float64")
    with pytest.raises(ValidationError, match="text"):
        MVDiffusionBaseConfig(text="perhaps")


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


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """A small multi-view model in the published layout; not to be changed."""
    folder = tmp_path_factory.mktemp("mvdiffusion") / "pipeckpts"
    save_parts(build_fresh(), folder)
    return folder


def test_mvdiffusion_of_a_folder(pipeline):
    base = build_mvdiffusion(MVDiffusionBaseConfig(checkpoint=pipeline))
    assert (base.id, base.num_views, base.contract.size) == ("facelift.mvdiffusion", 6, 64)
    assert base.dtype == torch.float32
    assert not any(one.requires_grad for one in base.module.parameters())
    assert base.encode_prompts(["a mouse"]).shape == (1, 77, 32)
    assert not isinstance(base, Reconstructor)


def test_mvdiffusion_in_half_precision_without_its_text_tower(pipeline):
    config = MVDiffusionBaseConfig(checkpoint=pipeline, dtype="bfloat16", text=False)
    base = build_mvdiffusion(config)
    assert base.dtype == torch.bfloat16
    with pytest.raises(CheckpointError, match="text=True"):
        base.encode_prompts(["a mouse"])
    # The files decide what a model is, not how it was loaded.
    assert base.sha256 == build_mvdiffusion(MVDiffusionBaseConfig(checkpoint=pipeline)).sha256


def test_mvdiffusion_that_is_not_the_expected_one(pipeline, tmp_path):
    config = MVDiffusionBaseConfig(checkpoint=pipeline, sha256="0" * 64, text=False)
    with pytest.raises(CheckpointError, match=f"expected the model with SHA-256 {'0' * 64}"):
        build_mvdiffusion(config)
    with pytest.raises(CheckpointError, match=r"nowhere: expected the folder"):
        build_mvdiffusion(MVDiffusionBaseConfig(checkpoint=tmp_path / "nowhere"))


def test_tiny_and_gslrm_reconstruct():
    assert isinstance(build_tiny(TinyBaseConfig()), Reconstructor)


@pytest.mark.golden
def test_mvdiffusion_of_the_original_program():
    folder = shared_path("reference/mvpipe_tiny")
    base = build_mvdiffusion(MVDiffusionBaseConfig(checkpoint=folder))
    golden = load_file(shared_path("reference/mvpipe_tiny_golden.safetensors"))
    embeds = base.encode_prompts(view_prompts())
    torch.testing.assert_close(embeds, golden["prompt.embeds"], atol=1e-5, rtol=0)
