"""The effect proof: what it measures, that it disturbs nothing, and what it lets through."""

import json
import re
from dataclasses import replace

import peft
import pytest
import torch
from mfl_adapt_pose_mvdiffusion.config import PoseConfig
from mfl_adapt_pose_mvdiffusion.pose import Pose
from safetensors.torch import load_file, save_file
from small_base import Method, make_base, make_lora, output, train_a_little
from small_views import make_views_base

from mfl_adapt.adapter import Effect, attach, digest_tensors, load, prove, read_header, save
from mfl_adapt.adapter import effect as effects
from mfl_adapt.adapter.layers import adapter_layers
from mfl_adapt.errors import AdapterError
from mfl_adapt.plugin import Probed

TARGETS = ["to_qkv", "fc", "mlp.0", "mlp.2"]
METHODS = {
    "lora": peft.LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS),
    "rslora": peft.LoraConfig(r=4, lora_alpha=8, use_rslora=True, target_modules=TARGETS),
    "dora": peft.LoraConfig(r=4, lora_alpha=8, use_dora=True, target_modules=TARGETS),
    "oft": peft.OFTConfig(r=0, oft_block_size=8, target_modules=TARGETS),
    "lokr": peft.LoKrConfig(r=4, alpha=4, target_modules=TARGETS),
    "ia3": peft.IA3Config(target_modules=TARGETS, feedforward_modules=["mlp.2"]),
}


@pytest.fixture
def adapter(base, lora):
    adapter = attach(base, lora, seed=0)
    train_a_little(adapter)
    return adapter


def make(method):
    adapter = attach(make_base(), Method(METHODS[method]), seed=0)
    train_a_little(adapter)
    return adapter


def update_by_hand(layer, features):
    """What a linear layer adds to its weight: its answers to the unit vectors."""
    with torch.no_grad():
        ours, bare = layer(torch.eye(features)), layer.get_base_layer()(torch.eye(features))
    return float((ours.double() - bare.double()).norm() / layer.get_base_layer().weight.norm())


@pytest.mark.parametrize("method", METHODS)
def test_the_size_of_every_update_is_that_of_the_weight(method):
    adapter = make(method)
    effect = prove(adapter)
    layers = adapter_layers(adapter.base.module)
    assert list(effect.layers) == list(adapter.layers)
    for name, layer in layers.items():
        expected = update_by_hand(layer, layer.get_base_layer().in_features)
        assert effect.layers[name] == pytest.approx(expected, rel=1e-4)
        assert expected > 1e-3


@pytest.mark.parametrize("method", METHODS)
def test_the_change_of_the_output_is_that_of_the_probe(method):
    adapter = make(method)
    effect, bare = prove(adapter), make_base().probe().double()
    change = adapter.base.probe().double() - bare
    assert effect.change == pytest.approx(float(change.abs().max()), rel=1e-5)
    assert effect.relative == pytest.approx(float(change.norm() / bare.norm()), rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_a_fresh_adapter_of_any_method_has_no_effect(method, tmp_path):
    adapter = attach(make_base(), Method(METHODS[method]), seed=0)
    with pytest.raises(AdapterError, match=r"adapter default: expected an effect on the output of"):
        save(adapter, tmp_path / "adapter", passport={})
    assert list(tmp_path.iterdir()) == []
    save(adapter, tmp_path / "adapter", passport={}, needs_effect=False)
    with pytest.raises(AdapterError, match="adapter: expected an effect"):
        load(make_base(), tmp_path / "adapter", force=True)


@pytest.mark.parametrize("method", METHODS)
def test_what_was_saved_is_what_loads(method, tmp_path):
    adapter = make(method)
    folder = save(adapter, tmp_path / "adapter", passport={})
    loaded = load(make_base(), folder)
    assert prove(loaded) == prove(adapter)
    assert loaded.passport["effect"] == json.loads(json.dumps(prove(adapter).to_json()))


@pytest.mark.parametrize("base", [make_base(), make_views_base()], ids=["gslrm", "mvdiffusion"])
def test_the_probe_is_always_the_same_and_disturbs_nothing(base):
    assert isinstance(base, Probed)
    probe = base.probe()
    assert (probe.dtype, probe.device.type, probe.dim()) == (torch.float32, "cpu", 1)
    assert torch.isfinite(probe).all()
    assert probe.std() > 0
    base.module.train()
    next(base.module.children()).eval()
    first = next(base.module.parameters())
    first.requires_grad_()
    modes = [part.training for part in base.module.modules()]
    precision, state = torch.get_float32_matmul_precision(), torch.get_rng_state()
    with torch.autocast("cpu", torch.bfloat16):
        again = base.probe()
        assert torch.is_autocast_enabled("cpu")
    assert torch.equal(again, probe)
    assert not again.requires_grad
    assert [part.training for part in base.module.modules()] == modes
    assert first.requires_grad
    assert torch.get_float32_matmul_precision() == precision
    assert torch.equal(torch.get_rng_state(), state)
    with torch.inference_mode():
        assert torch.equal(base.probe(), probe)
    first.requires_grad_(requires_grad=False)
    base.module.eval()


def test_a_base_in_half_precision_has_a_probe():
    base = make_views_base()
    single = base.probe()
    base.module.to(torch.bfloat16)
    half = base.probe()
    assert 0 < float((half - single).norm() / single.norm()) < effects.OUTPUT_NOISE[torch.bfloat16]
    adapter = attach(base, Pose(PoseConfig(kind="both", hidden=8, r=2)), seed=5)
    train_a_little(adapter)
    assert prove(adapter).relative > 0


def test_proving_leaves_the_adapter_as_it_is(base, adapter):
    expected, whole = prove(adapter), output(base)
    base.module.train()
    adapter.strength = 0.5
    half = output(base)
    assert prove(adapter) == expected
    assert adapter.strength == 0.5
    assert torch.equal(output(base), half)
    assert all(part.training for part in base.module.modules())
    assert all(one.requires_grad for one in adapter.parameters())
    adapter.merge()
    merged = output(base)
    assert prove(adapter) == expected
    assert torch.equal(output(base), merged)
    adapter.unmerge()
    adapter.strength = 0.0
    assert prove(adapter) == expected
    assert adapter.strength == 0
    adapter.strength = 1.0
    assert torch.equal(output(base), whole)


def test_an_own_network_counts(tmp_path):
    base = make_views_base()
    adapter = attach(base, Pose(PoseConfig(kind="both", hidden=8, targets="none")), seed=5)
    with pytest.raises(AdapterError, match="expected an effect"):
        save(adapter, tmp_path / "adapter", passport={})
    train_a_little(adapter)
    effect = prove(adapter)
    assert (effect.relative > 0, effect.layers) == (True, {})
    folder = save(adapter, tmp_path / "adapter", passport={})
    assert prove(load(make_views_base(), folder)) == effect


class Unprobed:
    """A base of a plugin that has no probe."""

    def __init__(self):
        whole = make_base()
        self.id, self.module, self.contract = whole.id, whole.module, whole.contract
        self.sha256, self.fingerprint = whole.sha256, whole.fingerprint


def test_without_a_probe_the_weights_tell(tmp_path):
    adapter = attach(Unprobed(), make_lora(), seed=0)
    with pytest.raises(AdapterError, match="got no layer that is changed"):
        save(adapter, tmp_path / "adapter", passport={})
    train_a_little(adapter)
    folder = save(adapter, tmp_path / "adapter", passport={})
    effect = read_header(folder).passport["effect"]
    assert (effect["probe"], effect["change"], effect["relative"]) == (None, None, None)
    assert len(effect["layers"]) == 8
    load(Unprobed(), folder)
    # A base that has one says more, and contradicts nothing.
    assert prove(load(make_base(), folder)).relative > 0


def test_a_layer_that_cannot_be_merged_is_measured_by_its_output(adapter, monkeypatch):
    name = adapter.layers[0]
    layer = adapter_layers(adapter.base.module)[name]
    seen = []
    handle = layer.register_forward_hook(lambda layer, given, out: seen.append((given[0], out)))
    with torch.no_grad():
        adapter.base.probe()
        handle.remove()
        ((given, made),) = seen
        bare = layer.get_base_layer()(given)

    def refuse(*_args, **_options):
        raise NotImplementedError

    monkeypatch.setattr(type(layer), "merge", refuse)
    monkeypatch.setattr("mfl_adapt.adapter.update_sizes._ADDITIVE", ())
    found = prove(adapter).layers
    assert found[name] == pytest.approx(float((made - bare).norm() / bare.norm()), rel=1e-5)
    assert list(found) == list(adapter.layers)


def test_one_silent_layer_is_a_note(base, adapter, tmp_path, caplog):
    name = adapter.layers[2]
    with torch.no_grad():
        adapter_layers(base.module)[name].lora_B["default"].weight.zero_()
    assert prove(adapter).silent_layers == (name,)
    with caplog.at_level("INFO"):
        save(adapter, tmp_path / "adapter", passport={})
    assert f"the updates of 1 of 8 layers are zero, {name} among them" in caplog.text


def test_an_output_that_is_not_finite(base, adapter, tmp_path):
    # Finite weights, and an update beyond the range of float32.
    with torch.no_grad():
        for name in ("lora_A", "lora_B"):
            getattr(adapter_layers(base.module)[adapter.layers[0]], name)["default"].weight.fill_(
                1e30
            )
    with pytest.raises(AdapterError, match="expected a finite change of"):
        save(adapter, tmp_path / "adapter", passport={})
    assert list(tmp_path.iterdir()) == []


def rewrite(folder, **effect):
    """Let the passport say something else about the effect, in both places."""
    passport = json.loads((folder / "passport.json").read_text())
    passport["effect"] |= effect
    (folder / "passport.json").write_text(json.dumps(passport))
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    assert passport["adapter_hash"] == digest_tensors(tensors)
    save_file(tensors, path, metadata={"mfl_adapt": json.dumps(passport)})
    return passport["effect"]


def test_an_adapter_that_does_something_else_is_refused(adapter, tmp_path):
    folder = save(adapter, tmp_path / "adapter", passport={})
    # alpha is not a tensor: peft would load the folder, and apply half of the update.
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"lora_alpha": 2}))
    base = make_base()
    with pytest.raises(AdapterError, match=r"expected an update of .* on transformer_layers.* got"):
        load(base, folder)
    assert torch.equal(output(base), output(make_base()))
    forced = load(base, folder, force=True).passport["forced"]
    assert forced[0].startswith("expected an update of")


def test_a_recorded_change_of_the_output_must_be_met(adapter, tmp_path):
    folder = save(adapter, tmp_path / "adapter", passport={})
    said = prove(adapter).relative
    rewrite(folder, relative=said * 1.04)
    load(make_base(), folder)
    rewrite(folder, relative=said * 1.2)
    with pytest.raises(AdapterError, match=r"relative change of the output of .*tolerance.* got"):
        load(make_base(), folder)


def test_what_was_recorded_elsewhere_stays(adapter, tmp_path):
    folder = save(adapter, tmp_path / "adapter", passport={})
    recorded = rewrite(folder, relative=float(f"{prove(adapter).relative * 1.001:.6g}"))
    loaded = load(make_base(), folder)
    again = save(loaded, tmp_path / "again", passport=loaded.passport)
    assert read_header(again).passport["effect"] == recorded


def test_an_effect_that_cannot_be_true_is_not_saved(adapter, tmp_path):
    said = prove(adapter).to_json() | {"relative": 9.0}
    with pytest.raises(AdapterError, match=r"passport\.effect: expected a relative change .* of 9"):
        save(adapter, tmp_path / "adapter", passport={"effect": said})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": {"a": 0.1}}, "an update of b, got none on b"),
        ({"layers": {"a": 0.1, "b": 0.2, "c": 0.1}}, "an update of none on c, got c"),
        ({"layers": {"a": 0.1, "b": 0.21}}, "an update of 0.2 on b, got 0.21"),
        ({"relative": 0.06}, r"a relative change of the output of 0.05 \(tolerance 0.0025\), got"),
        ({"layers": {"a": 0.1, "b": 0.201}, "relative": 0.0505, "probe": "1"}, None),
        ({"relative": None, "change": None}, None),
    ],
)
def test_how_two_effects_compare(base, change, message):
    recorded = Effect("0", 0.3, 0.05, {"a": 0.1, "b": 0.2})
    found = effects.find_difference(replace(recorded, **change), recorded, base)
    if message is None:
        assert found is None
    else:
        assert found is not None
        assert re.search(message, found)


def test_rounding_is_no_effect():
    assert Effect("0", 1e-6, 4e-7, {"a": 0.1}).is_none
    assert not Effect("0", 1e-5, 4e-6, {"a": 0.1}).is_none
    assert Effect(None, None, None, {"a": 0.0}).is_none
    assert not Effect(None, None, None, {"a": 1e-9}).is_none
