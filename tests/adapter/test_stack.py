"""Several adapters on one base: each with its own strength, merge and removal; hot swap."""

import copy
from itertools import pairwise

import peft
import pytest
import torch
from made_adapters import METHODS, TARGETS
from mfl_adapt_lora_gslrm.config import LoraConfig
from mfl_adapt_lora_gslrm.lora import Lora
from mfl_adapt_pose_mvdiffusion.config import PoseConfig
from mfl_adapt_pose_mvdiffusion.pose import Pose
from small_base import Method, make_base, make_lora, output, train_a_little
from small_views import make_rig, make_views_base, to_items
from small_views import output as views_output

from mfl_adapt.adapter import (
    adapter_parameters,
    alone,
    attach,
    bare,
    base_digest,
    base_tensors,
    check_frozen,
    check_merge,
    digest_tensors,
    freeze_base,
    get_adapters,
    load,
    prove,
    save,
    set_adapters,
    swap,
)
from mfl_adapt.errors import AdapterError, RangeError


def put(base, method="lora", *, seed, name=None, **changes):
    adapter = attach(base, Method(METHODS[method](**changes)), name=name, seed=seed)
    train_a_little(adapter, seed=seed)
    return adapter


def pair(method="lora"):
    base = make_base()
    return base, put(base, method, seed=1), put(base, method, seed=2)


def single(method, seed):
    """Output of a base with that one adapter and no other."""
    base = make_base()
    put(base, method, seed=seed)
    return output(base)


def stored(folder, method="lora", *, seed, **changes):
    base = make_base()
    return save(put(base, method, seed=seed, **changes), folder, passport={})


@pytest.mark.parametrize("method", METHODS)
def test_each_of_two_can_be_off_bit_for_bit(method):
    before = output(make_base())
    base, first, second = pair(method)
    both = output(base)
    ones = [single(method, 1), single(method, 2)]
    assert all(not torch.equal(x, y) for x, y in pairwise([before, *ones, both]))
    second.strength = 0
    assert torch.equal(output(base), ones[0])
    first.strength = 0
    assert torch.equal(output(base), before)
    second.strength = 1
    assert torch.equal(output(base), ones[1])
    first.strength = 1
    assert torch.equal(output(base), both)
    with alone(first):
        assert torch.equal(output(base), ones[0])
    with bare(base):
        assert torch.equal(output(base), before)
    with first.disabled():
        assert torch.equal(output(base), ones[1])
    assert torch.equal(output(base), both)


@pytest.mark.parametrize("method", METHODS)
def test_removal_leaves_the_other_and_then_the_bare_base(method):
    fresh = make_base()
    names, digest = list(fresh.module.state_dict()), base_digest(fresh.module)
    base, first, second = pair(method)
    kept = {name: tensor.clone() for name, tensor in second.state_dict().items()}
    assert base_digest(base.module) == digest
    first.remove()
    assert torch.equal(output(base), single(method, 2))
    assert all(torch.equal(kept[name], tensor) for name, tensor in second.state_dict().items())
    assert list(get_adapters(base)) == ["default_2"]
    second.remove()
    assert list(base.module.state_dict()) == names
    assert torch.equal(output(base), output(fresh))
    assert get_adapters(base) == {}
    assert vars(base.module).keys() == vars(fresh.module).keys()


@pytest.mark.parametrize("method", METHODS)
def test_a_second_adapter_is_what_it_would_be_alone(method):
    _, first, second = pair(method)
    for adapter, seed in ((first, 1), (second, 2)):
        expected = put(make_base(), method, seed=seed)
        assert adapter.layers == expected.layers
        assert adapter.num_parameters() == expected.num_parameters()
        assert digest_tensors(adapter.state_dict()) == digest_tensors(expected.state_dict())
        ours, theirs = (one.config.to_dict() for one in (adapter, expected))
        assert ours == theirs


def test_files_of_a_stacked_adapter_are_those_of_a_single_one(tmp_path):
    _, _, second = pair()
    second.strength = 0.25
    folder = save(second, tmp_path / "stacked", passport={})
    expected = stored(tmp_path / "single", seed=2)
    for path in expected.iterdir():
        assert (folder / path.name).read_bytes() == path.read_bytes()


def test_strengths_add_up():
    base = make_base()
    targets = {"target_modules": ["linear"]}
    first = put(base, seed=1, **targets)
    second = put(base, seed=2, r=2, lora_alpha=6, **targets)
    layer = base.module.gaussian_upsampler.linear
    tokens = torch.rand(1, 2, 32, generator=torch.Generator().manual_seed(2))

    def change(one, other):
        first.strength, second.strength = one, other
        with torch.no_grad():
            return layer(tokens) - layer.get_base_layer()(tokens)

    ours, theirs = change(1, 0), change(0, 1)
    torch.testing.assert_close(change(0.25, 1.5), 0.25 * ours + 1.5 * theirs)
    # Each has its own factor: lora_alpha / r times the strength.
    assert layer.scaling == {"default": 0.25 * 2.0, "default_2": 1.5 * 3.0}


def test_adapters_on_different_layers():
    base = make_base()
    first = put(base, seed=1, target_modules=["fc"])
    second = put(base, seed=2, target_modules=["mlp.0"])
    both = output(base)
    second.strength = 0
    alone_first = output(base)
    second.remove()
    assert torch.equal(output(base), alone_first)
    assert not torch.equal(both, alone_first)
    assert all("fc" in name for name in first.named_parameters())
    assert not any("mlp" in name and "lora" in name for name in base.module.state_dict())


def test_parameters_are_told_apart():
    base, first, second = pair()
    own = [set(one.named_parameters()) for one in (first, second)]
    assert not own[0] & own[1]
    assert own[0] | own[1] == set(adapter_parameters(base.module))
    assert set(adapter_parameters(base.module, "default_2")) == own[1]
    assert adapter_parameters(base.module, "nonesuch") == {}
    assert not set(base_tensors(base.module)) & (own[0] | own[1])


def test_one_is_trained_on_top_of_another_that_stands_still():
    base = make_base()
    first = put(base, seed=1)
    kept, digest = digest_tensors(first.state_dict()), base_digest(base.module)
    before = output(base)
    second = attach(base, make_lora(), name="new", seed=2)
    assert torch.equal(output(base), before)
    check_frozen(base.module, train_adapter="new")
    optimizer = torch.optim.AdamW(second.parameters(), lr=1e-2)
    for _ in range(2):
        optimizer.zero_grad()
        output(base).square().mean().backward()
        optimizer.step()
    check_frozen(base.module, train_adapter="new")
    assert all(parameter.grad is None for parameter in first.parameters())
    assert all(parameter.grad is not None for parameter in second.parameters())
    assert digest_tensors(first.state_dict()) == kept
    assert base_digest(base.module) == digest
    assert not torch.equal(output(base), before)
    with pytest.raises(AdapterError, match=r"16 trained tensors.* this one frozen"):
        check_frozen(base.module, train_adapter="default")
    freeze_base(base.module, train_adapter=True)
    assert all(parameter.requires_grad for parameter in first.parameters())
    with pytest.raises(AdapterError, match=r"got 'nwe'\. Did you mean 'new'"):
        freeze_base(base.module, train_adapter="nwe")


def test_turning_and_removing_leave_the_gradients_as_they_were():
    base, first, second = pair()
    flags = {name: p.requires_grad for name, p in base.module.named_parameters()}
    assert {flags[name] for name in first.named_parameters()} == {False}
    assert {flags[name] for name in second.named_parameters()} == {True}
    for strength in (0, 0.5, 1):
        first.strength = second.strength = strength
        assert {name: p.requires_grad for name, p in base.module.named_parameters()} == flags
    first.remove()
    assert all(parameter.requires_grad for parameter in second.parameters())


def test_an_adapter_loaded_meanwhile_does_not_stop_a_training(tmp_path):
    folder = stored(tmp_path / "other", seed=2)
    base = make_base()
    trained = put(base, seed=1)
    loaded = load(base, folder, name="other")
    assert all(parameter.requires_grad for parameter in trained.parameters())
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert not any(tensor.requires_grad for tensor in base_tensors(base.module).values())


@pytest.mark.parametrize("method", ["lora", "rslora", "lokr"])
def test_one_is_merged_while_another_acts(method):
    base, first, second = pair(method)
    digest, both = base_digest(base.module), output(base)
    assert check_merge(first, lambda: output(base), tolerance=1e-4) > 0
    assert torch.equal(output(base), both)
    first.merge()
    assert first.merged
    assert not second.merged
    torch.testing.assert_close(output(base), both, atol=1e-4, rtol=1e-4)
    second.strength = 0
    torch.testing.assert_close(output(base), single(method, 1), atol=1e-4, rtol=1e-4)
    second.strength = 1
    first.unmerge()
    assert base_digest(base.module) == digest
    assert torch.equal(output(base), both)


def test_merged_ones_come_out_in_any_order_exactly():
    base, first, second = pair()
    digest = base_digest(base.module)
    second.merge()
    with_second = base_digest(base.module)
    second.unmerge()
    first.merge()
    second.merge()
    first.unmerge()
    assert base_digest(base.module) == with_second
    assert not first.merged
    second.unmerge()
    assert base_digest(base.module) == digest
    first.merge()
    second.merge()
    first.remove()
    assert base_digest(base.module) == with_second
    second.remove()
    assert base_digest(base.module) == digest


def test_a_merge_that_fails_keeps_the_one_before():
    base, first, second = pair()
    first.merge()
    merged = base_digest(base.module)
    with torch.no_grad():
        second.parameters()[-1].fill_(float("nan"))
    with pytest.raises(AdapterError, match="expected finite weights after merging"):
        second.merge()
    assert base_digest(base.module) == merged
    assert not second.merged


@pytest.mark.parametrize("method", ["dora", "oft", "ia3"])
def test_a_method_that_does_not_add_is_not_merged_beside_another(method):
    base, first, second = pair(method)
    digest, both = base_digest(base.module), output(base)
    with pytest.raises(AdapterError, match=rf"default shares .* with default_2, got (?i:{method})"):
        first.merge()
    assert base_digest(base.module) == digest
    assert torch.equal(output(base), both)
    second.remove()
    assert check_merge(first, lambda: output(base), tolerance=1e-3) < 1e-3


def test_lora_is_not_merged_under_dora():
    base = make_base()
    first = put(base, seed=1)
    put(base, "dora", seed=2)
    with pytest.raises(AdapterError, match=r"expected methods that add.*Remove the others"):
        first.merge()


def test_nothing_is_put_on_a_merged_base(tmp_path):
    folder = stored(tmp_path / "other", seed=2)
    base, first, second = pair()
    first.merge()
    with pytest.raises(AdapterError, match=r"got one with default merged\. Call unmerge"):
        attach(base, make_lora(), seed=0)
    with pytest.raises(AdapterError, match="Call unmerge"):
        load(base, folder)
    with pytest.raises(AdapterError, match="Call unmerge"):
        swap(second, folder)
    with pytest.raises(AdapterError, match="Call unmerge"), bare(base):
        pass
    assert second.strength == 1


def test_a_proof_sees_one_adapter_alone():
    expected = prove(put(make_base(), seed=2))
    base, first, second = pair()
    first.strength = 0.5
    before = output(base)
    assert prove(second) == expected
    assert torch.equal(output(base), before)
    first.merge()
    second.merge()
    merged = base_digest(base.module)
    assert prove(second) == expected
    assert base_digest(base.module) == merged


def test_names():
    base = make_base()
    assert [put(base, seed=seed).name for seed in range(3)] == ["default", "default_2", "default_3"]
    get_adapters(base)["default_2"].remove()
    assert put(base, seed=4).name == "default_2"
    assert list(get_adapters(base)) == ["default", "default_3", "default_2"]
    with pytest.raises(AdapterError, match=r"adapter default: expected a name that no .* is taken"):
        attach(base, make_lora(), name="default", seed=0)


@pytest.mark.parametrize("first", METHODS)
@pytest.mark.parametrize("second", METHODS)
def test_methods_that_cannot_share_a_layer_are_refused(first, second):
    base = make_base()
    put(base, first, seed=1)
    before, names = output(base), list(base.module.state_dict())
    kinds = [METHODS[one]().peft_type.value for one in (first, second)]
    if kinds[0] == kinds[1]:
        put(base, second, seed=2).remove()
    else:
        message = rf"expected the method {kinds[0]}, .* got {kinds[1]}\. Make a LoRA of .* resize'"
        with pytest.raises(AdapterError, match=message):
            put(base, second, seed=2)
    assert list(base.module.state_dict()) == names
    assert torch.equal(output(base), before)


def test_ia3_that_multiplies_elsewhere_is_refused():
    base = make_base()
    put(base, "ia3", seed=1)
    other = Method(peft.IA3Config(target_modules=TARGETS, feedforward_modules=["mlp.0"]))
    with pytest.raises(AdapterError, match=r"feedforward_modules \['mlp.2'\].* got \['mlp.0'\]"):
        attach(base, other, seed=2)


def test_a_method_that_does_not_fit_leaves_the_others():
    base, first, second = pair()
    second.strength = 0
    before, names = output(base), list(base.module.state_dict())
    with pytest.raises(AdapterError, match="nonesuch"):
        attach(base, make_lora(target_modules=["nonesuch"]), seed=3)
    with pytest.raises(AdapterError, match="peft can apply"):
        attach(base, make_lora(r=0), seed=3)
    assert list(base.module.state_dict()) == names
    assert torch.equal(output(base), before)
    assert (first.strength, second.strength) == (1, 0)


def test_layers_of_another_hand_are_refused():
    base = make_base()
    peft.inject_adapter_in_model(METHODS["lora"](), base.module)
    with pytest.raises(AdapterError, match="got layers of another hand"):
        attach(base, make_lora(), seed=0)


def test_the_plugin_finds_its_targets_beside_another_adapter():
    base = make_base()
    method = Lora(LoraConfig(r=2))
    first = attach(base, method, seed=1)
    second = attach(base, method, seed=2)
    assert second.layers == first.layers
    assert second.config.to_dict() == first.config.to_dict()


def test_several_strengths_at_once():
    base, first, second = pair()
    set_adapters(base, {"default_2": 0.5})
    assert (first.strength, second.strength) == (0, 0.5)
    for wrong, kind in (
        ({"default": 1.0, "default_2": -1.0}, RangeError),
        ({"default_2": 0.1, "defualt": 1.0}, AdapterError),
    ):
        with pytest.raises(kind):
            set_adapters(base, wrong)
        assert (first.strength, second.strength) == (0, 0.5)
    with pytest.raises(AdapterError, match=r"'a'\. Load it first"):
        set_adapters(make_base(), {"a": 1.0})


@pytest.mark.parametrize("method", ["dora", "oft", "ia3"])
def test_methods_without_a_scale_are_on_or_off(method):
    _, first, _ = pair(method)
    with pytest.raises(AdapterError, match=rf"expected 0 or 1, as (?i:{method}) has nothing"):
        first.strength = 0.5


def test_loading_at_a_strength(tmp_path):
    folder = stored(tmp_path / "one", seed=1)
    base, expected = make_base(), make_base()
    loaded = load(base, folder, name="mouse", strength=0.5)
    put(expected, seed=1).strength = 0.5
    assert (loaded.name, loaded.strength) == ("mouse", 0.5)
    assert torch.equal(output(base), output(expected))
    with pytest.raises(RangeError, match="got -1"):
        load(base, folder, strength=-1)
    assert list(get_adapters(base)) == ["mouse"]


def test_a_copied_base_has_adapters_of_its_own():
    base, first, _ = pair()
    both = output(base)
    other = copy.deepcopy(base)
    first.strength = 0
    assert torch.equal(output(other), both)
    copied = get_adapters(other)["default"]
    assert copied.base is other
    copied.remove()
    assert list(get_adapters(base)) == ["default", "default_2"]
    assert torch.equal(output(other), single("lora", 2))


@pytest.mark.parametrize("method", METHODS)
def test_a_swap_gives_what_a_new_base_would(tmp_path, method):
    folder = stored(tmp_path / "new", method, seed=9)
    base = make_base()
    old = put(base, seed=1, name="mouse")
    digest = base_digest(base.module)
    places = {name: tensor.data_ptr() for name, tensor in base_tensors(base.module).items()}
    new = swap(old, folder)
    # The base's weights are the same numbers in the same memory.
    assert base_digest(base.module) == digest
    assert {name: one.data_ptr() for name, one in base_tensors(base.module).items()} == places
    assert (new.name, new.strength) == ("mouse", 1)
    assert get_adapters(base) == {"mouse": new}
    assert torch.equal(output(base), single(method, 9))
    assert not any(parameter.requires_grad for parameter in base.module.parameters())
    with pytest.raises(AdapterError, match="one that was removed"):
        swap(old, folder)
    new.remove()
    assert torch.equal(output(base), output(make_base()))


def test_a_swap_keeps_place_and_strength(tmp_path):
    folder = stored(tmp_path / "new", seed=9, r=2)
    base, first, second = pair()
    first.strength, second.strength = 0.5, 0.75
    new = swap(first, folder)
    assert get_adapters(base) == {"default": new, "default_2": second}
    expected = make_base()
    put(expected, seed=9, r=2).strength = 0.5
    put(expected, seed=2).strength = 0.75
    assert torch.equal(output(base), output(expected))
    assert swap(new, folder, strength=1).strength == 1


@pytest.mark.parametrize("cause", ["no folder", "another base", "method", "strength"])
def test_a_refused_swap_leaves_the_old_one(tmp_path, cause):
    base, first, second = pair()
    first.strength = 0.5
    before, names = output(base), sorted(base.module.state_dict())
    folder, more = tmp_path / "new", {}
    if cause == "another base":
        save(put(make_base(sha256="b" * 64), seed=9), folder, passport={})
    elif cause == "method":
        stored(folder, "lokr", seed=9)
    elif cause == "strength":
        stored(folder, seed=9)
        more = {"strength": -1}
    with pytest.raises((AdapterError, RangeError)):
        swap(first, folder, **more)
    assert torch.equal(output(base), before)
    assert sorted(base.module.state_dict()) == names
    assert get_adapters(base) == {"default": first, "default_2": second}
    assert list(get_adapters(base)) == ["default", "default_2"]
    first.strength = 0
    assert torch.equal(output(base), single("lora", 2))
    first.remove()
    second.remove()
    assert torch.equal(output(base), output(make_base()))


class Plain:
    """LoRA without a network of its own, on the base of views."""

    def peft_config(self, module):
        return peft.LoraConfig(r=2, target_modules=["to_q", "linear_1"])


def test_one_network_of_its_own_beside_plain_adapters(tmp_path):
    cameras = to_items(make_rig())
    pose = Pose(PoseConfig(kind="both", hidden=8, r=2))
    base = make_views_base()
    plain = attach(base, Plain(), seed=1)
    train_a_little(plain, seed=1)
    expected = views_output(base)
    posed = attach(base, pose, seed=5)
    train_a_little(posed, seed=5)
    assert (plain.extra, posed.extra) == (None, base.module.pose)
    assert not any(name.startswith("pose.") for name in plain.named_parameters())
    assert any(name.startswith("pose.") for name in posed.named_parameters())
    both = views_output(base, cameras)
    with pytest.raises(AdapterError, match="at most one adapter with a network of its own"):
        attach(base, pose, name="third", seed=6)
    posed.strength = 0
    assert torch.equal(views_output(base), expected)
    posed.strength = 1
    third = attach(base, Plain(), seed=7)
    assert third.layers == plain.layers
    assert torch.equal(views_output(base, cameras), both)
    third.remove()
    folder = save(posed, tmp_path / "posed", passport={})
    swapped = swap(posed, folder)
    assert torch.equal(views_output(base, cameras), both)
    with pytest.raises(AdapterError, match="passport"):
        swap(swapped, tmp_path / "nowhere")
    assert torch.equal(views_output(base, cameras), both)
    swapped.remove()
    assert base.module.pose is None
    assert torch.equal(views_output(base), expected)
