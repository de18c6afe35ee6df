"""Finds plugins in package metadata and in single files, and imports them one at a time."""

import importlib
import importlib.metadata
import importlib.util
import logging
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from mfl_adapt.errors import PluginError
from mfl_adapt.plugin.hookspecs import PROJECT

logger = logging.getLogger(__name__)

FILE_MODULE_PREFIX = "mfl_adapt_file_"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A plugin that could be imported, known from metadata or from its path alone.

    Attributes:
        name: What the user types: the entry point's name, or the stem of the file.
        module: Import path of its module.
        distribution: Who supplies it: a distribution's name, or the file as the user typed it.
        version: Version of the distribution; empty for a file.
        path: The file of a single-file plugin.
    """

    name: str
    module: str
    distribution: str
    version: str = ""
    path: Path | None = None


def is_file_plugin(name: str) -> bool:
    """Tell a path (``./rat.py``) from a plugin's name (``masked_loss``)."""
    return name.endswith(".py") or "/" in name or "\\" in name


def plugin_name(entry: str) -> str:
    """Return the name under which an entry of ``plugins:`` is addressed."""
    return Path(entry).stem if is_file_plugin(entry) else entry


def find_installed() -> list[Candidate]:
    """Read the entry points of every installed distribution, sorted; imports nothing."""
    found = []
    for point in importlib.metadata.entry_points(group=PROJECT):
        dist = point.dist
        distribution = (dist.name if dist else None) or "an unnamed distribution"
        version = dist.version if dist else ""
        found.append(Candidate(point.name, point.value.strip(), distribution, version))
    return sorted(found, key=lambda one: (one.name, one.distribution))


def find_files(entries: Sequence[str]) -> list[Candidate]:
    """Return one candidate per path among the entries of ``plugins:``.

    Raises:
        PluginError: If a path is not a Python file, or its stem is not an identifier.
    """
    found: dict[Path, Candidate] = {}
    for entry in entries:
        if not is_file_plugin(entry):
            continue
        path = Path(entry).expanduser()
        if path.suffix != ".py" or not path.is_file():
            raise PluginError(
                f"plugins: expected an existing Python file, got {entry!r}. "
                "Give the path of a .py file, or the name of an installed plugin."
            )
        if not path.stem.isidentifier():
            raise PluginError(
                f"plugins: expected a file whose name is a Python identifier, got {entry!r}. "
                "Rename it: its stem is the plugin's name."
            )
        module = FILE_MODULE_PREFIX + path.stem
        path = path.resolve()
        found.setdefault(path, Candidate(path.stem, module, f"file {entry}", path=path))
    return list(found.values())


@contextmanager
def isolated(candidate: Candidate, action: str) -> Iterator[None]:
    """Run code of a third party; whatever it raises becomes a ``PluginError``.

    This is the one place where a broad ``except`` is right: a plugin may raise anything while it
    is imported, ``SystemExit`` included, and one broken package must not stop the program.

    Raises:
        PluginError: If the code raised; names type, message and distribution.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        logger.debug("%s failed while %s", candidate.name, action, exc_info=True)
        message = " ".join(str(error).split())
        raise PluginError(
            f"plugin {candidate.name!r} of {candidate.distribution}: {action} raised "
            f"{type(error).__name__}: {message}{_line_of(candidate, error)}"
        ) from error


def _line_of(candidate: Candidate, error: BaseException) -> str:
    """Name the last line of a single-file plugin that an error passed; a syntax error does so."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(candidate.path)]
    return f" (line {lines[-1]})" if lines else ""


def import_plugin(candidate: Candidate) -> ModuleType:
    """Import the module of a plugin.

    Raises:
        PluginError: If the import raises anything at all.
    """
    if candidate.path is not None:
        return _import_file(candidate, candidate.path)
    with isolated(candidate, f"importing {candidate.module}"):
        return importlib.import_module(candidate.module)


def _import_file(candidate: Candidate, path: Path) -> ModuleType:
    """Execute a file anew, so that an edited file never meets its former self."""
    with isolated(candidate, f"importing {path.name}"):
        spec = importlib.util.spec_from_file_location(candidate.module, path)
        assert spec is not None
        assert spec.loader is not None, "a .py file always has a loader"
        module = importlib.util.module_from_spec(spec)
        # pydantic and dataclasses look their module up by name while classes are being made.
        sys.modules[candidate.module] = module
        spec.loader.exec_module(module)
    return module


def resolve(candidate: Candidate, module: ModuleType, reference: str) -> object:
    """Import what ``"package.module:attribute"`` names.

    A single file may write its own stem or ``__name__`` for the module.

    Args:
        candidate: The plugin that offers the reference.
        module: Its imported module.
        reference: The string from one of its records.

    Raises:
        PluginError: If the module cannot be imported or has no such attribute.
    """
    where, _, attribute = reference.partition(":")
    own = {module.__name__, candidate.name} if candidate.path else {module.__name__}
    with isolated(candidate, f"resolving {reference!r}"):
        found: object = module if where in own else importlib.import_module(where)
        for part in attribute.split("."):
            found = getattr(found, part)
    return found
