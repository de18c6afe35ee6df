"""Plugins that the user switched off for good: a small file that every command honours.

    # plugins.toml
    [disabled]
    rat = "2026-01-31"

It lies in the folder that ``MFL_CONFIG_HOME`` names, else in ``mfl_adapt`` below
``XDG_CONFIG_HOME``, else in ``~/.config/mfl_adapt``. Nothing here imports a plugin, so a plugin
whose import kills the program can be switched off.
"""

import json
import os
import tomllib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from mfl_adapt.errors import ConfigError, PluginError, did_you_mean
from mfl_adapt.files import write_atomically
from mfl_adapt.plugin.discovery import find_installed, is_file_plugin

FILE = "plugins.toml"
_HEAD = "# Plugins that are never imported; `mfl-adapt plugins enable NAME` takes one off.\n"


def disabled_file() -> Path:
    """Return where the user's file is, or would be."""
    own = os.environ.get("MFL_CONFIG_HOME")
    if own:
        return Path(own).expanduser() / FILE
    shared = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(shared).expanduser() / "mfl_adapt" / FILE


def read_disabled() -> dict[str, str]:
    """Return the plugins that the user disabled, each with the day.

    Raises:
        ConfigError: If the file cannot be read as such.
    """
    path = disabled_file()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise ConfigError(_unusable(path, reason)) from error
    found = content.pop("disabled", {})
    if content:
        raise ConfigError(_unusable(path, f"the key {next(iter(content))!r} beside it"))
    if not isinstance(found, dict) or not all(isinstance(day, str) for day in found.values()):
        raise ConfigError(_unusable(path, repr(found)[:60]))
    return found


def _unusable(path: Path, got: str) -> str:
    return (
        f'{path}: expected a table [disabled] of plugins such as rat = "2026-01-31", got {got}. '
        "Correct it, or delete the file, which enables all plugins."
    )


def reason_of(name: str, day: str) -> str:
    """Say who disabled a plugin, and how to undo it."""
    return f"disabled by you on {day}, `mfl-adapt plugins enable {name}`"


def refuse_disabled(named: Collection[str]) -> None:
    """Refuse plugins that the user both names and disabled.

    Raises:
        PluginError: If there is one.
        ConfigError: If the user's file cannot be used.
    """
    disabled = read_disabled() if named else {}
    for name in named:
        if name in disabled:
            raise PluginError(
                f"plugin {name!r}: expected an enabled one, got one that you disabled on "
                f"{disabled[name]}. Enable it with `mfl-adapt plugins enable {name}`."
            )


def disable(names: Sequence[str]) -> list[str]:
    """Disable installed plugins for this user.

    Args:
        names: What the user types for them; all or none is disabled.

    Returns:
        Those that were not disabled before.

    Raises:
        PluginError: If a name is not that of an installed plugin.
        ConfigError: If the user's file cannot be used.
        StorageError: If it cannot be written.
    """
    disabled, installed = read_disabled(), {one.name for one in find_installed()}
    for name in names:
        if is_file_plugin(name):
            raise PluginError(
                f"plugins: expected an installed plugin, got the file {name!r}. A file is only "
                "used where --plugins names it; leave it out there."
            )
        if name not in installed | set(disabled):
            raise PluginError(
                f"plugins: expected an installed plugin, got {name!r}. "
                f"{did_you_mean(name, installed)}"
            )
    today = datetime.now().astimezone().date().isoformat()
    fresh = [name for name in dict.fromkeys(names) if name not in disabled]
    if fresh:
        _write({**disabled, **dict.fromkeys(fresh, today)})
    return fresh


def enable(names: Sequence[str]) -> list[str]:
    """Take plugins off the user's list.

    Args:
        names: What the user types for them; all or none is enabled.

    Returns:
        Those that were disabled before.

    Raises:
        PluginError: If a name is neither disabled nor that of an installed plugin.
        ConfigError: If the user's file cannot be used.
        StorageError: If it cannot be written.
    """
    disabled = read_disabled()
    known = set(disabled) | {one.name for one in find_installed()}
    for name in names:
        if name not in known:
            raise PluginError(
                f"plugins: expected a disabled plugin, got {name!r}. {did_you_mean(name, known)}"
            )
    freed = [name for name in dict.fromkeys(names) if name in disabled]
    if freed:
        _write({name: day for name, day in disabled.items() if name not in freed})
    return freed


def _write(disabled: Mapping[str, str]) -> None:
    # JSON's quotes are TOML's: names of entry points may hold more than a bare key.
    rows = [f"{json.dumps(name)} = {json.dumps(disabled[name])}\n" for name in sorted(disabled)]
    write_atomically(disabled_file(), "".join([_HEAD, "[disabled]\n", *rows]).encode())
