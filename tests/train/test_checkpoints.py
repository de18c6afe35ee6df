"""Checkpoint folders: whole or not there, verified before use, rotated."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
import torch

from mfl_adapt.errors import CheckpointError, StorageError
from mfl_adapt.train import checkpoints
from mfl_adapt.train.checkpoints import (
    State,
    check_space,
    drop_leftovers,
    find_checkpoints,
    path_of,
    read_checkpoint,
    read_newest,
    rotate,
    verify,
    write_checkpoint,
)

STATE = State(
    {"weights/a": torch.tensor([1.5, -2.0]), "random/cpu": torch.tensor([7], dtype=torch.uint8)},
    {"best": None, "rates": [0.1, 1e-300]},
)


def save(folder: Path) -> None:
    """Stand in for what writes an adapter."""
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(b"an adapter")


def write(run: Path, *steps: int) -> None:
    for step in steps:
        write_checkpoint(run, step, save, STATE)


def names(run: Path) -> set[str]:
    return {path.name for path in (run / "checkpoints").iterdir()}


def test_what_is_written_is_read(tmp_path):
    path = write_checkpoint(tmp_path, 12, save, STATE)
    found = read_checkpoint(path)
    assert (found.path, found.step) == (path, 12)
    assert found.state.plain == {"schema": 1, "step": 12, "best": None, "rates": [0.1, 1e-300]}
    assert found.state.tensors.keys() == STATE.tensors.keys()
    for name, tensor in STATE.tensors.items():
        assert torch.equal(found.state.tensors[name], tensor)
    assert names(tmp_path) == {"step-12"}


def test_other_tools_can_check_the_hashes(tmp_path):
    path = write_checkpoint(tmp_path, 1, save, STATE)
    done = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=path, capture_output=True,
                          text=True, check=True)  # fmt: skip
    assert done.stdout.splitlines() == [
        "adapter_model.safetensors: OK", "state.json: OK", "state.safetensors: OK",
    ]  # fmt: skip


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut_off, flip_a_bit, Path.unlink])
@pytest.mark.parametrize(
    "name", ["adapter_model.safetensors", "state.json", "state.safetensors", "SHA256SUMS"]
)
def test_damage_is_refused_by_name(tmp_path, name, damage):
    path = write_checkpoint(tmp_path, 3, save, STATE)
    damage(path / name)
    with pytest.raises(CheckpointError) as caught:
        verify(path)
    # A list of hashes that was changed blames the file whose hash it changed.
    assert str(caught.value).startswith(str(path) if name == "SHA256SUMS" else str(path / name))


def test_a_list_without_the_state_or_with_foreign_paths_is_none(tmp_path):
    path = write_checkpoint(tmp_path, 3, save, STATE)
    sums = path / "SHA256SUMS"
    whole = sums.read_text()
    sums.write_text("".join(line for line in whole.splitlines(True) if "state.json" not in line))
    with pytest.raises(CheckpointError, match="cut off or changed"):
        verify(path)
    sums.write_text(whole + f"{'0' * 64}  ../secret\n")
    with pytest.raises(CheckpointError, match=r"\.\./secret"):
        verify(path)


def test_another_schema_is_refused(tmp_path):
    path = write_checkpoint(tmp_path, 3, save, STATE)
    text = (path / "state.json").read_text().replace('"schema": 1', '"schema": 2')
    (path / "state.json").write_text(text)
    lines = (path / "SHA256SUMS").read_text().splitlines()
    digest = hashlib.sha256(text.encode()).hexdigest()
    lines = [f"{digest}  state.json" if "state.json" in one else one for one in lines]
    (path / "SHA256SUMS").write_text("\n".join(lines) + "\n")
    with pytest.raises(CheckpointError, match=r"state\.json: expected schema 1, got 2\. Go on wi"):
        read_checkpoint(path)


def test_the_newest_that_verifies_is_taken(tmp_path, caplog):
    assert read_newest(tmp_path) is None
    write(tmp_path, 5, 40, 300)
    assert read_newest(tmp_path).step == 300
    cut_off(path_of(tmp_path, 300) / "state.safetensors")
    assert read_newest(tmp_path).step == 40
    assert "step-300/state.safetensors: expected SHA-256" in caplog.text
    for step in (5, 40):
        (path_of(tmp_path, step) / "SHA256SUMS").unlink()
    with pytest.raises(CheckpointError, match="a checkpoint that verifies, got 3 damaged"):
        read_newest(tmp_path)


def test_the_newest_and_the_best_stay(tmp_path):
    write(tmp_path, 0, 5, 10, 100, 1000)
    (tmp_path / "checkpoints" / "notes").mkdir()
    rotate(tmp_path, keep=2, best=5)
    assert names(tmp_path) == {"step-5", "step-100", "step-1000", "notes"}
    rotate(tmp_path, keep=2, best=1000)
    assert names(tmp_path) == {"step-100", "step-1000", "notes"}
    assert find_checkpoints(tmp_path)[0] == path_of(tmp_path, 1000)


def test_a_checkpoint_that_is_there_is_replaced(tmp_path):
    write(tmp_path, 4)
    flip_a_bit(path_of(tmp_path, 4) / "state.json")
    write(tmp_path, 4)
    assert read_newest(tmp_path).step == 4
    assert names(tmp_path) == {"step-4"}


def test_what_a_killed_process_left_is_cleared_away(tmp_path):
    write(tmp_path, 4)
    left = [".step-5.0a.partial", "..step-5.0a.partial.1b.partial", ".step-1.2c.old"]
    for name in left:
        save(tmp_path / "checkpoints" / name)
    (tmp_path / ".config.yaml.77.partial").write_text("half")
    (tmp_path / ".hidden").write_text("the user's")
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / ".step-000002.png.77.partial").write_text("half a picture")
    drop_leftovers(tmp_path)
    assert names(tmp_path) == {"step-4"}
    assert not list((tmp_path / "samples").iterdir())
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoints", "samples", ".hidden"}


def test_what_cannot_be_written_leaves_the_others_alone(tmp_path, monkeypatch):
    write(tmp_path, 4)
    fsync = os.fsync

    def full(handle):
        monkeypatch.setattr(os, "fsync", fsync)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"step-8: expected to write a checkpoint, got No space"):
        write(tmp_path, 8)
    assert names(tmp_path) == {"step-4"}
    assert read_newest(tmp_path).step == 4


def test_room_is_asked_for_before(tmp_path, monkeypatch):
    check_space(tmp_path, 0)
    monkeypatch.setattr(
        checkpoints.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 3_000_000})
    )
    check_space(tmp_path, 1_000_000)
    with pytest.raises(StorageError, match=r"room for a checkpoint of 6\.0 MB, got 3\.0 MB free"):
        check_space(tmp_path, 5_000_000)
    with pytest.raises(StorageError, match=r"room for 2 checkpoints of 4\.0 MB, got 3\.0 MB free"):
        check_space(tmp_path, 1_000_000, count=2)
