"""Gives this room's tests distributions of their own, a dataset and a finished run."""

import os
from pathlib import Path

import pytest
from bad_input import call, train
from fake_plugins import site

from mfl_adapt.data import write_dataset
from mfl_adapt.synth import render_sample

__all__ = ["site"]


@pytest.fixture
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with nothing in it."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def mice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good dataset of two mice seen by six cameras; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("good") / "mice"
    samples = [render_sample("mice", index, size=64, num_views=6) for index in range(2)]
    write_dataset(samples, folder)
    return folder


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run on the tiny base; to be copied, not changed.

    It also leaves the compiled rasterizer in the cache for the processes that tests start.
    """
    root = tmp_path_factory.mktemp("finished")
    before = Path.cwd()
    os.chdir(root)
    try:
        result = call(*train())
    finally:
        os.chdir(before)
    assert result.exit_code == 0, result.stderr
    return root / "runs" / "quickstart"
