import ast
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mfl_adapt.errors import ConfigError, PluginError, StorageError
from mfl_adapt.scaffold import KINDS, LICENCES, check_name, write_package
from mfl_adapt.scaffold.names import LONGEST_NAME


def write(folder, kind="loss", name="rat", **more):
    return write_package(name, kind, taken={}, folder=folder, **more)


def project(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_is_whole(tmp_path, kind):
    made = write(tmp_path / "new", kind)
    files = {
        path.relative_to(made.folder).as_posix()
        for path in made.folder.rglob("*")
        if path.is_file()
    }
    assert files == set(made.files)
    assert {
        ".github/workflows/ci.yml",
        ".gitignore",
        "LICENSE",
        "README.md",
        "mfl_adapt_rat/__init__.py",
        "mfl_adapt_rat/config.py",
        "pyproject.toml",
        "tests/test_rat.py",
    } <= files
    assert made.component == f"rat.{KINDS[kind].component}"
    assert project(made.folder)["project"]["entry-points"] == {"mfl_adapt": {"rat": made.module}}


@pytest.mark.parametrize("kind", KINDS)
def test_no_placeholder_is_left(tmp_path, kind):
    made = write(tmp_path / "new", kind)
    for path in made.files:
        text = (made.folder / path).read_text(encoding="utf-8")
        left = text.replace("${{ matrix.python }}", "") if path.endswith("ci.yml") else text
        assert "$" not in left, path
        assert not {"NAME", "MODULE", "tmpl"} & set(path.replace("/", ".").split(".")), path


@pytest.mark.parametrize("kind", KINDS)
def test_settings_and_hooks_import_nothing_heavy_at_the_top(tmp_path, kind):
    made = write(tmp_path / "new", kind)
    for name in ("__init__.py", "config.py"):
        tree = ast.parse((made.folder / made.module / name).read_text(encoding="utf-8"))
        imported = {
            one.name.split(".")[0]
            for node in tree.body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for one in ([ast.alias(node.module or "")] if hasattr(node, "module") else node.names)
        }
        assert imported <= {"pathlib", "pydantic", "mfl_adapt"}


def test_all_names_follow_the_plugins(tmp_path):
    made = write(tmp_path / "new", name="harvest_mouse")
    assert (made.distribution, made.module) == (
        "mfl-adapt-harvest-mouse",
        "mfl_adapt_harvest_mouse",
    )
    assert project(made.folder)["project"]["name"] == "mfl-adapt-harvest-mouse"
    assert made.usage == (
        "--plugins harvest_mouse --set losses.harvest_mouse.masked_charbonnier.weight=1"
    )


def test_the_folder_is_called_like_the_distribution(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert write(None).folder == Path("mfl-adapt-rat")
    assert (tmp_path / "mfl-adapt-rat" / "pyproject.toml").is_file()


@pytest.mark.parametrize("licence", LICENCES)
def test_licence_and_author_stand_in_their_places(tmp_path, licence):
    author = 'Ada "the Rat" Löwe'
    made = write(tmp_path / "new", licence=licence, author=author)
    table = project(made.folder)["project"]
    assert (table["license"], table["authors"]) == (licence, [{"name": author}])
    text = (made.folder / "LICENSE").read_text(encoding="utf-8")
    assert (author in text) == (licence != "Apache-2.0")  # whose text names nobody
    assert licence.split("-")[0].replace("BSD", "BSD 3-Clause") in text


def test_code_of_a_check_begins_with_the_plugins_name(tmp_path):
    made = write(tmp_path / "new", "check", "harvest_mouse")
    text = (made.folder / made.module / "__init__.py").read_text(encoding="utf-8")
    assert 'code="HARVEST_MOUSE001"' in text


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Rat", "Did you mean 'rat'"),
        ("harvest-mouse", "Did you mean 'harvest_mouse'"),
        ("mfl-adapt-rat", "Did you mean 'rat'"),
        ("2rats", "Did you mean 'rats'"),
        ("_rat", "Did you mean 'rat'"),
        ("rat__x", "Did you mean 'rat_x'"),
        ("class", "Choose another"),
        ("", "Choose another"),
        ("../rat", "Did you mean 'rat'"),
        ("rat\n", "Did you mean 'rat'"),
        ("r" * (LONGEST_NAME + 1), "Did you mean 'rrr"),
        ("rätt", "Did you mean 'r_tt'"),
    ],
)
def test_a_name_must_be_one_that_can_be_typed(tmp_path, name, hint):
    with pytest.raises(PluginError, match=hint) as caught:
        write(tmp_path / "new", name=name)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "new").exists()


def test_a_name_may_not_be_taken(tmp_path):
    with pytest.raises(PluginError, match=r"'rat', which rat-tools offers"):
        check_name("rat", {"rat": "rat-tools"})
    with pytest.raises(PluginError, match="module mfl_adapt_masked_loss"):
        check_name("masked_loss", {})
    with pytest.raises(PluginError, match="'file_rat'"):
        check_name("file_rat", {})


@pytest.mark.parametrize(
    ("more", "pattern"),
    [
        ({"kind": "los"}, "got 'los'. Did you mean 'loss'"),
        ({"licence": "apache-2.0"}, "got 'apache-2.0'. Did you mean 'Apache-2.0'"),
        ({"author": " "}, "author's name in one line, got ''"),
        ({"author": "a\nb"}, "author's name in one line"),
    ],
)
def test_other_words_are_checked_too(tmp_path, more, pattern):
    with pytest.raises(ConfigError, match=pattern):
        write(tmp_path / "new", **more)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["file", "full", "link"])
def test_nothing_is_written_over(tmp_path, what):
    target = tmp_path / "new"
    if what == "file":
        target.write_text("mine")
    elif what == "full":
        target.mkdir()
        (target / "mine").write_text("mine")
    else:
        (tmp_path / "elsewhere").mkdir()
        target.symlink_to(tmp_path / "elsewhere")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StorageError, match=r"new: expected a new or empty folder"):
        write(target)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "new").mkdir()
    assert (write(tmp_path / "new").folder / "README.md").is_file()


def test_the_current_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="the one that you are in"):
        write(Path())


def test_a_write_that_breaks_off_leaves_nothing(tmp_path, monkeypatch):
    written = []

    def fail(path, *arguments, **named):
        written.append(path)
        if len(written) == 4:
            raise OSError(28, "No space left on device")
        return original(path, *arguments, **named)

    original = Path.write_text
    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(StorageError, match=r"new: expected to write \d+ files, got No space left"):
        write(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_command_prints_what_to_do_next(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from mfl_adapt.cli.app import app

    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["plugins", "new", "rat", "--kind", "dataset"])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert "mfl-adapt-rat/mfl_adapt_rat/recording.py" in lines
    assert lines[-2:] == [
        "pip install -e mfl-adapt-rat",
        "mfl-adapt train --plugins rat --data take",
    ]
    again = CliRunner().invoke(app, ["plugins", "new", "rat", "--kind", "loss"])
    assert (again.exit_code, again.output.count("\n")) == (1, 1)
    other = ["plugins", "new", "rat", "--kind", "loss", "-o", "b", "--json"]
    assert json.loads(CliRunner().invoke(app, other).stdout)["module"] == "mfl_adapt_rat"
    clash = CliRunner().invoke(app, ["plugins", "new", "exporters", "--kind", "loss"])
    assert "which mfl-adapt offers" in clash.stderr


def test_templates_travel_with_the_wheel_as_files_of_the_package():
    import mfl_adapt.scaffold

    folder = Path(mfl_adapt.scaffold.__file__).parent / "templates"
    assert len([path for path in folder.rglob("*") if path.is_file()]) == len(
        list(folder.rglob("*.tmpl"))
    )
    assert {path.name for path in folder.iterdir()} == {"common", "licences", *KINDS}
    code = "import sys, mfl_adapt.scaffold; print({'torch', 'cv2', 'numpy'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
