import pytest

from mfl_adapt.config import RunConfig, load_config
from mfl_adapt.errors import ConfigError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_defaults_stand_where_nobody_says_otherwise(folder):
    loaded = load_config(write(folder, "mouse.yaml", "seed: 0\n"))
    assert loaded.config == RunConfig(name="mouse")


def test_no_source_is_the_base_preset():
    assert load_config() == load_config("base")
    assert "facelift" in load_config().config.plugins


def test_each_source_is_stronger_than_the_one_before(folder):
    write(folder, "low.yaml", "train: {steps: 1}\n")
    path = write(folder, "a.yaml", "extends: low.yaml\ntrain: {steps: 2}\n")
    sources = {
        "environ": {"MFL__TRAIN__STEPS": "3"},
        "overrides": ["train.steps=4"],
        "flags": {"train.steps": 5},
    }
    given = {}
    assert load_config(folder / "low.yaml").config.train.steps == 1
    assert load_config(path).config.train.steps == 2
    for expected, (name, value) in enumerate(sources.items(), start=3):
        given[name] = value
        assert load_config(path, **given).config.train.steps == expected


def test_origin_of_each_value(folder):
    path = write(folder, "a.yaml", "extends: quickstart\nseed: 4\n")
    loaded = load_config(
        path,
        environ={"MFL__TRAIN__LR": "0.5", "OTHER": "x"},
        overrides=["train.clip=2.0"],
        flags={"train.steps": 7, "train.batch": None},
        plugins=["-exporters"],
    )
    found = {
        key: loaded.merged.origin(tuple(key.split(".")))
        for key in (
            "seed",
            "train.warmup",
            "train.lr",
            "train.clip",
            "train.steps",
            "train.weight_decay",
            "plugins",
        )
    }
    assert {key: origin.kind for key, origin in found.items()} == {
        "seed": "file",
        "train.warmup": "preset",
        "train.lr": "environment",
        "train.clip": "--set",
        "train.steps": "flag",
        "train.weight_decay": "default",
        "plugins": "--plugins",
    }
    assert found["seed"].place == "a.yaml:2"
    assert found["train.lr"].place == "environment variable MFL__TRAIN__LR"
    assert found["train.clip"].place == "--set train.clip=2.0"
    assert "quickstart.yaml:" in found["train.warmup"].place


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("seed: 1\ntrain:\n  stpes: 3\n", r"^a.yaml:3: unknown key 'stpes' in train. Did you mean"),
        ("trian: {}\n", r"^a.yaml:1: unknown key 'trian'. Did you mean 'train'\?"),
        ("train:\n  steps: 0\n", r"^a.yaml:2: train.steps: expected a value greater than 0, got 0"),
        ("train: {steps: true}\n", r"train.steps: expected a whole number, got True"),
        ("train: {steps: 1.5}\n", r"train.steps: expected a whole number, got 1.5"),
        ("train: {lr: .nan}\n", r"train.lr: expected"),
        ("train: {lr: fast}\n", r"train.lr: expected a number, got 'fast'"),
        ("train: 5\n", r"train: expected keys and values, got 5"),
        ("train: {precision: bf61}\n", r"'fp16' or 'fp32', got 'bf61'. Did you mean 'bf16'\?"),
        ("plugins: facelift\n", r"plugins: expected a list, got 'facelift'"),
        ("plugins: [1]\n", r"plugins.0: expected text, got 1"),
        ("name: a b\n", r"^a.yaml:1: name: "),
        ("losses: {a.b: {weight: 0}}\n", r"losses.a.b.weight: expected a value greater than 0"),
        ("losses: {a.b: {}}\n", r"^a.yaml:1: expected key 'weight' in losses.a.b, got none"),
        ("losses: {a.b: 1.0}\n", r"losses.a.b: expected keys and values, got 1.0"),
        ("adapter: {r: 16}\n", r"^a.yaml:1: expected key 'use' in adapter, got none"),
        ("data: {preprocess: [{us: x}]}\n", r"expected key 'use' in data.preprocess.0"),
        ("data: {split: {by: week}}\n", r"data.split.by: expected 'order', .*got 'week'"),
        ("train: {backend: gsplatt}\n", r"train.backend: .*got 'gsplatt'. Did you mean 'gsplat'"),
        ("output: 1\n", r"output: expected a path, got 1"),
        ("seed: -1\n", r"seed: expected a value greater than or equal to 0, got -1"),
        ("train: {stpes: 1, lr: 0}\n", r"unknown key 'stpes'.*1 more to mend"),
        ("extends: [base]\n", r"^a.yaml:1: extends: expected the name of a preset or a path"),
        ("extends: quickstrt\n", r"^a.yaml:1: extends: .*'quickstrt'. Did you mean 'quickstart'\?"),
        ("extends: ./none.yaml\n", r"^a.yaml:1: extends: expected an existing file, got none.yaml"),
        ("extends: a.yaml\n", r"without a cycle, got a.yaml -> a.yaml"),
    ],
)
def test_bad_key_or_value_is_one_line_with_its_place(folder, text, pattern):
    path = write(folder, "a.yaml", text)
    with pytest.raises(ConfigError, match=pattern) as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


def test_longer_cycle_is_refused(folder):
    write(folder, "a.yaml", "extends: sub/b.yaml\n")
    write(folder, "sub/b.yaml", "extends: ../a.yaml\n")
    with pytest.raises(ConfigError, match=r"a.yaml -> sub/b.yaml -> a.yaml"):
        load_config("a.yaml")


def test_extends_is_relative_to_its_own_file(folder, monkeypatch):
    write(folder, "lab/common.yaml", "seed: 7\n")
    path = write(folder, "lab/rig/a.yaml", "extends: ../common.yaml\n")
    monkeypatch.chdir(folder / "lab")
    assert load_config(path).config.seed == 7


@pytest.mark.parametrize(
    ("given", "pattern"),
    [
        ({"overrides": ["train.stpes=5"]}, r"^--set train.stpes=5: unknown key 'stpes'.*'steps'"),
        ({"overrides": ["train.steps"]}, r"^--set train.steps: expected KEY=VALUE"),
        ({"overrides": ["train..steps=1"]}, r"an empty part"),
        ({"overrides": ["=1"]}, r"an empty part"),
        ({"overrides": ["extends=base"]}, r"'extends' in a file only"),
        ({"overrides": ["train.lr=[1"]}, r"^--set train.lr=\[1: expected valid YAML"),
        ({"environ": {"MFL__TRAIN__STPES": "5"}}, r"^environment variable MFL__TRAIN__STPES: unk"),
        ({"environ": {"MFL__": "5"}}, r"^environment variable MFL__: .*empty part"),
        ({"environ": {"MFL__SEED": "x"}}, r"MFL__SEED: seed: expected a whole number, got 'x'"),
        ({"flags": {"train.device": "tpu"}}, r"^flag for train.device: .*got 'tpu'"),
        ({"plugins": ["-facelfit"]}, r"^--plugins -facelfit: .*Did you mean 'facelift'\?"),
    ],
)
def test_bad_override_names_itself(given, pattern):
    with pytest.raises(ConfigError, match=pattern):
        load_config("base", **given)


@pytest.mark.parametrize("source", ["quickstrt", "none.yaml", "./none"])
def test_unknown_source(folder, source):
    with pytest.raises(ConfigError, match=r"quickstart|none"):
        load_config(source)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("losses.a.b.weight=0.5", {"a.b": 0.5}),
        ("losses.a.weight=0.5", {"a": 0.5}),
        ("losses.a.b={weight: 0.5}", {"a.b": 0.5}),
        ("losses={a.b: {weight: 0.5}}", {"a.b": 0.5}),
    ],
)
def test_loss_keys_take_the_component_in_two_parts(folder, override, expected):
    path = write(folder, "a.yaml", "seed: 1\n")
    losses = load_config(path, overrides=[override]).config.losses
    assert {name: term.weight for name, term in losses.items()} == expected


def test_loss_of_a_preset_is_removed_by_null():
    before = load_config("quickstart").config.losses
    after = load_config("quickstart", overrides=["losses.masked_loss.background=null"])
    assert set(before) - set(after.config.losses) == {"masked_loss.background"}


def test_environment_reaches_a_loss():
    environ = {"MFL__LOSSES__MASKED_LOSS__BACKGROUND__WEIGHT": "3"}
    losses = load_config("quickstart", environ=environ).config.losses
    assert losses["masked_loss.background"].weight == 3


def test_component_sections_keep_their_own_keys(folder):
    text = "adapter: {use: a.b, r: 4}\nlosses: {c.d: {weight: 1.0, power: 3}}\n"
    config = load_config(write(folder, "a.yaml", text)).config
    assert (config.adapter.use, config.adapter.settings) == ("a.b", {"r": 4})
    assert config.losses["c.d"].settings == {"power": 3}


def test_set_of_name_and_settings_in_any_order():
    for order in (["adapter=a.b", "adapter.k=1"], ["adapter.k=1", "adapter.use=a.b"]):
        config = load_config("quickstart", overrides=order).config
        assert (config.adapter.use, config.adapter.settings) == ("a.b", {"k": 1})


def test_plugins_are_added_and_removed():
    before = load_config("base").config.plugins
    loaded = load_config("base", plugins=["rat,./cat.py", "-exporters", "facelift"])
    assert set(loaded.config.plugins) == (set(before) | {"rat", "./cat.py"}) - {"exporters"}
    assert loaded.named == ("rat", "./cat.py", "facelift")
    assert loaded.removed == ("exporters",)


def test_dropped_settings_are_logged_once(caplog):
    caplog.set_level("INFO", logger="mfl_adapt")
    load_config("quickstart", overrides=["adapter=a.b"], plugins=["-exporters"])
    assert [record.message for record in caplog.records] == [
        "adapter: a.b replaces lora_gslrm.lora, whose settings are dropped: lora_alpha, r, targets"
    ]


@pytest.mark.parametrize(
    ("file", "name"),
    [("my mouse (2).yaml", "my-mouse-2"), ("---.yaml", "run"), ("b.v2.yml", "b.v2")],
)
def test_run_is_named_after_its_file(folder, file, name):
    assert load_config(write(folder, file, "seed: 1\n")).config.name == name


def test_home_is_expanded(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    loaded = load_config("base", overrides=["data.path=~/mice"])
    assert loaded.config.data.path == tmp_path / "mice"
