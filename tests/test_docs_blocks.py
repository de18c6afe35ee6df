"""Every block of every page is run, read by the real command line, or compared with its source."""

import ast
import re
import shutil
from pathlib import Path

import docs_pages
import pytest
from docs_pages import LANGUAGES, Block, Reader, blocks, lines, pages, parse
from helpers import ROOT

from mfl_adapt.config import load_config, validate_components
from mfl_adapt.errors import MflAdaptError
from mfl_adapt.plugin.registry import load_plugins

ALL = pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())

MINUTES = {
    "docs/adapters.md": "trains with five methods and merges what comes out",
    "docs/faq.md": "prepares, certifies, grades, trains",
    "docs/geometry.md": "prepares pictures of 512 px four times",
    "docs/plugins.md": "checks plugins against every rule",
    "docs/predict.md": "makes films",
    "docs/your-species.md": "draws and prepares a recording of a minute",
}
"""Pages that take too long for every run of the tests, and why."""

AS_DOCUMENTED = ["docs/quickstart.md"]
"""Pages that slow tests run without shortening anything."""


def runnable():
    """Pages with something to run, the long ones marked."""
    for page in pages():
        if any(block.language in ("bash", "python") and not block.file for block in blocks(page)):
            name = page.relative_to(ROOT).as_posix()
            marks = [pytest.mark.slow] if name in MINUTES else []
            yield pytest.param(page, id=name, marks=marks)


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """Somebody in an empty folder with an empty home and no network, who has read nothing yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("MFL_HOME", str(tmp_path / ".home"))
    monkeypatch.setenv("MFL_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return Reader(shrink=shrink, names={"__name__": "__page__"})


def shrink(config):
    """Variables that shorten training and its data where a page does not say how long."""
    if config is None:
        return {}
    short = {
        "MFL__TRAIN__STEPS": "2",
        "MFL__EVALUATE__SAMPLES": "1",
        "MFL__EVALUATE__RETENTION": "1",
    }
    short |= {"MFL__EVALUATE__RETENTION": "1"}
    chosen = config.data.reader
    if chosen is not None and chosen.use.startswith("procedural"):
        short |= {"MFL__DATA__READER__SAMPLES": "6", "MFL__DATA__READER__WORKERS": "0"}
    return short


@ALL
def test_languages_of_blocks_are_known(page):
    found = {block.where: block.language for block in blocks(page)}
    assert {where: one for where, one in found.items() if one not in LANGUAGES} == {}
    fences = sum(line.startswith("```") for line in page.read_text(encoding="utf-8").splitlines())
    assert fences == 2 * len(found), "a fence that is not closed, or has more than two words"


@ALL
def test_commands_of_a_page_are_read_by_the_command_line(page, reader):
    """Also of blocks that are not run: commands, options, values, settings and plugins exist."""
    for one in pages():  # a page may use the plugin or configuration of another one
        docs_pages.write_files(one, Path.cwd())
    typed = [
        line
        for block in blocks(page)
        if block.language in ("bash", "console")
        for line in lines(block)
        if line.words[0] == "mfl-adapt"
    ]
    # A plugin that the page has written by `plugins new` is not installed here.
    new = {line.words[3] for line in typed if line.words[1:3] == ["plugins", "new"]}
    for line in typed:
        params = parse(line)
        named = {name for one in params.get("plugins") or () for name in one.split(",")}
        if not named & new and not line.code:
            with docs_pages.changed_environment(line.variables):
                docs_pages.open_config_of(params)


@ALL
def test_data_of_a_page_is_valid(page, tmp_path):
    for block in blocks(page):
        if block.language in ("json", "toml"):
            assert docs_pages.is_valid(block), block.where
        elif block.language == "python":
            ast.parse(block.text, block.where)
        elif block.language == "yaml":
            path = tmp_path / "piece.yaml"
            whole = "extends:" in block.text
            path.write_text(block.text if whole else f"extends: base\n{block.text}")
            loaded = load_config(path)
            validate_components(loaded, load_plugins(loaded.config.plugins))


@pytest.mark.parametrize("page", list(runnable()))
def test_page_can_be_followed(page, reader):
    if page.parent.name == "adapters":  # which is about the folder that it is in
        shutil.copytree(page.parent, "adapters")
    reader.follow(page)


@pytest.mark.slow
@pytest.mark.parametrize("name", AS_DOCUMENTED)
def test_page_can_be_followed_to_the_letter(name, reader):
    reader.shrink = None
    reader.follow(ROOT / name)


def test_wrong_commands_are_found():
    """The reading of commands is no rubber stamp."""
    wrong = {
        "mfl-adapt trian": "trian",
        "mfl-adapt train --step 3": "--step",
        "mfl-adapt train --steps three": "three",
        "mfl-adapt data prepare rec": "--out",
        "mfl-adapt adapter merge a b -o c --method mean": "mean",
    }
    for typed, named in wrong.items():
        (line,) = lines(Block("here", "bash", typed, None))
        with pytest.raises((AssertionError, docs_pages.UsageError), match=re.escape(named)):
            parse(line)
    (line,) = lines(Block("here", "bash", "mfl-adapt train --set train.lerning=1", None))
    with pytest.raises(MflAdaptError, match="lerning"):
        docs_pages.open_config_of(parse(line))


def test_lines_are_read_as_a_shell_reads_them():
    text = (
        'A_B=1 mfl-adapt x --set "a.b={c: 1}" \\\n -o y > out.json # exits with 1\n\n# no\n$ ls\n'
    )
    first, second = lines(Block("here", "bash", text, None))
    assert first.words == ["mfl-adapt", "x", "--set", "a.b={c: 1}", "-o", "y"]
    assert (first.variables, first.into, first.code) == ({"A_B": "1"}, "out.json", 1)
    assert (second.words, second.into, second.code) == (["ls"], None, 0)


def test_blocks_know_their_language_and_file(tmp_path, monkeypatch):
    monkeypatch.setattr(docs_pages, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("# A\n\n```python\n# rat.py\nx = 1\n```\n\n```json a.json\n{}\n```\n")
    first, second = blocks(page)
    assert first == Block("page.md:3", "python", "# rat.py\nx = 1\n", "rat.py")
    assert second == Block("page.md:8", "json", "{}\n", "a.json")


def test_a_page_whose_command_fails_is_found(reader, tmp_path, monkeypatch):
    monkeypatch.setattr(docs_pages, "ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("```bash\nmfl-adapt config validate absent.yaml\n```\n")
    with pytest.raises((AssertionError, MflAdaptError), match=r"absent\.yaml"):
        reader.follow(page)
