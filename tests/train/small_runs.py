"""The quickstart with a few mice and a few steps."""

from pathlib import Path

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
    "evaluate.retention=1",
    "train.steps=3",
    "train.warmup=1",
    "train.log_every=1",
    "train.sample_every=2",
    "train.save_every=2",
    "train.precision=fp32",
)


def run_small(root: Path, *overrides: str, listener: Silent | None = None) -> Result:
    """Run it below a folder, with a few overrides."""
    loaded = load_config("quickstart", overrides=[*SMALL, f"output={root}", *overrides])
    host = load_plugins(loaded.config.plugins)
    return run_training(claim_slots(loaded, host), host, listener or Silent())
