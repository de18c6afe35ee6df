"""A configuration as it is written into what others will read: without this machine's paths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from mfl_adapt.config.layers import Keys, dotted


def shorten_paths(plain: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Take out of a plain configuration where this machine keeps its files.

    A path below the working directory becomes relative to it. Of any other absolute path only
    the last part is kept, in angle brackets, so that nobody takes it for a file.

    Args:
        plain: As ``to_plain`` gives it.

    Returns:
        A copy, and the dotted keys of what stands in brackets.
    """
    shortened: list[str] = []
    return _visit(dict(plain), (), shortened), shortened


def is_shortened(value: Any) -> bool:
    """Whether a value is the last part of a path, as ``shorten_paths`` leaves it."""
    return isinstance(value, str) and value.startswith("<") and value.endswith(">")


def _visit(value: Any, keys: Keys, shortened: list[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _visit(each, (*keys, key), shortened) for key, each in value.items()}
    if isinstance(value, list):
        return [_visit(each, (*keys, number), shortened) for number, each in enumerate(value)]
    if not isinstance(value, str) or not _is_private(value):
        return value
    here = Path(value)
    if here.is_absolute() and here.is_relative_to(Path.cwd()):
        return here.relative_to(Path.cwd()).as_posix()
    shortened.append(dotted(keys))
    return f"<{_last_part(value)}>"


def _is_private(text: str) -> bool:
    """Whether a text is a whole path that begins at a root or at somebody's home."""
    if "\n" in text or text == "/":
        return False
    rooted = PurePosixPath(text).is_absolute() or PureWindowsPath(text).is_absolute()
    return rooted or text.startswith(("~", "file://"))


def _last_part(text: str) -> str:
    parts = [part for part in text.replace("\\", "/").split("/") if part]
    last = parts[-1] if parts else ""
    return last if len(parts) > 1 or not last.startswith("~") else "home"
