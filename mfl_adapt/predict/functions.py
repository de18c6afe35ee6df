"""Functions of the user's own, named on the command line."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfl_adapt.errors import ConfigError, did_you_mean
from mfl_adapt.plugin.discovery import Candidate, import_plugin, isolated


@dataclass(frozen=True, slots=True, eq=False)
class UserFunction:
    """A function by its name; whatever it raises becomes one line.

    Attributes:
        option: The option that named it, for messages.
        reference: As the user typed it.
        function: What it stands for.
        digest: SHA-256 of the file that holds it; of its name where there is none.
    """

    option: str
    reference: str
    function: Callable[..., Any]
    digest: str
    _owner: Candidate

    def __call__(self, *arguments: Any) -> Any:
        """Call it.

        Raises:
            PluginError: If it raises anything.
        """
        with isolated(self._owner, f"{self.option} {self.reference}"):
            return self.function(*arguments)


def is_reference(text: str) -> bool:
    """Whether a text has the form ``package.module:function`` or ``file.py:function``."""
    module, colon, name = text.rpartition(":")
    dotted = all(part.isidentifier() for part in module.split("."))
    return bool(colon) and name.isidentifier() and (dotted or module.endswith(".py"))


def load_function(reference: str, option: str) -> UserFunction:
    """Import a function.

    Args:
        reference: ``package.module:function``, or ``file.py:function``.
        option: The option that named it, for messages.

    Raises:
        ConfigError: If it names no function.
        PluginError: If its module cannot be imported.
    """
    module_name, _, name = reference.rpartition(":")
    if not is_reference(reference):
        raise ConfigError(
            f"{option}: expected package.module:function or file.py:function, got {reference!r}."
        )
    path = Path(module_name).expanduser() if module_name.endswith(".py") else None
    if path is not None and not path.is_file():
        raise ConfigError(f"{option}: expected an existing file, got {module_name}. Check it.")
    stem = path.stem if path else module_name
    owner = Candidate(stem, f"mfl_adapt_file_{stem}" if path else stem, module_name, path=path)
    module = import_plugin(owner)
    function = getattr(module, name, None)
    if not callable(function):
        known = [one for one, value in vars(module).items() if inspect.isfunction(value)]
        raise ConfigError(
            f"{option}: expected a function of {module_name}, got {name!r}. "
            f"{did_you_mean(name, known)}"
        )
    file = path or Path(getattr(module, "__file__", None) or "")
    content = file.read_bytes() if file.is_file() else reference.encode()
    return UserFunction(option, reference, function, hashlib.sha256(content).hexdigest(), owner)
