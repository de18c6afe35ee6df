"""The page that plays a sequence: its text and its files."""

import base64
import json
import re

import pytest
from balls import make_balls
from mfl_adapt_exporters.config import PlyConfig, SplatConfig
from mfl_adapt_exporters.ply import Ply
from mfl_adapt_exporters.splat import Splat

from mfl_adapt.errors import DataError
from mfl_adapt.report.player import read_sequence, write_player

FRAME = re.compile(r'frame\((\d+), "([^"]*)"\);')


@pytest.fixture
def folder(tmp_path):
    """Two frames, a PLY and a .splat file."""
    for name in ("f0", "f1"):
        (tmp_path / name).mkdir()
    Ply(PlyConfig())(make_balls(), tmp_path / "f0" / "gaussians.ply")
    Splat(SplatConfig())(make_balls(), tmp_path / "f1" / "gaussians.splat")
    write_sequence(tmp_path)
    return tmp_path


def write_sequence(folder, **changes):
    frames = [
        {"name": "first", "folder": "f0", "ply": "gaussians.ply"},
        {"name": "</script>", "ply": "f1/gaussians.splat"},
    ]
    content = {"fps": 12.5, "frames": frames, **changes}
    (folder / "sequence.json").write_text(json.dumps(content))


def test_one_page_holds_all_frames(folder):
    page = write_player(folder)
    assert page == folder / "index.html"
    text = page.read_text("utf-8")
    found = FRAME.findall(text)
    assert [number for number, _ in found] == ["0", "1"]
    assert all(len(base64.b64decode(data)) == 5 * 32 for _, data in found)
    assert '"fps": 12.5, "frames": ["first", "\\u003c/script>"], "scripts": null' in text
    assert not re.search(r"https?:|//[a-z]+\.|<link|@import|\bfetch\(|__[A-Z]+__", text)
    assert not (folder / "player").exists()


def test_large_sequences_stand_beside_the_page(folder):
    # The first frame fits, the second does not: both move out.
    text = write_player(folder, largest_page=300).read_text("utf-8")
    assert FRAME.findall(text) == []
    assert '"scripts": "player/#.js"' in text
    assert sorted(file.name for file in (folder / "player").iterdir()) == ["0.js", "1.js"]
    beside = [FRAME.fullmatch((folder / "player" / f"{i}.js").read_text()) for i in (0, 1)]
    assert [one.group(1) for one in beside] == ["0", "1"]
    together = FRAME.findall(write_player(folder).read_text("utf-8"))
    assert [one.group(2) for one in beside] == [data for _, data in together]


def test_pages_are_written_again(folder):
    first = write_player(folder).read_bytes()
    assert write_player(folder).read_bytes() == first


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fps": 0}, "expected fps, a number of frames per second, got 0"),
        ({"fps": True}, "expected fps, .* got True"),
        ({"fps": "12"}, "expected fps, .* got '12'"),
        ({"frames": []}, r"expected a list of frames, got \[\]"),
        ({"frames": None}, "expected a list of frames, got None"),
        ({"frames": ["f0"]}, r"frames\[0\]\.name: expected text, got None"),
        ({"frames": [{"name": "a"}]}, r"frames\[0\]\.ply: expected text, got None"),
        (
            {"frames": [{"name": "a", "folder": 3, "ply": "a"}]},
            r"frames\[0\]\.folder: expected text, got 3",
        ),
    ],
)
def test_sequences_are_checked(folder, changes, message):
    write_sequence(folder, **changes)
    with pytest.raises(DataError, match=message) as caught:
        read_sequence(folder / "sequence.json")
    assert str(folder / "sequence.json") in str(caught.value)


def test_files_that_cannot_be_read_are_named(folder):
    (folder / "f1" / "gaussians.splat").write_bytes(b"x" * 33)
    with pytest.raises(DataError, match=r"gaussians\.splat: expected Gaussians of 32 bytes each"):
        write_player(folder)
    (folder / "f1" / "gaussians.splat").unlink()
    with pytest.raises(DataError, match=r"gaussians\.splat: expected a readable file, got No such"):
        write_player(folder)
    (folder / "f0" / "gaussians.ply").unlink()
    with pytest.raises(DataError, match=r"gaussians\.ply: expected a readable PLY file"):
        write_player(folder)
    assert not (folder / "index.html").exists()
    (folder / "sequence.json").unlink()
    with pytest.raises(DataError, match=r"sequence\.json: expected a JSON file of a sequence"):
        write_player(folder)
