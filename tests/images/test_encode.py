"""Files appear whole or not at all."""

import os
import stat

import numpy as np
import pytest

from mfl_adapt.errors import ShapeError, StorageError
from mfl_adapt.files import write_atomically
from mfl_adapt.images import load_picture, save_picture


def test_save_picture_makes_folders_and_replaces(tmp_path):
    path = tmp_path / "deep" / "a.png"
    save_picture(path, np.zeros((2, 3, 3), np.uint8))
    save_picture(path, np.full((2, 3, 3), 9, np.uint8))
    assert load_picture(path).rgb.max() == 9
    assert [entry.name for entry in path.parent.iterdir()] == ["a.png"]


def test_written_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "plain").write_bytes(b"x")
    write_atomically(tmp_path / "ours", b"x")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "ours")]
    assert modes[0] == modes[1]


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomically(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"a\.json: expected to write 3 bytes, got No space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / "f").write_bytes(b"")
    with pytest.raises(StorageError, match=r"a\.png: expected to write"):
        save_picture(tmp_path / "f" / "a.png", np.zeros((2, 3, 3), np.uint8))


def test_shapes_are_checked(tmp_path):
    with pytest.raises(ShapeError, match=r"encode_png: rgb: expected \[\*, \*, 3\]"):
        save_picture(tmp_path / "a.png", np.zeros((2, 3, 4), np.uint8))
    with pytest.raises(ShapeError, match=r"encode_png: mask: expected \[2, 3\], got \[3, 2\]"):
        save_picture(tmp_path / "a.png", np.zeros((2, 3, 3), np.uint8), np.zeros((3, 2), np.uint8))
