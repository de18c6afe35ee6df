"""What the packed cache deletes of itself, and above all what it does not."""

import os
import time
from pathlib import Path

import pytest
from small_samples import CONTRACT, make_sample

from mfl_adapt.data import conform, open_packed
from mfl_adapt.data.packed_room import KEPT, UNUSED_DAYS, drop_unused

DAY = 24 * 3600.0


def make(cache: Path, name: str, days: float) -> Path:
    """A folder that was last opened so many days ago."""
    folder = cache / name
    folder.mkdir(parents=True)
    (folder / "index.json").write_text("{}")
    return age(folder, days)


def age(folder: Path, days: float) -> Path:
    then = time.time() - days * DAY
    os.utime(folder, (then, then))
    return folder


def key(number: int) -> str:
    return f"{number:016x}"


def test_the_newest_few_stay_however_old(tmp_path):
    folders = [make(tmp_path, key(number), 400 + number) for number in range(KEPT + 2)]
    assert set(drop_unused(tmp_path)) == set(folders[KEPT:])
    assert sorted(tmp_path.iterdir()) == folders[:KEPT]


def test_what_was_opened_lately_stays_however_many(tmp_path):
    folders = [make(tmp_path, key(number), UNUSED_DAYS - 1) for number in range(3 * KEPT)]
    assert drop_unused(tmp_path) == []
    assert sorted(tmp_path.iterdir()) == folders


def test_only_what_the_cache_wrote_is_deleted(tmp_path):
    for number in range(KEPT):
        make(tmp_path, key(number), 0)
    ours = [make(tmp_path, key(99), 400), make(tmp_path, f".{key(98)}.123.partial", 400)]
    young = make(tmp_path, f".{key(97)}.123.partial", 1)
    others = [make(tmp_path, name, 400) for name in ("mice", "0123", key(9) + "0", ".git")]
    (tmp_path / key(95)).write_text("a file")
    (tmp_path / key(94)).symlink_to(others[0])
    assert set(drop_unused(tmp_path)) == set(ours)
    assert all((one / "index.json").exists() for one in [young, *others])
    assert (tmp_path / key(95)).is_file()
    assert (tmp_path / key(94)).is_symlink()


def test_a_cache_that_is_not_there(tmp_path):
    assert drop_unused(tmp_path / "none") == []


@pytest.fixture
def packed(tmp_path) -> list[Path]:
    """More folders than are kept, all of them old."""
    sample = conform(make_sample("a"), CONTRACT)
    for number in range(KEPT + 1):
        before = set(tmp_path.iterdir())
        open_packed(tmp_path, {"made": number}, [sample])
        (folder,) = set(tmp_path.iterdir()) - before
        age(folder, 400 + number)
    return sorted(tmp_path.iterdir(), key=lambda folder: folder.stat().st_mtime)


def test_packing_makes_room_and_opening_keeps(tmp_path, packed):
    oldest, next_oldest = packed[:2]
    mapped = open_packed(tmp_path, {"made": KEPT}, iter(()))[0]
    open_packed(tmp_path, {"made": "anew"}, [conform(make_sample("b"), CONTRACT)])
    assert oldest.exists()
    assert not next_oldest.exists()
    assert len(list(tmp_path.iterdir())) == KEPT
    assert mapped.views[0].rgb.any()


def test_what_is_mapped_stays_readable_after_its_folder_is_gone(tmp_path, packed):
    mapped = open_packed(tmp_path, {"made": KEPT}, iter(()))[0]
    before = mapped.views[0].rgb.tobytes()
    age(packed[0], 400)
    for number in range(KEPT):
        open_packed(tmp_path, {"more": number}, [conform(make_sample("b"), CONTRACT)])
    assert not packed[0].exists()
    assert mapped.views[0].rgb.tobytes() == before
