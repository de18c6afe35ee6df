"""How users name adapters and strengths."""

from pathlib import Path

import pytest

from mfl_adapt.adapter import AdapterChoice, read_choice
from mfl_adapt.errors import RangeError


@pytest.mark.parametrize(
    ("text", "folder", "strength"),
    [
        ("runs/mouse/adapter", "runs/mouse/adapter", 1.0),
        ("runs/mouse/adapter@0.5", "runs/mouse/adapter", 0.5),
        ("mouse@0", "mouse", 0.0),
        ("mouse@1.5e0", "mouse", 1.5),
        ("me@lab@2", "me@lab", 2.0),
        ("me@lab/adapter", "me@lab/adapter", 1.0),
        ("me@lab/adapter@.25", "me@lab/adapter", 0.25),
        ("", ".", 1.0),
    ],
)
def test_folder_and_strength(text, folder, strength):
    assert read_choice(text) == AdapterChoice(Path(folder), strength)


def test_a_path_that_exists_is_one(tmp_path):
    named = tmp_path / "mouse@0.5"
    named.mkdir()
    assert read_choice(str(named)) == AdapterChoice(named, 1.0)
    assert read_choice(f"{named}@0.25") == AdapterChoice(named, 0.25)


@pytest.mark.parametrize("strength", ["half", "", "-0.5", "nan", "inf", "0,5", "1@"])
def test_a_strength_is_a_number(strength):
    with pytest.raises(RangeError, match=r"expected FOLDER or FOLDER@STRENGTH .* got strength "):
        read_choice(f"mouse@{strength}")


def test_a_strength_of_nothing():
    with pytest.raises(RangeError, match=r"got strength '0\.5' of no folder"):
        read_choice("@0.5")
