"""Reads YAML 1.2 into plain data and remembers the line of every key."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from mfl_adapt.config.layers import Keys, Kind, Layer, Origin, normalize
from mfl_adapt.errors import ConfigError


def display(path: Path) -> str:
    """Name a file as briefly as is still exact: relative if it lies in the working directory."""
    absolute = path.resolve()
    here = Path.cwd()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)


def read_layer(path: Path, kind: Kind) -> Layer:
    """Read a configuration file.

    Raises:
        ConfigError: If the file cannot be read, or does not hold one mapping of plain values.
    """
    where = display(path)
    data = _parse(_read_text(path, where), where)
    if data is None:
        raise ConfigError(f"{where}: expected keys and values, got an empty file. Add settings.")
    if not isinstance(data, Mapping):
        raise ConfigError(
            f"{where}: expected keys and values at the top, got {_kind_of(data)}. "
            "Write lines such as 'seed: 0'."
        )
    reader = _Plain(where, kind)
    return normalize(Layer(reader.mapping(data, ()), reader.origins))


def parse_value(text: str, where: str) -> Any:
    """Read a value that was typed on the command line or into the environment, as YAML.

    Raises:
        ConfigError: If it is not valid YAML.
    """
    value = _parse(text, where)
    reader = _Plain(where, "--set")
    return reader.value(value, (), 0)


def _read_text(path: Path, where: str) -> str:
    """Read a file as UTF-8, with or without a byte-order mark.

    Raises:
        ConfigError: If it is missing, is no file, or holds something else than UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(
            f"{where}: expected a configuration file, got none. Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{where}: expected UTF-8 text, got byte {error.object[error.start]:#04x} at position "
            f"{error.start}. Save the file as UTF-8."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{where}: expected a readable file, got {error.strerror}. Check the path."
        ) from error


def _parse(text: str, where: str) -> Any:
    """Parse YAML; every complaint of the parser becomes one line with its place.

    Raises:
        ConfigError: If the text is not valid YAML.
    """
    try:
        _check_aliases(text, where)
        return YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{where}:{mark.line + 1}" if mark and "\n" in text else where
        raise ConfigError(f"{place}: {_explain(error, text)}") from error
    except YAMLError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{where}: expected YAML text, got {reason}. Rewrite it.") from error


def _check_aliases(text: str, where: str) -> None:
    """Refuse a value that contains itself, for which the loader would put null.

    Raises:
        ConfigError: If there is one.
    """
    open_anchors: list[str | None] = []
    for event in YAML(typ="rt", pure=True).parse(text):
        if isinstance(event, CollectionStartEvent):
            open_anchors.append(event.anchor)
        elif isinstance(event, CollectionEndEvent):
            open_anchors.pop()
        elif isinstance(event, AliasEvent) and event.anchor in open_anchors:
            raise ConfigError(
                f"{where}:{event.start_mark.line + 1}: expected plain values, got one that "
                f"contains itself, '*{event.anchor}'. Remove the alias."
            )


def _explain(error: MarkedYAMLError, text: str) -> str:
    """Say in our words what the two commonest mistakes are, and quote the parser otherwise."""
    problem = " ".join(str(error.problem or error.context or error).split())
    if isinstance(error, DuplicateKeyError):
        key = problem.split('"')[1] if '"' in problem else "?"
        return f"expected each key once, got {key!r} twice. Remove one of them."
    mark = error.problem_mark
    line = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
    if "\\t" in problem or line[: len(line) - len(line.lstrip())].count("\t"):
        return "expected spaces for indentation, got a tab. Replace it by spaces."
    return f"expected valid YAML, got a syntax error: {problem}. Check indentation and quotes."


def _kind_of(value: Any) -> str:
    return "a list" if isinstance(value, Sequence) and not isinstance(value, str) else repr(value)


class _Plain:
    """Turns ruamel's objects into plain ones and collects the origin of each key."""

    def __init__(self, where: str, kind: Kind) -> None:
        self.where = where
        self.kind = kind
        self.origins: dict[Keys, Origin] = {}

    def mapping(self, data: Mapping[Any, Any], keys: Keys, line: int = 0) -> dict[str, Any]:
        """Convert a mapping.

        Raises:
            ConfigError: If a key is not text.
        """
        result = {}
        for key, value in data.items():
            here = _line(data, key, line)
            if not isinstance(key, str):
                raise ConfigError(
                    f"{self._place(here)}: expected a key that is text, got {key!r}. Quote it."
                )
            path = (*keys, str(key))
            self.origins[path] = Origin(self.kind, self._place(here))
            result[str(key)] = self.value(value, path, here)
        return result

    def value(self, value: Any, keys: Keys, line: int) -> Any:
        """Convert any value.

        Raises:
            ConfigError: If it is a date or a tagged object.
        """
        if isinstance(value, (CommentedMap, CommentedSeq)):
            return self._container(value, keys, line)
        for kind in (bool, int, float, str):
            if isinstance(value, kind):
                return kind(value)
        if value is None:
            return None
        raise ConfigError(
            f"{self._place(line)}: expected text, a number, true, false, a list or keys and "
            f"values, got {type(value).__name__} {str(value)!r}. Quote it if it is text."
        )

    def _container(self, value: CommentedMap | CommentedSeq, keys: Keys, line: int) -> Any:
        if isinstance(value, CommentedMap):
            return self.mapping(value, keys, line)
        items = []
        for index, each in enumerate(value):
            here = _line(value, index, line)
            self.origins[(*keys, index)] = Origin(self.kind, self._place(here))
            items.append(self.value(each, (*keys, index), here))
        return items

    def _place(self, line: int) -> str:
        return f"{self.where}:{line}" if line else self.where


def _line(container: Any, key: Any, otherwise: int) -> int:
    """Line of a key or an item, from 1; merged keys (``<<``) have none of their own."""
    positions = getattr(container.lc, "data", None) or {}
    return positions[key][0] + 1 if key in positions else otherwise
