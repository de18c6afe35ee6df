"""Checkpoints of a real run: whichever file is damaged is named, and the one before is taken."""

import random
import shutil
from pathlib import Path

import pytest
from small_runs import run_small

from mfl_adapt.errors import CheckpointError
from mfl_adapt.train.checkpoints import SUMS, find_checkpoints, read_newest, verify

FILES = (
    *("README.md", "SHA256SUMS", "adapter_config.json", "adapter_model.safetensors"),
    *("passport.json", "state.json", "state.safetensors"),
)


def delete(path: Path, _: random.Random) -> None:
    path.unlink()


def empty(path: Path, _: random.Random) -> None:
    path.write_bytes(b"")


def cut(path: Path, generator: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: generator.randrange(1, len(content))])


def lengthen(path: Path, _: random.Random) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def flip(path: Path, generator: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    path.write_bytes(bytes(content))


def zero_the_end(path: Path, _: random.Random) -> None:
    """What a file system leaves of a file whose last pages were not written."""
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + bytes(len(content) - half))


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run of two steps with a checkpoint of each, and nothing else that a test needs."""
    few = ("train.steps=2", "train.save_every=1", "evaluate.retention=0", "evaluate.samples=1")
    result = run_small(tmp_path_factory.mktemp("trained"), *few, "data.reader.samples=3",
                       "data.split.validation=0.34", "train.ema=0.9")  # fmt: skip
    return result.session.folder.path


@pytest.fixture
def run(trained, tmp_path) -> Path:
    shutil.copytree(trained / "checkpoints", tmp_path / "checkpoints")
    return tmp_path


def test_these_are_all_its_files(run):
    for path in find_checkpoints(run):
        assert tuple(sorted(one.name for one in path.iterdir())) == FILES
        listed = [line.split("  ")[1] for line in (path / SUMS).read_text().splitlines()]
        assert sorted([*listed, SUMS]) == list(FILES)
    assert read_newest(run).step == 2


@pytest.mark.parametrize("damage", [delete, empty, cut, lengthen, flip, zero_the_end])
@pytest.mark.parametrize("name", FILES)
def test_each_file_is_refused_by_name_and_the_checkpoint_before_is_taken(run, name, damage, caplog):
    newest, before, *_ = find_checkpoints(run)
    damage(newest / name, random.Random(f"{name} {damage.__name__}"))
    found = read_newest(run)
    assert (found.path, found.step) == (before, 1)
    (warning,) = [one.getMessage() for one in caplog.records]
    # A list of hashes that was changed blames the file whose hash or name it changed.
    assert warning.startswith(f"resume: {newest if name == SUMS else newest / name}")
    assert warning.endswith("The one before it is taken.")


def test_no_bit_may_differ(run):
    """At random places of random files, more often than anybody would by hand."""
    generator = random.Random(0)
    newest = find_checkpoints(run)[0]
    for _ in range(100):
        path = newest / generator.choice(FILES)
        sound = path.read_bytes()
        flip(path, generator)
        with pytest.raises(CheckpointError):
            verify(newest)
        path.write_bytes(sound)
    verify(newest)


def test_files_of_another_checkpoint_are_not_taken_for_its_own(run):
    newest, before, *_ = find_checkpoints(run)
    for name in sorted({*FILES} - {SUMS}):
        mine, theirs = (newest / name).read_bytes(), (before / name).read_bytes()
        if mine == theirs:
            continue
        (newest / name).write_bytes(theirs)
        with pytest.raises(CheckpointError, match=name):
            verify(newest)
        (newest / name).write_bytes(mine)
