"""FaceLift's configuration file: what is read, what is ignored and what is refused."""

import copy
import json

import pytest
from helpers import shared_path
from pydantic import ValidationError

from mfl_adapt.errors import ConfigError
from mfl_adapt.models.gslrm.config import PUBLISHED, TINY, GSLRMConfig, read_config

# The published network, written down from the table of its keys.
FACELIFT = {
    "model": {
        "class_name": "somewhere.else",
        "image_tokenizer": {"image_size": 512, "patch_size": 8, "in_channels": 9},
        "transformer": {"d": 1024, "d_head": 64, "n_layer": 24},
        "gaussians": {"n_gaussians": 2, "sh_degree": 0, "upsampler": {"upsample_factor": 1}},
        "add_refsrc_marker": False,
        "hard_pixelalign": True,
        "use_custom_plucker": True,
        "clip_xyz": True,
    },
    "training": {"anything": ["at", "all"]},
    "inference": {"enabled": False, "output_dir": "somewhere"},
}


def changed(key, value):
    """The published mapping with one dotted key changed, or removed by None."""
    mapping = copy.deepcopy(FACELIFT)
    *parents, last = key.split(".")
    at = mapping
    for part in parents:
        at = at[part]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return mapping


def test_defaults_are_the_published_network():
    assert GSLRMConfig.from_facelift(FACELIFT) == PUBLISHED == GSLRMConfig()
    assert PUBLISHED.in_channels == 9
    assert PUBLISHED.gaussian_channels == 14


@pytest.mark.golden
def test_golden_file():
    config = read_config(shared_path("reference/gslrm_tiny_config.json"))
    assert config == GSLRMConfig(image_size=64, d=128, d_head=32, n_layer=2)


@pytest.mark.parametrize(
    ("key", "value", "field", "expected"),
    [
        ("model.transformer.n_layer", 3, "n_layer", 3),
        ("model.gaussians.sh_degree", 1, "gaussian_channels", 3 + 12 + 3 + 4 + 1),
        ("model.gaussians.scaling_modifier", 2, "scaling_modifier", 2.0),
        ("model.hard_pixelalign", False, "hard_pixelalign", False),
        ("model.depth_preact_bias", -1, "depth_preact_bias", -1.0),
        ("model.add_refsrc_marker", True, "add_refsrc_marker", True),
        ("model.image_tokenizer.image_size", None, "image_size", 512),
        ("inference", {}, "clamp_positions", True),
        ("inference", None, "clamp_positions", True),
        ("model.clip_xyz", False, "clamp_positions", False),
        ("model.use_aug_plucker", True, "plucker", "custom"),
        ("model.use_custom_plucker", False, "plucker", "standard"),
        ("model.use_custom_plucker", None, "plucker", "standard"),
        ("model.depth_min", 0.5, "depth_range", None),
    ],
)
def test_one_key(key, value, field, expected):
    assert getattr(GSLRMConfig.from_facelift(changed(key, value)), field) == expected


def test_augmented_plucker_has_twelve_channels():
    mapping = changed("model.use_custom_plucker", False)
    mapping["model"]["use_aug_plucker"] = True
    mapping["model"]["image_tokenizer"]["in_channels"] = 12
    config = GSLRMConfig.from_facelift(mapping)
    assert (config.plucker, config.in_channels) == ("augmented", 12)


def test_depth_range_sets_the_reach():
    mapping = changed("model.use_custom_plucker", False)
    mapping["model"] |= {"depth_min": 1.2, "depth_max": 4.2}
    config = GSLRMConfig.from_facelift(mapping)
    assert config.depth_range == (1.2, 4.2)
    assert config.depth_reach == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model.gaussians.upsampler.upsample_factor", 2, r"upsample_factor 1, .* got 2"),
        ("model.gaussians.upsampler.upsample_factor", [1], r"upsample_factor 1, .* got \[1\]"),
        ("model.image_tokenizer.in_channels", 12, r"in_channels 9, .* got 12"),
        ("model.image_tokenizer.in_channels", {}, r"in_channels 9, .* got \{\}"),
        ("model.transformer.d", 100, r"multiple of d_head, got 100 and 64"),
        ("model.transformer.d", "wide", r"model\.transformer\.d: .* got 'wide'"),
        ("model.transformer.d", None, r"the key model\.transformer\.d, which is missing"),
        ("model.hard_pixelalign", None, r"the key model\.hard_pixelalign, which is missing"),
        ("model.transformer.n_layer", True, r"model\.transformer\.n_layer: .* got True"),
        ("model.transformer.n_layer", 0, r"model\.transformer\.n_layer: .* got 0"),
        ("model.transformer", 7, r"a mapping at model\.transformer, got 7"),
        ("model.clip_xyz", "yes", r"model\.clip_xyz true or false, got 'yes'"),
        ("model.depth_max", "far", r"model\.depth_max to be a number, got 'far'"),
        ("model.gaussians.sh_degree", 4, r"model\.gaussians\.sh_degree: .* got 4"),
        ("model.depth_preact_bias", float("nan"), r"model\.depth_preact_bias: .* got nan"),
        ("model.image_tokenizer.patch_size", 7, r"multiple of patch_size, got 512 and 7"),
        ("model", None, r"a mapping under 'model', got None"),
    ],
)
def test_refusals_name_key_and_value(key, value, message):
    with pytest.raises(ConfigError, match=r"^here\.yaml: .*" + message) as caught:
        GSLRMConfig.from_facelift(changed(key, value), where="here.yaml")
    assert "\n" not in str(caught.value)


def test_empty_depth_range_is_refused():
    mapping = changed("model.use_custom_plucker", False)
    mapping["model"] |= {"depth_min": 4.0, "depth_max": 1.0}
    with pytest.raises(ConfigError, match="got 4 to 1"):
        GSLRMConfig.from_facelift(mapping)


def test_unknown_field_of_our_own_is_an_error():
    with pytest.raises(ValidationError, match="n_layers"):
        GSLRMConfig(n_layers=3)


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        PUBLISHED,
        GSLRMConfig(plucker="augmented", clamp_positions=True, scaling_modifier=0.5),
        GSLRMConfig(plucker="standard", depth_range=(0.5, 4.0), sh_degree=2),
    ],
)
def test_mapping_and_back(config):
    assert GSLRMConfig.from_facelift(config.to_facelift()) == config


def test_shipped_file_describes_the_tiny_network():
    from importlib.resources import files

    text = (files("mfl_adapt.models.gslrm") / "weights" / "facelift_tiny.json").read_text()
    assert GSLRMConfig.from_facelift(json.loads(text)) == TINY


def test_yaml_and_json_files_agree(tmp_path):
    from ruamel.yaml import YAML

    as_json, as_yaml = tmp_path / "c.json", tmp_path / "c.yaml"
    as_json.write_text(json.dumps(FACELIFT))
    with as_yaml.open("w") as file:
        YAML(typ="safe").dump(FACELIFT, file)
    assert read_config(as_json) == read_config(as_yaml) == PUBLISHED


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.json", b'{"model": \n }', r"c\.json:2: expected JSON"),
        ("c.yaml", b"model:\n  a: [1\n  b: 2\n", r"c\.yaml:\d: expected YAML"),
        ("c.yaml", b"model: {d: 1}\nmodel: {d: 2}\n", r"c\.yaml:2: expected YAML"),
        ("c.yaml", b"model: 2001-99-99\n", r"c\.yaml: expected YAML"),
        ("c.yaml", b"PK\x03\x04\xff\xfe", r"UTF-8, got other bytes\. Is this the checkpoint"),
        ("c.yaml", b"- a\n", r"a mapping with a 'model' entry, got list"),
        ("c.yaml", b"", r"a mapping with a 'model' entry, got NoneType"),
    ],
)
def test_broken_files_are_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        read_config(path)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(ConfigError, match="expected a readable file"):
            read_config(path)


def test_contract_is_the_published_rig():
    contract = PUBLISHED.contract()
    assert (contract.size, contract.patch, contract.depth_reach) == (512, 8, 1.8)
    assert contract.cut_edges == ("bottom",)
    assert TINY.contract().size == 64
