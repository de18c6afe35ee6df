"""The sources of a mask, and what is refused."""

import numpy as np
import pytest
from PIL import Image
from stand_ins import ball

from mfl_adapt.errors import ConfigError, DataError, PluginError
from mfl_adapt.images import save_picture
from mfl_adapt.predict.background import choose_background, mask_on_white
from mfl_adapt.predict.picture import RawPicture

FUNCTIONS = """
import numpy as np

def by_colour(rgb):
    rgb[:] = rgb  # a copy, so that nobody else sees what happens to it
    return rgb[..., 0] < 100

def bytes_of(rgb):
    return np.where(rgb[..., 0] < 100, np.uint8(255), np.uint8(0))

def ones(rgb):
    return np.ones(rgb.shape[:2], np.uint8)

def small(rgb):
    return np.zeros((3, 3), bool)

def floats(rgb):
    return np.ones(rgb.shape[:2])

def text(rgb):
    return "mask"

def broken(rgb):
    raise RuntimeError("no weights\\nfound")
"""


def picture(rgb, alpha=None, path="a.png"):
    from pathlib import Path

    return RawPicture(rgb, alpha, np.eye(3), Path(path))


@pytest.fixture
def functions(tmp_path):
    path = tmp_path / "cutter.py"
    path.write_text(FUNCTIONS)
    return path


def test_alpha():
    rgb, mask = ball()
    assert np.array_equal(choose_background("alpha").mask(picture(rgb, mask)), mask)
    with pytest.raises(DataError, match="expected an alpha channel"):
        choose_background("alpha").mask(picture(rgb))


def test_white_keeps_white_that_the_subject_encloses():
    rgb = np.full((40, 40, 3), 250, np.uint8)
    rgb[10:30, 10:30] = 80
    rgb[15:20, 15:20] = 255
    mask = choose_background("white").mask(picture(rgb))
    assert mask[17, 17] == 255
    assert (mask > 0).sum() == 400
    assert set(np.unique(mask)) == {0, 255}


def test_white_has_a_threshold():
    rgb = np.full((40, 40, 3), 235, np.uint8)
    rgb[10:30, 10:30] = 80
    with pytest.raises(DataError, match="Lower the threshold"):
        choose_background("white").mask(picture(rgb))
    assert (choose_background("white:230").mask(picture(rgb)) > 0).sum() == 400


def test_white_enters_a_gap_only_through_its_sides_not_its_corners():
    white = np.array([[1, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]], bool)
    rgb = np.where(white, 255, 0).astype(np.uint8)[..., None].repeat(3, axis=2)
    assert mask_on_white(rgb).tolist() == [[0, 255, 255, 255]] + [[255] * 4] * 3


def test_auto_takes_alpha_then_white_then_gives_up():
    rgb, mask = ball()
    auto = choose_background("auto")
    assert np.array_equal(auto.mask(picture(rgb, mask)), mask)
    opaque = np.full_like(mask, 255)
    white = np.where(mask[..., None] > 0, rgb, np.uint8(255))
    assert np.array_equal(auto.mask(picture(white, opaque)), mask)
    with pytest.raises(DataError, match=r"neither \(0 % of the picture's edge is white\)"):
        auto.mask(picture(rgb, opaque))


def test_a_mask_file(tmp_path):
    rgb, mask = ball()
    save_picture(tmp_path / "m.png", mask[..., None].repeat(3, axis=2))
    source = choose_background(str(tmp_path / "m.png"))
    assert np.array_equal(source.mask(picture(rgb)), mask)
    with pytest.raises(DataError, match=r"expected a mask of 120 x 70 px .* got 120 x 80"):
        source.mask(picture(rgb[:70]))


def test_a_folder_of_masks(tmp_path):
    rgb, mask = ball()
    save_picture(tmp_path / "b.png", mask[..., None].repeat(3, axis=2))
    source = choose_background(str(tmp_path))
    assert np.array_equal(source.mask(picture(rgb, path="pictures/b.jpg")), mask)
    with pytest.raises(DataError, match=r"a mask called c\.png"):
        source.mask(picture(rgb, path="pictures/c.png"))


def test_a_mask_is_not_a_photograph(tmp_path):
    rgb, _ = ball()
    save_picture(tmp_path / "m.png", rgb)
    with pytest.raises(DataError, match="expected a grey mask"):
        choose_background(str(tmp_path / "m.png")).mask(picture(rgb))


@pytest.mark.parametrize("name", ["by_colour", "bytes_of"])
def test_a_function_in_a_file(functions, name):
    rgb, mask = ball()
    before = rgb.copy()
    assert np.array_equal(choose_background(f"{functions}:{name}").mask(picture(rgb)), mask)
    assert np.array_equal(rgb, before)


def test_a_function_in_a_module(functions, monkeypatch):
    monkeypatch.syspath_prepend(str(functions.parent))
    rgb, mask = ball()
    assert np.array_equal(choose_background("cutter:by_colour").mask(picture(rgb)), mask)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ones", "uint8 with 1 as its greatest value"),
        ("small", r"\[80, 120\] like the picture, got \[3, 3\]"),
        ("floats", "got float64"),
        ("text", "got str"),
    ],
)
def test_what_a_function_returns_is_checked(functions, name, message):
    rgb, _ = ball()
    with pytest.raises(DataError, match=message):
        choose_background(f"{functions}:{name}").mask(picture(rgb))


def test_what_a_function_raises_is_one_line(functions):
    rgb, _ = ball()
    with pytest.raises(PluginError, match=r"broken raised RuntimeError: no weights found \(line"):
        choose_background(f"{functions}:broken").mask(picture(rgb))


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("none.png", ConfigError, "expected auto, alpha, white"),
        ("white:loud", ConfigError, "number from 1 to 255"),
        ("white:", ConfigError, "number from 1 to 255"),
        ("white:256", ConfigError, "number from 1 to 255"),
        ("none.py:cut", ConfigError, "expected an existing file"),
        ("no_such_module_here:cut", PluginError, "No module named"),
        ("json:cut", ConfigError, "expected a function of json"),
    ],
)
def test_what_names_no_background(text, error, message):
    with pytest.raises(error, match=message):
        choose_background(text)


def test_a_misspelt_function_is_guessed(functions):
    with pytest.raises(ConfigError, match="Did you mean 'by_colour'"):
        choose_background(f"{functions}:by_color")


def test_the_key_follows_what_decides_the_mask(functions, tmp_path):
    rgb, mask = ball()
    shown = picture(rgb)
    assert choose_background("white").key(shown) != choose_background("white:230").key(shown)
    first = choose_background(f"{functions}:by_colour").key(shown)
    functions.write_text(FUNCTIONS.replace("< 100", "< 101"))
    assert choose_background(f"{functions}:by_colour").key(shown) != first
    file = tmp_path / "m.png"
    Image.fromarray(mask).save(file)
    first = choose_background(str(file)).key(shown)
    Image.fromarray(255 - mask).save(file)
    assert choose_background(str(file)).key(shown) != first
