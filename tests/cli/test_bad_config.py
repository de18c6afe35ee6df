"""Names, keys, values and plugins that are wrong: one line that says where and what was meant."""

import re

import pytest
from bad_input import call, refuse, sets
from fake_plugins import LOSS, offering

pytestmark = pytest.mark.usefixtures("empty_folder")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["quikstart"], "got 'quikstart'. Did you mean 'quickstart'?"),
        (["gone.yaml"], "gone.yaml: expected a configuration file, got none."),
        (["--plugins", "maskd_loss"], "got 'maskd_loss'. Did you mean 'masked_loss'?"),
        (["--plugins", "./gone.py"], "expected an existing Python file, got './gone.py'."),
        (
            sets("train.stpes=3"),
            "--set train.stpes=3: unknown key 'stpes' in train. Did you mean 'steps'?",
        ),
        (
            sets("adapter=lora_gslrm.lorra"),
            "expected an adapter of plugin 'lora_gslrm', got 'lorra'. Did you mean 'lora'?",
        ),
        (
            sets("losses.masked_loss.masked_l3.weight=1"),
            "expected a loss of plugin 'masked_loss', got 'masked_l3'. Did you mean 'masked_l2'?",
        ),
        (sets("base=facelift.tinny"), "got 'tinny'. Did you mean 'tiny'?"),
        (sets("adapter.lora_alfa=3"), "unknown key 'lora_alfa' in adapter (lora_gslrm.lora)."),
        (sets("train.steps=many"), "train.steps: expected a whole number, got 'many'."),
        (sets("train.steps"), "--set train.steps: expected KEY=VALUE, got no '='."),
        (["--steps", "0"], "train.steps: expected a value greater than 0, got 0."),
        (["--name", "a/b"], "name: expected text to match pattern"),
        (sets("losses.masked_loss.masked_l2.weight=0"), "expected a value greater than 0, got 0."),
        (sets("data.reader.samples=0"), "data.reader (procedural.mice): expected a value greater"),
    ],
)
def test_command_line(arguments, message):
    assert message in refuse("train", *arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "extends: quickstart\ntrain:\n  stpes: 4\n",
            "a.yaml:3: unknown key 'stpes' in train. Did",
        ),
        (
            "extends: quickstart\nadapter:\n  use: lora_gslrm.lora\n  lora_alfa: 4\n",
            "a.yaml:4: unknown key 'lora_alfa' in adapter (lora_gslrm.lora). Did you mean",
        ),
        (
            "extends: quickstart\nlosses:\n  maskd_loss.x: {weight: 1}\n",
            "a.yaml:3: losses: expected a loss",
        ),
        ("extends: quickstrt\n", "a.yaml:1: extends: "),
        ("a: [1\n", "a.yaml:2: expected valid YAML"),
        ("- a\n", "a.yaml: expected keys and values at the top, got a list."),
        ("", "a.yaml: expected keys and values, got an empty file."),
    ],
)
def test_file(empty_folder, text, message):
    (empty_folder / "a.yaml").write_text(text)
    assert refuse("train", "a.yaml").startswith(message)


def test_file_that_is_no_text(empty_folder):
    (empty_folder / "a.yaml").write_bytes(b"\xff\xfe\x00")
    assert refuse("train", "a.yaml").startswith("a.yaml: expected UTF-8 text, got byte 0xff")


def test_broken_plugin_is_listed_and_stops_only_who_names_it(site):
    site.add("bad-rats", {"badrat": "raise RuntimeError('no\\nteeth')"})
    site.add("rat-tools", {"rat": LOSS})
    rows = {line.split()[0]: line for line in call("plugins", "list").stdout.splitlines()}
    assert rows["rat"].split()[1] == "available"
    assert rows["badrat"].split()[1] == "broken"
    assert rows["badrat"].endswith("importing bad_rats_badrat raised RuntimeError: no teeth")
    assert call("config", "validate", "quickstart").exit_code == 0
    assert refuse("train", "--plugins", "badrat") == (
        "plugin 'badrat' of bad-rats is broken: importing bad_rats_badrat raised RuntimeError: "
        "no teeth"
    )


@pytest.mark.parametrize(
    ("source", "pattern"),
    [
        ("import os\nx = undefined_name\n", r"rat\.py raised NameError: .* \(line 2\)$"),
        ("MFL_API = 1\ndef f(:\n", r"rat\.py raised SyntaxError: .* \(rat\.py, line 2\)$"),
        ("import whiskers_that_lack\n", r"ModuleNotFoundError: .*whiskers_that_lack' \(line 1\)$"),
        ("MFL_API = 99\n", r"is incompatible: .*99"),
        ("MFL_API = 1\n", r"contributes nothing: it implements no hook"),
    ],
)
def test_single_file_plugin_with_an_error(site, source, pattern):
    path = site.file("rat.py", source, head="")
    message = refuse("train", "--plugins", path)
    assert message.startswith(f"plugin 'rat' of file {path} is ")
    assert message.count(path) == 1
    assert re.search(pattern, message)


def test_single_file_plugin_whose_component_cannot_be_built(site):
    path = site.file("rat.py", offering('spec(LossSpec, "tail", build="rat:Tail")'))
    keys = sets("losses.rat.tail.weight=1")
    message = refuse("train", "--plugins", path, *keys, *sets("data.reader.samples=2"))
    assert message.startswith(f"plugin 'rat' of file {path}: resolving 'rat:Tail' raised")
