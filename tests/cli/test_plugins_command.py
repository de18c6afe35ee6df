import json
import os
import subprocess
import sys

import pytest
import torch
from fake_plugins import LOSS, Site
from safetensors.torch import save_file
from typer.testing import CliRunner

from mfl_adapt.cli.app import app


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def states(*arguments):
    rows = json.loads(run("plugins", "list", "--json", *arguments).stdout)
    return {row["name"]: row["state"] for row in rows}


def test_list_shows_every_state(site):
    site.add("rat-tools", {"rat": LOSS, "vole": LOSS})
    site.add("bad-rats", {"badrat": "raise RuntimeError('no teeth')"})
    site.add("old-rats", {"oldrat": "MFL_API = 0"})
    site.add("twin-one", {"twin": LOSS})
    site.add("twin-two", {"twin": LOSS})
    found = states("--plugins", "vole,-exporters")
    names = ("rat", "vole", "exporters", "badrat", "oldrat", "twin")
    assert [found[name] for name in names] == [
        "available",
        "active",
        "disabled",
        "broken",
        "incompatible",
        "shadowed",
    ]


def test_list_gives_supplier_components_and_reasons(site):
    site.add("rat-tools", {"rat": LOSS}, version="3.2")
    site.add("bad-rats", {"badrat": "raise RuntimeError('no teeth')"})
    lines = {line.split()[0]: line for line in run("plugins", "list").output.splitlines()}
    assert lines["rat"].split()[1:] == ["available", "rat-tools", "3.2", "whisker"]
    assert "broken" in lines["badrat"]
    assert lines["badrat"].endswith("raised RuntimeError: no teeth")


def test_list_shows_a_broken_plugin_that_was_named(site):
    site.add("bad-rats", {"badrat": "raise RuntimeError"})
    assert states("--plugins", "badrat")["badrat"] == "broken"


def test_list_takes_the_active_ones_from_a_file(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("plugins: [facelift]\n")
    found = states("--config", str(path))
    assert [name for name, state in found.items() if state == "active"] == ["facelift"]


def test_show_names_components_and_settings(site):
    watch = "\n@hookimpl\ndef run_finished(run): ...\n"
    site.add("rat-tools", {"rat": LOSS + watch}, version="3.2")
    assert run("plugins", "show", "rat").output.splitlines() == [
        "rat of rat-tools 3.2",
        "",
        "loss whisker: A summary.",
        "  power: float = 2.0",
        "",
        "observes: run_finished",
    ]
    shown = json.loads(run("plugins", "show", "rat", "--json").output)
    assert shown["hooks"] == ["register_components", "run_finished"]


def test_show_works_for_a_file(site):
    path = site.file("rat.py", LOSS)
    assert f"rat of file {path}" in run("plugins", "show", path).output


def test_show_of_an_unknown_plugin():
    result = run("plugins", "show", "maskd_loss")
    assert result.exit_code == 1
    assert "Did you mean 'masked_loss'?" in result.stderr


def test_base_list():
    output = run("base", "list").output
    assert "facelift.tiny " in output
    assert "facelift.gslrm  512 x 512 px" in output
    rows = json.loads(run("base", "list", "--json").output)
    assert {row["id"]: row["size"] for row in rows}["facelift.gslrm"] == 512


def test_base_list_follows_the_active_plugins():
    assert run("base", "list", "--plugins", "-facelift").output == ""


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """A folder of the user's settings that a test may write to."""
    monkeypatch.setenv("MFL_CONFIG_HOME", str(tmp_path / "settings"))


def test_disable_and_enable(site, settings):
    site.add("rat-tools", {"rat": LOSS})
    result = run("plugins", "disable", "rat")
    assert result.output == "rat: disabled; `mfl-adapt plugins enable rat` undoes it\n"
    assert "was disabled before" in run("plugins", "disable", "rat").output
    assert states()["rat"] == "disabled"
    lines = {line.split()[0]: line for line in run("plugins", "list").output.splitlines()}
    assert lines["rat"].endswith("`mfl-adapt plugins enable rat`")
    assert run("plugins", "enable", "rat").output == "rat: enabled\n"
    assert run("plugins", "enable", "rat").output == "rat: was not disabled\n"
    assert states()["rat"] == "available"


@pytest.mark.parametrize(
    "command",
    [
        ("train", "--plugins", "rat"),
        ("config", "validate", "quickstart", "--plugins", "rat"),
        ("plugins", "show", "rat"),
        ("plugins", "check", "rat"),
        ("plugins", "trace", "--plugins", "rat"),
    ],
)
def test_a_disabled_plugin_cannot_be_named(site, settings, command):
    site.add("rat-tools", {"rat": LOSS})
    run("plugins", "disable", "rat")
    result = run(*command)
    assert result.exit_code == 1
    assert "'rat': expected an enabled one" in result.stderr
    assert "`mfl-adapt plugins enable rat`" in result.stderr


def test_a_preset_does_without_a_disabled_plugin(settings):
    run("plugins", "disable", "anipose")
    assert run("config", "validate", "quickstart").exit_code == 0
    run("plugins", "disable", "view_policies")
    result = run("config", "validate", "quickstart")
    assert "view_policies" in result.stderr
    assert "`mfl-adapt plugins enable view_policies`" in result.stderr


def test_commands_that_mend_survive_a_plugin_that_kills_the_program(tmp_path):
    site = Site(tmp_path)
    site.add("bad-rats", {"badrat": "import os\nos._exit(77)\n"}, commands={"bite": "command = 1"})
    (tmp_path / "adapter").mkdir()
    tensors = {"a.lora_A.weight": torch.zeros(2, 3)}
    save_file(tensors, tmp_path / "adapter" / "adapter_model.safetensors", {})
    commands = [
        ["--help"],
        ["plugins", "--help"],
        ["plugins", "list", "--no-import"],
        ["plugins", "list", "--no-import", "--plugins", "badrat"],
        ["plugins", "list", "--no-import", "--json"],
        ["config", "show"],
        ["config", "presets"],
        ["base", "list"],
        ["adapter", "inspect", "adapter"],
        ["-v", "plugins", "disable", "badrat"],
        # From here on it is disabled, and nothing imports it at all.
        ["plugins", "list"],
        ["plugins", "enable", "badrat"],
    ]
    code = (
        "import json, sys\n"
        "from typer.testing import CliRunner\n"
        "from mfl_adapt.cli.app import app\n"
        "for one in json.loads(sys.argv[1]):\n"
        "    done = CliRunner().invoke(app, one)\n"
        "    print(done.exit_code, *one, flush=True)\n"
        "    assert isinstance(done.exception, SystemExit | None), repr(done.exception)\n"
        "CliRunner().invoke(app, ['plugins', 'list'])\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "MFL_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(commands)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    lines = done.stdout.splitlines()
    assert [line.split()[1:] for line in lines] == commands, done.stderr
    failed = [line for line in lines if not line.startswith("0 ")]
    # A folder without a passport may be refused, but not by way of a plugin.
    assert failed in ([], ["1 adapter inspect adapter"])
    assert done.returncode == 77, "the plugin does kill the program once it is imported"


def test_list_without_imports(site):
    site.add("bad-rats", {"badrat": "raise RuntimeError"})
    assert states("--no-import")["badrat"] == "unknown"
    assert "bad_rats_badrat" not in sys.modules


WATCH = """
@hookimpl
def step_finished(run, step):
    print("step", step)
"""


@pytest.fixture
def traced(site, empty_folder):
    """Trace two steps with a plugin that watches them; arguments in, result out."""
    site.add("rat-tools", {"rat": WATCH})
    few = ["--set", "data.reader.samples=4", "--set", "data.reader.workers=0"]
    few += ["--set", "train.sample_every=9", "--set", "evaluate.samples=1"]
    few += ["--set", "evaluate.retention=0"]
    return lambda *more: run("plugins", "trace", "--plugins", "rat", "--steps", "2", *few, *more)


def test_trace_as_json(traced, empty_folder):
    result = traced("--json")
    assert result.exit_code == 0, result.stderr
    rows = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    assert sorted(row["number"] for row in rows) == list(range(1, len(rows) + 1))
    steps = [row for row in rows if row["method"] == "step_finished"]
    assert [(one["plugin"], one["arguments"]["step"]) for one in steps] == [("rat", 1), ("rat", 2)]
    called = {(row["slot"], row["method"]) for row in rows if row["kind"] == "component"}
    assert called >= {
        ("adapter", "build"),
        ("adapter", "peft_config"),
        ("base", "reconstruct"),
        ("check", "call"),
        ("loss", "call"),
        ("reader", "read"),
        ("view policy", "train"),
        ("view policy", "evaluate"),
    }
    losses = [row for row in rows if row["component"] == "masked_loss.masked_l2"]
    pred = losses[1]["arguments"]["pred"]
    assert (pred["array"], pred["shape"][2:]) == ("float32", [3, 64, 64])
    unheard = [row["method"] for row in rows if row["plugin"] == ""]
    assert unheard == [
        "register_components",
        "run_opening",
        "run_started",
        "checkpoint_saved",
        "run_finished",
    ]
    assert list(empty_folder.iterdir()) == [], "the run folder is deleted"


def test_trace_in_words_ends_with_a_summary(traced):
    result = traced("--first", "1")
    assert result.exit_code == 0, result.stderr
    calls, summary = result.stdout.rsplit("\n\n", 1)
    assert calls.count("step_finished(") == 1
    assert calls.count("procedural.mice  read(") == 1
    totals = {line.split()[0]: line.split() for line in summary.splitlines()}
    assert totals["plugin"] == ["plugin", "distribution", "calls", "seconds", "errors"]
    assert totals["rat"][1:4] == ["rat-tools", "1.0", "2"]


def test_trace_of_a_run_that_fails_shows_where(site, empty_folder):
    site.add(
        "rat-tools", {"rat": "\n@hookimpl\ndef run_started(run):\n    raise OSError('tail')\n"}
    )
    few = ["--set", "data.reader.samples=4", "--set", "data.reader.workers=0"]
    result = run("plugins", "trace", "--plugins", "rat", *few)
    assert isinstance(result.exception, OSError)
    assert "run_started(" in result.stdout
    assert "raised OSError: tail" in result.stdout
    (total,) = (line for line in result.stdout.splitlines() if line.startswith("rat "))
    assert total.split()[-1] == "1", "one error"
