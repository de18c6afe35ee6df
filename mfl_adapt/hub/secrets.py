"""Find what must not be published: secrets, absolute paths, names of people and machines."""

from __future__ import annotations

import getpass
import json
import re
import socket
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from mfl_adapt.errors import AdapterError

Kind = Literal["secret", "path", "name"]

_SECRETS = {
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{16,}",
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})",
    "a GitLab token": r"\bglpat-[A-Za-z0-9_-]{16,}",
    "an AWS key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a key like those of OpenAI": r"\bsk-[A-Za-z0-9_-]{20,}",
    "a Google key": r"\bAIza[0-9A-Za-z_-]{30,}",
    "a Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    "a signed web token": r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*",
    "a private key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "a password in a web address": r"\b[a-z][a-z0-9+.-]*://[^\s/:@'\"]*:[^\s/@'\"]+@",
    "a password or key": (
        r"(?i)\b(?:password|passwd|secret|access[_-]?token|api[_-]?key|secret[_-]?access[_-]?key|"
        r"auth[_-]?token)\b[\"']?\s*[:=]\s*[\"']?[^\s\"',;]{6,}"
    ),
}
_SECRET_PATTERNS = {what: re.compile(pattern) for what, pattern in _SECRETS.items()}
_SECRET_KEY = re.compile(
    r"(?i)(?:^|[_.-])(?:password|passwd|passphrase|secret|token|api_?key|access_?key|"
    r"private_?key|credentials?)$"
)
# Not after a word, a tilde, a full stop or another slash: `and/or`, `../x`, `https://host/x`.
_PATHS = re.compile(
    r"(?:file://[^\s'\"`]+)"
    r"|(?<![\w./:<~\\$}*)\]-])/(?:[\w.+@%~-]+/)+[\w.+@%~-]*"
    r"|(?<![\w/])~[\w.-]*/[^\s'\"`]*"
    r"|(?<![A-Za-z0-9])[A-Za-z]:[\\/][^\s'\"`]+"
    r"|(?<![\w\\])\\\\[\w.-]+\\[^\s'\"`]+"
)
_WHOLE_PATH = re.compile(r"/[^/\s].*|~(?:[\w.-]*/.*)?|[A-Za-z]:[\\/].*|\\\\\S.*|file://.*")
_COMMON = frozenset({
    *("root", "admin", "administrator", "user", "users", "guest", "ubuntu", "debian", "centos"),
    *("runner", "jenkins", "docker", "jovyan", "nobody", "sandbox", "localhost", "localdomain"),
    *("build", "builder", "test", "tester", "train", "data", "home", "host", "model", "models"),
    *("base", "adapter", "facelift", "mouse", "linux"),
})
"""Names of users and machines that tell nothing, or are ordinary words of passports."""
_SHORTEST_NAME = 4


@dataclass(frozen=True, slots=True)
class Leak:
    """Something that must not be published.

    Attributes:
        kind: A secret must be removed by hand; paths and names can be redacted.
        where: File and place in it.
        what: In words, with no more of it than needed to find it.
    """

    kind: Kind
    where: str
    what: str


def private_names(public: Collection[str] = ()) -> frozenset[str]:
    """Return the names of this user and this machine, as far as they tell anything.

    Args:
        public: Names that the user publishes anyway, such as the owner of a repository.
    """
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a process without an entry in the list of users
        user = ""
    machine = socket.gethostname()
    known = {name.lower() for name in public} | _COMMON
    found = {user, machine, machine.partition(".")[0]}
    return frozenset(
        name for name in found if len(name) >= _SHORTEST_NAME and name.lower() not in known
    )


def scan_text(text: str, where: str, names: Collection[str] = ()) -> list[Leak]:
    """Look through a text line by line.

    Args:
        text: What would be published.
        where: Its file, for messages.
        names: Users and machines, see ``private_names``.
    """
    found: list[Leak] = []
    for number, line in enumerate(text.splitlines(), start=1):
        found += _scan_line(line, f"{where}:{number}", names)
    return found


def scan_json(value: Any, where: str, names: Collection[str] = ()) -> list[Leak]:
    """Look through all keys and texts of a JSON value.

    Args:
        value: Plain JSON values.
        where: File, and place in it, for messages.
        names: Users and machines, see ``private_names``.
    """
    found: list[Leak] = []
    for place, key, text in _texts(value, where):
        if _WHOLE_PATH.fullmatch(text):
            found.append(Leak("path", place, _describe_path(text)))
        elif text and _SECRET_KEY.search(key):
            found.append(Leak("secret", place, f"a value under the key {key!r} ({_hide(text)})"))
        else:
            for line in text.splitlines():
                found += _scan_line(line, place, names)
    return found


def redact_json(value: Any, names: Collection[str] = ()) -> Any:
    """Return a copy in which each absolute path is its last part and names are left out.

    Keys stay as they are, and so do secrets.
    """
    if isinstance(value, dict):
        return {key: redact_json(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [redact_json(inner, names) for inner in value]
    return redact_text(value, names) if isinstance(value, str) else value


def redact_text(text: str, names: Collection[str] = ()) -> str:
    """Return a text in which each absolute path is its last part and names are left out."""
    if _WHOLE_PATH.fullmatch(text):
        text = _last_part(text)
    text = _PATHS.sub(lambda found: _last_part(found.group()), text)
    for name in names:
        text = _name_pattern(name).sub("redacted", text)
    return text


def check_clean(leaks: list[Leak], where: str) -> None:
    """Raise if anything was found.

    Args:
        leaks: What ``scan_text`` and ``scan_json`` found.
        where: The adapter, for the message.

    Raises:
        AdapterError: Naming the place of the worst one, and what to do.
    """
    if not leaks:
        return
    worst = min(leaks, key=lambda leak: ("secret", "name", "path").index(leak.kind))
    more = f" ({len(leaks)} such places in all)" if len(leaks) > 1 else ""
    remedy = {
        "secret": "Remove it there, and make it invalid where it was issued if others saw it",
        "path": "Add --redact, which keeps the last part of every path",
        "name": "Add --redact, which leaves it out",
    }[worst.kind]
    raise AdapterError(
        f"{where}: expected nothing private to be published, got {worst.what} in {worst.where}"
        f"{more}. {remedy}."
    )


def _scan_line(line: str, where: str, names: Collection[str]) -> Iterator[Leak]:
    for what, pattern in _SECRET_PATTERNS.items():
        for found in pattern.finditer(line):
            yield Leak("secret", where, f"what looks like {what} ({_hide(found.group())})")
    for found in _PATHS.finditer(line):
        yield Leak("path", where, _describe_path(found.group()))
    for name in names:
        if _name_pattern(name).search(line):
            yield Leak("name", where, "the name of this user or machine")


def _texts(value: Any, where: str, key: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield place, key and text of all texts in a JSON value; keys count as texts too."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield f"the keys of {where}", "", name
            shown = "?" if any(_scan_line(name, "", ())) else name
            yield from _texts(inner, f"{where}: {shown}" if not key else f"{where}.{shown}", name)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{where}[{number}]", key)
    elif isinstance(value, str):
        yield where, key, value


def _name_pattern(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", re.IGNORECASE)


def _last_part(path: str) -> str:
    parts = [part for part in re.split(r"[\\/]+", path) if part]
    last = parts[-1] if parts else ""
    return "." if last.startswith("~") or last.endswith(":") else last


def _describe_path(path: str) -> str:
    """Word a path without the part that tells of its owner."""
    return f"an absolute path (.../{_last_part(path)})"


def _hide(secret: str) -> str:
    """Show the beginning of a secret, never more than a quarter of it."""
    shown = secret[: min(4, len(secret) // 4)]
    return f"{json.dumps(shown)[1:-1]}..., {len(secret)} characters"
