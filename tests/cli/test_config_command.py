import json

import pytest
from fake_plugins import offering
from typer.testing import CliRunner

from mfl_adapt.cli.app import app
from mfl_adapt.config import list_presets, load_config


def run(*arguments):
    return CliRunner().invoke(app, ["config", *arguments])


def test_show_prints_what_loads_back_to_the_same(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(run("show", "quickstart", "--set", "train.steps=7").output)
    expected = load_config("quickstart", overrides=["train.steps=7"]).config
    assert load_config(path).config == expected


def test_show_as_json():
    assert json.loads(run("show", "--json").output)["train"]["steps"] == 2000


def test_origin_names_file_environment_and_option(monkeypatch):
    monkeypatch.setenv("MFL__SEED", "5")
    lines = run("show", "quickstart", "--origin", "--set", "train.lr=0.5").output.splitlines()
    assert "seed = 5  # environment variable MFL__SEED" in lines
    assert "train.lr = 0.5  # --set train.lr=0.5" in lines
    assert "train.weight_decay = 0.0  # default" in lines
    assert any(
        line.startswith("adapter.r = 20  # ") and "quickstart.yaml:" in line for line in lines
    )


def test_origin_as_json():
    rows = json.loads(run("show", "quickstart", "--origin", "--json").output)
    row = next(row for row in rows if row["key"] == "adapter.r")
    assert (row["value"], row["kind"]) == (20, "preset")


def test_show_applies_the_claims_of_named_plugins(site):
    site.add("rat-tools", {"rat": offering('spec(AdapterSpec, "tail")')})
    shown = json.loads(run("show", "quickstart", "--plugins", "rat", "--json").stdout)
    assert shown["adapter"] == {"use": "rat.tail"}


def test_show_works_although_an_active_plugin_is_broken(site, tmp_path):
    site.add("bad-rats", {"badrat": "raise RuntimeError"})
    path = tmp_path / "a.yaml"
    path.write_text("plugins: [badrat]\n")
    assert run("show", str(path)).exit_code == 0
    assert run("validate", str(path)).exit_code == 1


def test_validate():
    result = run("validate", "quickstart")
    assert result.exit_code == 0
    assert result.output.endswith("quickstart.yaml: valid\n")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("adapter.lora_alfa=3", "unknown key 'lora_alfa' in adapter (lora_gslrm.lora)"),
        ("train.stpes=3", "unknown key 'stpes' in train. Did you mean 'steps'?"),
    ],
)
def test_validate_reports_one_line(option, message):
    result = run("validate", "quickstart", "--set", option)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: --set {option}: {message}")


def test_presets():
    output = run("presets").output
    assert all(f"{one.name} " in output and one.summary in output for one in list_presets())
    assert len(json.loads(run("presets", "--json").output)) == len(list_presets())


def test_schema_is_json_with_descriptions():
    schema = json.loads(run("schema").output)
    assert schema["properties"]["seed"]["description"] == "Seed of everything random."
    assert schema["additionalProperties"] is False
