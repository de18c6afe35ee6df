"""Reads the pages of the documentation, and types what they tell the reader to type.

The rules for authors are in ``docs/README.md``: the language of a fenced block says what is done
with it. Commands of the program run within this process, which saves their start each time.
"""

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import typer
from helpers import ROOT

from mfl_adapt.cli.app import app
from mfl_adapt.config import list_presets, validate_components
from mfl_adapt.errors import MflAdaptError

LANGUAGES = {"bash", "console", "python", "py", "yaml", "json", "toml", "text"}
PROGRAMS = {"cat", "cp", "ls", "mkdir", "mv", "rm"}
"""Programs that a page may call beside ours and Python; none of them leaves the folder."""

UsageError = typer.BadParameter.__mro__[1]
"""What the command line raises over wrong words; typer has no public name for it."""

FENCE = re.compile(r"^```(\S*)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE = re.compile(r"# ([\w./-]+\.(?:py|yaml))\n")
_EXIT = re.compile(r"# exits with (\d)$")
_NO_CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block: where it stands, its language, and the file that it is, if it is one."""

    where: str
    language: str
    text: str
    file: str | None


@dataclass(frozen=True)
class Line:
    """One command line: its words, variables before them, where output goes, and the exit code."""

    where: str
    words: list[str]
    variables: dict[str, str]
    into: str | None
    code: int


def pages() -> list[Path]:
    """All pages for readers: those of ``docs`` and the README files of folders they are sent to."""
    folders = ("", "docs", "plugins", "adapters", "examples", "benchmarks")
    found = {path for folder in folders for path in (ROOT / folder).glob("*.md")}
    return sorted(found - {ROOT / "CHANGELOG.md"})


def prose(page: Path) -> str:
    """Text of a page without its code."""
    return _NO_CODE.sub("", page.read_text(encoding="utf-8"))


def blocks(page: Path) -> Iterator[Block]:
    """Fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        language, file, body = found.groups()
        named = _FILE.match(body)
        number = text.count("\n", 0, found.start()) + 1
        where = f"{page.relative_to(ROOT).as_posix()}:{number}"
        yield Block(where, language, body, file or (named[1] if named else None))


def lines(block: Block) -> Iterator[Line]:
    """Command lines of a block, continuation lines joined."""
    for line in block.text.replace("\\\n", " ").splitlines():
        line = line.strip().removeprefix("$ ")
        ending = _EXIT.search(line)
        words = shlex.split(line, comments=True)
        variables = {}
        while words and re.match(r"[A-Z_]+=", words[0]):
            name, _, variables[name] = words.pop(0).partition("=")
        into = words.pop() if len(words) > 2 and words[-2] == ">" else None
        if words:
            words = words[:-1] if into else words
            yield Line(block.where, words, variables, into, int(ending[1]) if ending else 0)


def parse(line: Line) -> dict[str, object]:
    """Have the real command line read a line of ours, without running it.

    Fails as a user's call would: with the usage error of an unknown command, option or value.
    """
    command, rest = typer.main.get_command(app), line.words[1:]
    context = typer.Context(command)
    while hasattr(command, "list_commands") and rest:
        command, rest = command.get_command(context, rest[0]), rest[1:]
        assert command is not None, f"{line.where}: mfl-adapt {' '.join(line.words[1:])}"
    try:
        return command.make_context(command.name, list(rest)).params
    except typer.Exit:  # of --help and the like
        return {}
    except UsageError as error:
        message = f"{line.where}: {' '.join(line.words)}: {error.format_message()}"
        raise AssertionError(message) from error


def open_config_of(params: dict[str, object]) -> object:
    """Load the configuration that the arguments of a command mean, as the command does.

    Returns:
        None for a command that takes no configuration, or one that the reader has to write.

    Raises:
        MflAdaptError: If a key, value, preset or plugin does not exist.
    """
    from mfl_adapt.cli.options import open_config

    if "source" not in params or "overrides" not in params:
        return None
    # Commands with a default of their own take the quickstart.
    source, data = str(params["source"] or "quickstart"), params.get("data")
    if source.endswith(".yaml"):
        if not Path(source).is_file():
            return None
    elif source not in {preset.name for preset in list_presets()}:
        source, data = "base", source
    flags = {"data.path": None if data is None else str(data), "data.reader": params.get("reader")}
    loaded, host = open_config(
        source, overrides=params["overrides"], plugins=params.get("plugins"), flags=flags
    )
    validate_components(loaded, host)
    return loaded.config


def write_files(page: Path, folder: Path) -> None:
    """Write every block that is a file into a folder."""
    for block in blocks(page):
        if block.file:
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(block.text, encoding="utf-8")


@dataclass
class Reader:
    """Follows one page, block by block, in the folder in which it is.

    Attributes:
        shrink: Variables that make a command of ours short; None runs it as it is documented.
    """

    shrink: Callable[[object], dict[str, str]] | None
    names: dict[str, object]

    def follow(self, page: Path) -> None:
        """Do what the page says."""
        for block in blocks(page):
            if block.file:
                Path(block.file).parent.mkdir(parents=True, exist_ok=True)
                Path(block.file).write_text(block.text, encoding="utf-8")
            elif block.language == "bash":
                for line in lines(block):
                    self._type(line)
            elif block.language == "python":
                code = compile(block.text, block.where, "exec")
                with contextlib.redirect_stdout(io.StringIO()):
                    exec(code, self.names)

    def _type(self, line: Line) -> None:
        if line.words[0] == "mfl-adapt":
            code, output = self._call(line)
        else:
            code, output = _call_other(line)
        said = f"{line.where}: {' '.join(line.words)}: exit code {code}, expected {line.code}"
        assert code == line.code, f"{said}\n{output}"
        if line.into:
            Path(line.into).write_text(output, encoding="utf-8")

    def _call(self, line: Line) -> tuple[int, str]:
        variables = dict(line.variables)
        if self.shrink is not None and not line.code:
            with changed_environment(variables):
                variables |= self.shrink(open_config_of(parse(line)))
        output = io.StringIO()
        with changed_environment(variables), contextlib.redirect_stdout(output):
            code = _exit_code(line.words[1:])
        return code, output.getvalue()


def _exit_code(words: list[str]) -> int:
    try:
        done = app(words, standalone_mode=False)
    except SystemExit as ending:
        return int(ending.code or 0)
    except MflAdaptError as error:
        print(error)
        return 1
    return done if isinstance(done, int) else 0


def _call_other(line: Line) -> tuple[int, str]:
    program, *rest = line.words
    assert program == "python" or program in PROGRAMS, f"{line.where}: may not call {program}"
    words = [sys.executable if program == "python" else program, *rest]
    done = subprocess.run(
        words, capture_output=True, text=True, env={**os.environ, **line.variables}, check=False
    )
    return done.returncode, done.stdout + done.stderr


@contextlib.contextmanager
def changed_environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)


def is_valid(block: Block) -> bool:
    """Whether a block of data can be read as what it says to be."""
    if block.language == "json":
        return json.loads(block.text) is not None
    import tomllib

    return bool(tomllib.loads(block.text))
