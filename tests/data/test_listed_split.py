from types import SimpleNamespace

import pytest

from mfl_adapt.data import listed_split
from mfl_adapt.errors import DataError

SAMPLES = [SimpleNamespace(id=name) for name in ("a", "b", "c/d", "e")]


def write(folder, train, held):
    (folder / "data_train.txt").write_text(train)
    (folder / "data_val.txt").write_text(held)
    return folder


def test_lists_decide_and_the_rest_is_left_out(tmp_path):
    split = listed_split(write(tmp_path, "a\nc/d/\n\n", "./e\n"), SAMPLES)
    assert split.train == (0, 2)
    assert split.validation == (3,)
    assert not split.views_only


def test_long_paths_name_short_ids(tmp_path):
    split = listed_split(write(tmp_path, "/far/away/c/d\n", "/far/away/a\n"), SAMPLES)
    assert split[:2] == ((2,), (0,))


def test_without_both_lists_there_is_no_split(tmp_path):
    (tmp_path / "data_train.txt").write_text("a\n")
    assert listed_split(tmp_path, SAMPLES) is None
    assert listed_split(write(tmp_path, "a\n", "other\n"), SAMPLES) is None


def test_a_sample_on_both_sides_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"data_val\.txt: expected samples .* got b\."):
        listed_split(write(tmp_path, "a\nb\n", "b\n"), SAMPLES)


def test_a_list_that_is_no_text(tmp_path):
    write(tmp_path, "a\n", "b\n")
    (tmp_path / "data_val.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="readable list"):
        listed_split(tmp_path, SAMPLES)
