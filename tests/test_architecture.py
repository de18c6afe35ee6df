"""Holds the import table: which room may import which, inside functions too."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT
from imports import Import, package_of, read_imports

from mfl_adapt.cli.app import COMMANDS
from mfl_adapt.plugin import BaseSpec, LossSpec, ReaderSpec
from mfl_adapt.plugin.registry import load_plugins

SOURCE = ROOT / "mfl_adapt"
PLUGINS = ROOT / "plugins"

ROW_1 = {"errors", "types", "checks", "files"}
ROW_2 = ROW_1 | {"config", "cameras", "images", "plugin", "scaffold"}
ROW_3 = ROW_2 | {"synth", "data", "models", "render", "metrics", "adapter"}
ROW_4 = ROW_3 | {"chain", "pipeline"}
ROW_5 = ROW_4 | {"evaluate", "doctor", "report", "prepare", "plugin.testing"}
ROW_6 = ROW_5 | {"predict", "train", "hub"}

MAY_IMPORT = {
    "errors": set(),
    "types": {"errors"},
    "checks": {"errors", "types"},
    "files": {"errors"},
    **dict.fromkeys(["config", "cameras", "plugin", "scaffold"], ROW_1),
    "images": ROW_1 | {"cameras"},
    **dict.fromkeys(["synth", "data", "models", "render", "metrics", "adapter"], ROW_2),
    "chain": ROW_3,
    "pipeline": ROW_3 | {"chain"},
    **dict.fromkeys(["evaluate", "doctor", "report", "prepare", "plugin.testing"], ROW_4),
    **dict.fromkeys(["predict", "train", "hub"], ROW_5),
    "cli": ROW_6,
    "__main__": {"cli"},
    "__init__": ROW_6,
}
"""Room to the rooms it may import besides itself."""

PLUGIN_MAY_IMPORT = ROW_1 | {"plugin", "cameras", "images", "metrics"}
HEAVY = {"torch", "cv2", "numba", "diffusers", "transformers", "peft", "gsplat"}

WITHOUT_TORCH = {
    **dict.fromkeys(["errors", "types", "checks", "files", "config", "plugin", "cli"], HEAVY),
    "scaffold": HEAVY,
    **dict.fromkeys(["__init__", "__main__"], HEAVY),
    **dict.fromkeys(["cameras", "images", "synth"], HEAVY - {"cv2"}),
    **dict.fromkeys(["chain", "pipeline", "prepare"], HEAVY),
}
"""Room to what none of its modules may import at the top."""


def room_of(path):
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return inner_room(parts) or parts[0]


def inner_room(parts):
    """A room that lies inside another one, or None: the kit for plugin authors may use models."""
    return "plugin.testing" if parts[:2] == ("plugin", "testing") else None


def room_imported(one: Import) -> str | None:
    """Room that an import reaches; ``mfl_adapt`` itself offers only its version here."""
    parts = one.target.split(".")
    if parts[0] != "mfl_adapt" or len(parts) == 1:
        return None
    return inner_room(tuple(parts[1:])) or parts[1]


def violations(room, path, package):
    """Imports of a file of a room that the table does not allow."""
    allowed = MAY_IMPORT[room] | {room, "__version__"}
    for one in read_imports(path, package):
        target = room_imported(one)
        if target is not None and target not in allowed:
            yield f"{path}:{one.line}: {room} may not import {one.target}"
        if one.target.split(".")[0].startswith("mfl_adapt_"):
            yield f"{path}:{one.line}: the core imports the plugin {one.target}"


FILES = sorted(SOURCE.rglob("*.py"))
PLUGIN_FILES = sorted(PLUGINS.rglob("*.py"))


def test_there_are_files_to_look_at():
    assert len(FILES) > 50
    assert len(PLUGIN_FILES) > 20


def test_every_room_has_a_row():
    assert {room_of(path) for path in FILES} <= set(MAY_IMPORT)


def test_rooms_import_only_what_their_row_allows():
    found = [
        text for path in FILES for text in violations(room_of(path), path, package_of(path, ROOT))
    ]
    assert found == []


def test_rooms_of_one_row_never_import_one_another():
    for row in (ROW_3 - ROW_2, ROW_5 - ROW_4, ROW_6 - ROW_5):
        for room in row:
            assert not MAY_IMPORT[room] & (row - {room})


def test_only_one_file_imports_gsplat():
    importing = {
        path.relative_to(SOURCE).as_posix()
        for path in FILES
        for one in read_imports(path, package_of(path, ROOT))
        if one.target.split(".")[0] == "gsplat"
    }
    assert importing <= {"render/gsplat.py"}


def test_light_rooms_import_nothing_heavy_at_the_top():
    found = [
        f"{path}:{one.line}: {one.target}"
        for path in FILES
        for one in read_imports(path, package_of(path, ROOT))
        if one.at_top and one.target.split(".")[0] in WITHOUT_TORCH.get(room_of(path), set())
    ]
    assert found == []


def test_commands_import_the_rooms_in_their_bodies():
    light = {"__init__", "app", "external", "options", *COMMANDS}
    found = [
        f"{path}:{one.line}: {one.target}"
        for path in FILES
        if room_of(path) == "cli" and path.stem in light
        for one in read_imports(path, package_of(path, ROOT))
        if one.at_top and room_imported(one) not in {None, "cli", "errors", "__version__"}
    ]
    assert found == []


def test_there_is_no_drawer_for_everything():
    assert not [path for path in [*FILES, *PLUGIN_FILES] if path.stem in {"utils", "helpers"}]


def _reads_weights(spec):
    """Whether a loss has a network of its own: a setting names the file of its weights."""
    fields = spec.config.model_fields.values()
    return isinstance(spec, LossSpec) and any(one.annotation is Path for one in fields)


def test_plugins_import_only_what_authors_may():
    host = load_plugins([], all_available=True)
    extra: dict[str, set[str]] = {}
    for plugin in host.plugins():
        package = f"mfl_adapt_{plugin.name}"
        for spec in plugin.components:
            if isinstance(spec, BaseSpec) or _reads_weights(spec):
                extra.setdefault(package, set()).add("models")
            if isinstance(spec, ReaderSpec) and not spec.needs_path:
                extra.setdefault(package, set()).add("synth")
    found = []
    for path in PLUGIN_FILES:
        own = path.relative_to(PLUGINS).parts[0]
        allowed = PLUGIN_MAY_IMPORT | extra.get(own, set())
        for one in read_imports(path, package_of(path, PLUGINS)):
            room, top = room_imported(one), one.target.split(".")[0]
            if (room and room not in allowed) or (top.startswith("mfl_adapt_") and top != own):
                found.append(f"{path}:{one.line}: {own} may not import {one.target}")
    assert found == []


def test_a_plugins_front_imports_nothing_heavy_at_the_top():
    fronts = [path for path in PLUGIN_FILES if path.name in {"__init__.py", "config.py"}]
    found = [
        f"{path}:{one.line}: {one.target}"
        for path in fronts
        for one in read_imports(path, package_of(path, PLUGINS))
        if one.at_top and one.target.split(".")[0] in HEAVY
    ]
    assert found == []


@pytest.mark.parametrize(
    "module", ["mfl_adapt", "mfl_adapt.plugin.registry", "mfl_adapt.config", "mfl_adapt.cli.app"]
)
def test_light_modules_load_nothing_heavy(module):
    code = f"import sys, {module}; print(sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import torch.nn", [("torch.nn", True)]),
        ("from mfl_adapt import render", [("mfl_adapt.render", True)]),
        ("from ..render import cpu", [("mfl_adapt.render.cpu", True)]),
        ("from . import rays", [("mfl_adapt.models.rays", True)]),
        ("def f():\n    import torch", [("torch", False)]),
        ("class A:\n    import torch", [("torch", True)]),
        ("try:\n    import torch\nexcept ImportError:\n    pass", [("torch", True)]),
        (
            "if TYPE_CHECKING:\n    import torch\nelse:\n    import os",
            [("torch", False), ("os", True)],
        ),
        ("if TYPE_CHECKING:\n    if True:\n        import torch", [("torch", False)]),
    ],
)
def test_the_reader_of_imports(tmp_path, source, expected):
    path = tmp_path / "a.py"
    path.write_text(source)
    found = [(one.target, one.at_top) for one in read_imports(path, "mfl_adapt.models")]
    assert found == expected


def test_a_forbidden_import_inside_a_function_is_found(tmp_path):
    path = tmp_path / "a.py"
    path.write_text("def f():\n    from mfl_adapt.render import cpu\n    import mfl_adapt_rat\n")
    assert len(list(violations("models", path, "mfl_adapt.models"))) == 2


def test_no_error_is_swallowed_outside_the_plugin_boundary():
    broad = {"Exception", "BaseException"}
    found = []
    for path in [*FILES, *PLUGIN_FILES]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                names = {ast.unparse(each) for each in ast.walk(node.type)} if node.type else broad
                if names & broad:
                    found.append(path.relative_to(ROOT).as_posix())
    assert found == ["mfl_adapt/plugin/discovery.py"]
