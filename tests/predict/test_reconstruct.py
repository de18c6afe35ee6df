"""Calibrated views to a result folder."""

import json

import numpy as np
import pytest

from mfl_adapt.config import load_config
from mfl_adapt.data import write_dataset
from mfl_adapt.errors import DataError
from mfl_adapt.plugin import ReaderSpec
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.predict.folder import Outputs
from mfl_adapt.predict.reconstruct import reconstruct_sample
from mfl_adapt.synth import render_sample

PLAIN = Outputs(video=False, viewer=False)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "heads"
    samples = [
        render_sample("heads", 0, rig="slots", size=64),
        render_sample("heads", 1, rig="ring", size=64, num_views=9),
    ]
    write_dataset(samples, folder)
    return folder


def reconstruct(dataset, out, **settings):
    loaded = load_config(None, flags={"data.path": str(dataset)})
    host = load_plugins(loaded.config.plugins)
    return reconstruct_sample(loaded, host, out, outputs=PLAIN, **settings)


def test_a_sample_becomes_a_result(dataset, tmp_path):
    folder = reconstruct(dataset, tmp_path / "out")
    assert folder == tmp_path / "out" / "heads-train-0-000000"
    record = json.loads((folder / "prediction.json").read_text())
    assert record["made_by"] == "reconstruct"
    assert record["used_views"] == [f"cam_{index:03d}" for index in range(6)]
    assert record["gaussians"]["made"] == 6 * 64 * 64 + 2
    assert 0 < record["gaussians"]["kept"] < record["gaussians"]["made"]
    host = load_plugins(["facelift_reader"])
    again = host.build(ReaderSpec, "facelift_reader.gslrm", {"path": folder / "views"})[0]
    first = host.build(ReaderSpec, "facelift_reader.gslrm", {"path": dataset})[0]
    assert np.array_equal(again.views[2].rgb, first.views[2].rgb)
    assert again.views[2].c2w == pytest.approx(first.views[2].c2w, abs=1e-12)


def test_views_are_spread_or_chosen(dataset, tmp_path):
    name = "heads-train-0-000001"
    folder = reconstruct(dataset, tmp_path / "spread", sample=name)
    record = json.loads((folder / "prediction.json").read_text())
    assert record["used_views"] == [f"cam_{index:03d}" for index in (0, 1, 3, 4, 6, 7)]
    folder = reconstruct(dataset, tmp_path / "chosen", sample=name, views=("cam_005", 2))
    record = json.loads((folder / "prediction.json").read_text())
    assert record["used_views"] == ["cam_005", "cam_002"]


def test_samples_and_views_that_do_not_exist(dataset, tmp_path):
    with pytest.raises(DataError, match="--sample: expected a sample of the dataset"):
        reconstruct(dataset, tmp_path / "out", sample="heads-train-0-000009")
    with pytest.raises(DataError, match="--views: expected a view to keep, got 'cam_9'"):
        reconstruct(dataset, tmp_path / "out", views=("cam_9",))
    assert not (tmp_path / "out").exists()
