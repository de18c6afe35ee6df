"""Inputs that are nearly right: changed trees, changed bytes, and any bytes at all."""

import copy
import json
import math
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from hypothesis import strategies as st

ODD = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**31,
    2**63,
    2**64,
    10**400,
    0.5,
    -0.0,
    1e-320,
    1e38,
    1e39,
    1e300,
    -1e308,
    math.nan,
    math.inf,
    -math.inf,
    "",
    "0",
    "1.0",
    "nan",
    "true",
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    "a\0b",
    "\ud800",
    "line\nbreak",
    "\x1b[2J",
    "\u202e",
    "x" * 3000,
    "C:\\x",
    "./evil.py",
    "os:system",
    [],
    {},
    [[]],
    [1],
    [None],
    {"a": 1},
    ["1", "2", "3"],
    [0] * 3000,
]
"""Values that a careless parser takes, or trips over."""
NUMBERS = [0, 1, -1, 7, 255, 2**15, 2**31 - 1, 2**31, 2**32 - 1, 2**60, 2**63 - 1, 2**64 - 1]


def _nested(depth: int) -> list:
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def raw_bytes() -> st.SearchStrategy[bytes]:
    """Anything at all, or any text."""
    return st.binary(max_size=200) | st.text(max_size=100).map(
        lambda text: text.encode("utf-8", "surrogatepass")
    )


def _by_seed(make: Callable[[Random], bytes]) -> st.SearchStrategy[bytes]:
    return st.integers(0, 2**48).map(lambda seed: make(Random(seed)))


def changed_bytes(
    seeds: Sequence[bytes], tokens: Sequence[bytes] = (), *, share_raw: bool = True
) -> st.SearchStrategy[bytes]:
    """Good files with some bytes changed, moved, cut out or put in; sometimes no file at all.

    Args:
        seeds: Good files.
        tokens: What the format gives a meaning to.
        share_raw: Whether to mix in bytes that have nothing to do with the format.
    """
    strategy = _by_seed(lambda rng: _change_bytes(rng, rng.choice(seeds), tokens))
    return st.one_of(strategy, strategy, strategy, raw_bytes()) if share_raw else strategy


def _change_bytes(rng: Random, content: bytes, tokens: Sequence[bytes]) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 4, 8))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 2, 4, 8, 30)))
        kind = rng.randrange(8)
        if kind == 0:
            data[at:end] = b""
        elif kind == 1:
            data[at:at] = bytes(rng.randrange(256) for _ in range(rng.choice((1, 2, 8))))
        elif kind == 2 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 3:
            number = rng.choice(NUMBERS) % 2**64
            size = rng.choice((4, 8))
            data[at : at + size] = struct.pack("<Q", number)[:size]
        elif kind == 4:
            data[at:at] = bytes(data[at:end]) * rng.choice((1, 1, 50))
        elif kind == 5 and tokens:
            data[at : at if rng.random() < 0.5 else end] = rng.choice(tokens)
        elif kind == 6:
            value = rng.choice((math.nan, math.inf, -math.inf, 3e38, -1.0, 0.0))
            packed = struct.pack(rng.choice(("<f", "<d")), value)
            data[at : at + len(packed)] = packed
        elif rng.random() < 0.3:
            data = data[:at] if rng.random() < 0.5 else data + rng.choice((b"\0", b"\n", b" x"))
    return bytes(data)


def changed_trees(
    seeds: Sequence[Any], dump: Callable[[Any], bytes], tokens: Sequence[bytes] = ()
) -> st.SearchStrategy[bytes]:
    """Good documents with some values, keys or branches changed, and all of ``changed_bytes``."""

    def make(rng: Random) -> bytes:
        tree = copy.deepcopy(rng.choice(seeds))
        for _ in range(rng.choice((0, 1, 1, 1, 2, 3))):
            tree = _change_tree(rng, tree)
        return _repeat_key(rng, dump(tree)) if rng.random() < 0.05 else dump(tree)

    files = changed_bytes([dump(seed) for seed in seeds], tokens)
    trees = _by_seed(make)
    return st.one_of(trees, trees, trees, files)


def _places(tree: Any) -> list[tuple[Any, Any]]:
    found, waiting = [], [tree]
    while waiting:
        here = waiting.pop()
        keys = list(here) if isinstance(here, dict) else range(len(here))
        for key in keys:
            found.append((here, key))
            if isinstance(here[key], dict | list):
                waiting.append(here[key])
    return found


def _change_tree(rng: Random, tree: Any) -> Any:
    places = _places(tree) if isinstance(tree, dict | list) else []
    if not places or rng.random() < 0.02:
        return copy.deepcopy(rng.choice(ODD))
    holder, key = rng.choice(places)
    kind = rng.randrange(10)
    if kind < 5:
        holder[key] = copy.deepcopy(rng.choice(ODD))
    elif kind == 5:
        del holder[key]
    elif kind == 6:
        other, place = rng.choice(places)
        holder[key] = copy.deepcopy(other[place]) if place in _keys(other) else None
    elif kind == 7 and isinstance(holder, dict):
        holder[rng.choice(("", "x", "a.b", "__class__", "é\n", key.upper()))] = holder.pop(key)
    elif kind == 8 and isinstance(holder[key], int | float):
        value = holder[key]
        nudged = rng.random() < 0.5 and abs(value) < 2**64
        holder[key] = value * 1.001 + 1e-3 if nudged else -value
    elif kind == 9:
        holder[key] = _nested(200) if rng.random() < 0.1 else [holder[key]]
    return tree


def _keys(holder: Any) -> Any:
    return holder.keys() if isinstance(holder, dict) else range(len(holder))


def _repeat_key(rng: Random, content: bytes) -> bytes:
    """Write the first key of a document twice."""
    head, colon, _ = content.partition(b":")
    if not colon:
        return content
    key = head.rpartition(b"{")[2]
    return content.replace(b"{", b"{" + key + b": " + rng.choice((b"1", b"null")) + b", ", 1)


JSON_TOKENS = (b"[" * 50_000, b'{"a":' * 50_000, b"NaN", b"Infinity", b"9" * 5000, b"\xef\xbb\xbf")
JSON_TOKENS += (b"\xff", b"\x00", b"1e400", b'"\\ud800"', b"null", b"true", b"-", b",", b"}", b"//")
TOML_TOKENS = (b"[" * 5000, b"a." * 5000, b"nan", b"inf", b"9" * 5000, b"1979-05-27", b"true")
TOML_TOKENS += (b"[[x]]\n", b"[x]\n", b'"' * 3, b"'" * 3, b"\xff", b"\x00", b"0x", b"1_0", b"#")


def dump_json(tree: Any) -> bytes:
    """JSON as Python writes it, with NaN, and text outside of UTF-8 as escapes."""
    return json.dumps(tree).encode()


def dump_toml(tree: Any) -> bytes:
    """TOML with every section of the top written out, as far as the tree can be TOML."""
    if not isinstance(tree, dict):
        return f"value = {_toml(tree)}\n".encode("utf-8", "surrogatepass")
    plain = {key: value for key, value in tree.items() if not isinstance(value, dict)}
    lines = [f"{_toml(key)} = {_toml(value)}" for key, value in plain.items()]
    for key, section in tree.items():
        if isinstance(section, dict):
            lines.append(f"[{_toml(key)}]")
            lines += [f"{_toml(name)} = {_toml(value)}" for name, value in section.items()]
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else repr(value)
