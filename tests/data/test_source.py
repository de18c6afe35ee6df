"""Hashes over what a dataset is made from."""

import hashlib
import os

import pytest

from mfl_adapt.data import source
from mfl_adapt.data.source import hash_code, hash_json, hash_source
from mfl_adapt.errors import DataError


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "data"
    (folder / "a").mkdir(parents=True)
    (folder / "a/1.png").write_bytes(b"one")
    (folder / "list.txt").write_text("a\n")
    return folder


def test_counts(folder):
    found = hash_source(folder)
    assert (found.files, found.size) == (2, 5)
    assert hash_source(folder) == found


def test_hidden_files_and_what_is_left_out_do_not_count(folder):
    before = hash_source(folder)
    (folder / ".cache").mkdir()
    (folder / ".cache/x").write_text("x")
    (folder / ".hidden").write_text("x")
    (folder / "made").mkdir()
    (folder / "made/x").write_text("x")
    assert hash_source(folder, without=[folder / "made"]) == before
    assert hash_source(folder) != before


@pytest.mark.parametrize("change", ["content", "name", "more", "less"])
def test_every_change_counts(folder, change):
    before = hash_source(folder).sha256
    if change == "content":
        (folder / "a/1.png").write_bytes(b"two")
    elif change == "name":
        (folder / "a/1.png").rename(folder / "a/2.png")
    elif change == "more":
        (folder / "a/2.png").write_bytes(b"")
    else:
        (folder / "list.txt").unlink()
    assert hash_source(folder).sha256 != before


def test_a_list_stands_for_what_it_names_and_a_file_for_its_folder(folder, tmp_path):
    elsewhere = tmp_path / "lists"
    elsewhere.mkdir()
    listed = elsewhere / "some.txt"
    listed.write_text("../data/a\n\n")
    (elsewhere / "other.bin").write_bytes(b"not named")
    assert hash_source(listed).files == 2
    listed.write_text("../data/missing\n")
    assert hash_source(listed).files == 2  # the folder around it: the list and the other file
    video = folder / "a/1.png"
    before = hash_source(video)
    (folder / "a/calibration.toml").write_text("x")
    assert hash_source(video) != before


def test_links_are_followed_once(folder, tmp_path):
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/far.png").write_bytes(b"far")
    before = hash_source(folder)
    (folder / "b").symlink_to(tmp_path / "linked")
    (folder / "loop").symlink_to(folder)
    assert hash_source(folder).files == before.files + 1


def test_long_files_count_by_pieces_size_and_time(folder, monkeypatch):
    monkeypatch.setattr(source, "_WHOLE", 100)
    monkeypatch.setattr(source, "_PIECE", 10)
    video = folder / "a/long.mp4"
    video.write_bytes(bytes(1000))
    os.utime(video, ns=(1, 1))
    before = hash_source(folder)
    assert hash_source(folder) == before
    video.write_bytes(bytes(999) + b"x")
    os.utime(video, ns=(1, 1))
    assert hash_source(folder) != before
    video.write_bytes(bytes(1000))
    os.utime(video, ns=(1, 2))
    assert hash_source(folder) != before


def test_a_file_that_cannot_be_read(folder):
    (folder / "broken").symlink_to(folder / "nowhere")
    with pytest.raises(DataError, match="broken: expected a readable file, got No such file"):
        hash_source(folder)


def test_code(tmp_path):
    package = tmp_path / "package"
    (package / "inner").mkdir(parents=True)
    (package / "inner/a.py").write_text("1")
    (package / "data.bin").write_bytes(b"1")
    before = hash_code([package])
    (package / "data.bin").write_bytes(b"2")
    assert hash_code([package]) == before
    (package / "inner/a.py").write_text("2")
    assert hash_code([package]) != before
    assert hash_code([package / "inner/a.py"]) != before


def test_json_ignores_the_order_of_keys():
    assert hash_json({"a": 1, "b": 2}) == hash_json({"b": 2, "a": 1})
    assert hash_json({}) == hashlib.sha256(b"{}").hexdigest()
