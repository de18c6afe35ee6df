"""Names that a new plugin may have."""

import importlib.util
import keyword
import re
from collections.abc import Mapping

from mfl_adapt.errors import PluginError

LONGEST_NAME = 30
"""The lines of the templates keep to 100 columns up to this length."""

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def check_name(name: str, taken: Mapping[str, str]) -> None:
    """Refuse a name that users could not type, or that somebody else has.

    Args:
        name: What the user will type after ``--plugins``.
        taken: Installed plugins, each with its distribution.

    Raises:
        PluginError: If it cannot be the name of a new plugin.
    """
    fits = _NAME.fullmatch(name) and len(name) <= LONGEST_NAME and not keyword.iskeyword(name)
    if not fits:
        raise PluginError(
            f"plugins new: expected a name of at most {LONGEST_NAME} small letters, digits and "
            f"single underscores that begins with a letter and is no word of Python, got "
            f"{name!r:.60}.{_proposal(name)}"
        )
    if name in taken:
        raise PluginError(
            f"plugins new: expected a name that no installed plugin has, got {name!r}, which "
            f"{taken[name]} offers. Choose another."
        )
    if name.startswith("file_"):
        raise PluginError(
            f"plugins new: expected a name that does not begin with 'file_', as modules of "
            f"single-file plugins do, got {name!r}. Choose another."
        )
    module = module_of(name)
    if importlib.util.find_spec(module) is not None:
        raise PluginError(
            f"plugins new: expected a name whose module is not installed, got {name!r}, and "
            f"there is a module {module}. Choose another."
        )


def _proposal(name: str) -> str:
    """Suggest what the user may have meant."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_0123456789")[:LONGEST_NAME]
    plain = plain.removeprefix("mfl_adapt_").strip("_")
    good = _NAME.fullmatch(plain) and not keyword.iskeyword(plain)
    return f" Did you mean {plain!r}?" if good else " Choose another."


def module_of(name: str) -> str:
    """Return the import name of a plugin's package."""
    return f"mfl_adapt_{name}"


def distribution_of(name: str) -> str:
    """Return the name under which pip knows the package."""
    return f"mfl-adapt-{name.replace('_', '-')}"
