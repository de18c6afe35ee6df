"""Small runs of the quickstart: a few mice, a few steps."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fresh_views import runner, write_fresh
from silent import Silent
from small_runs import run_small

from mfl_adapt.train.run import Result


@pytest.fixture
def small_run(tmp_path: Path) -> Callable[..., Result]:
    """Return a function that runs the quickstart with a few overrides."""

    def run(*overrides: str, listener: Silent | None = None) -> Result:
        return run_small(tmp_path / "runs", *overrides, listener=listener)

    return run


@pytest.fixture(scope="session")
def fresh_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny model of views that nobody trained."""
    return write_fresh(tmp_path_factory.mktemp("fresh") / "model")


@pytest.fixture
def views_run(fresh_model: Path, tmp_path: Path) -> Callable[..., Result]:
    """Return a function that runs the views quickstart on it, with a few overrides."""
    return runner(fresh_model, tmp_path / "runs", Silent)
