"""A merged adapter on the data of each adapter it was made from."""

import copy
import json
import shutil

import peft
import pytest
import torch

from mfl_adapt.adapter import attach, base_digest, load, read_adapter, save
from mfl_adapt.adapter.compose_merge import Recipe
from mfl_adapt.config import dump_config, load_config, to_plain
from mfl_adapt.data import fingerprint
from mfl_adapt.evaluate import evaluate_any
from mfl_adapt.evaluate.merging import merge_and_measure
from mfl_adapt.evaluate.sources import evaluate_sources, to_table
from mfl_adapt.pipeline import load_base, open_data
from mfl_adapt.plugin.registry import load_plugins

SMALL = (
    "data.reader.samples=3",
    "data.reader.num_views=6",
    "data.reader.workers=0",
    "data.split.validation=0.6",
    "data.split.gap=0",
    "train.backend=cpu",
)


class Method:
    def peft_config(self, module):
        return peft.LoraConfig(r=2, lora_alpha=2, target_modules=["attn.fc"])


@pytest.fixture(scope="module")
def config():
    return load_config("quickstart", overrides=SMALL).config


@pytest.fixture(scope="module")
def data(config):
    return open_data(config, load_plugins(config.plugins), load_base("facelift.tiny").contract)


@pytest.fixture(scope="module")
def stored(tmp_path_factory, config, data):
    """Two adapters that name data; only what the passports say matters here, so none is trained."""
    made = []
    for seed in (1, 2):
        base = load_base("facelift.tiny")
        adapter = attach(base, Method(), seed=seed)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in adapter.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
        passport = {
            "config": to_plain(config) | {"name": f"run{seed}"},
            "data": {"fingerprint": fingerprint(data.samples)},
            "metrics": {"scenes": 9},
        }
        folder = tmp_path_factory.mktemp("source") / "adapter"
        made.append(read_adapter(save(adapter, folder, passport=passport)))
    return made


def test_a_merge_is_measured_on_the_data_of_each_source(tmp_path, config, data, stored):
    base = load_base("facelift.tiny")
    before, said = base_digest(base.module), []
    merged, found = merge_and_measure(
        base, stored, tmp_path / "m", Recipe(), report=lambda *counts: said.append(counts)
    )
    assert base_digest(base.module) == before
    assert len(found) == 2
    for one, source in zip(found, stored, strict=True):
        for row, folder in (("source", source.folder), ("merged", tmp_path / "m")):
            adapter = load(base, folder)
            again = evaluate_any(base, adapter, data, config)
            adapter.remove()
            assert one.rows[row] == again.rows["adapted"]
            assert one.rows["frozen base"] == again.rows["frozen base"]
        assert (one.scenes, one.scenes_held_out) == (2, True)
        assert len({scores.psnr_db for scores in one.rows.values()}) == 3
    first = found[0].name
    assert first == f"run1 ({stored[0].passport['adapter_hash'][:8]})"
    assert said[:2] == [(f"{first} source", 1, 2), (f"{first} source", 2, 2)]
    passport = json.loads((tmp_path / "m" / "passport.json").read_text())
    assert passport["metrics"] == {"sources": [one.to_json() for one in found]}
    assert passport["metrics"]["sources"][1]["scores"]["merged"]["psnr_db"] == pytest.approx(
        found[1].rows["merged"].psnr_db
    )
    assert passport["adapter_hash"] != stored[0].passport["adapter_hash"]
    table = to_table(found)
    assert table.count("merged ") == 2
    assert "held-out scenes" in table
    assert merged.loss.overall < 1e-6


def test_a_limit_and_no_measurement(tmp_path, stored):
    base = load_base("facelift.tiny")
    _, none = merge_and_measure(base, stored, tmp_path / "m", Recipe(), evaluate=False)
    assert none == []
    assert read_adapter(tmp_path / "m").passport["metrics"] == {}
    assert evaluate_sources(base, tmp_path / "m", stored[:1], limit=1)[0].scenes == 1


def changed(stored, **changes):
    """The same adapter with another passport in memory."""
    other = copy.copy(stored)
    object.__setattr__(other, "passport", copy.deepcopy(stored.passport) | changes)
    return other


def config_with(stored, **changes):
    return {"config": copy.deepcopy(stored.passport["config"]) | changes}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda one: {"config": {}}, "its passport names no data"),
        (lambda one: {"data": {"fingerprint": "0" * 64}}, f"fingerprint {'0' * 64}, got others"),
        (lambda one: {"data": {}}, "of fingerprint None, got others"),
        (
            lambda one: config_with(one, plugins=["facelift", "./evil.py"]),
            "need the plugin file ./evil.py, which is not run from here",
        ),
        (lambda one: config_with(one, plugins=["unknown_lab"]), "unknown_lab"),
        (
            lambda one: config_with(
                one,
                data=one.passport["config"]["data"]
                | {"path": "/gone", "reader": {"use": "facelift_reader.gslrm"}},
            ),
            "/gone",
        ),
        (lambda one: config_with(one, steps=3), "unknown key 'steps'"),
    ],
)
def test_a_source_without_data_is_named_with_the_reason(tmp_path, stored, change, reason):
    base = load_base("facelift.tiny")
    other = changed(stored[0], **change(stored[0]))
    found = evaluate_sources(base, tmp_path / "never read", [other])
    assert len(found) == 1
    assert reason in found[0].reason
    assert "\n" not in found[0].reason
    assert found[0].to_json().keys() == {"name", "adapter_hash", "not_measured"}
    assert f"not measured: {found[0].reason}" in to_table(found)


def test_no_cache_is_written_where_a_passport_says(tmp_path, stored):
    data = stored[0].passport["config"]["data"] | {"cache": str(tmp_path / "cache")}
    other = changed(stored[0], **config_with(stored[0], data=data))
    base = load_base("facelift.tiny")
    found = evaluate_sources(base, stored[1].folder, [other], limit=1)
    assert found[0].reason == ""
    assert not (tmp_path / "cache").exists()


def test_a_path_that_the_passport_keeps_private_comes_from_the_run_folder(tmp_path, config, stored):
    run = tmp_path / "run"
    shutil.copytree(stored[0].folder, run / "adapter")
    plain = to_plain(config)
    elsewhere = str(tmp_path / "drawn")
    plain["data"]["reader"]["cache"] = "<drawn>"
    beside = config.model_copy(update={"name": "run1"})
    (run / "config.yaml").write_text(dump_config(beside))
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(
        text.replace("    workers: 0", f"    workers: 0\n    cache: {elsewhere}")
    )
    other = changed(stored[0], config=plain, shortened=["data.reader.cache", "output"])
    object.__setattr__(other, "folder", run / "adapter")
    base = load_base("facelift.tiny")
    (found,) = evaluate_sources(base, stored[1].folder, [other], limit=1)
    assert (found.reason, found.scenes) == ("", 1)
    assert (tmp_path / "drawn").is_dir()
    (run / "config.yaml").unlink()
    (found,) = evaluate_sources(base, stored[1].folder, [other], limit=1)
    assert "its passport holds of data.reader.cache only a name" in found.reason
