"""Data of the base's own domain that somebody named, and errors about them in that one's words."""

from __future__ import annotations

from mfl_adapt.config import LoadedConfig
from mfl_adapt.errors import DataError, MflAdaptError

_KEY = ("evaluate", "home")
_TYPED = {"flag", "--set", "environment"}


def word_home(loaded: LoadedConfig) -> str:
    """Return how data of the base's own domain were named; empty if nobody named any."""
    if loaded.config.evaluate.home is None:
        return ""
    return "--home" if loaded.merged.origin(_KEY).kind == "flag" else "evaluate.home"


def is_typed(loaded: LoadedConfig) -> bool:
    """Whether they were named with the command itself, and not by a file."""
    named = loaded.config.evaluate.home is not None
    return named and loaded.merged.origin(_KEY).kind in _TYPED


def check_home(loaded: LoadedConfig) -> None:
    """Raise if such data were named, are wanted, and are not there.

    Raises:
        DataError: Naming the option or the key.
    """
    path, wanted = loaded.config.evaluate.home, loaded.config.evaluate.retention > 0
    if path is not None and (wanted or is_typed(loaded)) and not path.exists():
        word = word_home(loaded)
        remedy = "Check the path." if is_typed(loaded) else "Name them with --home PATH."
        raise DataError(f"{word}: expected an existing file or folder, got {path}. {remedy}")


def in_words_of_home(error: MflAdaptError, word: str) -> MflAdaptError:
    """Return the same error about data that were opened in place of those of the run."""
    text = " ".join(str(error).split()).removeprefix("data.path: ")
    return type(error)(f"{word}: {text}", code=error.code)
