import json

import numpy as np
import pytest
import torch

from mfl_adapt.cameras import project
from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.images import warp_sample
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.prepare.inverse import Predictions, find_sample, unmap, unmap_json, unmap_ply
from mfl_adapt.render.ply import read_ply
from mfl_adapt.synth import render_sample
from mfl_adapt.types import Gaussians, Provenance, Sample, Similarity

# 90 degrees about z, ten times larger, moved.
WORLD = Similarity(10.0, ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)), (1.0, 2.0, 3.0))


@pytest.fixture(scope="module")
def raw():
    return render_sample("mice", 0, size=32, num_views=3)


@pytest.fixture(scope="module")
def prepared(raw):
    zoom = np.array([[2.0, 0, -16], [0, 2.0, -16], [0, 0, 1]])
    return warp_sample(
        raw, step="test.zoom", params={}, pixel_maps=[zoom] * 3, world=WORLD, order=[2, 0, 1]
    )


def test_points_come_back_to_the_raw_world_and_its_pixels(raw, prepared):
    # x' = 10 R x + t: the raw point (0.1, 0.2, 0.3) is at (-2 + 1, 1 + 2, 3 + 3).
    mapped = unmap(prepared, Predictions(points=((-1.0, 3.0, 6.0),)))
    np.testing.assert_allclose(mapped["points"], [[0.1, 0.2, 0.3]], atol=1e-12)
    for name, order in zip(("cam_002", "cam_000", "cam_001"), (2, 0, 1), strict=True):
        seen, _ = project(
            np.array([[0.1, 0.2, 0.3]]), raw.views[order].c2w, raw.views[order].fxfycxcy
        )
        assert mapped["views"][name]["raw_camera"] == order
        np.testing.assert_allclose(mapped["views"][name]["points"], seen, atol=1e-9)


def test_boxes_and_pixels_come_back(prepared):
    given = Predictions(
        boxes=(((1.0, 2.0, 3.0), (11.0, 12.0, 13.0)),),
        pixels={"cam_000": ((0.0, 0.0), (64.0, 32.0))},
        picture_boxes={"cam_001": ((0.0, 0.0, 32.0, 32.0),)},
    )
    mapped = unmap(prepared, given)
    corners = np.array(mapped["boxes"][0])
    np.testing.assert_allclose(corners.min(axis=0), [0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(corners.max(axis=0), [1, 0, 1], atol=1e-12)
    np.testing.assert_allclose(mapped["pixels"]["cam_000"], [[8, 8], [40, 24]], atol=1e-9)
    np.testing.assert_allclose(mapped["picture_boxes"]["cam_001"], [[8, 8, 24, 24]], atol=1e-9)


def test_a_point_behind_a_camera_is_null(raw, prepared):
    camera = raw.views[0].c2w
    behind = WORLD.scale * np.array(WORLD.rotation) @ (camera[:3, 3] - camera[:3, 2])
    mapped = unmap(prepared, Predictions(points=(tuple(behind + WORLD.translation),)))
    assert mapped["views"]["cam_000"]["points"] == [None]


def test_files_are_mapped(prepared, tmp_path):
    given, out = tmp_path / "in.json", tmp_path / "out.json"
    given.write_text('{"points": [[1, 2, 3]]}')
    points = json.loads(unmap_json(prepared, given, None))["points"]
    np.testing.assert_allclose(points, [[0, 0, 0]], atol=1e-12)
    assert str(out) in unmap_json(prepared, given, out)
    assert json.loads(out.read_text())["sample"] == prepared.id


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("{", DataError, r":1: expected JSON of predictions, got"),
        ("[]", DataError, "an object"),
        ('{"point": []}', ConfigError, "points"),
        ('{"points": [[1, 2]]}', ConfigError, "points"),
        ('{"pixels": {"cam_00": [[1, 2]]}}', DataError, "Did you mean 'cam_00"),
    ],
)
def test_bad_files_are_refused(prepared, tmp_path, text, error, message):
    path = tmp_path / "in.json"
    path.write_text(text)
    with pytest.raises(error, match=message):
        unmap_json(prepared, path, None)


def test_gaussians_come_back(prepared, tmp_path):
    host = load_plugins(["exporters"])
    given = Gaussians(
        means=torch.tensor([[[1.0, 2.0, 3.0], [-1.0, 3.0, 6.0]]]),
        quats=torch.tensor([[[1.0, 0, 0, 0], [1.0, 0, 0, 0]]]),
        scales=torch.full((1, 2, 3), 0.5),
        opacities=torch.full((1, 2), 0.5),
        sh=torch.zeros(1, 2, 1, 3),
    )
    file, out = tmp_path / "in.ply", tmp_path / "out.ply"
    host.build(_exporter(), "exporters.ply", {})(given, file)
    assert "2 Gaussians" in unmap_ply(prepared, file, out, host)
    found = read_ply(out)
    torch.testing.assert_close(
        found.means, torch.tensor([[[0.0, 0, 0], [0.1, 0.2, 0.3]]]), rtol=0, atol=1e-6
    )
    torch.testing.assert_close(found.scales, torch.full((1, 2, 3), 0.05))
    # Turned back by 90 degrees about z.
    expected = torch.tensor([0.5**0.5, 0, 0, -(0.5**0.5)]).expand(1, 2, 4)
    torch.testing.assert_close(found.quats.abs(), expected.abs(), rtol=0, atol=1e-6)
    with pytest.raises(ConfigError, match=r"ends in .*\.ply"):
        unmap_ply(prepared, file, tmp_path / "out.obj", host)


def _exporter():
    from mfl_adapt.plugin import ExporterSpec

    return ExporterSpec


def test_samples_are_found_by_name(raw):
    assert find_sample([raw], None) is raw
    assert find_sample([raw], raw.id) is raw
    with pytest.raises(DataError, match="Did you mean 'mice-train-0-000000'"):
        find_sample([raw], "mice-train-0-00000")


def test_a_history_without_raw_cameras_is_refused(raw, tmp_path):
    bare = Sample(raw.id, raw.views, (Provenance("old"),))
    with pytest.raises(DataError, match="raw cameras"):
        unmap(bare, Predictions(points=((0.0, 0.0, 0.0),)))
