"""What weights are: fetched ones, hand-placed ones, and ones that have changed."""

import json

import pytest
import torch
from helpers import shared_path
from hub_calls import GSLRM, VIEWS, fetch

from mfl_adapt.errors import CheckpointError, ConfigError
from mfl_adapt.hub import check_takes_path, describe_base, list_bases, verify_files
from mfl_adapt.models.gslrm import model as network
from mfl_adapt.models.gslrm.config import GSLRMConfig
from mfl_adapt.plugin import BaseSpec
from mfl_adapt.plugin.registry import load_plugins

PREFIX = "mvdiffusion/pipeckpts/"


@pytest.fixture
def plugins():
    return load_plugins(["facelift"])


def describe(plugins, id, **settings):
    spec = plugins.component(BaseSpec, id).spec
    return describe_base(plugins.build(BaseSpec, id, settings), spec)


def publish(hub, folder):
    """Put a folder into the hub in place of what it holds."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    hub.files = {PREFIX + one.relative_to(folder).as_posix(): one.read_bytes() for one in files}


def count(module):
    return f"{sum(one.numel() for one in module.parameters()):,}"


def test_a_fetched_model_loads_without_being_named(hub, model, plugins):
    publish(hub, model)
    _, fetched = fetch(VIEWS)
    assert verify_files(VIEWS) == fetched
    base = plugins.build(BaseSpec, VIEWS, {})
    facts = describe_base(base, plugins.component(BaseSpec, VIEWS).spec)
    assert facts["architecture"] == "MVUNet"
    assert facts["weights"] == count(base.module)
    assert facts["dtype"] == "float32"
    assert facts["picture"] == "64 x 64 px (the published model: 512 px)"
    assert facts["parts"].startswith(f"UNet {facts['weights']}; VAE {count(base.parts.vae)}; ")
    assert facts["views"] == "6 per picture"
    assert facts["pattern"] == "reference (a view sees the first one and itself)"
    assert facts["prompts"] == "[6, 77, 32]"
    assert facts["sha256"] == base.sha256
    by_hand = describe(plugins, VIEWS, checkpoint=model)
    assert by_hand == facts


def test_half_precision_and_no_text(model, plugins):
    facts = describe(plugins, VIEWS, checkpoint=model, dtype="float16", text=False)
    assert facts["dtype"] == "float16"
    assert "text encoder" not in facts["parts"]


def test_a_fetched_file_that_changed(hub, model, plugins):
    publish(hub, model)
    path, _ = fetch(VIEWS)
    config = path / "scheduler/scheduler_config.json"
    content = json.loads(config.read_text())
    config.write_text(json.dumps({**content, "prediction_type": "epsilon"}))
    message = r"scheduler_config\.json: expected the file as it was fetched, got .* to mend it"
    with pytest.raises(CheckpointError, match=message):
        verify_files(VIEWS)
    with pytest.raises(CheckpointError, match=message):
        plugins.build(BaseSpec, VIEWS, {})
    (path / "unet/config.json").unlink()
    with pytest.raises(CheckpointError, match="and 1 more"):
        verify_files(VIEWS)


def test_a_file_added_to_a_fetched_model_is_not_taken(hub, model, plugins):
    publish(hub, model)
    weights = PREFIX + "vae/diffusion_pytorch_model.safetensors"
    content = hub.files.pop(weights)
    path, _ = fetch(VIEWS)
    (path / "vae/diffusion_pytorch_model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="expected the file as it was fetched"):
        plugins.build(BaseSpec, VIEWS, {})


def test_a_fetched_checkpoint(hub, plugins, tmp_path):
    small = GSLRMConfig(image_size=64, d=64, d_head=32, n_layer=1)
    torch.save({"model": network.GSLRM(small).state_dict()}, tmp_path / "a.pt")
    hub.files = {"gslrm/ckpt_0000000000021125.pt": (tmp_path / "a.pt").read_bytes()}
    path, fetched = fetch()
    facts = describe(plugins, GSLRM, config=small.to_facelift())
    assert facts["sha256"] == fetched.files[path.name].sha256
    assert facts["network"] == "depth 1, width 64, patch 8"
    torch.save({"model": network.GSLRM(small).state_dict()}, path)
    with pytest.raises(CheckpointError, match="expected the file with SHA-256"):
        describe(plugins, GSLRM, config=small.to_facelift())


def test_nothing_fetched(home, plugins):
    assert verify_files(GSLRM) is None
    for id in (GSLRM, VIEWS):
        with pytest.raises(CheckpointError, match=f"found none. Run `mfl-adapt base fetch {id}`"):
            plugins.build(BaseSpec, id, {})


def test_a_folder_of_another_kind(home, plugins, tmp_path):
    with pytest.raises(CheckpointError, match="expected a sub-folder 'unet', found none"):
        describe(plugins, VIEWS, checkpoint=tmp_path)


def test_a_base_that_takes_no_path(plugins, tmp_path):
    check_takes_path(plugins.component(BaseSpec, GSLRM), tmp_path)
    with pytest.raises(ConfigError, match=r"^facelift\.tiny: expected no path, as its weights"):
        check_takes_path(plugins.component(BaseSpec, "facelift.tiny"), tmp_path)


def test_overview(hub, plugins):
    def states():
        return {one.id: one.state for one in list_bases(plugins)}

    shipped = dict.fromkeys(["facelift.tiny", "facelift.tiny_views"], "shipped")
    assert states() == {**shipped, GSLRM: "absent", VIEWS: "absent"}
    path, fetched = fetch(VIEWS)
    assert states()[VIEWS] == "fetched"
    (found,) = [one for one in list_bases(plugins) if one.id == VIEWS]
    assert (found.folder, found.commit) == (path, fetched.commit)
    assert (found.makes, found.size) == ("views", 512)
    assert found.licence.name == fetched.licence
    (path / "unet/weights.bin").write_bytes(b"half")
    assert states()[VIEWS] == "incomplete"


@pytest.mark.golden
def test_a_hand_placed_model_of_the_original_program(plugins):
    facts = describe(plugins, VIEWS, checkpoint=shared_path("reference/mvpipe_tiny"))
    assert facts["pattern"].startswith("reference")
    assert facts["prompts"] == "[6, 77, 32]"
