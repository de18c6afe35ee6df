import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfl_adapt.config import (
    RunConfig,
    describe_origins,
    dump_config,
    list_presets,
    load_config,
    to_plain,
)

WORDS = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable())
SETTINGS = st.dictionaries(
    st.from_regex(r"[a-z]{1,6}", fullmatch=True).filter(lambda key: key != "use"),
    st.one_of(
        WORDS,
        st.integers(-(10**9), 10**9),
        st.floats(allow_nan=False, allow_infinity=False),
        st.booleans(),
        st.lists(WORDS, max_size=2),
    ),
    max_size=3,
)


@pytest.mark.parametrize("preset", [one.name for one in list_presets()])
def test_dump_of_a_preset_loads_back_to_the_same(preset, tmp_path):
    config = load_config(preset, overrides=["data.path=/mice", "data.split.by=time"]).config
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config))
    assert load_config(path).config == config
    assert dump_config(load_config(path).config) == path.read_text()


@given(
    settings=SETTINGS,
    lr=st.floats(1e-12, 1e3),
    name=st.sampled_from(["1e3", "0x1", "null", "yes", "true", "12", "1.5", "a-b"]),
)
def test_any_settings_survive(tmp_path_factory, settings, lr, name):
    plain = {"name": name, "adapter": {"use": "a.b", **settings}, "train": {"lr": lr}}
    config = RunConfig.model_validate(plain)
    path = tmp_path_factory.mktemp("dump") / "config.yaml"
    path.write_text(dump_config(config), encoding="utf-8")
    assert load_config(path).config == config


def test_every_default_is_written_out():
    text = dump_config(RunConfig())
    assert "extends" not in text
    assert "  size: null\n" in text
    assert "  warmup: 100\n" in text


def test_plain_values_are_json():
    assert json.loads(json.dumps(to_plain(RunConfig())))["output"] == "runs"


def test_origins_cover_every_value():
    loaded = load_config("quickstart", overrides=["seed=3"])
    rows = {key: (value, kind) for key, value, kind, _ in describe_origins(loaded)}
    assert rows["seed"] == (3, "--set")
    assert rows["adapter.r"] == (20, "preset")
    assert rows["train.weight_decay"] == (0.0, "default")
    assert rows["losses.masked_loss.background.weight"] == (3.0, "preset")
