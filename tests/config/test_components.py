import pytest
from fake_plugins import LOSS, offering

from mfl_adapt.config import claim_slots, load_config, validate_components
from mfl_adapt.errors import ConfigError, PluginError
from mfl_adapt.plugin.registry import load_plugins

ADAPTER = offering('spec(AdapterSpec, "tail")')
READER = offering('reader("folder")')


@pytest.fixture
def resolve(tmp_path, monkeypatch):
    """Load a file laid over the quickstart, with its plugins, the way a command does."""
    monkeypatch.chdir(tmp_path)

    def resolve(text="seed: 0\n", plugins=(), overrides=(), source=None):
        if source is None:
            source = tmp_path / "a.yaml"
            source.write_text("extends: quickstart\n" + text)
        loaded = load_config(source, plugins=plugins, overrides=overrides)
        host = load_plugins(loaded.config.plugins, disabled=loaded.removed)
        claimed = claim_slots(loaded, host)
        validate_components(claimed, host)
        return claimed

    return resolve


def test_misspelt_setting_of_a_plugin_has_file_and_line(resolve):
    expected = (
        r"^a.yaml:3: unknown key 'lora_alfa' in adapter \(lora_gslrm.lora\)\. "
        r"Did you mean 'lora_alpha'\?$"
    )
    with pytest.raises(ConfigError, match=expected):
        resolve("adapter:\n  lora_alfa: 8\n")


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("adapter: {r: 0}\n", r"^a.yaml:2: r of adapter \(lora_gslrm.lora\): expected a value gr"),
        ("losses:\n  masked_loss.masked_l2: {powr: 1}\n", r"^a.yaml:3: unknown key 'powr'"),
        ("data: {views: {inputz: 1}}\n", r"unknown key 'inputz' in data.views \(view_policies"),
        ("base: {id: facelift.gslrm, chekpoint: x}\n", r"unknown key 'chekpoint' in base"),
        (
            "data: {preprocess: [{use: nothing.here}]}\n",
            r"^a.yaml:2: data.preprocess.0: expected a",
        ),
        ("losses:\n  masked_loss.maskd: {weight: 1}\n", r"^a.yaml:3: losses: .*Did you mean 'mask"),
        ("adapter: lora_gslrm.loro\n", r"^a.yaml:2: adapter: .*Did you mean 'lora'"),
        ("plugins: [facelift]\n", r"adapter: .*'lora_gslrm'.*not active. Add --plugins lora_gslrm"),
        ("data: {reader: facelift_reader}\n", r"^a.yaml:2: expected data.path for facelift_reader"),
    ],
)
def test_bad_component_or_setting(resolve, text, pattern):
    with pytest.raises((ConfigError, PluginError), match=pattern):
        resolve(text)


def test_one_loss_under_two_names(resolve, site):
    site.add("rat-tools", {"rat": LOSS})
    losses = ["losses.rat.weight=1", "losses.rat.whisker.weight=2"]
    with pytest.raises(ConfigError, match=r"each loss once, got 'rat' and 'rat.whisker'"):
        resolve(plugins=["rat"], overrides=losses)


def test_named_plugin_takes_a_slot_that_a_preset_filled(resolve, site, caplog):
    caplog.set_level("INFO", logger="mfl_adapt.config.claims")
    site.add("rat-tools", {"rat": ADAPTER})
    loaded = resolve(plugins=["rat"])
    assert (loaded.config.adapter.use, loaded.config.adapter.settings) == ("rat.tail", {})
    assert loaded.merged.origin(("adapter", "use")).place == "--plugins rat"
    assert [record.message for record in caplog.records] == [
        "adapter: rat.tail takes this slot, because of --plugins rat"
    ]


def test_settings_that_the_user_gave_stay_with_the_new_component(resolve, site):
    site.add("rat-tools", {"rat": ADAPTER})
    loaded = resolve("adapter: {power: 9.0}\n", plugins=["rat"])
    assert loaded.config.adapter.settings == {"power": 9.0}


def test_file_plugin_takes_a_slot_too(resolve, site):
    path = site.file("rat.py", ADAPTER)
    assert resolve(plugins=[path]).config.adapter.use == "rat.tail"


def test_empty_slot_is_taken(resolve, site):
    site.add("rat-tools", {"rat": offering('spec(CameraNormalizerSpec, "turn")')})
    assert resolve(plugins=["rat"]).config.data.cameras.use == "rat.turn"


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        ("adapter: lora_gslrm.lora\n", []),
        ("seed: 0\n", ["adapter.use=lora_gslrm.lora"]),
    ],
)
def test_what_the_user_wrote_is_stronger_than_a_claim(resolve, site, text, overrides):
    site.add("rat-tools", {"rat": ADAPTER})
    with pytest.raises(ConfigError, match=r"adapter rat.tail is used nowhere.*--set adapter=rat.t"):
        resolve(text, plugins=["rat"], overrides=overrides)


def test_plugin_that_already_fills_the_slot_changes_nothing(resolve):
    plain, named = resolve(), resolve(plugins=["masked_loss,lora_gslrm"])
    assert plain.config == named.config
    assert named.config.adapter.settings["r"] == 20


def test_plugin_of_the_configuration_alone_claims_nothing(resolve, site):
    site.add("rat-tools", {"rat": ADAPTER})
    plugins = "plugins: [facelift, procedural, view_policies, masked_loss, lora_gslrm, rat]\n"
    assert resolve(plugins).config.adapter.use == "lora_gslrm.lora"


def test_two_claims_on_one_slot(resolve, site):
    site.add("rat-tools", {"rat": ADAPTER, "vole": ADAPTER})
    with pytest.raises(ConfigError, match=r"one plugin for adapter, got rat.tail and vole.tail"):
        resolve(plugins=["rat,vole"])
    with pytest.raises(ConfigError, match=r"vole: .*vole.tail is used nowhere"):
        resolve(plugins=["rat,vole"], overrides=["adapter=rat.tail"])


def test_named_loss_without_a_weight(resolve, site):
    site.add("rat-tools", {"rat": LOSS})
    with pytest.raises(ConfigError, match=r"Add --set losses.rat.whisker.weight=1\.$"):
        resolve(plugins=["rat"])
    loaded = resolve(plugins=["rat"], overrides=["losses.rat.whisker.weight=1"])
    assert loaded.config.losses["rat.whisker"].weight == 1


def test_named_preprocessor_that_is_not_used(resolve, site):
    site.add("rat-tools", {"rat": offering('spec(PreprocessorSpec, "comb")')})
    with pytest.raises(ConfigError, match=r"data.preprocess=\[\{use: rat.comb\}\]"):
        resolve(plugins=["rat"])
    loaded = resolve(plugins=["rat"], overrides=["data.preprocess=[{use: rat.comb}]"])
    assert loaded.config.data.preprocess[0].use == "rat.comb"


def test_named_plugin_of_checks_needs_no_place(resolve):
    assert resolve(plugins=["facelift_checks,exporters"]).config == resolve().config


def test_path_of_the_user_beats_a_preset_that_needs_none(resolve, caplog):
    caplog.set_level("DEBUG", logger="mfl_adapt.config.claims")
    assert resolve(overrides=["data.path=mice"]).config.data.reader is None
    assert "procedural.mice of the preset" in caplog.text


def test_path_and_claimed_reader_go_together(resolve, site):
    site.add("rat-tools", {"rat": READER})
    loaded = resolve(plugins=["rat"], overrides=["data.path=mice"])
    assert loaded.config.data.reader.use == "rat.folder"


def test_path_beside_a_reader_of_the_user_that_needs_none(resolve):
    with pytest.raises(ConfigError, match=r"expected no data.path, as procedural.mice"):
        resolve("data: {reader: procedural.mice, path: mice}\n")
