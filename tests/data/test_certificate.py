"""The certificate: known rigs by hand, injected faults by name, and the published sample."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import shared_path
from mfl_adapt_facelift_reader.config import GslrmReaderConfig
from mfl_adapt_facelift_reader.reader import GslrmReader

from mfl_adapt.cameras import facelift_slots
from mfl_adapt.data.certificate import Limits, certify, to_json
from mfl_adapt.data.certificate_table import (
    certificate_lines,
    summarize,
    summary_lines,
    summary_to_json,
)
from mfl_adapt.images import RawView, begin_sample, relabel_cameras, warp_sample
from mfl_adapt.synth.samples import render_sample, render_scene
from mfl_adapt.synth.scenes import make_scene
from mfl_adapt.types import RawCamera, RigContract, Sample, Similarity

SIZE = 96
CONTRACT = RigContract(size=SIZE, patch=8, depth_reach=1.8, cut_edges=("bottom",))
LOOSE = Limits(foreground=(0.0, 1.0))


def mouse(rig="slots", size=SIZE, **settings):
    """A mouse without a history: edited cameras would contradict one."""
    return replace(render_sample("mice", 1, rig=rig, size=size, **settings), provenance=())


def change(sample, edit):
    views = []
    for index, view in enumerate(sample.views):
        c2w, fxfycxcy = view.c2w.copy(), view.fxfycxcy.copy()
        edit(index, c2w, fxfycxcy)
        views.append(replace(view, c2w=c2w, fxfycxcy=fxfycxcy))
    return replace(sample, views=tuple(views))


def failures(sample, contract=CONTRACT, limits=None):
    return {(one.name, one.severity) for one in certify(sample, contract, limits).failures}


def test_the_slot_cameras_by_hand():
    found = certify(mouse(), CONTRACT)
    assert found.verdict == "clean"
    azimuths = [view.azimuth_deg for view in found.views]
    assert azimuths == pytest.approx([270, 225, 180, 90, 0, 315], abs=1e-9)
    for view in found.views:
        assert view.elevation_deg == pytest.approx(0.0, abs=1e-12)
        assert view.distance == pytest.approx(2.7)
        assert view.det == pytest.approx(1.0)
        assert view.rotation_error < 1e-12
        assert view.look_at == pytest.approx(1.0)
        assert view.focal_ratio == pytest.approx(0.5 / math.tan(math.radians(25)))
        assert view.aspect == pytest.approx(1.0)
        assert view.principal_point_px == pytest.approx(0.0, abs=1e-12)
        assert view.mask_agreement == 1.0
        assert view.hull_iou > 0.97
        assert view.hull_coverage > 0.99
        assert view.round_trip_px is None
    assert [match.view for match in found.slots] == [f"cam_{i:03d}" for i in range(6)]
    # Seen from the subject, which is a little off the origin.
    limit = math.degrees(math.asin(found.subject_distance / 2.7)) + 1e-6
    assert all(match.angle_deg <= limit for match in found.slots)


def test_up_is_the_contracts():
    """The same rig in a world with y up: (x, y, z) -> (x, z, -y)."""
    turn = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])

    def y_up(index, c2w, fxfycxcy):
        c2w[:3] = turn @ c2w[:3]

    sample = change(render_sample("mice", 1, rig="ring", size=SIZE, num_views=4), y_up)
    views = certify(sample, replace(CONTRACT, up=(0.0, 1.0, 0.0))).views
    assert [view.elevation_deg for view in views] == pytest.approx([20.0] * 4)
    assert views[1].azimuth_deg != pytest.approx(views[0].azimuth_deg)


def set_entry(entry, value):
    return lambda i, c2w, k: k.__setitem__(entry, value)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda i, c2w, k: c2w[:3, 1:3].__imul__(-1), ("look_at", "law")),
        (lambda i, c2w, k: c2w[:3, 0].__imul__(-1), ("rotation", "law")),
        (lambda i, c2w, k: c2w[:3, :3].__imul__(1.001), ("rotation", "law")),
        (lambda i, c2w, k: c2w[:3, :3].__imul__(np.nan), ("rotation", "law")),
        (lambda i, c2w, k: c2w[:3, 3].__imul__(120.0), ("reach", "law")),
        (lambda i, c2w, k: c2w[:3, 3].__imul__(0.12), ("extent", "law")),
        (lambda i, c2w, k: c2w[:3, 3].__iadd__([0.0, 0.0, 0.4]), ("origin", "warning")),
        (lambda i, c2w, k: c2w[:3, 3].__iadd__([0.0, 0.0, 3.0]), ("origin", "law")),
        (lambda i, c2w, k: c2w[:3, 3].__imul__((1.3, 0.8)[i % 2]), ("hull_coverage", "law")),
        (set_entry(1, 90.0), ("aspect", "warning")),
        (set_entry(1, -90.0), ("aspect", "law")),
        (set_entry(2, 51.0), ("principal_point", "law")),
    ],
)
def test_injected_faults_have_names(edit, expected):
    assert expected in failures(change(mouse(), edit))


def test_masks_that_fail():
    sample = mouse()
    first = sample.views[0]

    def with_mask(mask):
        return replace(sample, views=(replace(first, mask=mask), *sample.views[1:]))

    assert ("foreground", "law") in failures(with_mask(None))
    assert ("foreground", "law") in failures(with_mask(np.zeros_like(first.mask)))
    assert ("foreground", "law") in failures(with_mask(np.full_like(first.mask, 255)))
    larger = np.maximum(first.mask, np.roll(first.mask, 30, axis=1))
    assert ("mask_agreement", "warning") in failures(with_mask(larger))
    touching = first.mask.copy()
    touching[:, 0] = 255
    assert ("border_px", "warning") in failures(with_mask(touching))
    below = first.mask.copy()
    below[-1, 20:60] = 255
    assert ("border_px", "warning") not in failures(with_mask(below))  # an edge that may cut
    matte = np.where(first.mask > 0, 150, 0).astype(np.uint8)
    assert ("mask_soft", "warning") in failures(with_mask(matte))


def test_a_sample_without_masks_or_views_is_told_not_crashed_on():
    sample = mouse()
    bare = replace(sample, views=tuple(replace(view, mask=None) for view in sample.views))
    found = certify(bare, CONTRACT)
    assert found.subject is found.residual_px is found.reach is None
    assert found.views[0].hull_iou is None
    assert found.verdict == "law"
    assert "subject: not located" in "\n".join(certificate_lines(found))
    assert certify(replace(sample, views=()), CONTRACT).views == ()


def recorded(size=64) -> Sample:
    """Raw views with a lens, in millimetres, off the origin."""
    cameras = facelift_slots(size)
    pictures = render_scene(make_scene("mice", 4), cameras)
    views = []
    for index, picture in enumerate(pictures):
        c2w = cameras.c2w[index].copy()
        c2w[:3, 3] = 100.0 * c2w[:3, 3] + [40.0, -20.0, 10.0]
        rows = tuple(tuple(row) for row in c2w.tolist())
        lens = RawCamera(
            rows,
            tuple(cameras.fxfycxcy[index].tolist()),
            size,
            size,
            "brown",
            (-0.05, 0.01, 0.0, 0.0),
        )
        rgb = np.rint(255 * picture.rgb).astype(np.uint8)
        mask = np.rint(255 * picture.alpha).astype(np.uint8)
        views.append(RawView(f"v{index}", rgb, mask, lens, f"v{index}.png"))
    return begin_sample("raw", views, step="reader", params={})


def normalized(sample):
    world = Similarity(0.01, translation=(-0.4, 0.2, -0.1))
    maps = [np.array([[1.5, 0, -3.0], [0, 1.5, 2.0], [0, 0, 1]])] * len(sample.views)
    sizes = [(96, 96)] * len(sample.views)
    return warp_sample(sample, step="n", params={}, pixel_maps=maps, sizes=sizes, world=world)


def test_a_recorded_history_round_trips():
    found = certify(normalized(recorded()), CONTRACT)
    assert all(view.round_trip_px < 1e-4 for view in found.views)
    assert found.exact
    assert found.steps == ("reader", "n")


def test_a_history_that_lies_breaks_a_law_and_one_that_admits_it_warns():
    sample = normalized(recorded())
    lie = change(sample, lambda i, c2w, k: k.__setitem__(slice(0, 2), k[:2] * 1.01))
    assert ("round_trip_px", "law") in failures(lie)
    admitted = relabel_cameras(sample, lie.cameras, step="dolly", params={})
    found = certify(admitted, CONTRACT)
    assert found.steps[-1] == "dolly (inexact)"
    names = {(one.name, one.severity) for one in found.failures}
    assert ("exact", "warning") in names
    assert ("round_trip_px", "law") not in names


def test_json_is_strict_and_whole():
    sample = change(mouse(), lambda i, c2w, k: c2w.__setitem__((0, 0), np.nan))
    text = json.dumps(to_json(certify(sample, CONTRACT)), allow_nan=False)
    content = json.loads(text)
    assert content["verdict"] == "law"
    assert content["views"][0]["det"] is None
    assert content["failures"][0]["severity"] == "law"
    good = json.loads(json.dumps(to_json(certify(mouse(), CONTRACT)), allow_nan=False))
    assert good["failures"] == []
    assert good["slots"][3] == {
        "slot": 3,
        "azimuth_deg": 90.0,
        "view": "cam_003",
        "angle_deg": pytest.approx(good["slots"][3]["angle_deg"]),
    }
    assert set(good["views"][0]["border_px"]) == {"top", "bottom", "left", "right"}


def test_the_same_sample_gives_the_same_certificate():
    assert certify(normalized(recorded()), CONTRACT) == certify(normalized(recorded()), CONTRACT)


def test_limits_can_be_changed():
    assert failures(mouse(), limits=Limits(residual_px=(0.01, 1e9))) == {("residual_px", "warning")}
    assert failures(mouse(), limits=Limits(residual_px=(0.01, 0.02))) == {("residual_px", "law")}


def test_a_subject_behind_the_cameras_leaves_strict_json():
    """Its image is nowhere, so that residuals are infinite."""

    def turn(index, c2w, fxfycxcy):
        c2w[:3, [0, 2]] *= -1

    summary = summarize([certify(change(mouse(), turn), CONTRACT)])
    worst = {column.name: column.worst for column in summary.columns}
    assert worst["residual_px"] == math.inf
    text = json.dumps(summary_to_json(summary), allow_nan=False)
    assert json.loads(text)["columns"]["residual_px"]["worst"] is None
    assert any("inf" in line for line in summary_lines(summary))


def test_a_dataset_summed_up():
    good = certify(mouse(), CONTRACT)
    bad = certify(replace(change(mouse(), set_entry(2, 51.0)), id="off"), CONTRACT, LOOSE)
    summary = summarize([good, bad, good])
    assert summary.samples == 3
    assert summary.verdicts == {"clean": 2, "warning": 0, "law": 1}
    assert summary.failures["principal_point"] == 1
    by_name = {column.name: column for column in summary.columns}
    offset = by_name["principal_point_px"]
    assert (offset.worst, offset.median, offset.views) == (3.0, 0.0, 18)
    assert offset.where.startswith("off/")
    worst = min(view.hull_coverage for view in (*good.views, *bad.views))
    assert by_name["hull_coverage"].worst == worst
    assert "round_trip_px" not in by_name  # nobody has one
    text = "\n".join(summary_lines(summary))
    assert "3 samples: 2 clean, 0 warning, 1 law." in text
    assert "principal_point (1)" in text
    assert json.loads(json.dumps(summary_to_json(summary)))["columns"]["fx"]["views"] == 18
    assert summarize([]).columns == ()
    assert summary_lines(summarize([]))[-1] == "0 samples: 0 clean, 0 warning, 0 law."


def test_the_table_is_aligned_and_complete():
    found = certify(change(mouse(), set_entry(2, 51.0)), CONTRACT)
    lines = certificate_lines(found)
    assert lines[0].endswith(": law")
    assert "world z up" in lines[1]
    heading, rows = lines[2], lines[3:9]
    assert heading.split()[0] == "view"
    assert {len(row) for row in rows} == {len(heading)}
    assert all("3.00" in row for row in rows)
    assert any(line.startswith("law     principal_point of cam_000: 3") for line in lines)


@pytest.mark.golden
def test_the_published_sample_is_clean():
    path = shared_path("data/facelift_gslrm_sample")
    sample = GslrmReader(GslrmReaderConfig(path=path))[0]
    found = certify(sample, replace(CONTRACT, size=512))
    assert found.failures == ()
    assert len(found.views) == 32
    for view in found.views:
        assert view.elevation_deg == pytest.approx(20.0, abs=0.01)
        assert view.distance == pytest.approx(2.7, abs=5e-5)
        assert view.fx == pytest.approx(548.994, abs=5e-4)
        touched = {edge for edge, count in view.border_px.items() if count}
        assert touched == {"bottom"}
        assert view.hull_iou > 0.97
        assert view.hull_coverage > 0.99
    assert found.subject_cut
    azimuths = sorted(view.azimuth_deg for view in found.views)
    assert np.diff(azimuths) == pytest.approx([11.25] * 31, abs=1e-3)
