"""Adapters with a network of their own: everything that holds for peft's layers holds for it."""

import copy
import json
import shutil

import pytest
import torch
from mfl_adapt_pose_mvdiffusion.config import PoseConfig
from mfl_adapt_pose_mvdiffusion.pose import Pose
from peft import PeftModel
from safetensors.torch import load_file, save_file
from small_base import make_base, make_lora
from small_views import inputs, make_rig, make_views_base, output, to_items

from mfl_adapt.adapter import (
    attach,
    base_digest,
    base_tensors,
    check_frozen,
    check_merge,
    digest_tensors,
    load,
    measure_effect,
    read_adapter,
    save,
)
from mfl_adapt.errors import AdapterError, ConfigError, StorageError
from mfl_adapt.plugin import AdapterSpec
from mfl_adapt.plugin.registry import load_plugins

CAMERAS = to_items(make_rig())
ALL = [
    "README.md",
    "adapter_config.json",
    "adapter_model.safetensors",
    "extra_model.safetensors",
    "passport.json",
]


def make_pose(**settings):
    return Pose(PoseConfig(**{"kind": "both", "hidden": 8, "r": 2} | settings))


def train_a_little(adapter, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


@pytest.fixture
def base():
    return make_views_base()


@pytest.fixture
def adapter(base):
    adapter = attach(base, make_pose(), seed=5)
    train_a_little(adapter)
    return adapter


@pytest.fixture
def folder(adapter, tmp_path):
    return save(adapter, tmp_path / "adapter", passport={"licence": "CC-BY-4.0"})


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rewrite(folder, change, **described):
    """Change extra tensors or the passport's description, and make the folder agree with it."""
    passport = json.loads((folder / "passport.json").read_text())
    passport["adapter"] |= described
    parts = {name: load_file(folder / name) for name in ALL[2:4]}
    change(parts[ALL[3]])
    extra = {f"extra.{name}": tensor for name, tensor in parts[ALL[3]].items()}
    passport["adapter_hash"] = digest_tensors(parts[ALL[2]] | extra)
    (folder / "passport.json").write_text(json.dumps(passport))
    for name, tensors in parts.items():
        save_file(
            tensors, folder / name, metadata={"format": "pt", "mfl_adapt": json.dumps(passport)}
        )


def test_a_fresh_one_changes_nothing(base):
    bare, weights, names = output(base), base_digest(base.module), list(base_tensors(base.module))
    adapter = attach(base, make_pose(), seed=5)
    assert torch.equal(output(base, CAMERAS), bare)
    assert base_digest(base.module) == weights
    assert list(base_tensors(base.module)) == names
    assert any(name.startswith("pose.") for name in adapter.named_parameters())
    check_frozen(base.module, train_adapter=True)
    with pytest.raises(AdapterError, match="expected an effect on the output, got a largest diff"):
        measure_effect(adapter, lambda: output(base, CAMERAS))


def test_training_moves_it_and_leaves_the_base(base):
    weights = base_digest(base.module)
    adapter = attach(base, make_pose(), seed=5)
    optimizer = torch.optim.AdamW(adapter.parameters(), lr=0.01)
    base.module.num_views = 3
    for _ in range(2):
        optimizer.zero_grad()
        base.module(**inputs(), cameras=CAMERAS).sample.square().mean().backward()
        optimizer.step()
    check_frozen(base.module, train_adapter=True)
    assert base_digest(base.module) == weights
    # After two steps the gradient has passed the zero layers.
    assert all(parameter.grad.abs().max() > 0 for parameter in adapter.parameters())
    assert measure_effect(adapter, lambda: output(base, CAMERAS)) > 0


def test_first_weights_come_from_the_seed(base):
    state = torch.get_rng_state()
    first = attach(base, make_pose(), seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    again = attach(make_views_base(), make_pose(), seed=5).state_dict()
    assert digest_tensors(first) == digest_tensors(again)
    other = attach(make_views_base(), make_pose(), seed=6).state_dict()
    name = "extra.angles.layers.0.weight"
    assert not torch.equal(first[name], other[name])
    # LoRA starts where it would without a network beside it.
    plain = attach(make_views_base(), make_pose(kind="angles", hidden=4), seed=5).peft_tensors()
    assert all(torch.equal(first[key], tensor) for key, tensor in plain.items())


def test_strength_scales_it_and_0_is_the_base(base, adapter):
    bare = output(make_views_base())
    adapter.strength = 0.0
    assert torch.equal(output(base), bare)
    assert torch.equal(output(base, CAMERAS), bare)
    adapter.strength = 1.0
    whole = output(base, CAMERAS)
    with adapter.disabled():
        assert torch.equal(output(base), bare)
    assert torch.equal(output(base, CAMERAS), whole)
    terms = adapter.extra(CAMERAS[None], height=4, width=4)
    adapter.strength = 0.5
    halves = adapter.extra(CAMERAS[None], height=4, width=4)
    for half, term in zip(halves, terms, strict=True):
        torch.testing.assert_close(half, term / 2)


def test_modes_copies_and_types(base, adapter):
    whole = output(base, CAMERAS)
    copied = copy.deepcopy(base)
    assert torch.equal(output(copied, CAMERAS), whole)
    with torch.no_grad():
        copied.module.pose.angles.layers[-1].bias.add_(1.0)
    assert torch.equal(output(base, CAMERAS), whole)
    base.module.train()
    assert adapter.extra.training
    base.module.eval()
    assert not adapter.extra.training
    base.module.double()
    assert {p.dtype for p in adapter.extra.parameters()} == {torch.float64}


def test_a_half_precision_base_keeps_it_in_single(base):
    base.module.to(torch.bfloat16)
    adapter = attach(base, make_pose(), seed=5)
    assert {p.dtype for p in adapter.parameters()} == {torch.float32}
    train_a_little(adapter)
    given = {name: value.bfloat16() for name, value in inputs().items()}
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), base.module.viewing(3):
        made = base.module(**given, cameras=CAMERAS).sample
    assert torch.isfinite(made).all()


def test_it_cannot_be_merged(base, adapter):
    with pytest.raises(AdapterError, match=r"merge: expected .* got one of pose_mvdiffusion\.pose"):
        adapter.merge()
    with pytest.raises(AdapterError, match=r"adapter\.merge"):
        check_merge(adapter, lambda: output(base, CAMERAS))


def test_removing_restores_the_base(base, adapter):
    adapter.remove()
    fresh = make_views_base()
    assert base.module.state_dict().keys() == fresh.module.state_dict().keys()
    assert torch.equal(output(base), output(fresh))
    with pytest.raises(AdapterError, match="got one that was removed"):
        adapter.extra_tensors()
    attach(base, make_pose(), seed=5)


@pytest.mark.parametrize("targets", ["attention", "none"])
def test_one_network_of_its_own_at_a_time(base, targets):
    attach(base, make_pose(targets=targets), seed=5)
    with pytest.raises(
        AdapterError, match="expected at most one adapter with a network of its own"
    ):
        attach(base, make_pose(), seed=5)


def test_the_folder_round_trips(base, adapter, folder, tmp_path):
    assert sorted(contents(folder)) == ALL
    fresh = make_views_base()
    loaded = load(fresh, folder)
    assert torch.equal(output(fresh, CAMERAS), output(base, CAMERAS))
    assert loaded.extra.recipe == adapter.extra.recipe
    assert not any(parameter.requires_grad for parameter in fresh.module.parameters())
    again = save(loaded, tmp_path / "again", passport=loaded.passport)
    assert contents(again) == contents(folder)
    check_frozen(fresh.module, train_adapter=False)
    trainable = load(make_views_base(), folder, trainable=True)
    assert all(parameter.requires_grad for parameter in trainable.parameters())


def test_passport_and_hash_cover_it(adapter, folder):
    passport = json.loads((folder / "passport.json").read_text())
    assert passport["adapter"]["extra"]["use"] == "pose_mvdiffusion.pose"
    assert passport["adapter"]["extra"]["kind"] == "both"
    assert passport["adapter"]["parameters"] == adapter.num_parameters()
    assert passport["adapter_hash"] == digest_tensors(adapter.state_dict())
    assert "`pose_mvdiffusion.pose`" in (folder / "README.md").read_text()
    stored = read_adapter(folder)
    assert set(stored.extra) == set(load_file(folder / "extra_model.safetensors"))
    assert not any(name.startswith("extra.") for name in stored.tensors)


def test_stock_peft_loads_its_part(base, adapter, folder):
    fresh = make_views_base()
    PeftModel.from_pretrained(fresh.module, str(folder))
    adapter.extra.strength = 0.0
    assert torch.equal(output(fresh), output(base))


def test_a_network_alone(base, tmp_path):
    adapter = attach(base, make_pose(targets="none"), seed=5)
    assert (adapter.layers, adapter.peft_tensors()) == ((), {})
    train_a_little(adapter)
    folder = save(adapter, tmp_path / "adapter", passport={})
    assert sorted(contents(folder)) == ["README.md", "extra_model.safetensors", "passport.json"]
    fresh = make_views_base()
    loaded = load(fresh, folder)
    assert torch.equal(output(fresh, CAMERAS), output(base, CAMERAS))
    again = save(loaded, tmp_path / "again", passport=loaded.passport)
    assert contents(again) == contents(folder)
    loaded.strength = 0.5
    loaded.remove()
    assert torch.equal(output(fresh), output(make_views_base()))


def test_one_kind_of_adapter_replaces_the_other(base, adapter, folder):
    adapter.remove()
    alone = attach(base, make_pose(targets="none"), seed=5)
    train_a_little(alone)
    save(alone, folder, passport={})
    assert sorted(contents(folder)) == ["README.md", "extra_model.safetensors", "passport.json"]
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"got a folder that also holds notes\.txt"):
        save(alone, folder, passport={})


def test_missing_and_foreign_files(folder, tmp_path):
    lost = shutil.copytree(folder, tmp_path / "lost")
    (lost / "extra_model.safetensors").unlink()
    with pytest.raises(AdapterError, match=r"extra_model\.safetensors: expected a whole"):
        read_adapter(lost)
    plain = make_base()
    other = save(
        attach(plain, make_lora(), seed=0), tmp_path / "other", passport={}, needs_effect=False
    )
    shutil.copy(folder / "extra_model.safetensors", other)
    with pytest.raises(AdapterError, match=r"expected no extra_model\.safetensors, of which"):
        read_adapter(other)
    shutil.copy(other / "adapter_model.safetensors", folder)
    with pytest.raises(AdapterError, match=r"in the header of adapter_model\.safetensors, got two"):
        read_adapter(folder)


def test_changed_weights_are_found(folder, tmp_path):
    path = folder / "extra_model.safetensors"
    encoded = bytearray(path.read_bytes())
    encoded[-1] ^= 1
    path.write_bytes(encoded)
    with pytest.raises(AdapterError, match=r"extra_model\.safetensors: expected weights of hash"):
        read_adapter(folder)


def test_a_changed_header_is_found(folder):
    path = folder / "extra_model.safetensors"
    save_file(load_file(path), path, metadata={"format": "pt", "mfl_adapt": "{}"})
    with pytest.raises(AdapterError, match=r"the header of extra_model\.safetensors, got two"):
        read_adapter(folder)


def test_weights_that_are_not_finite(base, adapter, folder, tmp_path):
    rewrite(folder, lambda extra: extra["angles.layers.0.bias"].fill_(float("nan")))
    with pytest.raises(AdapterError, match=r"expected finite weights, got 8 of 8 in angles\.layer"):
        read_adapter(folder)
    with torch.no_grad():
        adapter.extra.rays.layers[0].bias[0] = float("inf")
    with pytest.raises(AdapterError, match=r"got 1 of 8 in extra\.rays\.layers\.0\.bias"):
        save(adapter, tmp_path / "broken", passport={})
    assert not (tmp_path / "broken").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda extra: extra.pop("angles.layers.0.bias"), r"angles\.layers\.0\.bias is missing"),
        (lambda extra: extra.update(more=torch.ones(1)), "more is not expected"),
        (
            lambda extra: extra.update({"angles.layers.0.bias": torch.ones(9)}),
            r"expected angles\.layers\.0\.bias \[8\] torch\.float32, got \[9\]",
        ),
    ],
)
def test_weights_that_do_not_fit_leave_the_base_alone(folder, change, message):
    rewrite(folder, change)
    fresh = make_views_base()
    with pytest.raises(AdapterError, match=rf"extra_model\.safetensors: .*{message}"):
        load(fresh, folder)
    assert fresh.module.pose is None
    assert torch.equal(output(fresh), output(make_views_base()))


@pytest.mark.parametrize(
    ("recipe", "error", "message"),
    [
        ({"use": "../rat.py"}, AdapterError, "a component under 'use', got '../rat.py'"),
        ("pose", AdapterError, "a component under 'use', got None"),
        (
            {"use": "rat_pose.pose"},
            AdapterError,
            "expected the plugin 'rat_pose' with 'rat_pose.pose', which the adapter needs",
        ),
        ({"use": "lora_gslrm.lora"}, AdapterError, "got lora_gslrm.lora, which has none"),
        (
            {"use": "pose_mvdiffusion.poses"},
            AdapterError,
            "got: expected an adapter of .*, got 'poses'",
        ),
        ({"use": "pose_mvdiffusion.pose", "kinds": 1}, ConfigError, "unknown key 'kinds'"),
    ],
)
def test_recipes_that_cannot_be_followed(folder, recipe, error, message):
    rewrite(folder, lambda extra: None, extra=recipe)
    fresh = make_views_base()
    with pytest.raises(error, match=message) as caught:
        load(fresh, folder)
    assert "passport.json" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert fresh.module.pose is None


RAT = '''
"""A pose adapter of somebody's own."""

from mfl_adapt.plugin import AdapterSpec, hookimpl

MFL_API = 1


@hookimpl
def register_components():
    from mfl_adapt_pose_mvdiffusion.config import PoseConfig

    spec = AdapterSpec(name="pose", summary="own", config=PoseConfig, build="rat_pose:rat_pose")
    return [spec]


def rat_pose(config):
    from mfl_adapt_pose_mvdiffusion.pose import Pose

    method = Pose(config)
    extra = method.extra

    def renamed(module):
        made = extra(module)
        made.recipe = made.recipe | {"use": "rat_pose.pose"}
        return made

    method.extra = renamed
    return method
'''


def test_a_plugin_in_a_single_file_is_found_among_those_of_the_run(base, tmp_path):
    (tmp_path / "rat_pose.py").write_text(RAT)
    host = load_plugins([str(tmp_path / "rat_pose.py")])
    method = host.build(AdapterSpec, "rat_pose.pose", {"hidden": 8, "r": 2})
    adapter = attach(base, method, seed=5)
    train_a_little(adapter)
    folder = save(adapter, tmp_path / "adapter", passport={})
    with pytest.raises(AdapterError, match="expected the plugin 'rat_pose' with"):
        load(make_views_base(), folder)
    loaded = load(make_views_base(), folder, host=host)
    assert loaded.extra.recipe["use"] == "rat_pose.pose"


def test_an_installed_plugin_that_the_run_does_not_name_is_loaded_for_the_adapter(folder):
    host = load_plugins(["exporters"])
    assert load(make_views_base(), folder, host=host).extra.recipe["use"] == "pose_mvdiffusion.pose"
    off = load_plugins(["exporters"], disabled=["pose_mvdiffusion"])
    with pytest.raises(AdapterError, match=r"plugin 'pose_mvdiffusion' of .* is disabled"):
        load(make_views_base(), folder, host=off)


def test_another_base_is_refused(folder):
    other = make_views_base(seed=1)
    other.sha256 = "b" * 64
    with pytest.raises(AdapterError, match=r"expected the base test\.views with sha256"):
        load(other, folder)
    assert other.module.pose is None
    gslrm = make_base()
    with pytest.raises(AdapterError, match=r"expected the base test\.views with fingerprint"):
        load(gslrm, folder)
    with pytest.raises(AdapterError, match="expected a base that makes views and can be told"):
        attach(gslrm, make_pose(), seed=0)


class Nothing:
    """A method that does nothing."""

    def peft_config(self, module):
        return None


def test_a_method_that_does_nothing(base):
    with pytest.raises(AdapterError, match="expected a method that changes layers or adds"):
        attach(base, Nothing(), seed=0)


class Homeless(torch.nn.Linear):
    """An own network that does not move in."""

    def __init__(self):
        super().__init__(1, 1)
        self.recipe, self.strength = {"use": "rat.homeless"}, 1.0

    def install(self, module):
        return

    def uninstall(self, module):
        return


def test_a_network_that_does_not_move_in(base):
    method = Nothing()
    method.extra = lambda module: Homeless()
    with pytest.raises(
        AdapterError, match=r"rat\.homeless: expected install\(\) to make it a chil"
    ):
        attach(base, method, seed=0)
    assert torch.equal(output(base), output(make_views_base()))
