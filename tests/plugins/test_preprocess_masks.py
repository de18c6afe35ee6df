"""Masks: made from alpha, white, pictures and videos, and cleaned."""

import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest
from mfl_adapt_preprocess.auto_mask import AutoMask
from mfl_adapt_preprocess.clean_mask import CleanMask
from mfl_adapt_preprocess.composite import Composite
from mfl_adapt_preprocess.config import AutoMaskConfig, CleanMaskConfig, CompositeConfig
from pydantic import ValidationError

from mfl_adapt.checks import check_settings
from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.images import RawView, begin_sample, replace_pixels, save_picture, warp_sample
from mfl_adapt.types import RawCamera

HEIGHT, WIDTH = 20, 30
POSE = tuple(tuple(float(value) for value in row) for row in np.eye(4))


def make_sample(pictures, masks=None, *, distortion=(), **params):
    masks = masks or [None] * len(pictures)
    height, width = pictures[0].shape[:2]
    camera = RawCamera(
        POSE,
        (40.0, 40.0, width / 2, height / 2),
        height,
        width,
        lens="brown" if distortion else "pinhole",
        distortion=distortion,
    )
    views = [
        RawView(f"cam_{number:03d}", rgb, mask, camera, f"cam_{number:03d}.png")
        for number, (rgb, mask) in enumerate(zip(pictures, masks, strict=True))
    ]
    return begin_sample("s", views, step="reader", params=params, session="day", animal="m1")


def on_white(value=100, *, background=255, dtype=np.uint8):
    rgb = np.full((HEIGHT, WIDTH, 3), background, dtype)
    rgb[5:12, 8:20] = value
    return rgb


def box():
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[5:12, 8:20] = 255
    return mask


def auto(**settings):
    return AutoMask(AutoMaskConfig(**settings))


def clean(mask, **settings):
    sample = make_sample([np.zeros((*mask.shape, 3), np.uint8)], [mask])
    done = CleanMask(CleanMaskConfig(**settings))(sample)
    return done.views[0].mask, done.provenance[-1]


def test_white_background_by_hand():
    rgb = on_white()
    rgb[0, 0] = 251  # above 250 in all channels: background
    rgb[0, 1] = (255, 255, 250)  # one channel is not: subject
    sample = make_sample([rgb])
    done = auto(source="white")(sample)
    expected = box()
    expected[0, 1] = 255
    assert np.array_equal(done.views[0].mask, expected)
    assert np.array_equal(done.views[0].rgb, rgb)
    assert sample.views[0].mask is None
    step = done.provenance[-1]
    assert (step.step, step.exact, step.pixel_maps) == ("preprocess.auto_mask", True, ())
    assert step.params["shares"] == [pytest.approx(85 / 600, abs=1e-6)]
    assert step.digest


def test_sixteen_bits_have_the_same_threshold():
    rgb = on_white(250 * 257, background=251 * 257, dtype=np.uint16)
    assert np.array_equal(auto(source="white")(make_sample([rgb])).views[0].mask, box())


def test_alpha_is_kept_or_cut_at_a_threshold():
    mask = box()
    mask[5, 8:20] = 100
    sample = make_sample([on_white()], [mask])
    assert np.array_equal(auto(source="alpha")(sample).views[0].mask, mask)
    cut = auto(source="alpha", threshold=100)(sample).views[0].mask
    assert (cut[5] == 0).all()
    assert np.array_equal(cut[6:], box()[6:])


def test_masks_come_before_brightness():
    """255 * 0.95 = 242 is below the threshold: the whole frame would be subject."""
    sample = make_sample([on_white()], [box()])
    darker = [replace(view, rgb=(view.rgb * 0.95).astype(np.uint8)) for view in sample.views]
    late = replace_pixels(sample, darker, step="brighten.up", params={"photometric": True})
    for source in ("white", "alpha"):
        with pytest.raises(DataError, match=r"before every step .* got it after brighten\.up"):
            auto(source=source)(late)
    # Were the order not known, the share of the frame would still give it away.
    unknown = replace_pixels(sample, darker, step="brighten.up", params={})
    with pytest.raises(DataError, match=r"cam_000\.png: .* got a mask over 100 % from source: wh"):
        auto(source="white")(unknown)
    assert np.array_equal(auto(source="white")(sample).views[0].mask, box())
    done = Composite(CompositeConfig(color=0.0))(auto(source="white")(sample))
    with pytest.raises(DataError, match=r"got it after preprocess\.composite"):
        auto(source="white")(done)


@pytest.mark.parametrize(
    ("rgb", "settings", "message"),
    [
        (on_white(251), {}, r"got an empty mask from source: white\. .* raise the threshold"),
        (on_white(background=250), {}, r"got a mask over 100 % .* lower it"),
        (on_white(), {"max_share": 0.1}, r"at most 10 % .* got a mask over 14 %"),
    ],
)
def test_masks_that_cannot_be_right(rgb, settings, message):
    with pytest.raises(DataError, match=rf"^cam_000\.png: .*{message}") as caught:
        auto(source="white", **settings)(make_sample([rgb]))
    assert "\n" not in str(caught.value)


def test_alpha_that_holds_no_mask():
    whole = np.full((HEIGHT, WIDTH), 255, np.uint8)
    with pytest.raises(DataError, match=r"mask over 100 % .* set source: white"):
        auto(source="alpha")(make_sample([on_white()], [whole]))
    with pytest.raises(DataError, match=r"cam_000\.png: expected an alpha channel .* got none"):
        auto(source="alpha")(make_sample([on_white()]))


def save_grey(path, mask):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_picture(path, np.repeat(mask[:, :, None], 3, axis=2))


def test_a_folder_of_masks(tmp_path):
    soft = box()
    soft[5, 8:20] = 60
    for number, mask in enumerate((soft, np.roll(soft, 3, axis=1))):
        save_grey(tmp_path / f"s/cam_{number:03d}.png", mask)
    sample = make_sample([on_white(), on_white()])
    done = auto(source="folder", folder=tmp_path)(sample)
    assert np.array_equal(done.views[0].mask, soft)
    assert np.array_equal(done.views[1].mask, np.roll(soft, 3, axis=1))
    hard = auto(source="folder", folder=tmp_path, threshold=59)(sample)
    assert np.array_equal(hard.views[0].mask, box())


def test_patterns_use_what_the_sample_knows(tmp_path):
    save_grey(tmp_path / "day/m1/cam_000_00017.png", box())
    stage = auto(
        source="folder", folder=tmp_path, pattern="{session}/{animal}/{view}_{frame:05d}.png"
    )
    assert np.array_equal(stage(make_sample([on_white()], frame=17)).views[0].mask, box())
    with pytest.raises(DataError, match="sample s: expected its reader to note the number"):
        stage(make_sample([on_white()]))


@pytest.mark.parametrize(
    "broken", ["missing", "small", "colour", "alpha", "empty", "labels", "text"]
)
def test_broken_mask_pictures(tmp_path, broken):
    path = tmp_path / "s/cam_000.png"
    save_grey(path, box())
    message = {
        "missing": "cam_000.png: expected a PNG or JPEG file, got No such file",
        "small": r"cam_000.png: expected the size of cam_000\.png, \[20, 30\], got \[10, 30\]",
        "colour": r"cam_000.png: expected a grey mask, white on the subject, .* 120 apart",
        "alpha": r"cam_000.png: expected a grey mask picture, got one with an alpha channel",
        "empty": r"got an empty mask from source: folder\. Leave this view out",
        "labels": r"cam_000.png: expected a mask of 0 and 255, got one of 0 and 1",
        "text": r"cam_000.png: expected a PNG or JPEG picture",
    }[broken]
    if broken == "missing":
        path.unlink()
    elif broken == "small":
        save_grey(path, box()[:10])
    elif broken == "colour":
        save_picture(path, np.full((HEIGHT, WIDTH, 3), (200, 80, 90), np.uint8))
    elif broken == "alpha":
        save_picture(path, on_white(), box())
    elif broken == "empty":
        save_grey(path, box() // 3)
    elif broken == "labels":
        save_grey(path, box() // 255)
    else:
        path.write_text("mask")
    with pytest.raises(DataError, match=message) as caught:
        auto(source="folder", folder=tmp_path)(make_sample([on_white()]))
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"gone: expected a folder of masks, got no such folder"):
        auto(source="folder", folder=tmp_path / "gone")


def test_masks_of_raw_frames_follow_the_pictures(tmp_path):
    save_grey(tmp_path / "s/cam_000.png", box())
    raw = make_sample([on_white()], [box()])
    shift = np.array([[1.0, 0.0, 4.0], [0.0, 1.0, -2.0], [0.0, 0.0, 1.0]])
    moved = warp_sample(raw, step="move", params={}, pixel_maps=[shift])
    with pytest.raises(DataError, match=r"move has moved pixels .* drawn_on: raw or picture"):
        auto(source="folder", folder=tmp_path)(moved)
    for drawn_on, expected in (("raw", moved.views[0].mask), ("picture", box())):
        done = auto(source="folder", folder=tmp_path, drawn_on=drawn_on)(moved)
        assert np.array_equal(done.views[0].mask, expected)
    save_grey(tmp_path / "s/cam_000.png", box()[:10])
    with pytest.raises(DataError, match=r"the size of the raw frame, \[20, 30\], got \[10, 30\]"):
        auto(source="folder", folder=tmp_path, drawn_on="raw")(moved)


def test_masks_of_raw_frames_go_through_the_lens(tmp_path):
    mask = np.zeros((60, 80), np.uint8)
    mask[4:26, 5:35] = 255
    save_grey(tmp_path / "s/cam_000.png", mask)
    rgb = np.full((60, 80, 3), 90, np.uint8)
    bent = (-0.2, 0.05, 0.0, 0.0)
    read = make_sample([rgb], [mask], distortion=bent)  # the reader's own way of straightening
    with pytest.raises(DataError, match="reader has moved pixels"):
        auto(source="folder", folder=tmp_path)(read)
    done = auto(source="folder", folder=tmp_path, drawn_on="raw", threshold=127)(read)
    differs = (done.views[0].mask > 127) != (read.views[0].mask > 127)
    assert differs.mean() < 0.005
    assert ((done.views[0].mask > 127) != (mask > 127)).mean() > 0.02


def save_video(path, masks):
    size = masks[0].shape[1::-1]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25.0, size)
    for mask in masks:
        writer.write(np.repeat(mask[:, :, None], 3, axis=2))
    writer.release()


def test_mask_videos_give_the_frame_of_the_sample(tmp_path):
    masks = []
    for step in range(4):
        mask = np.zeros((64, 96), np.uint8)
        mask[16:48, 16 * step : 16 * step + 32] = 255
        masks.append(mask)
    save_video(tmp_path / "cam_000.mp4", masks)
    rgb = np.full((64, 96, 3), 80, np.uint8)
    stage = auto(source="video", folder=tmp_path)
    for frame in (2, 0, 3):
        found = stage(make_sample([rgb], frame=frame)).views[0].mask
        assert set(np.unique(found)) == {0, 255}
        assert (found != masks[frame]).mean() < 0.01
    with pytest.raises(DataError, match=r"cam_000\.mp4: expected a frame index from 0 to 3, got 4"):
        stage(make_sample([rgb], frame=4))
    with pytest.raises(DataError, match="note the number of the video frame"):
        stage(make_sample([rgb], frame="2"))
    with pytest.raises(DataError, match=r"gone_cam_000\.mp4: .* No such file"):
        auto(source="video", folder=tmp_path, pattern="gone_{view}.mp4")(
            make_sample([rgb], frame=0)
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "expected key 'source'"),
        ({"source": "grey"}, "source.*'alpha', 'white', 'folder' or 'video', got 'grey'"),
        ({"source": "white", "treshold": 3}, "unknown key 'treshold'.*Did you mean 'threshold'"),
        ({"source": "white", "threshold": 255}, "threshold .*less than or equal to 254"),
        ({"source": "white", "folder": "."}, "expected folder only with source: folder or video"),
        ({"source": "alpha", "drawn_on": "raw"}, "expected drawn_on only with"),
        ({"source": "folder"}, "expected folder, the place of the masks, got none"),
        ({"source": "folder", "folder": ".", "pattern": "{sample}.png"}, r"with \{view\}, got"),
        ({"source": "folder", "folder": ".", "pattern": "{veiw}.png"}, r"got \{veiw\} in"),
        ({"source": "folder", "folder": ".", "pattern": "{view.png"}, "expected a pattern like"),
        ({"source": "folder", "folder": ".", "pattern": "{view:d}"}, "expected a pattern like"),
        ({"source": "folder", "folder": ".", "pattern": "{view.name}"}, r"got \{view\.name\}"),
        ({"source": "white", "max_share": 0}, "max_share .*greater than 0"),
    ],
)
def test_auto_mask_settings_are_checked(settings, message):
    with pytest.raises(ConfigError, match=message):
        check_settings(AutoMaskConfig, settings, "preprocess.auto_mask")


def test_the_largest_piece_is_kept():
    mask = box()
    mask[0:2, 0:2] = 255  # a speck of 4
    mask[12, 20] = 255  # touches a corner: part of the box
    found, step = clean(mask)
    expected = box()
    expected[12, 20] = 255
    assert np.array_equal(found, expected)
    assert step.step == "preprocess.clean_mask"
    assert (step.params["removed_px"], step.params["filled_px"]) == ([4], [0])


def test_small_pieces_go_and_large_ones_stay():
    mask = box()
    mask[0:2, 0:2] = 255
    mask[15:18, 0:3] = 255
    found, _ = clean(mask, largest=False, min_area_px=5)
    assert (found[0:2, 0:2] == 0).all()
    assert (found[15:18, 0:3] == 255).all()


def test_pinholes_are_filled_and_a_curled_tail_is_not():
    mask = np.zeros((40, 40), np.uint8)
    mask[5:35, 5:35] = 255
    mask[8, 8] = 0
    mask[15:25, 15:25] = 0  # 100 of 800
    found, step = clean(mask)
    assert found[8, 8] == 255
    assert (found[15:25, 15:25] == 0).all()
    assert step.params["filled_px"] == [1]
    assert (clean(mask, max_hole_share=0.2)[0][5:35, 5:35] == 255).all()
    assert clean(mask, max_hole_share=0)[0][8, 8] == 0


def test_what_touches_the_edge_is_no_hole():
    """The subject cuts a corner of background off the rest; it is still background."""
    mask = np.zeros((40, 40), np.uint8)
    np.fill_diagonal(mask[:, ::-1], 255)  # a line from corner to corner
    assert np.array_equal(clean(mask, max_hole_share=1)[0], mask)


def test_opening_and_closing():
    mask = box()
    mask[8, 20:28] = 255  # a thread of width 1
    found, _ = clean(mask, open_px=1)
    assert (found[8, 21:] == 0).all()
    assert np.array_equal(found[6:11, 9:19], box()[6:11, 9:19])
    split = box()
    split[:, 13] = 0
    assert (clean(split)[0][:, 14:20] > 0).sum() == 42  # the larger half alone
    expected = box()
    expected[[5, 11], 13] = 0  # a disc of radius 1 reaches both sides only between the ends
    assert np.array_equal(clean(split, close_px=1)[0], expected)


def test_morphology_leaves_the_picture_edge_alone():
    mask = np.zeros((20, 30), np.uint8)
    mask[10:, 5:25] = 255
    for settings in ({"open_px": 3}, {"close_px": 3}):
        found, _ = clean(mask, **settings)
        assert np.array_equal(found[14:], mask[14:])


def test_soft_edges_stay_and_haze_goes():
    mask = box()
    mask[4, 8:20] = 90  # a soft edge
    mask[8, 12] = 200  # a half-transparent hair
    mask[0, 0] = 30  # haze far away
    found, _ = clean(mask)
    assert found[0, 0] == 0
    mask[0, 0] = 0
    assert np.array_equal(found, mask)


def test_the_soft_rim_of_what_goes_goes_too():
    mask = box()
    mask[14:18, 0:4] = 100
    mask[15:17, 1:3] = 255
    mask[7:10, 10:13] = 200  # the rim of a hole
    mask[8, 11] = 0
    found, _ = clean(mask, max_hole_share=0.05)
    assert (found[13:] == 0).all()
    assert (found[7:10, 10:13] == 255).all()


def test_nothing_left():
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    with pytest.raises(DataError, match=r"cam_000\.png: expected a mask with the animal in it"):
        clean(mask)
    mask[3, 3:9] = 255
    with pytest.raises(DataError, match=r"cam_000\.png: .* after cleaning, got nothing") as caught:
        clean(mask, open_px=1)
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="got nothing"):
        clean(mask, min_area_px=7)
    with pytest.raises(DataError, match=r"got none\. Add preprocess\.auto_mask"):
        CleanMask(CleanMaskConfig())(make_sample([on_white()]))


@pytest.mark.parametrize(
    "settings", [{"open_px": -1}, {"close_px": 1.5}, {"min_area_px": 0}, {"max_hole_share": 1.1}]
)
def test_clean_mask_settings_are_checked(settings):
    with pytest.raises(ValidationError, match=next(iter(settings))):
        CleanMaskConfig(**settings)


def test_stages_never_edit_their_input():
    mask = box()
    mask[0, 0] = 255
    sample = make_sample([on_white()], [mask])
    before = (sample.views[0].rgb.copy(), sample.views[0].mask.copy())
    for stage in (
        auto(source="white"),
        CleanMask(CleanMaskConfig(open_px=1)),
        Composite(CompositeConfig(color=0.5)),
    ):
        done = stage(sample)
        assert len(done.provenance) == len(sample.provenance) + 1
        assert np.array_equal(sample.views[0].rgb, before[0])
        assert np.array_equal(sample.views[0].mask, before[1])


def test_a_stage_can_be_sent_to_a_worker(tmp_path):
    save_video(tmp_path / "cam_000.mp4", [np.pad(box(), ((0, 12), (0, 2)))] * 2)
    stage = auto(source="video", folder=tmp_path)
    sample = make_sample([np.full((32, 32, 3), 80, np.uint8)], frame=1)
    first = stage(sample)  # the video is open now
    again = pickle.loads(pickle.dumps(stage))(sample)
    assert np.array_equal(again.views[0].mask, first.views[0].mask)
