"""Subjects at their place: share, centre, map, and the published crop of faces."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stand_ins import ball

from mfl_adapt.errors import ConfigError, DataError, RangeError
from mfl_adapt.models.mvdiffusion.config import PUBLISHED_CONTRACT, TINY_CONTRACT
from mfl_adapt.predict.framed import FramingSettings
from mfl_adapt.predict.framing import frame_picture
from mfl_adapt.predict.functions import load_function
from mfl_adapt.predict.picture import RawPicture


def raw(rgb):
    return RawPicture(rgb, None, np.eye(3), Path("a.png"))


def frame(rgb, mask, contract=PUBLISHED_CONTRACT, **settings):
    return frame_picture(raw(rgb), mask, contract, FramingSettings(**settings))


def centroid(mask):
    rows, columns = np.nonzero(mask > 127)
    return columns.mean() + 0.5, rows.mean() + 0.5


def test_a_mask_gets_its_share_in_the_middle(caplog):
    caplog.set_level(logging.INFO, "mfl_adapt")
    rgb, mask = ball()
    framed = frame(rgb, mask)
    assert framed.rgb.shape == (512, 512, 3)
    # The middle of the contract's 0.29 to 0.37.
    assert (framed.mask > 127).mean() == pytest.approx(0.33, abs=0.01)
    assert centroid(framed.mask) == pytest.approx((256, 256), abs=2)
    assert (framed.rgb[framed.mask == 0] == 255).all()
    assert framed.rgb[256, 256].tolist() == [60, 90, 120]
    assert "33 %" in framed.note
    assert f"a.png: {framed.note}" in caplog.messages


def test_the_map_says_where_every_pixel_went():
    rgb, mask = ball(center=(70.0, 30.0))
    framed = frame(rgb, mask, share=0.1)
    assert (framed.mask > 127).mean() == pytest.approx(0.1, abs=0.005)
    x, y, w = framed.pixel_map @ [70.0, 30.0, 1.0]
    assert w == 1.0
    assert centroid(framed.mask) == pytest.approx((x, y), abs=1.5)


def test_a_long_subject_stays_inside():
    mask = np.zeros((100, 300), np.uint8)
    mask[48:52, 20:280] = 255
    framed = frame(np.zeros((100, 300, 3), np.uint8), mask)
    columns = np.flatnonzero((framed.mask > 127).any(axis=0))
    assert columns[-1] + 1 - columns[0] == pytest.approx(0.95 * 512, abs=2)


def test_a_subject_that_the_bottom_cuts_stays_at_the_bottom():
    mask = np.zeros((100, 100), np.uint8)
    mask[60:, 30:70] = 255
    framed = frame(np.zeros((100, 100, 3), np.uint8), mask)
    assert framed.pixel_map[1] @ [0, 100, 1] == pytest.approx(512)
    assert framed.mask[-1, 256] == 255
    assert "bottom edge" in framed.note


def test_a_subject_that_another_edge_cuts_is_named(caplog):
    mask = np.zeros((100, 100), np.uint8)
    mask[30:70, :40] = 255
    framed = frame(np.zeros((100, 100, 3), np.uint8), mask)
    assert "left edge cuts the subject" in caplog.text
    assert centroid(framed.mask) == pytest.approx((256, 256), abs=2)


def test_a_given_scale_is_kept():
    rgb, mask = ball()
    assert frame(rgb, mask, scale=2.0).pixel_map[0, 0] == 2.0


def test_a_framed_picture_framed_again_hardly_moves():
    rgb, mask = ball()
    once = frame(rgb, mask, TINY_CONTRACT)
    again = frame(once.straight, once.mask, TINY_CONTRACT)
    assert again.pixel_map == pytest.approx(np.eye(3), abs=0.6)
    whole = frame(once.straight, once.mask, TINY_CONTRACT, by="none")
    assert np.array_equal(whole.rgb, once.rgb)
    assert np.array_equal(whole.pixel_map, np.eye(3))


def test_a_square_picture_is_resized_as_the_data_set_does_it():
    rgb, mask = ball(96, 96, center=(50.0, 40.0), radius=25.0)
    framed = frame(rgb, mask, TINY_CONTRACT, by="none")
    small = Image.fromarray(np.dstack([rgb, mask])).resize((64, 64), Image.Resampling.LANCZOS)
    pixels = np.asarray(small).astype(float)
    alpha = pixels[..., 3:] / 255
    assert np.abs(framed.rgb - (pixels[..., :3] * alpha + 255 * (1 - alpha))).max() <= 0.5 + 1e-9
    assert framed.pixel_map == pytest.approx(np.diag([2 / 3, 2 / 3, 1]))


def test_another_aspect_is_not_squeezed():
    with pytest.raises(DataError, match=r"expected a square picture .* got 120 x 80"):
        frame(*ball(), by="none")


def published_crop(rgb, x, y, w, h):
    """Section by section what the published program is known to do, with Pillow alone."""
    picture = Image.fromarray(rgb)
    ratio = 194.2749650813705 / np.mean([w, h])
    scaled = picture.resize((int(picture.width * ratio), int(picture.height * ratio)))
    offset = (
        251.83270369057132 - int((x + w / 2) * ratio),
        280.0133630862363 - int((y + h / 2) * ratio),
    )
    left, top = (int(max(0, -one)) for one in offset)
    right, bottom = (int(min(s, 512 - one)) for s, one in zip(scaled.size, offset, strict=True))
    canvas = Image.new("RGB", (512, 512), (255, 255, 255))
    place = tuple(int(max(0, one)) for one in offset)
    canvas.paste(scaled.crop((left, top, right, bottom)), place)
    return np.asarray(canvas)


@pytest.mark.parametrize("box", [(52, 12, 36, 36), (3, 2, 20, 30), (60, 20, 55, 58)])
def test_faces_are_placed_as_published(box):
    rgb, mask = ball()
    over = np.where(mask[..., None] > 0, rgb, np.uint8(255))
    framed = frame(rgb, mask, by="face", face_box=box)
    assert np.array_equal(framed.rgb, published_crop(over, *box))
    # The box's middle lands where faces are, to the pixels that the program cuts off.
    x, y, _ = framed.pixel_map @ [box[0] + box[2] / 2, box[1] + box[3] / 2, 1]
    assert (x, y) == pytest.approx((251.8, 280.0), abs=2.1)


def test_a_small_model_sees_the_same_crop():
    rgb, mask = ball()
    large = frame(rgb, mask, by="face", face_box=(52, 12, 36, 36))
    small = frame(rgb, mask, TINY_CONTRACT, by="face", face_box=(52, 12, 36, 36))
    resized = Image.fromarray(large.rgb).resize((64, 64), Image.Resampling.LANCZOS)
    assert np.array_equal(small.rgb, np.asarray(resized))
    assert small.pixel_map == pytest.approx(np.diag([1 / 8, 1 / 8, 1]) @ large.pixel_map)


def test_a_detector_finds_the_face(tmp_path):
    path = tmp_path / "faces.py"
    path.write_text(
        "def one(rgb):\n    return 52, 12, 36, 36\n\n\ndef none(rgb):\n    return None\n\n\n"
        "def odd(rgb):\n    return 'left'\n"
    )
    rgb, mask = ball()
    boxed = frame(rgb, mask, by="face", face_box=(52, 12, 36, 36))
    detectors = {
        name: load_function(f"{path}:{name}", "--face-detector") for name in ("one", "none", "odd")
    }
    found = frame(rgb, mask, by="face", detector=detectors["one"])
    assert np.array_equal(found.rgb, boxed.rgb)
    with pytest.raises(DataError, match="expected a face, got none from --face-detector"):
        frame(rgb, mask, by="face", detector=detectors["none"])
    with pytest.raises(DataError, match="four numbers x, y, w, h, got 'left'"):
        frame(rgb, mask, by="face", detector=detectors["odd"])


@pytest.mark.parametrize("box", [(-5, 0, 20, 20), (0, 0, 0, 20), (200, 0, 20, 20), (0, 0, 500, 20)])
def test_a_box_of_another_picture(box):
    with pytest.raises(DataError, match="inside of the picture's 120 x 80 px"):
        frame(*ball(), by="face", face_box=box)


def test_a_box_that_would_make_the_picture_huge():
    rgb, mask = ball(500, 500)
    with pytest.raises(DataError, match="Check the box"):
        frame(rgb, mask, by="face", face_box=(10, 10, 1, 1))


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"by": "face"}, ConfigError),
        ({"by": "mask", "face_box": (0, 0, 5, 5)}, ConfigError),
        ({"by": "none", "share": 0.2}, ConfigError),
        ({"share": 2.0}, RangeError),
    ],
)
def test_settings_that_do_not_go_together(settings, error):
    with pytest.raises(error):
        FramingSettings(**settings)
