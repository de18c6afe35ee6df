"""Small runs of the quickstart: a few mice, a few steps."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fresh_views import runner, write_fresh
from silent import Silent

from mfl_adapt.config import claim_slots, load_config
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.train.run import Result, run_training

SMALL = (
    "data.reader.samples=5",
    "data.reader.num_views=8",
    "data.views.targets=4",
    "data.split.validation=0.2",
    "data.split.gap=0",
    "train.steps=3",
    "train.warmup=1",
    "train.log_every=1",
    "train.sample_every=2",
    "train.save_every=2",
    "train.precision=fp32",
)


@pytest.fixture
def small_run(tmp_path: Path) -> Callable[..., Result]:
    """Return a function that runs the quickstart with a few overrides."""

    def run(*overrides: str, listener: Silent | None = None) -> Result:
        settings = [*SMALL, f"output={tmp_path / 'runs'}", *overrides]
        loaded = load_config("quickstart", overrides=settings)
        host = load_plugins(loaded.config.plugins)
        return run_training(claim_slots(loaded, host), host, listener or Silent())

    return run


@pytest.fixture(scope="session")
def fresh_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny model of views that nobody trained."""
    return write_fresh(tmp_path_factory.mktemp("fresh") / "model")


@pytest.fixture
def views_run(fresh_model: Path, tmp_path: Path) -> Callable[..., Result]:
    """Return a function that runs the views quickstart on it, with a few overrides."""
    return runner(fresh_model, tmp_path / "runs", Silent)
