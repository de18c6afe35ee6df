import pytest

from mfl_adapt.config import claim_slots, list_presets, load_config, presets_folder
from mfl_adapt.config import validate_components as validate
from mfl_adapt.config.presets import find_source, is_preset
from mfl_adapt.plugin.registry import load_plugins

# What a preset cannot know, because it lies on the user's disk.
NEEDED = {
    "base": [],
    "quickstart": [],
    "facelift-sample": ["data.path=data"],
    "markerless-mouse": ["data.path=data"],
    "gslrm": ["data.path=data", "base.checkpoint=gslrm.pt"],
    "views-quickstart": [],
    "mvdiffusion": ["data.path=data", "base.checkpoint=pipeckpts"],
}


def test_the_presets_are_these():
    assert {one.name for one in list_presets()} == set(NEEDED)


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_every_key_of_a_preset_is_valid(name):
    loaded = load_config(name, overrides=NEEDED[name])
    host = load_plugins(loaded.config.plugins)
    validate(claim_slots(loaded, host), host)


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_every_preset_goes_back_to_base(name):
    assert load_config(name).layers[1].data == load_config("base").layers[1].data


def test_every_preset_says_what_it_is_for():
    assert all(len(one.summary) > 20 for one in list_presets())


def test_a_preset_is_told_from_a_file(tmp_path):
    assert is_preset(find_source("quickstart"))
    assert not is_preset(tmp_path / "quickstart.yaml")
    assert find_source("x.yaml", beside=tmp_path) == tmp_path / "x.yaml"
    assert presets_folder().is_dir()
