"""Writes the package of a new plugin: example code that works, tests that pass, and the rest."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

from mfl_adapt.errors import ConfigError, StorageError, did_you_mean
from mfl_adapt.scaffold.kinds import KINDS, LICENCES
from mfl_adapt.scaffold.names import check_name, distribution_of, module_of

_SUFFIX = ".tmpl"


@dataclass(frozen=True, slots=True)
class Package:
    """A package that was written.

    Attributes:
        folder: Where it lies.
        distribution: Name under which pip knows it.
        module: Import name of its package.
        component: Full name of the component that it offers.
        usage: What to write after ``mfl-adapt train``.
        files: Paths of its files, relative to the folder, sorted.
    """

    folder: Path
    distribution: str
    module: str
    component: str
    usage: str
    files: tuple[str, ...]


def write_package(
    name: str,
    kind: str,
    *,
    taken: Mapping[str, str],
    folder: Path | None = None,
    author: str | None = None,
    licence: str = "Apache-2.0",
) -> Package:
    """Write the package of a new plugin, whole or not at all.

    Args:
        name: What users will type after ``--plugins``.
        kind: Key of ``KINDS``.
        taken: Installed plugins, each with its distribution.
        folder: Where to write; a folder called like the distribution if None. It may exist if it
            is empty.
        author: Who holds the copyright; "The authors of ..." if None.
        licence: One of ``LICENCES``.

    Raises:
        PluginError: If the name cannot be used.
        ConfigError: If there is no such kind or licence, the author's name cannot be written, or
            the folder is the current one.
        StorageError: If there is something in the folder, or it cannot be written.
    """
    check_name(name, taken)
    for what, value, known in (("kind", kind, KINDS), ("licence", licence, LICENCES)):
        if value not in known:
            raise ConfigError(
                f"plugins new: expected a {what} that is known, got {value!r}. "
                f"{did_you_mean(value, known)}"
            )
    distribution = distribution_of(name)
    author = f"The authors of {distribution}" if author is None else author.strip()
    if not author or not author.isprintable():
        raise ConfigError(
            f"plugins new: expected an author's name in one line, got {author!r:.60}. "
            'Write --author "NAME".'
        )
    folder = folder or Path(distribution)
    if folder.resolve() == Path.cwd().resolve():
        raise ConfigError(
            f"plugins new: expected a folder to make, got {folder}, the one that you are in. Leave "
            "-o out, or name a folder inside."
        )
    words = _words(name, kind, author, licence)
    written = {
        path: Template(source.read_text(encoding="utf-8")).substitute(words)
        for path, source in _templates(kind, licence, name)
    }
    _write(folder, written)
    usage = f"--plugins {name} {KINDS[kind].usage}".replace("NAME", name).strip()
    component = f"{name}.{KINDS[kind].component}"
    return Package(folder, distribution, module_of(name), component, usage, tuple(sorted(written)))


def _words(name: str, kind: str, author: str, licence: str) -> dict[str, str]:
    """What stands for the placeholders of the templates."""
    # The kit reads a reader's own example, which the tests write; the others need none.
    check = "" if kind == "dataset" else f"      - run: mfl-adapt plugins check {name}"
    return {
        "name": name,
        "module": module_of(name),
        "distribution": distribution_of(name),
        "summary": KINDS[kind].summary,
        "author": author,
        # JSON's quotes and escapes are also TOML's.
        "author_quoted": json.dumps(author, ensure_ascii=False),
        "licence": licence,
        "year": str(datetime.now().astimezone().year),
        "code": f"{name.upper()}001",
        "ci_check": check,
    }


def _templates(kind: str, licence: str, name: str) -> Iterator[tuple[str, Traversable]]:
    """Yield path in the new package and template of every file."""
    root = files("mfl_adapt.scaffold") / "templates"
    yield "LICENSE", root / "licences" / f"{licence}{_SUFFIX}"
    for part in ("common", kind):
        for path, source in _walk(root / part, ""):
            renamed = path.replace("MODULE", module_of(name)).replace("NAME", name)
            yield renamed.replace("dot-", ".").removesuffix(_SUFFIX), source


def _walk(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for one in sorted(folder.iterdir(), key=lambda each: each.name):
        if one.is_dir():
            yield from _walk(one, f"{path}{one.name}/")
        elif one.name.endswith(_SUFFIX):
            yield path + one.name, one


def _write(folder: Path, written: Mapping[str, str]) -> None:
    """Write files beside the folder and give them its name when all are there.

    Raises:
        StorageError: If there is something in the folder, or it cannot be written.
    """
    try:
        if folder.is_symlink() or (folder.exists() and (folder.is_file() or any(folder.iterdir()))):
            raise StorageError(
                f"{folder}: expected a new or empty folder, got one with something in it. Name "
                "another with -o FOLDER."
            )
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        beside = folder.absolute().parent
        with tempfile.TemporaryDirectory(dir=beside, prefix=f".{folder.name}.") as made:
            whole = Path(made) / "package"
            for path, text in written.items():
                target = whole / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8", newline="\n")
            # In one step; it replaces an empty folder, and refuses one that is no longer empty.
            whole.replace(folder.absolute())
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"{folder}: expected to write {len(written)} files, got {error.strerror or error}. "
            "Check the folder's permissions and the free space."
        ) from error
