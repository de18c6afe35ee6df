"""The configurations that ship with the package."""

from dataclasses import dataclass
from pathlib import Path

from mfl_adapt.errors import ConfigError, did_you_mean

_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Preset:
    """A configuration that ships with the package.

    Attributes:
        name: What the user types.
        path: Its file.
        summary: Its first comment.
    """

    name: str
    path: Path
    summary: str


def presets_folder() -> Path:
    """Return the folder of the presets: inside the wheel, or ``configs/`` of a checkout."""
    packaged = _PACKAGE / "_presets"
    return packaged if packaged.is_dir() else _PACKAGE.parent / "configs"


def list_presets() -> list[Preset]:
    """Return all presets, sorted by name."""
    folder = presets_folder()
    return [
        Preset(path.relative_to(folder).with_suffix("").as_posix(), path, _summary(path))
        for path in sorted(folder.rglob("*.yaml"))
    ]


def is_preset(path: Path) -> bool:
    """Tell a file that ships with the package from one of the user's own."""
    return path.resolve().is_relative_to(presets_folder())


def find_source(source: str | Path, beside: Path | None = None) -> Path:
    """Turn what the user wrote into a path.

    Args:
        source: A preset's name, or a path: it ends in ``.yaml`` or ``.yml``, or has a separator.
        beside: Folder that relative paths are relative to; the working directory if None.

    Raises:
        ConfigError: If it is a name, and no preset has it.
    """
    text = str(source)
    if isinstance(source, Path) or text.endswith((".yaml", ".yml")) or "/" in text or "\\" in text:
        return (beside or Path()) / Path(text).expanduser()
    presets = {preset.name: preset.path for preset in list_presets()}
    if text not in presets:
        if Path(text).is_dir():
            raise ConfigError(
                f"configuration: expected a preset or the path of a .yaml file, got the folder "
                f"{text!r}. Name a dataset with --data {text}."
            )
        raise ConfigError(
            f"configuration: expected a preset or the path of a .yaml file, got {text!r}. "
            f"{did_you_mean(text, presets)}"
        )
    return presets[text]


def _summary(path: Path) -> str:
    first = path.read_text(encoding="utf-8").splitlines()[:1]
    return first[0].lstrip("# ").strip() if first and first[0].startswith("#") else ""
