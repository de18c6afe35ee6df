"""Names of the files that exporters write."""

from pathlib import Path

from mfl_adapt.errors import RangeError


def check_suffix(where: str, path: Path, suffix: str) -> None:
    """Raise unless a path ends as its format demands; capitals do not matter.

    Raises:
        RangeError: If it has another ending, or none but it.
    """
    name = path.name.lower()
    if not name.endswith(suffix) or name == suffix:
        raise RangeError(f"{where}: expected a path that ends in {suffix}, got {path}. Rename it.")
