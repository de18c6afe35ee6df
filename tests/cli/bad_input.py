"""How tests of bad input call the command line, and what every refusal must look like."""

import json
import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from mfl_adapt.cli.app import app

SPLIT = ("data.split.validation=0.5", "data.split.gap=0")
QUICK = (
    *(*SPLIT, "train.steps=2", "train.warmup=1", "train.precision=fp32"),
    "evaluate.retention=1",
)
FEW_MICE = ("data.reader.samples=2", "data.reader.num_views=6")


def sets(*keys: str) -> list[str]:
    """Write overrides as options."""
    return [part for key in keys for part in ("--set", key)]


def call(*arguments: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(app, list(arguments))


def program(*arguments: str) -> list[str]:
    """Command line of a real process."""
    return [sys.executable, "-m", "mfl_adapt", *arguments]


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    """Start a real process in a folder, leader of a group of its own as in a terminal."""
    return subprocess.Popen(
        program(*arguments),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def refuse(*arguments: str) -> str:
    """Run a command that must end in one line and leave no run behind; return its message."""
    result = call(*arguments)
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert not Path("runs").exists()
    return result.stderr.removeprefix("error: ").rstrip("\n")


def train(*keys: str, data: str | Path | None = None) -> list[str]:
    """Command line of a short training run, on a dataset or on a few mice."""
    given = ["--data", str(data)] if data is not None else sets(*FEW_MICE)
    return ["train", *given, *sets(*QUICK, *keys)]


def edit_json(path: Path, edit) -> None:
    """Change a JSON file in place; NaN is written as Python and many labs do."""
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
