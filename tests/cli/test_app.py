import os
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import mfl_adapt.cli.config
from mfl_adapt import __version__
from mfl_adapt.cli import app as module
from mfl_adapt.cli.app import COMMANDS, app
from mfl_adapt.errors import StorageError

HEAVY = ("torch", "cv2", "numba", "diffusers", "transformers", "peft", "scipy", "rich", "numpy")
GREETING = """
import typer

command = typer.Typer()


@command.command()
def greet(name: str):
    typer.echo(f"hello {name}")
"""


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def execute(code, **environment):
    """Run Python code in a fresh process and return what it printed last."""
    env = {**os.environ, **environment}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env
    )
    assert done.stdout, done.stderr
    return done.stdout.splitlines()[-1]


def test_help_lists_every_command_with_its_line():
    result = run("--help")
    assert result.exit_code == 0
    shown = " ".join(result.output.split())  # long lines are broken
    for name, line in COMMANDS.items():
        assert f"{name} {line}" in shown


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_imports_nothing_heavy(command):
    code = (
        "import sys\nfrom mfl_adapt.cli.app import app\n"
        f"try:\n    app({[*command, '--help']})\nexcept SystemExit as end:\n"
        f"    print(end.code, [name for name in {HEAVY} if name in sys.modules])"
    )
    assert execute(code) == "0 []"


@pytest.mark.parametrize("command", ["plugins list", "config validate quickstart", "base list"])
def test_looking_at_plugins_and_configurations_imports_no_torch(command):
    heavy = HEAVY[:7]
    code = (
        "import sys\nfrom mfl_adapt.cli.app import app\n"
        f"try:\n    app({command.split()})\nexcept SystemExit as end:\n"
        f"    print(end.code, [name for name in {heavy} if name in sys.modules])"
    )
    assert execute(code) == "0 []"


def test_version():
    assert run("--version").output == f"mfl-adapt {__version__}\n"


def test_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "mfl_adapt", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"mfl-adapt {__version__}\n"


@pytest.mark.parametrize(("given", "expected"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_openmp_threads_wait_passively_unless_told_otherwise(monkeypatch, given, expected):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if given:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    monkeypatch.setattr(module, "app", lambda **_: None)
    module.main()
    assert os.environ["OMP_WAIT_POLICY"] == expected


def test_error_of_the_user_is_one_line_on_stderr():
    result = run("config", "validate", "quickstrt")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: configuration: expected a preset")
    assert result.stderr.count("\n") == 1


def raising(monkeypatch, error):
    def fail(**_):
        raise error

    monkeypatch.setattr("mfl_adapt.config.list_presets", fail)
    return run("config", "presets")


def test_message_of_several_lines_becomes_one(monkeypatch):
    result = raising(monkeypatch, StorageError("a.png: expected room,\n  got none."))
    assert (result.exit_code, result.stderr) == (1, "error: a.png: expected room, got none.\n")


def test_interruption_is_one_line_and_exit_130(monkeypatch):
    result = raising(monkeypatch, KeyboardInterrupt())
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")


def test_our_own_bug_keeps_its_traceback(monkeypatch):
    result = raising(monkeypatch, ZeroDivisionError("ours"))
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("arguments", "pattern"),
    [
        (["trian"], "No such command 'trian'. Did you mean 'train'?"),
        (["config"], "Usage:"),
        ([], "Usage:"),
        (["config", "show", "--nope"], "--nope"),
        (["config", "validate"], "CONFIG"),
    ],
)
def test_wrong_usage_exits_2(arguments, pattern):
    result = run(*arguments)
    assert result.exit_code == 2
    assert pattern in result.output


def test_every_core_command_has_its_module():
    assert run(*["config", "--help"]).exit_code == 0
    assert hasattr(mfl_adapt.cli.config, "app")


def test_command_of_another_distribution(site):
    site.add("greeter", {}, commands={"greet": GREETING}, head="")
    listing = run("--help").output
    assert "greet " in listing
    assert "Command of greeter." in listing
    assert "greeter_greet" not in sys.modules
    assert run("greet", "Ada").output == "hello Ada\n"


def test_command_may_be_a_plain_function(site):
    site.add(
        "greeter", {}, commands={"greet": "def command(name: str):\n    print(name)\n"}, head=""
    )
    assert run("greet", "Ada").output == "Ada\n"


def test_command_cannot_take_the_place_of_a_core_one(site, caplog):
    site.add("greeter", {}, commands={"config": GREETING}, head="")
    assert "quickstart" in run("config", "presets").output
    assert "Command of greeter" not in run("--help").output
    assert "command 'config' of greeter is ignored" in caplog.text


@pytest.mark.parametrize(
    ("source", "pattern"),
    [
        (
            "raise RuntimeError('no voice')",
            "of greeter: importing .* raised RuntimeError: no voice",
        ),
        ("command = 3", "command 'greet' of greeter: expected a typer.Typer or a function, got 3"),
    ],
)
def test_broken_command_is_one_line_and_help_still_works(site, source, pattern):
    site.add("greeter", {}, commands={"greet": source}, head="")
    assert run("--help").exit_code == 0
    result = run("greet")
    assert result.exit_code == 1
    assert re.search(pattern, result.stderr)


def test_command_that_two_distributions_offer(site):
    site.add("greeter", {}, commands={"greet": GREETING}, head="")
    site.add("welcomer", {}, commands={"greet": GREETING}, head="")
    result = run("greet", "Ada")
    assert result.exit_code == 1
    assert "got greeter and welcomer" in result.stderr
