"""Short runs of the views quickstart on a fresh, tiny model of views."""

from collections.abc import Callable
from pathlib import Path

from mfl_adapt.config import claim_slots, load_config
from mfl_adapt.models.mvdiffusion.fresh import build_fresh
from mfl_adapt.models.mvdiffusion.saving import save_parts
from mfl_adapt.plugin.registry import load_plugins

SMALL = (
    "base.id=facelift.mvdiffusion",
    "data.reader.samples=4",
    "data.reader.workers=0",
    "data.split.validation=0.25",
    "data.split.gap=0",
    "train.steps=2",
    "train.batch=2",
    "train.warmup=1",
    "train.log_every=1",
    "train.sample_every=2",
    "train.save_every=1",
    "train.precision=fp32",
    "diffusion.sampling_steps=2",
)


def write_fresh(folder: Path) -> Path:
    """Write a model whose weights nobody trained."""
    save_parts(build_fresh(seed=3), folder)
    return folder


def open_views(model: Path, output: Path, *overrides: str, plugins=()):
    """Return configuration and plugins of a short run."""
    settings = [*SMALL, f"base.checkpoint={model}", f"output={output}", *overrides]
    loaded = load_config("views-quickstart", overrides=settings, plugins=plugins)
    host = load_plugins(loaded.config.plugins)
    return claim_slots(loaded, host), host


def runner(model: Path, output: Path, listener: Callable):
    """Return a function that trains with a few overrides."""
    from mfl_adapt.train.run import run_training

    def run(*overrides: str, listener=listener, plugins=()):
        loaded, host = open_views(model, output, *overrides, plugins=plugins)
        return run_training(loaded, host, listener() if callable(listener) else listener)

    return run
