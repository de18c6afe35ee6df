"""A small recording, a plugin that takes its time, and how tests start and compare preparations."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from mfl_adapt.config import load_config
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.prepare import Result, build_executor, make_dataset

COUNT = 12

# The samples of the data tests, whose folder is on the path only while those run.
_FILE = Path(__file__).resolve().parent.parent / "data" / "small_samples.py"
_SPEC = importlib.util.spec_from_file_location("small_samples_of_data", _FILE)
small_samples = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(small_samples)

PACE = '''
"""A preprocessor that only waits, and may leave a file named after its process."""

import os
import time
from pathlib import Path

from mfl_adapt.images import replace_pixels
from mfl_adapt.plugin import ComponentConfig, PreprocessorSpec, hookimpl

MFL_API = 1


class Config(ComponentConfig):
    seconds: float = 0.0
    pids: str = ""


class Wait:
    def __init__(self, config):
        self.config = config

    def __call__(self, sample):
        time.sleep(self.config.seconds)
        if self.config.pids:
            (Path(self.config.pids) / str(os.getpid())).touch()
        return replace_pixels(sample, sample.views, step="pace.wait", params={})


@hookimpl
def register_components():
    return [PreprocessorSpec(name="wait", summary="Waits.", config=Config, build="pace:Wait")]
'''


def settings(data: Path, *, size=16, seconds=0.0, pids="", more=()) -> list[str]:
    """Overrides of a preparation; with ``seconds``, the plugin file of ``write_pace`` is used."""
    wait = [f"data.preprocess=[{{use: pace.wait, seconds: {seconds}, pids: '{pids}'}}]"]
    wait = wait if seconds else []
    return [f"data.path={data}", "base.id=facelift.tiny", f"data.size={size}", *wait, *more]


def write_pace(folder: Path) -> Path:
    """Write the plugin file."""
    path = folder / "pace.py"
    path.write_text(PACE)
    return path


def run(data: Path, out: Path, *, kind="prepare", workers=0, skip_bad=0, plugin=None, **how):
    """Make a dataset in this process or with worker processes."""
    plugins = [str(plugin)] if plugin else []
    loaded = load_config(None, overrides=settings(data, **how), plugins=plugins)
    host = load_plugins(loaded.config.plugins)
    steps: list[tuple[int, int]] = []
    result: Result = make_dataset(
        loaded,
        host,
        out,
        kind=kind,
        executor=build_executor(workers=workers),
        report=lambda done, total: steps.append((done, total)),
        skip_bad=skip_bad,
    )
    return result, steps


def start(data: Path, out: Path, plugin: Path, *options: str, **how) -> subprocess.Popen:
    """Start the command in a process of its own."""
    sets = [part for key in settings(data, **how) for part in ("--set", key)]
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "mfl_adapt", "data", "prepare", str(data), "-o", str(out)),
            *("--plugins", str(plugin), "--certify", "0", *sets, *options),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def tree(folder: Path) -> dict[str, bytes]:
    """Every file with its bytes."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
