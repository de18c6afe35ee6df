"""``mfl-adapt train --launch 2``: what it starts, what it says, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import without_cuda
from several_processes import SETTINGS
from typer.testing import CliRunner

from mfl_adapt.cli.app import app
from mfl_adapt.config.models import Train
from mfl_adapt.errors import ConfigError, TrainingError
from mfl_adapt.train import launched
from mfl_adapt.train.accelerator import check_gpus
from mfl_adapt.train.launch import launch, parse_flags, raise_failure
from mfl_adapt.train.launched import REPORTS, LostProcessError, Report, as_one_of_several

COMMAND = ("train", "quickstart")


def start(root: Path, *words: str) -> subprocess.Popen:
    """Start ``mfl-adapt train`` with a small run."""
    given = [word for setting in (*SETTINGS, f"output={root}") for word in ("--set", setting)]
    if "--resume" in words:
        given = []
    return subprocess.Popen(
        [sys.executable, "-m", "mfl_adapt", "train", *given, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "2"},
    )


def start_and_wait_for_steps(root: Path, *words: str) -> subprocess.Popen:
    """Start a run that would take long, and return when it has begun."""
    run = start(root, "--launch", "2", "--steps", "100000", *words)
    metrics = root / "several" / "metrics.jsonl"
    while not metrics.exists() or len(metrics.read_text().splitlines()) < 3:
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    return run


def children_of(process: int) -> dict[int, int]:
    """Return the processes of a launcher by rank."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process:
                entries = (path / "environ").read_text().split("\0")
                ranks = [one[5:] for one in entries if one.startswith("RANK=")]
                found |= {int(rank): int(path.name) for rank in ranks}
        except OSError:
            continue
    return found


def rows_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_two_processes_say_everything_once_and_share_the_threads(tmp_path):
    run = start(tmp_path, "--launch", "2", "--", "--main_process_port", "0")
    said, log = run.communicate()
    assert run.returncode == 0, log
    assert said.count("adapted  ") == 2  # held-out views and input views
    assert said.count("pictures  ") == 1
    for once in ("run       ", "base      ", "train: on cpu", "train     4/4", "evaluate  1/1"):
        assert log.count(once) == 1, log
    folder = tmp_path / "several"
    assert [path.name for path in tmp_path.iterdir()] == ["several"]
    assert len(rows_of(folder)) == 4
    written = json.loads((folder / "environment.json").read_text())
    assert (written["processes"], written["threads"]) == (2, 1)


@pytest.mark.slow
def test_an_error_in_all_processes_is_one_line(tmp_path):
    run = start(tmp_path, "--launch", "2", "--set", "adapter.targets=[to_qkw]")
    said, log = run.communicate()
    assert run.returncode == 1
    assert said == ""
    assert log.splitlines() == [
        "error: lora_gslrm.lora: expected targets that match a layer of the base, got 'to_qkw'. "
        "Did you mean 'to_qkv'?"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_all_and_the_line_says_how_to_go_on(tmp_path, rank):
    run = start_and_wait_for_steps(tmp_path)
    processes = children_of(run.pid)
    assert set(processes) == {0, 1}
    os.kill(processes[rank], signal.SIGKILL)
    killed = time.monotonic()
    said, log = run.communicate(timeout=60)
    assert time.monotonic() - killed < 30
    assert run.returncode == 1
    assert said == ""
    folder = tmp_path / "several"
    last = log.splitlines()[-1]
    assert last == (
        f"error: train: expected 2 processes to the end, got process {rank} killed by SIGKILL. "
        "Systems do that when they run out of memory. Go on with mfl-adapt train --resume "
        f"{folder} --launch 2."
    )
    assert "Traceback" not in log
    assert not any(Path(f"/proc/{one}").exists() for one in processes.values())
    again = start(tmp_path, "--resume", str(folder), "--launch", "2")
    assert any(line.startswith("resumed   after step") for line in again.stderr)
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=60)
    assert again.returncode in {0, 128 + signal.SIGTERM}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_lets_all_finish_their_step_and_save(tmp_path, number):
    run = start_and_wait_for_steps(tmp_path)
    run.send_signal(number)
    said, log = run.communicate(timeout=60)
    assert run.returncode == 0, log
    folder = tmp_path / "several"
    steps = len(rows_of(folder))
    assert said.splitlines() == [
        f"stopped after {steps} steps; the adapter is in {folder / 'adapter'}",
        f"to go on: mfl-adapt train --resume {folder} --launch 2",
    ]
    assert log.count("stopping after this step") == 1
    assert (folder / "checkpoints" / f"step-{steps}").is_dir()


@pytest.mark.slow
def test_the_death_of_the_launcher_saves_and_stops_the_run(tmp_path):
    run = start_and_wait_for_steps(tmp_path)
    run.kill()
    said, log = run.communicate(timeout=60)  # until the last of them has closed it
    assert f"to go on: mfl-adapt train --resume {tmp_path / 'several'} --launch 2" in said, log


@pytest.mark.slow
def test_the_library_own_launcher_works_as_well(tmp_path):
    given = [word for setting in (*SETTINGS, f"output={tmp_path}") for word in ("--set", setting)]
    words = ["torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    run = subprocess.run(
        [sys.executable, "-m", *words, "-m", "mfl_adapt", "train", *given],
        capture_output=True, text=True, check=False, timeout=120,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("pictures  ") == 1
    assert json.loads((tmp_path / "several" / "environment.json").read_text())["processes"] == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--launch", "0"), "--launch"),
        (("--", "--main_process_port", "29511"), "expected --launch N beside flags after --"),
        (("--launch", "2", "--dry-run"), "expected --dry-run or --launch, got both"),
    ],
)
def test_wrong_usage_exits_with_2(words, message):
    done = CliRunner().invoke(app, ["train", "quickstart", *words])
    assert done.exit_code == 2
    assert message in " ".join(done.output.split())


def test_a_launcher_in_a_launcher_is_wrong_usage(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = CliRunner().invoke(app, ["train", "quickstart", "--launch", "2"])
    assert done.exit_code == 2
    assert "got this option in a process that another one" in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--launch", "3"), "train.batch: expected at least 3, a sample of each step"),
        (("--launch", "2", "--", "--port=1"), "unrecognized arguments: --port=1"),
        (("--launch", "2", "--", "other.py"), "cannot be used: unknown: other.py"),
    ],
)
def test_what_cannot_be_started_is_one_line(words, message):
    done = CliRunner().invoke(app, ["train", "quickstart", *words])
    assert done.exit_code == 1
    assert message in done.output
    assert len(done.output.splitlines()) == 1


def test_flags_are_those_of_the_launcher():
    read = parse_flags(COMMAND, 2, ["--main_process_port", "29511"])
    assert (read.num_processes, read.num_machines, read.main_process_port) == (2, 1, 29511)
    assert (read.training_script, read.training_script_args) == ("mfl_adapt", list(COMMAND))
    machines = ["--num_machines=3", "--machine_rank=1", "--main_process_ip=node0"]
    read = parse_flags(COMMAND, 2, [*machines, "--main_process_port=29500"])
    assert (read.num_processes, read.machine_rank) == (6, 1)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--use_fsdp"], "--use_fsdp has no use here"),
        (["--cpu"], "use --set train.device=cpu"),
        (["--mixed_precision=bf16"], "use --set train.precision"),
        (["--num_processes=4"], "--num_processes=4 is not 2, as --launch says"),
        (["--max_restarts=3"], "--max_restarts has no use here: go on with a run with --resume"),
        (["--num_machines=2"], "--main_process_ip and --main_process_port"),
    ],
)
def test_flags_that_would_do_nothing_or_harm_are_refused(flags, message):
    with pytest.raises(ConfigError, match="expected flags of accelerate launch") as caught:
        parse_flags(COMMAND, 2, flags)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("codes", "reports", "sent", "expected"),
    [
        # The launcher ended process 0 after process 1 had been killed.
        ({1: -9, 0: -15}, {0: Report(1, "runs/a")}, [], "process 1 killed by SIGKILL"),
        ({0: 1, 1: -11}, {0: Report(1, "runs/a", "lost", True)}, [], "process 1 killed by SIGSEGV"),
        ({1: -40}, {}, [], "process 1 killed by signal 40. Nothing was trained; start it again"),
        ({0: 1, 1: 1}, {0: Report(1, "runs/a", "lost", True)}, [], "process 1 with exit code 1"),
        ({0: 1, 1: 1}, {0: Report(1, None, "a: b"), 1: Report(2, None, "a: b")}, [], "^a: b$"),
        ({0: 1, 1: -15}, {1: Report(2, None, "a: b")}, [], "^a: b$"),
        ({0: 1, 1: -9}, {0: Report(1, "runs/a", "lost", True)}, [15], "1 killed by SIGKILL"),
    ],
)
def test_one_line_names_the_cause(codes, reports, sent, expected):
    with pytest.raises(TrainingError, match=expected):
        raise_failure(codes, reports, 2, sent)


@pytest.mark.parametrize(
    ("codes", "sent", "error", "code"),
    [
        ({0: 130, 1: -15}, [2, 2], KeyboardInterrupt, None),
        ({0: -2}, [2], KeyboardInterrupt, None),
        ({1: -15, 0: -15}, [15], SystemExit, 143),
    ],
)
def test_who_asked_for_the_end_is_not_told_of_a_failure(codes, sent, error, code):
    with pytest.raises(error) as caught:
        raise_failure(codes, {}, 2, sent)
    assert getattr(caught.value, "code", None) == code


def test_as_many_gpus_as_processes():
    check_gpus(2, 2)
    with pytest.raises(TrainingError, match="expected a GPU for each of 3 processes, got 2"):
        check_gpus(3, 2)


@without_cuda
def test_cuda_that_is_not_there_is_refused_before_anything_starts():
    with pytest.raises(TrainingError, match="expected a CUDA device, got none"):
        launch(COMMAND, 2, [], Train(device="cuda"))


@pytest.fixture
def second(monkeypatch, tmp_path):
    """Let this process be the second one of two that were launched."""
    for name, value in (("WORLD_SIZE", "2"), ("RANK", "1"), (REPORTS, str(tmp_path))):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(launched, "_quiet", lambda: None)
    return tmp_path


def test_a_launched_process_leaves_its_error_to_the_launcher(second, capsys):
    with pytest.raises(SystemExit) as caught, as_one_of_several():
        raise TrainingError("a: expected b, got c.")
    assert caught.value.code == 1
    assert capsys.readouterr().err == ""
    reports = launched.read_reports(second)
    assert reports == {1: Report(os.getpid(), None, "a: expected b, got c.")}


def test_a_process_that_lost_another_one_says_so(second):
    with pytest.raises(SystemExit), as_one_of_several():
        raise LostProcessError("gone")
    assert launched.read_reports(second)[1].is_lost


def test_a_signal_before_a_process_was_there_is_heeded(second):
    launched.pass_on(second, signal.SIGINT)
    with pytest.raises(SystemExit) as caught, as_one_of_several():
        time.sleep(5)
    assert caught.value.code == 130


def test_the_main_process_of_another_launcher_tells_itself(second, monkeypatch):
    monkeypatch.delenv(REPORTS)
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(TrainingError), as_one_of_several():
        raise TrainingError("a: expected b, got c.")
