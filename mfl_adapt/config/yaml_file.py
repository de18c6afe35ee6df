"""Reads YAML 1.2 into plain data and remembers the line of every key."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    ScalarEvent,
)

from mfl_adapt.config.layers import Keys, Kind, Layer, Origin, normalize
from mfl_adapt.errors import ConfigError
from mfl_adapt.files import read_bounded

LARGEST_FILE = 2**18
"""In bytes; the longest of our presets takes 3 kB."""
_DEEPEST, _MOST_VALUES = 50, 20_000
_TAGS = tuple(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null"))
# What ruamel lets through where a text is no YAML, beside its own errors: numbers of thousands of
# digits, months beyond December, tags without a name.
PARSER_FAULTS = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError),
    *(AssertionError, NotImplementedError, RecursionError),
)

Sized = dict[str, int]
Open = list[tuple[str | None, int]]


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
        return read_bounded(path, LARGEST_FILE).decode("utf-8-sig")
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
        check_structure(text, where)
        return YAML(typ="rt", pure=True).load(text)
    except ConfigError:
        raise
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{where}:{mark.line + 1}" if mark and "\n" in text else where
        raise ConfigError(f"{place}: {_explain(error, text)}") from error
    except (YAMLError, *PARSER_FAULTS) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ConfigError(f"{where}: expected YAML text, got {reason}. Rewrite it.") from error


def check_structure(text: str, where: str) -> None:
    """Refuse what a few lines of YAML can do to a program that loads them.

    Aliases of aliases stand for billions of values, brackets in brackets exhaust the stack, a tag
    asks for an object, and a directive changes what words mean. All this is seen here in the
    stream of events, before anything is built.

    Args:
        text: The YAML.
        where: Its name, for messages.

    Raises:
        ConfigError: If there is any of it.
        YAMLError: If the text is no YAML.
    """
    sizes: Sized = {}
    # Anchor and number of values of every collection that is open; the first is the document.
    open_ones: Open = [(None, 0)]
    for event in YAML(typ="rt", pure=True).parse(text):
        _check_event(event, where)
        if isinstance(event, (CollectionStartEvent, ScalarEvent)) and event.anchor:
            _check_anchor(event, sizes, open_ones, where)
        anchor, count = None, 0
        if isinstance(event, CollectionStartEvent):
            open_ones.append((event.anchor, 1))
        elif isinstance(event, CollectionEndEvent):
            anchor, count = open_ones.pop()
        elif isinstance(event, AliasEvent):
            _check_alias(event, open_ones, where)
            count = sizes.get(event.anchor, 1)
        elif isinstance(event, ScalarEvent):
            anchor, count = event.anchor, 1
        sizes |= {anchor: count} if anchor else {}
        outer, so_far = open_ones[-1]
        open_ones[-1] = (outer, so_far + count)
        if len(open_ones) > _DEEPEST or so_far + count > _MOST_VALUES:
            raise ConfigError(
                f"{where}:{event.start_mark.line + 1}: expected at most {_MOST_VALUES} values, "
                f"{_DEEPEST} deep, aliases counted out, got more. This is no configuration."
            )


def _check_anchor(event: Any, sizes: Sized, open_ones: Open, where: str) -> None:
    if event.anchor in sizes or event.anchor in {anchor for anchor, _ in open_ones}:
        raise ConfigError(
            f"{where}:{event.start_mark.line + 1}: expected each anchor once, got "
            f"'&{event.anchor}' again. Rename one."
        )


def _check_alias(event: AliasEvent, open_ones: Open, where: str) -> None:
    if event.anchor in {anchor for anchor, _ in open_ones}:
        raise ConfigError(
            f"{where}:{event.start_mark.line + 1}: expected plain values, got one that "
            f"contains itself, '*{event.anchor}'. Remove the alias."
        )


def _check_event(event: Any, where: str) -> None:
    place = f"{where}:{event.start_mark.line + 1}"
    if isinstance(event, DocumentStartEvent) and (event.version or event.tags):
        raise ConfigError(f"{place}: expected plain YAML 1.2, got a directive. Remove the line.")
    tag = getattr(event, "tag", None)
    if tag is not None and str(tag) not in _TAGS:
        raise ConfigError(
            f"{place}: expected plain values, got one with the tag {str(tag)[:60]!r}. Remove it."
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
