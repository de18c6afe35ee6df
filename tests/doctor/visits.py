"""Calls the doctor as a user does, and says in short what it found."""

import json
import re
from pathlib import Path

from typer.testing import CliRunner

from mfl_adapt.cli.app import app

HABITS = frozenset({"MFL010", "MFL036", "MFL101", "MFL102"})
"""Information on any small dataset of a real rig."""


def visit(*arguments: str) -> tuple[int, dict]:
    """Exit code and everything that the doctor prints as JSON."""
    result = CliRunner().invoke(app, ["doctor", *map(str, arguments), "--json"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result.exit_code, json.loads(result.stdout)


def codes(content: dict) -> dict[str, str]:
    """Severity by code, the worst of each, without habits."""
    found: dict[str, str] = {}
    for one in content["summary"]:
        if one["code"] not in HABITS or one["severity"] != "info":
            found.setdefault(one["code"], one["severity"])
    return found


def only(code: str, severity: str, value: str, *arguments: str) -> dict:
    """Assert that the doctor finds this and nothing else; return the finding."""
    status, content = visit(*arguments)
    shown = [(one["code"], one["where"], one["value"]) for one in content["summary"]]
    assert codes(content) == {code: severity}, shown
    one = next(one for one in content["summary"] if one["code"] == code)
    assert re.search(value, one["value"]), one["value"]
    assert status == (1 if severity == "law" else 0)
    assert one["expected"]
    assert one["remedy"].endswith((".", "?"))
    assert one["page"] == f"docs/checks.md#{code.lower()}"
    return one


def write(path: Path, text: str) -> Path:
    """Write a text file and return it."""
    path.write_text(text, encoding="utf-8")
    return path
