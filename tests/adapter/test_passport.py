"""What an adapter must agree with, what can be forced, and that it is never forgotten."""

import json
import logging
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from mfl_adapt_pose_mvdiffusion.config import PoseConfig
from mfl_adapt_pose_mvdiffusion.pose import Pose
from small_base import make_base, make_lora, output, train_a_little
from small_views import make_views_base

from mfl_adapt.adapter import attach, load, read_header, save
from mfl_adapt.adapter import passport as passports
from mfl_adapt.errors import AdapterError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    adapter = attach(make_base(), make_lora(), seed=11)
    train_a_little(adapter)
    return save(adapter, tmp_path_factory.mktemp("passport") / "adapter", passport={"steps": 3})


def other_weights():
    return make_base(seed=4, sha256="b" * 64)


def other_contract():
    base = make_base()
    base.contract = replace(base.contract, depth_reach=2.5, cut_edges=("left",))
    return base


def test_the_fields_are_there(folder):
    passport = read_header(folder).passport
    assert passport["plugin_api"] == 1
    assert set(passport["base"]) == {"id", "sha256", "fingerprint"}
    assert set(passport["effect"]) == {"probe", "change", "relative", "layers"}
    assert len(passport["effect"]["layers"]) == passport["adapter"]["layers"] == 8
    assert passport["contract"]["size"] == 16
    assert "forced" not in passport


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (other_weights, f"expected the base test.small with sha256 {'a' * 64}.*{'b' * 64}"),
        (
            other_contract,
            r'a rig contract with cut_edges \["bottom"\], depth_reach 1\.8, got that of '
            r'test\.small with cut_edges \["left"\], depth_reach 2\.5\. Open the base',
        ),
    ],
)
def test_another_base_or_contract_is_refused_and_can_be_forced(
    folder, tmp_path, caplog, make, message
):
    base = make()
    bare = output(base)
    with pytest.raises(AdapterError, match=message) as caught:
        load(base, folder)
    assert "\n" not in str(caught.value)
    assert torch.equal(output(base), bare)
    with caplog.at_level(logging.WARNING):
        adapter = load(base, folder, force=True)
    assert "ignored because of force" in caplog.text
    assert not torch.equal(output(base), bare)
    texts = adapter.passport["forced"]
    assert len(texts) == 1
    assert texts[0] in str(caught.value)
    # The passport says where it is now, so that what is saved from here is true.
    assert adapter.passport["base"]["sha256"] == base.sha256
    assert adapter.passport["contract"]["depth_reach"] == base.contract.depth_reach
    again = save(adapter, tmp_path / "again", passport=adapter.passport)
    assert read_header(again).passport["forced"] == texts
    without = save(adapter, tmp_path / "without", passport={})
    assert read_header(without).passport["forced"] == texts
    # There it fits without force, and is still marked.
    assert load(make(), again).passport["forced"] == texts


def test_another_plugin_api(folder, monkeypatch):
    for module in ("passport", "forced"):
        monkeypatch.setattr(f"mfl_adapt.adapter.{module}.MFL_API", 2)
    with pytest.raises(
        AdapterError, match="expected the plugin API 1, which it was made with, got"
    ):
        load(make_base(), folder)
    adapter = load(make_base(), folder, force=True)
    assert adapter.passport["plugin_api"] == 2
    assert adapter.passport["forced"] == [
        "expected the plugin API 1, which it was made with, got 2"
    ]


def test_all_that_is_forced_is_recorded(folder, tmp_path):
    base = other_weights()
    base.contract = replace(base.contract, distance=3.0)
    adapter = load(base, folder, force=True)
    assert len(adapter.passport["forced"]) == 2
    save(adapter, tmp_path / "twice", passport=adapter.passport)
    third = make_base(seed=5, sha256="c" * 64)
    forced = load(third, tmp_path / "twice", force=True).passport["forced"]
    assert len(forced) == 4
    assert forced[:2] == adapter.passport["forced"]


def test_force_changes_nothing_where_all_agrees(folder):
    adapter = load(make_base(), folder, force=True)
    assert adapter.passport == read_header(folder).passport


def test_another_architecture_cannot_be_forced(folder):
    with pytest.raises(AdapterError, match="with fingerprint"):
        load(make_base(layers=3), folder, force=True)
    with pytest.raises(AdapterError, match=r"with fingerprint .* got test\.views"):
        load(make_views_base(), folder, force=True)


def test_broken_files_cannot_be_forced(folder, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in folder.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    weights = broken / "adapter_model.safetensors"
    encoded = bytearray(weights.read_bytes())
    encoded[-1] ^= 1
    weights.write_bytes(bytes(encoded))
    with pytest.raises(AdapterError, match="expected weights of hash"):
        load(make_base(), broken, force=True)


def test_a_rule_that_is_younger_than_the_passport_has_its_default(folder):
    # A later release adds a rule to the contract: adapters of today are none the worse for it.
    passport = json.loads((folder / "passport.json").read_text())
    del passport["contract"]["focal_ratio"], passport["contract"]["up"]
    base = make_base()
    assert passports.find_mismatches(passport, base, "here") == []
    base.contract = replace(base.contract, focal_ratio=2.0)
    found = passports.find_mismatches(passport, base, "here")
    assert "focal_ratio 1.07225, got that of test.small with focal_ratio 2.0" in found[0].sides


@pytest.fixture
def pose_folder(tmp_path):
    adapter = attach(make_views_base(), Pose(PoseConfig(kind="both", hidden=8, r=2)), seed=5)
    train_a_little(adapter)
    supplied = {"pose_mvdiffusion": {"distribution": "mfl-adapt", "version": "0.0.1"}}
    return save(adapter, tmp_path / "pose", passport={"plugins": supplied})


def installed(distribution, version):
    one = SimpleNamespace(name="pose_mvdiffusion", distribution=distribution, version=version)
    return SimpleNamespace(plugins=lambda: (one,))


def test_the_plugin_of_an_own_network_must_be_of_its_supplier(pose_folder, caplog, monkeypatch):
    passport = read_header(pose_folder).passport
    from mfl_adapt.adapter.forced import find_other_supplier

    found = find_other_supplier(passport, installed("rat-poses", "2.0"))
    assert found[0].sides == (
        "the plugin 'pose_mvdiffusion' of mfl-adapt 0.0.1, which the adapter was made with, got "
        "that of rat-poses 2.0"
    )
    with caplog.at_level(logging.INFO):
        assert find_other_supplier(passport, installed("mfl-adapt", "0.0.2")) == []
    assert "made with version 0.0.1, used with 0.0.2" in caplog.text
    # A single file has no version, and its path is nobody else's.
    assert find_other_supplier(passport, installed("./pose.py", "")) == []
    assert load(make_views_base(), pose_folder).extra is not None


def test_a_passport_larger_than_readers_accept_is_not_written(tmp_path):
    adapter = attach(make_base(), make_lora(), seed=0)
    train_a_little(adapter)
    with pytest.raises(AdapterError, match="passport: expected at most 8388608 bytes, got"):
        save(adapter, tmp_path / "large", passport={"notes": "x" * 2**23})
    assert not (tmp_path / "large").exists()
