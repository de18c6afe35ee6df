"""Folders and files of data that a configuration names: a look that costs nothing."""

from __future__ import annotations

from collections.abc import Iterator

from mfl_adapt.config.models import RunConfig
from mfl_adapt.errors import DataError


def find_missing_data(config: RunConfig) -> Iterator[DataError]:
    """Look for data that are not where a configuration says.

    Yields:
        One error for each such path.
    """
    named = {"data.path": config.data.path, "evaluate.home": config.evaluate.home}
    for key, path in named.items():
        if path is not None and not path.exists():
            yield DataError(
                f"{key}: expected an existing file or folder, got {path}. Check the path.",
                code="MFL041",
            )
