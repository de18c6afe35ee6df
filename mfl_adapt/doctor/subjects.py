"""What a user means by a word or a path: a configuration, data, an adapter, a run, the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mfl_adapt.config import list_presets
from mfl_adapt.errors import ConfigError

Kind = Literal["config", "data", "adapter", "run", "machine"]

MACHINE = "machine"
_RUN_FILES = ("environment.json", "metrics.jsonl", "doctor.json")
_ADAPTER_FILES = ("passport.json", "adapter_config.json")


def tell_kind(text: str) -> Kind:
    """Tell what to examine by its name and the files that are there.

    Args:
        text: ``machine``, the name of a preset, or a path.

    Returns:
        The kind; ``config`` for a configuration that is not there, which loading it will say.

    Raises:
        ConfigError: If there is nothing of that name.
    """
    if text == MACHINE:
        return "machine"
    presets = {preset.name for preset in list_presets()}
    if text in presets:
        return "config"
    path = Path(text).expanduser()
    if path.is_dir():
        return _kind_of_folder(path)
    if path.suffix in {".yaml", ".yml"}:
        return "config"
    if not path.exists():
        raise ConfigError(
            f"{text}: expected a dataset, an adapter, a run, a .yaml file, a preset or the word "
            f"{MACHINE}, got nothing of that name. Check the path. Presets: "
            f"{', '.join(sorted(presets))}."
        )
    return "adapter" if path.suffix == ".safetensors" else "data"


def _kind_of_folder(path: Path) -> Kind:
    if any((path / name).is_file() for name in _ADAPTER_FILES):
        return "adapter"
    is_run = (path / "config.yaml").is_file() and any((path / n).is_file() for n in _RUN_FILES)
    return "run" if is_run else "data"
