"""The classic grade, by hand and against published measurements."""

import json
from dataclasses import replace

import numpy as np
import pytest
from helpers import shared_path

from mfl_adapt.errors import DataError, ShapeError
from mfl_adapt.images.grade import (
    WHICH_MATTERS,
    ViewMeasure,
    grade_measures,
    grade_samples,
    load_metrics,
    measure_sample,
    measure_view,
    to_letter,
)
from mfl_adapt.types import Sample, View


def make_view(mask, name="cam_000"):
    rgb = np.zeros((*mask.shape, 3), np.uint8)
    return View(name, rgb, mask, np.eye(4), np.ones(4), source=f"{name}.png")


def square(side, *, at=0, size=20):
    mask = np.zeros((size, size), np.uint8)
    mask[at : at + side, at : at + side] = 255
    return mask


def test_one_mask_by_hand():
    mask = np.zeros((10, 40), np.uint8)
    mask[2:6, 10:14] = 255  # 16 of 400 pixels, middle at (12, 4), picture's at (20, 5)
    found = measure_view(mask)
    assert found.size_ratio == pytest.approx(0.2)
    assert found.offset_px == pytest.approx(np.hypot(8, 1))


def test_only_opacity_above_ten_counts_and_then_fully():
    mask = np.array([[10, 11, 255, 0]], np.uint8)
    found = measure_view(mask)
    assert found.size_ratio == pytest.approx(np.sqrt(0.5))
    assert found.offset_px == pytest.approx(0.0)


def test_the_two_cvs_differ_as_named():
    # Sizes 0.2 and 0.4 in both samples: the sample means are equal, the views are not.
    measures = [[ViewMeasure(0.2, 1.0), ViewMeasure(0.4, 3.0)]] * 2
    grade = grade_measures(measures)
    assert (grade.num_samples, grade.num_views) == (2, 4)
    assert grade.size_ratio == pytest.approx(0.3)
    assert grade.cv_over_views_percent == pytest.approx(100 * 0.1 / 0.3)
    assert grade.cv_over_means_percent == pytest.approx(0.0, abs=1e-12)
    assert (grade.offset_px, grade.largest_offset_px) == (2.0, 3.0)
    assert (grade.letter, grade.letter_over_means) == ("D", "A")


def test_every_view_counts_the_same():
    measures = [[ViewMeasure(0.1, 0.0)], [ViewMeasure(0.4, 9.0)] * 2]
    grade = grade_measures(measures)
    assert grade.size_ratio == pytest.approx(0.3)
    assert grade.offset_px == pytest.approx(6.0)
    # Means 0.1 and 0.4: deviation 0.15 over 0.25.
    assert grade.cv_over_means_percent == pytest.approx(60.0)


@pytest.mark.parametrize(
    ("cv", "offset", "letter"),
    [
        (0.99, 4.99, "A"),
        (1.0, 0.0, "B"),
        (0.0, 5.0, "B"),
        (2.99, 9.99, "B"),
        (0.2, 10.0, "C"),
        (3.0, 0.0, "C"),
        (5.0, 0.0, "D"),
        (0.2, 42.0, "D"),
    ],
)
def test_limits_are_strict_and_both_count(cv, offset, letter):
    assert to_letter(cv, offset) == letter


def test_samples_are_graded_by_their_masks():
    views = (make_view(square(10, at=5), "a"), make_view(square(8, at=6), "b"))
    grade = grade_samples([Sample("s", views)])
    assert grade.size_ratio == pytest.approx(0.45)
    assert grade.offset_px == pytest.approx(0.0)
    assert grade.cv_over_views_percent == pytest.approx(100 * 0.05 / 0.45)


def test_what_cannot_be_graded():
    with pytest.raises(ShapeError, match="measure_view: mask"):
        measure_view(np.zeros((2, 2, 3), np.uint8))
    view = make_view(square(0))
    with pytest.raises(DataError, match=r"^cam_000\.png: .* got an empty one") as caught:
        measure_sample(Sample("s", (view,)))
    assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=r"cam_000\.png: .* got none\. Add preprocess\.auto_mask"):
        grade_samples([Sample("s", (replace(view, mask=None),))])
    with pytest.raises(DataError, match="got no sample"):
        grade_measures([])
    with pytest.raises(DataError, match="got an empty sample"):
        grade_samples([Sample("s", ())])


def test_the_text_says_which_of_the_two_matters():
    assert WHICH_MATTERS.startswith("The certificate matters")


def write_metrics(path, **changes):
    entry = {"size_ratio": 0.3, "com_offset_dist": 1.5} | changes
    path.write_text(json.dumps({"samples": [{"view_metrics": [entry]}]}))
    return path


def test_metrics_file_by_hand(tmp_path):
    assert load_metrics(write_metrics(tmp_path / "m.json")) == ((ViewMeasure(0.3, 1.5),),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size_ratio": None}, r"'size_ratio' in samples\[0\]\.view_metrics\[0\], got None"),
        ({"size_ratio": float("nan")}, r"'size_ratio' in .* got nan"),
        ({"com_offset_dist": True}, r"'com_offset_dist' in .* got True"),
        ({"size_ratio": 0}, r"size_ratio in \(0, 1\] .* got 0 and 1\.5"),
        ({"com_offset_dist": -1}, r"got 0\.3 and -1"),
    ],
)
def test_broken_measures(tmp_path, changes, message):
    with pytest.raises(DataError, match=rf"m\.json: .*{message}"):
        load_metrics(write_metrics(tmp_path / "m.json", **changes))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "expected JSON of measurements, got expecting property name"),
        ("[" * 100_000, "expected a JSON file"),
        ("[]", "expected a list under 'samples' in the file"),
        ('{"samples": []}', "expected a list under 'samples' in the file"),
        ('{"samples": [3]}', r"expected a list under 'view_metrics' in samples\[0\]"),
    ],
)
def test_broken_metrics_files(tmp_path, content, message):
    path = tmp_path / "m.json"
    path.write_text(content)
    with pytest.raises(DataError, match=rf"m\.json:(1:)? {message}"):
        load_metrics(path)
    with pytest.raises(DataError, match=r"gone\.json: .* No such file"):
        load_metrics(tmp_path / "gone.json")


@pytest.mark.golden
def test_the_published_measurements_regraded():
    measures = load_metrics(shared_path("data/data_mouse_pixel_based_metrics.json"))
    grade = grade_measures(measures)
    assert (grade.num_samples, grade.num_views) == (100, 600)
    assert grade.size_ratio == pytest.approx(0.3061, abs=5e-5)
    assert grade.cv_over_views_percent == pytest.approx(0.39, abs=0.005)
    assert grade.offset_px == pytest.approx(1.40, abs=0.005)
    assert grade.largest_offset_px == pytest.approx(4.4, abs=0.05)
    assert (grade.letter, grade.letter_over_means) == ("A", "A")
    # The published 0.16 % over sample means was taken over the first half of these samples.
    assert grade_measures(measures[:50]).cv_over_means_percent == pytest.approx(0.1645, abs=5e-5)
    assert grade.cv_over_means_percent == pytest.approx(0.15, abs=0.005)
