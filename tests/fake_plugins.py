"""Distributions that exist only for one test: a module, its metadata and its entry points."""

import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

HEAD = """
from pathlib import Path
from mfl_adapt.plugin import *
from mfl_adapt.types import RigContract

MFL_API = 1


class Config(ComponentConfig):
    power: float = 2.0


class Built:
    def __init__(self, config):
        self.config = config


def knows(path):
    return path.suffix == ".rat"


def spec(kind, name, **more):
    build = more.pop("build", __name__ + ":Built")
    return kind(name=name, summary="A summary.", config=Config, build=build, **more)


def reader(name, **more):
    return spec(ReaderSpec, name, can_read=__name__ + ":knows", **more)
"""

LOSS = """
@hookimpl
def register_components():
    return [spec(LossSpec, "whisker")]
"""


def offering(*records: str) -> str:
    """Body of a plugin whose hook returns these records, written as Python."""
    return f"\n@hookimpl\ndef register_components():\n    return [{', '.join(records)}]\n"


class Site:
    """A folder on ``sys.path`` to which a test installs distributions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: list[str] = []

    def add(
        self,
        distribution: str,
        plugins: Mapping[str, str],
        *,
        commands: Mapping[str, str] | None = None,
        head: str = HEAD,
        version: str = "1.0",
    ) -> None:
        """Install a distribution: entry point name to the source of its module."""
        groups = {"mfl_adapt": plugins, "mfl_adapt.commands": commands or {}}
        lines = []
        for group, members in groups.items():
            lines.append(f"[{group}]")
            for name, source in members.items():
                module = f"{distribution}_{name}".replace("-", "_")
                (self.folder / f"{module}.py").write_text(head + source)
                self.modules.append(module)
                attribute = ":command" if group.endswith("commands") else ""
                lines.append(f"{name} = {module}{attribute}")
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        importlib.invalidate_caches()

    def file(self, name: str, source: str, *, head: str = HEAD) -> str:
        """Write a single-file plugin beside the distributions and return its path."""
        path = self.folder / "files" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(head + source)
        return str(path)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty site in front of everything installed; its modules are forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    made = Site(folder)
    yield made
    for module in made.modules:
        sys.modules.pop(module, None)
