"""Preparations that are killed: nothing is lost, nothing is made twice, the result is the same."""

import os
import signal
import time
from pathlib import Path

import pytest
from small_job import run, start, tree, write_pace

from mfl_adapt.errors import WorkerError
from mfl_adapt.prepare import build_executor
from mfl_adapt.prepare.local import ProcessExecutor

SECONDS = 0.3


@pytest.fixture
def plugin(tmp_path) -> Path:
    return write_pace(tmp_path)


def finished(partial: Path) -> dict[str, int]:
    """Samples in their place, with the number that their file has on the disk."""
    marks = partial.glob("frame-*/provenance.json")
    return {path.parent.name: path.stat().st_ino for path in marks}


def wait_for(partial: Path, count: int, process) -> dict[str, int]:
    while process.poll() is None:
        if len(found := finished(partial)) >= count:
            return found
        time.sleep(0.02)
    pytest.fail(f"ended early: {process.communicate()[1]}")


def children(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(stat[1]) == pid and "spawn_main" in (entry / "cmdline").read_text():
                found.append(int(entry.name))
    return found


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@needs_proc
def test_kill_9_and_continue(recording, tmp_path, plugin):
    """The whole is the same, byte for byte, as if nobody had killed anything."""
    partial = tmp_path / ".out.partial"
    process = start(recording, tmp_path / "out", plugin, "--workers", "2", seconds=SECONDS)
    wait_for(partial, 3, process)
    workers = children(process.pid)
    assert len(workers) == 2
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 60
    while any(alive(pid) for pid in workers):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.02)
    before = finished(partial)
    assert 3 <= len(before) < 12
    assert not (tmp_path / "out").exists()

    again = start(recording, tmp_path / "out", plugin, "--workers", "2", seconds=SECONDS)
    output, errors = again.communicate()
    assert again.returncode == 0, errors
    assert f"continuing: {len(before)} of 12 samples are there already" in errors
    assert f"12 ({12 - len(before)} made now, {len(before)} were there already)" in output
    after = finished(tmp_path / "out")
    assert {name: after[name] for name in before} == before
    run(recording, tmp_path / "whole", seconds=SECONDS, plugin=plugin)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "pace.py", "whole"]


@needs_proc
def test_a_killed_worker_is_one_line_and_loses_nothing(recording, tmp_path, plugin):
    partial = tmp_path / ".out.partial"
    process = start(recording, tmp_path / "out", plugin, "--workers", "2", seconds=SECONDS)
    before = wait_for(partial, 2, process)
    os.kill(children(process.pid)[0], signal.SIGKILL)
    output, errors = process.communicate()
    assert (process.returncode, output) == (1, "")
    last = errors.splitlines()[-1]
    assert last.startswith("error: data: expected every worker process to live, got one that was")
    assert "Traceback" not in errors
    assert set(before) <= set(finished(partial))


def test_ctrl_c_is_one_line_and_keeps_what_is_done(recording, tmp_path, plugin):
    process = start(recording, tmp_path / "out", plugin, "--workers", "2", seconds=SECONDS)
    before = wait_for(tmp_path / ".out.partial", 2, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "interrupted"
    assert "Traceback" not in errors
    assert set(before) <= set(finished(tmp_path / ".out.partial"))


def test_a_pool_that_cannot_start_is_our_error(monkeypatch):
    executor = ProcessExecutor(1)
    monkeypatch.setattr("mfl_adapt.prepare.local.start_worker", os.abort)
    with pytest.raises(WorkerError, match="expected every worker process to live"):
        list(executor.run(None, [[0]]))


def test_one_worker_per_core_unless_told():
    assert build_executor().workers == len(os.sched_getaffinity(0))
    assert build_executor(workers=3).workers == 3
