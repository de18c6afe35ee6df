"""Reads what docstrings in Google's style say of attributes."""

import inspect
import re

_ENTRY = re.compile(r"    (\w+)(?: \([^)]*\))?: (.*)")


def read_attributes(documented: type) -> dict[str, str]:
    """Return what the docstrings of a class and its ancestors say of each attribute, as one line.

    A class that says nothing of an attribute leaves the word to its ancestors.
    """
    found: dict[str, str] = {}
    for one in reversed(documented.__mro__):
        if one.__doc__ and "Attributes:" in one.__doc__:
            found |= _read_section(inspect.cleandoc(one.__doc__).split("Attributes:\n")[1])
    return found


def _read_section(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if not line.strip():
            continue
        if not line.startswith("    "):
            break
        entry = _ENTRY.fullmatch(line)
        if entry:
            name, found[entry[1]] = entry[1], entry[2]
        elif name:
            found[name] += f" {line.strip()}"
    return {key: value.replace("``", "") for key, value in found.items()}
