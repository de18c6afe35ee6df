"""What only a real process shows: a full disk, Ctrl-C, and what stands on standard error."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bad_input import QUICK, program, sets, start, train
from helpers import ROOT

from mfl_adapt.adapter import read_adapter
from mfl_adapt.train.checkpoints import read_newest

# More than anything a run writes before its first checkpoint of 1.2 MB.
DISK = 400_000


def small_disk() -> None:
    """Let no file of this process grow beyond the limit."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK, DISK))


def verified_step(run: Path) -> int:
    """Step of the newest checkpoint of a run."""
    found = read_newest(run)
    assert found is not None
    return found.step


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# The finished run leaves the compiled rasterizer behind, whose files would not fit the disk.
@pytest.mark.usefixtures("finished_run")
def test_a_full_disk_is_known_before_the_first_step(empty_folder):
    done = subprocess.run(
        program(*train()), preexec_fn=small_disk, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        "error: runs/quickstart/checkpoints/step-0: expected to write a checkpoint, got File too "
        "large. Whatever was written before is untouched: make room, and go on with mfl-adapt "
        "train --resume runs/quickstart."
    )
    assert "Traceback" not in done.stderr
    left = files(empty_folder)
    assert "runs/quickstart/config.yaml" in left
    assert "runs/quickstart/metrics.jsonl" not in left
    assert not [name for name in left if "adapter" in name or "/." in name]


def test_a_missing_dataset_is_one_line(empty_folder):
    done = subprocess.run(program(*train(data="gone")), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: data.path: expected an existing file or folder, got gone. Check the path.\n"
    )


@pytest.mark.parametrize("setting", ["data.path", "evaluate.home", "train.resume"])
def test_a_mistyped_path_is_told_before_torch_is_loaded(empty_folder, setting):
    code = (
        "import sys; from mfl_adapt.cli.app import main; sys.argv = "
        f"['mfl-adapt', 'train', 'facelift-sample', '--set', '{setting}=gone']\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "False\n")
    assert done.stderr.startswith(f"error: {setting}: expected ")


def test_output_that_is_a_file(empty_folder):
    Path("taken").write_text("a file")
    done = subprocess.run(
        program(*train("output=taken")), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == (
        "error: output: expected a folder that can be made and written, got taken, as taken is no "
        "folder. Choose another place with --set output=FOLDER."
    )
    assert files(empty_folder) == ["taken"]


def test_output_that_is_not_writable(empty_folder):
    Path("closed").mkdir(mode=0o555)
    if os.access("closed", os.W_OK):
        pytest.skip("this user may write everywhere")
    done = subprocess.run(
        program(*train("output=closed")), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "can be made and written, got closed, as closed may not be written" in done.stderr


@pytest.mark.usefixtures("finished_run")
def test_ctrl_c_saves_the_adapter(empty_folder):
    process = start(empty_folder, *train("train.steps=100000"))
    shown = []
    for line in process.stderr:
        shown.append(line)
        if line.startswith("train     1/"):
            break
    os.killpg(process.pid, signal.SIGINT)
    stdout, rest = process.communicate(timeout=300)
    stderr = "".join(shown) + rest
    assert process.returncode == 0, stderr
    assert "stopping after this step; press Ctrl-C again to stop without saving" in rest
    steps = read_adapter(empty_folder / "runs/quickstart/adapter").passport["steps"]
    assert 1 <= steps < 100_000
    assert stdout == (
        f"stopped after {steps} steps; the adapter is in runs/quickstart/adapter\n"
        "to go on: mfl-adapt train --resume runs/quickstart\n"
    )
    assert verified_step(empty_folder / "runs/quickstart") == steps
    assert not [name for name in files(empty_folder) if "/." in name]
    # What a user reads by default: choices and results, nothing about where it is installed.
    assert str(ROOT) not in stderr
    assert "Traceback" not in stderr


def test_ctrl_c_while_workers_draw_is_one_line(empty_folder):
    keys = ("data.reader.samples=500", "data.reader.workers=2", "data.reader.cache=drawn")
    process = start(empty_folder, "train", *sets(*QUICK, *keys))
    while not list(empty_folder.glob("drawn/*/*.npz")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=300)
    said = "rendering 500 samples with 2 processes\ninterrupted\n"
    assert (process.returncode, stdout, stderr) == (130, "", said)
    assert not (empty_folder / "runs").exists()
