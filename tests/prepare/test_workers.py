"""What a worker loads, and how samples get their places."""

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from small_job import settings, small_samples

from mfl_adapt.config import load_config
from mfl_adapt.errors import ConfigError, DataError, StorageError
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.prepare import build_executor
from mfl_adapt.prepare.job import make_job
from mfl_adapt.prepare.work import Made, fit_to_store, read_mark, run_chunk, store

WORKER = """
import sys
from pathlib import Path
from mfl_adapt.config import load_config
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.prepare.job import make_job
from mfl_adapt.prepare.local import start_worker
from mfl_adapt.prepare.work import run_chunk
import cv2

start_worker()
loaded = load_config(None, overrides=sys.argv[2:])
host = load_plugins(loaded.config.plugins)
(outcome,) = run_chunk(make_job(loaded, host, Path(sys.argv[1]), "prepare"), [0])
print(outcome.id, cv2.getNumThreads(), sorted({"torch", "numba"} & set(sys.modules)))
"""


@pytest.fixture
def job(recording, tmp_path):
    loaded = load_config(None, overrides=settings(recording))
    return make_job(loaded, load_plugins(loaded.config.plugins), tmp_path, "prepare")


def test_a_worker_uses_one_thread_and_loads_neither_torch_nor_numba(recording, tmp_path):
    command = [sys.executable, "-c", WORKER, str(tmp_path), *settings(recording)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "frame-00 1 []\n"


def test_a_sample_tells_what_it_is(job):
    (made,) = run_chunk(job, [4])
    assert isinstance(made, Made)
    assert (made.index, made.id, made.session, made.time_s) == (4, "frame-04", "day 0", 4.0)
    assert len(made.seconds) == 3
    assert read_mark(job.folder / "frame-04")["plan"] == job.plan


def test_making_a_sample_twice_leaves_the_first(job):
    run_chunk(job, [4])
    before = (job.folder / "frame-04/provenance.json").stat().st_ino
    run_chunk(job, [4])
    assert (job.folder / "frame-04/provenance.json").stat().st_ino == before


@pytest.mark.parametrize(("first", "second"), [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_two_samples_for_one_place(job, first, second):
    sample = small_samples.make_sample("a")
    store(replace(sample, id=first), 0, job)
    with pytest.raises(DataError, match=f"sample {second}: expected ids that name a folder of"):
        store(replace(sample, id=second), 1, job)
    assert read_mark(job.folder / first)["index"] == 0


def test_samples_beside_one_another(job):
    sample = small_samples.make_sample("a")
    for index, name in enumerate(["a/b", "a/c", "ab"]):
        store(replace(sample, id=name), index, job)
        assert read_mark(job.folder / name)["index"] == index


def test_ids_that_name_no_folder(job):
    with pytest.raises(DataError, match="can name a folder"):
        store(replace(small_samples.make_sample("a"), id="../a"), 0, job)


def to_16_bits(rgb):
    return np.minimum(rgb.astype(np.uint32) * 257 + 100, 65535).astype(np.uint16)


def test_16_bits_are_rounded_and_the_history_says_so():
    sample = small_samples.make_sample("a")
    deep = tuple(replace(v, rgb=to_16_bits(v.rgb)) for v in sample.views)
    found = fit_to_store(sample, replace(sample, views=deep), "convert")
    assert found.provenance[-1].step == "convert"
    for view, was in zip(found.views, sample.views, strict=True):
        assert view.rgb.dtype == np.uint8
        # 257 levels of 16 bits are one of 8, and 100 of them are less than half.
        assert (view.rgb == was.rgb).all()
    assert fit_to_store(sample, sample, "convert") is sample


def test_a_folder_that_this_machine_does_not_see(job, tmp_path):
    with pytest.raises(StorageError, match="expected the folder to write to on this machine too"):
        run_chunk(replace(job, folder=tmp_path / "elsewhere"), [0])


def test_a_full_disk_is_no_bad_sample(job, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mfl_adapt.files.write_through", full)
    with pytest.raises(StorageError, match="No space left on device"):
        run_chunk(job, [0])
    assert not (job.folder / "frame-00").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "dask"}, "--executor dask: expected the address of a scheduler"),
        ({"name": "dask", "scheduler": "x", "workers": 2}, "--workers: expected nothing with"),
        ({"scheduler": "tcp://x:1"}, "--scheduler: expected nothing with local workers"),
    ],
)
def test_contradicting_options(given, message):
    with pytest.raises(ConfigError, match=message):
        build_executor(**given)


def test_a_plan_knows_settings_and_data_but_not_places(recording, tmp_path, job):
    def plan(*more, kind="prepare", data=recording, size=16):
        loaded = load_config(None, overrides=settings(data, size=size, more=more))
        host = load_plugins(loaded.config.plugins)
        return make_job(loaded, host, tmp_path / "x", kind).plan

    assert plan() == job.plan
    moved = shutil.copytree(recording, tmp_path / "moved")
    assert plan(data=moved) == job.plan
    assert plan(size=8) != job.plan
    assert plan("data.limit=3") != job.plan
    assert plan("data.split.gap=0") == job.plan
    cameras = moved / "frame-00/opencv_cameras.json"
    cameras.write_text(cameras.read_text() + "\n")
    assert plan(data=moved) != job.plan
