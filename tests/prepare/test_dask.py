"""The same work on a real Dask scheduler with two real worker processes, over the loopback."""

import importlib.util
import os
import signal
import subprocess
import sys

import pytest
from small_job import run, start, tree, write_pace
from test_interrupted import finished, wait_for

from mfl_adapt.errors import WorkerError
from mfl_adapt.prepare import build_executor

HAS_DASK = importlib.util.find_spec("distributed") is not None
needs_dask = pytest.mark.skipif(not HAS_DASK, reason="needs the extra dask")

CLUSTER = """
from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        pids = [worker.pid for worker in cluster.workers.values()]
        print(cluster.scheduler_address, *pids, flush=True)
        input()
"""


@pytest.fixture
def cluster(tmp_path):
    """Address of the scheduler, the two workers' process numbers, and the scheduler's process."""
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    address, *pids = process.stdout.readline().split()
    yield address, [int(pid) for pid in pids], process
    if process.poll() is None:
        process.communicate("\n")
    process.stdin.close()
    process.stdout.close()


def dask(address: str) -> tuple[str, ...]:
    return ("--executor", "dask", "--scheduler", address)


@needs_dask
def test_two_workers_of_a_cluster_make_the_same_bytes(recording, tmp_path, cluster):
    plugin, pids = write_pace(tmp_path), tmp_path / "pids"
    pids.mkdir()
    address, workers, _ = cluster
    how = {"seconds": 0.2, "pids": pids}
    process = start(recording, tmp_path / "out", plugin, *dask(address), **how)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "12 (12 made now)" in output
    assert {int(path.name) for path in pids.iterdir()} == set(workers)
    run(recording, tmp_path / "whole", plugin=plugin, **how)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


@needs_dask
def test_a_cluster_survives_a_killed_worker(recording, tmp_path, cluster):
    """The nanny starts another one, and the scheduler gives it the work again."""
    plugin = write_pace(tmp_path)
    address, workers, _ = cluster
    process = start(recording, tmp_path / "out", plugin, *dask(address), seconds=0.3)
    before = wait_for(tmp_path / ".out.partial", 2, process)
    os.kill(workers[0], signal.SIGKILL)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "12 (12 made now)" in output
    after = finished(tmp_path / "out")
    assert {name: after[name] for name in before} == before
    run(recording, tmp_path / "whole", plugin=plugin, seconds=0.3)
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


@needs_dask
def test_a_bad_sample_on_a_cluster_is_one_line(recording, tmp_path, cluster):
    plugin = write_pace(tmp_path)
    options = (*dask(cluster[0]), "--set", "data.reader.views=[cam_9]")
    process = start(recording, tmp_path / "out", plugin, *options, seconds=0.01)
    output, errors = process.communicate()
    assert (process.returncode, output) == (1, "")
    assert "error: " in errors.splitlines()[-1]
    assert "Traceback" not in errors


@needs_dask
def test_a_lost_scheduler_is_one_line_and_keeps_what_is_done(recording, tmp_path, cluster):
    plugin = write_pace(tmp_path)
    address, _, scheduler = cluster
    process = start(recording, tmp_path / "out", plugin, *dask(address), seconds=0.3)
    before = wait_for(tmp_path / ".out.partial", 2, process)
    scheduler.kill()
    output, errors = process.communicate()
    assert (process.returncode, output) == (1, "")
    assert errors.splitlines()[-1].startswith("error: --executor dask: expected the cluster to go")
    assert "Traceback" not in errors
    assert set(before) <= set(finished(tmp_path / ".out.partial"))


@needs_dask
def test_no_scheduler_is_one_line(monkeypatch):
    monkeypatch.setattr("mfl_adapt.prepare.cluster._SECONDS_TO_CONNECT", 1)
    with pytest.raises(
        WorkerError, match=r"expected a Dask scheduler at tcp://127\.0\.0\.1:1, got"
    ):
        build_executor("dask", scheduler="tcp://127.0.0.1:1")


@pytest.mark.skipif(HAS_DASK, reason="the extra dask is installed")
def test_without_dask_the_extra_is_named():
    with pytest.raises(WorkerError, match=r"Install mfl-adapt\[dask\]"):
        build_executor("dask", scheduler="tcp://127.0.0.1:1")
