"""Reading the published UNet configuration, and refusing those of other variants."""

import subprocess
import sys

import pytest

from mfl_adapt.errors import CheckpointError
from mfl_adapt.models.mvdiffusion.config import (
    PUBLISHED_CONTRACT,
    build_contract,
    translate_config,
)

PUBLISHED = {
    "_class_name": "UNetMV2DConditionModel",
    "down_block_types": ["CrossAttnDownBlockMV2D", "DownBlock2D"],
    "mid_block_type": "UNetMidBlockMV2DCrossAttn",
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlockMV2D"],
    "attention_head_dim": [5, 10],
    "class_embed_type": "projection",
    "num_views": 6,
    "multiview_attention": True,
    "sparse_mv_attention": True,
    "cd_attention_mid": False,
    "cd_attention_last": False,
    "addition_downsample": False,
    "addition_channels": [1280, 1280, 1280],
    "selfattn_block": "custom",
}


def test_names_become_those_of_diffusers():
    options = translate_config(PUBLISHED).options
    assert options["down_block_types"] == ("CrossAttnDownBlock2D", "DownBlock2D")
    assert options["mid_block_type"] == "UNetMidBlock2DCrossAttn"
    assert options["up_block_types"] == ("UpBlock2D", "CrossAttnUpBlock2D")
    assert options["attention_head_dim"] == (5, 10)


def test_keys_of_the_family_are_taken_out_and_others_left():
    settings = translate_config({**PUBLISHED, "power": 0.75})
    assert settings.num_views == 6
    assert settings.options["power"] == 0.75
    assert not {"num_views", "sparse_mv_attention", "addition_channels"} & settings.options.keys()


@pytest.mark.parametrize(
    ("multiview", "sparse", "pattern"),
    [
        (True, True, "reference"),
        (True, False, "dense"),
        (False, True, "self"),
        (False, False, "self"),
    ],
)
def test_pattern_is_derived_from_the_file(multiview, sparse, pattern):
    changes = {"multiview_attention": multiview, "sparse_mv_attention": sparse}
    assert translate_config({**PUBLISHED, **changes}).pattern == pattern


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cd_attention_mid", True),
        ("cd_attention_last", True),
        ("addition_downsample", True),
        ("selfattn_block", "self_rowwise"),
        ("only_cross_attention", True),
        ("only_cross_attention", [True, False]),
        ("dual_cross_attention", True),
        ("class_embed_type", None),
    ],
)
def test_other_variants_are_refused_by_name(key, value):
    with pytest.raises(CheckpointError, match=f"unet.json: expected {key} .*another variant"):
        translate_config({**PUBLISHED, key: value}, where="unet.json")


@pytest.mark.parametrize("key", ["num_views", "multiview_attention", "sparse_mv_attention"])
def test_what_decides_the_computation_is_never_guessed(key):
    source = {k: v for k, v in PUBLISHED.items() if k != key}
    with pytest.raises(CheckpointError, match=f"expected key '{key}' .* got none"):
        translate_config(source)


@pytest.mark.parametrize("value", [0, -6, True, 6.0, "6"])
def test_num_views_that_is_no_number_of_views(value):
    with pytest.raises(CheckpointError, match="num_views"):
        translate_config({**PUBLISHED, "num_views": value})


@pytest.mark.parametrize("block", ["CrossAttnDownBlockJoint", 3, None])
def test_unknown_blocks_are_refused(block):
    with pytest.raises(CheckpointError, match=r"expected down_block_types of .*another variant"):
        translate_config({**PUBLISHED, "down_block_types": [block]})


def test_a_plain_unet_is_refused():
    with pytest.raises(CheckpointError, match="got 'UNet2DConditionModel'"):
        translate_config({**PUBLISHED, "_class_name": "UNet2DConditionModel"})


def test_slots_stand_where_the_published_views_do():
    assert PUBLISHED_CONTRACT.size == 512
    assert PUBLISHED_CONTRACT.slots_deg == (270, 225, 180, 90, 0, 315)
    assert build_contract(512, 8, 4).slots_deg == ()


def test_configuration_needs_no_torch():
    code = "import sys, mfl_adapt.models.mvdiffusion.config; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
