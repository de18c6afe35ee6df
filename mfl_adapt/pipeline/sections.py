"""Sections of a configuration that may be empty until somebody needs them."""

from typing import TypeVar

from mfl_adapt.errors import ConfigError

T = TypeVar("T")


def required(section: T | None, where: str, example: str) -> T:
    """Return a section, or say how to fill it.

    Raises:
        ConfigError: If it is empty.
    """
    if section is None:
        raise ConfigError(f"{where}: expected a component, got nothing. Add --set {example}.")
    return section
