"""Adapters compared, merged, scaled and resized."""

import json
import math

import numpy as np
import pytest
import torch
from made_adapters import METHODS, make_stored, mark
from peft.utils.merge_utils import task_arithmetic
from small_base import Method, make_base, output, train_a_little

from mfl_adapt.adapter import attach, base_digest, load, read_adapter, save
from mfl_adapt.adapter.compose import join_licences
from mfl_adapt.adapter.compose_diff import compare
from mfl_adapt.adapter.compose_files import add_metrics, merge_folders, resize_folder, scale_folder
from mfl_adapt.adapter.compose_merge import Recipe, merge, read_rank, read_weights
from mfl_adapt.adapter.compose_resize import resize, scale
from mfl_adapt.adapter.updates import read_updates
from mfl_adapt.errors import AdapterError, RangeError, StorageError


@pytest.fixture
def pair(tmp_path):
    return [make_stored(tmp_path / name, seed=seed) for name, seed in (("a", 1), ("b", 2))]


def opened(stored):
    return make_base()


def matrices(stored):
    return {name: one.matrix for name, one in read_updates(stored, opened).items()}


def output_of(folder, strength=1.0):
    base = make_base()
    load(base, folder).strength = strength
    return output(base)


def norm(tensors):
    return math.sqrt(sum(float((one**2).sum()) for one in tensors))


# Comparing


def test_an_adapter_is_like_itself(pair):
    found = compare(pair[0], pair[0], opened)
    assert found.overall.cosine == pytest.approx(1.0, abs=1e-12)
    assert all(one.ratio == pytest.approx(1.0) for one in found.layers.values())
    assert (found.only_first, found.only_second) == ({}, {})


@pytest.mark.parametrize("method", ["lora", "oft"])
def test_cosines_and_norms_of_two_adapters(tmp_path, pair, method):
    other = make_stored(tmp_path / "c", method, seed=5)
    found = compare(pair[0], other, opened)
    mine, theirs = matrices(pair[0]), matrices(other)
    for name, layer in found.layers.items():
        first, second = mine[name].numpy(), theirs[name].numpy()
        norms = np.linalg.norm(first), np.linalg.norm(second)
        assert layer.cosine == pytest.approx((first * second).sum() / norms[0] / norms[1], abs=1e-9)
        assert (layer.norm_first, layer.norm_second) == pytest.approx(norms)
    product = sum(float((mine[name] * theirs[name]).sum()) for name in mine)
    wanted = product / norm(mine.values()) / norm(theirs.values())
    assert found.overall.cosine == pytest.approx(wanted, abs=1e-9)


def test_a_negative_half_is_seen(tmp_path, pair):
    scale_folder(make_base(), pair[0], -0.5, tmp_path / "half")
    found = compare(pair[0], read_adapter(tmp_path / "half"), opened)
    assert found.overall.cosine == pytest.approx(-1.0)
    assert found.overall.ratio == pytest.approx(0.5)


def test_layers_of_one_adapter_alone_are_listed_and_count_as_zero(tmp_path, pair):
    few = make_stored(tmp_path / "few", target_modules=["fc"])
    found = compare(pair[0], few, opened)
    assert len(found.only_first) == 6
    assert len(found.layers) == 2
    assert found.only_second == {}
    assert found.overall.norm_first == pytest.approx(norm(matrices(pair[0]).values()))
    assert "only in A" in found.table()
    assert found.to_json()["only_first"] == found.only_first


def test_adapters_of_two_bases_are_compared_only_on_demand(tmp_path, pair):
    other = make_stored(tmp_path / "o", base=make_base(sha256="b" * 64))
    with pytest.raises(AdapterError, match=r"got .*a for test.small with sha256 aaa.* and .*o for"):
        compare(pair[0], other, opened)
    assert compare(pair[0], other, opened, any_base=True).overall.cosine == pytest.approx(1.0)


def test_updates_of_other_shapes_cannot_be_compared(tmp_path, pair):
    base = make_base()
    wide = make_stored(tmp_path / "w", base=_wider())
    assert base.fingerprint != wide.passport["base"]["fingerprint"]
    with pytest.raises(AdapterError, match=r"expected updates of one shape, got \[32, 32\]"):
        compare(pair[0], wide, opened, any_base=True)


def test_a_network_of_its_own_is_passed_over_aloud(pair):
    pair[1].passport["adapter"]["extra"] = {"use": "pose.network"}
    found = compare(*pair, opened)
    assert found.to_json()["passed_over"] == ["pose.network"]
    assert found.table().endswith("passed over: the network of pose.network")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alpha_pattern": {"(": 3}}, "missing \\)"),
        ({"alpha_pattern": {"^transformer.*": "x"}}, "could not convert string"),
        ({"lora_alpha": None}, "NoneType"),
        ({"lora_alpha": math.inf}, "expected a finite lora_alpha for"),
    ],
)
def test_settings_of_strangers_that_are_no_numbers(pair, settings, message):
    for key, value in settings.items():
        setattr(pair[0].config, key, value)
    with pytest.raises(AdapterError, match=message):
        compare(*pair, opened)


# Merging


def test_linear_is_exact_with_all_ranks_together(pair):
    base = make_base()
    merged = merge(base, pair, Recipe(weights=(0.7, -0.3)))
    assert set(merged.loss.ranks.values()) == {8}
    assert merged.loss.overall < 1e-7
    mine, theirs = (matrices(one) for one in pair)
    layer = base.module.get_submodule("transformer_layers.0.attn.fc")
    wanted = task_arithmetic(
        [mine["transformer_layers.0.attn.fc"], theirs["transformer_layers.0.attn.fc"]],
        torch.tensor([0.7, -0.3], dtype=torch.float64),
    )
    torch.testing.assert_close(
        layer.get_delta_weight("default").double(), wanted, rtol=0, atol=1e-6
    )


def test_the_merged_adapter_does_what_both_do_together(tmp_path, pair):
    merge_folders(make_base(), pair, tmp_path / "m", Recipe(weights=(1.0, 1.0)))
    base = make_base()
    for name, matrix in matrices(pair[0]).items():
        layer = base.module.get_submodule(name)
        layer.weight.data += (matrix + matrices(pair[1])[name]).reshape(layer.weight.shape).float()
    torch.testing.assert_close(output_of(tmp_path / "m"), output(base), rtol=1e-4, atol=1e-4)


def test_linear_with_a_smaller_rank_is_the_best_of_that_rank(pair):
    merged = merge(make_base(), pair, Recipe(rank=3))
    wanted = {
        name: np.linalg.svd(0.5 * (matrix + matrices(pair[1])[name]).numpy(), compute_uv=False)
        for name, matrix in matrices(pair[0]).items()
    }
    for name, values in wanted.items():
        error = np.linalg.norm(values[3:]) / np.linalg.norm(values)
        assert merged.loss.layers[name] == pytest.approx(error, rel=1e-4)
    assert set(merged.loss.ranks.values()) == {3}


def test_ties_by_an_oracle(pair):
    """Trim each update to its largest half, elect signs, average what agrees."""
    merged = merge(make_base(), pair, Recipe("ties", density=0.5, rank=32))
    for name, layer in merged.adapter.base.module.named_modules():
        if not hasattr(layer, "get_delta_weight"):
            continue
        trimmed = []
        for stored in pair:
            matrix = matrices(stored)[name].numpy()
            kept = int(0.5 * matrix.size)
            least = np.sort(np.abs(matrix).ravel())[-kept]
            trimmed.append(np.where(np.abs(matrix) >= least, matrix, 0))
        sign = np.where(sum(trimmed) >= 0, 1, -1)
        agree = [np.sign(one) == sign for one in trimmed]
        count = np.maximum(sum(one.astype(int) for one in agree), 1)
        wanted = sum(one * mask for one, mask in zip(trimmed, agree, strict=True)) / count
        # With all ranks of a square matrix nothing is lost.
        np.testing.assert_allclose(layer.get_delta_weight("default").numpy(), wanted, atol=2e-6)


@pytest.mark.parametrize("method", ["dare_linear", "dare_ties"])
def test_dare_depends_on_its_seed_alone(pair, method):
    def made(seed, base):
        return merge(base, pair, Recipe(method, seed=seed)).adapter.peft_tensors()

    base = make_base()
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = made(5, base)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    again, other = made(5, make_base()), made(6, make_base())
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_dare_drops_and_rescales(pair):
    merged = merge(make_base(), pair[:1] * 2, Recipe("dare_linear", density=0.25, rank=32))
    name = "transformer_layers.0.attn.fc"
    layer = merged.adapter.base.module.get_submodule(name)
    ratio = (layer.get_delta_weight("default").double() / matrices(pair[0])[name]).round(decimals=2)
    # Each of the two is dropped, or four times as large at a weight of one half.
    assert set(ratio.flatten().abs().tolist()) == {0.0, 2.0, 4.0}
    assert float((ratio != 0).double().mean()) == pytest.approx(1 - 0.75**2, abs=0.08)


def test_layers_of_one_source_alone_are_kept(tmp_path, pair):
    few = make_stored(tmp_path / "few", target_modules=["fc"], seed=4)
    merged = merge(make_base(), [few, pair[0]], Recipe())
    assert len(merged.loss.layers) == 8
    assert merged.loss.ranks["transformer_layers.0.mlp.mlp.0"] == 4
    assert merged.loss.ranks["transformer_layers.0.attn.fc"] == 8


def test_other_methods_can_be_merged_at_a_rank(tmp_path, pair):
    oft = make_stored(tmp_path / "oft", "oft")
    with pytest.raises(RangeError, match="expected a number, as an adapter here is of a method"):
        merge(make_base(), [pair[0], oft], Recipe())
    merged = merge(make_base(), [pair[0], oft], Recipe(rank=6))
    assert set(merged.loss.ranks.values()) == {6}
    assert merged.adapter.config.peft_type.value == "LORA"


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe("tie"), "one of linear, ties, dare_linear, dare_ties, got 'tie'"),
        (Recipe(weights=(1.0,)), "expected 2 finite numbers that are not 0, one per .*, got 1"),
        (Recipe(weights=(1.0, 0.0)), "got 1,0"),
        (Recipe(weights=(1.0, math.inf)), "got 1,inf"),
        (Recipe(density=0.5), "expected none for linear"),
        (Recipe("ties", density=1.0), "expected a share between 0 and 1, got 1"),
        (Recipe("ties", density=0.0), "expected a share between 0 and 1, got 0"),
        (Recipe("ties", seed=1), "expected none for ties, which draws nothing, got 1"),
        (Recipe(rank=0), "expected at least 1 or 'cat', got 0"),
    ],
)
def test_recipes_that_cannot_be_used(pair, recipe, message):
    with pytest.raises(RangeError, match=message):
        merge(make_base(), pair, recipe)


def test_one_adapter_is_no_merge(pair):
    with pytest.raises(RangeError, match="expected at least 2 adapters, got 1"):
        merge(make_base(), pair[:1], Recipe())


def test_adapters_of_two_bases_are_not_merged(tmp_path, pair):
    other = make_stored(tmp_path / "o", base=make_base(sha256="b" * 64))
    with pytest.raises(
        AdapterError, match=r"with sha256 a{64} and .*/o for test.small with sha256 b"
    ):
        merge(make_base(), [pair[0], other], Recipe())


def test_the_wrong_base_is_refused(pair):
    with pytest.raises(AdapterError, match=r"expected the base test.small with sha256 aaa"):
        merge(make_base(sha256="c" * 64), pair, Recipe())


def test_an_adapter_with_a_network_of_its_own_is_refused(pair):
    pair[1].passport["adapter"]["extra"] = {"use": "pose.network"}
    with pytest.raises(
        AdapterError, match=r"for merging, got one with a network .*\(pose.network\)"
    ):
        merge(make_base(), pair, Recipe())


def test_numbers_from_the_command_line():
    assert (read_weights(None), read_weights("0.7,-0.3")) == (None, (0.7, -0.3))
    assert (read_rank(None), read_rank("cat"), read_rank("8")) == (None, "cat", 8)
    with pytest.raises(RangeError, match="expected numbers between commas, got '1;2'"):
        read_weights("1;2")
    with pytest.raises(RangeError, match="expected a number or 'cat', got 'dog'"):
        read_rank("dog")


# Scaling and resizing


@pytest.mark.parametrize("method", ["lora", "rslora"])
def test_scaling_bakes_a_strength_in(tmp_path, method):
    stored = make_stored(tmp_path / "a", method)
    scale_folder(make_base(), stored, 0.25, tmp_path / "s")
    torch.testing.assert_close(output_of(tmp_path / "s"), output_of(stored.folder, 0.25))
    assert read_adapter(tmp_path / "s").config.to_dict() == stored.config.to_dict()


@pytest.mark.parametrize("method", ["lokr", "ia3"])
def test_other_methods_with_a_factor_are_scaled(tmp_path, method):
    stored = make_stored(tmp_path / "a", method)
    scale_folder(make_base(), stored, 0.25, tmp_path / "s")
    before, after = matrices(stored), matrices(read_adapter(tmp_path / "s"))
    for name in before:
        torch.testing.assert_close(after[name], 0.25 * before[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("method", "named"), [("dora", "DoRA"), ("oft", "OFT")])
def test_methods_without_a_factor_are_not_scaled(tmp_path, method, named):
    stored = make_stored(tmp_path / "a", method)
    with pytest.raises(AdapterError, match=f"can be multiplied, got {named}. Make a LoRA"):
        scale(make_base(), stored, 0.5)


@pytest.mark.parametrize("factor", [0.0, math.nan, math.inf])
def test_a_factor_must_leave_something(pair, factor):
    with pytest.raises(RangeError, match="FACTOR: expected a finite number that is not 0"):
        scale(make_base(), pair[0], factor)


@pytest.mark.parametrize("method", METHODS)
def test_resizing_any_method_is_the_best_of_its_rank(tmp_path, method):
    stored = make_stored(tmp_path / "a", method)
    resized = resize(make_base(), stored, rank=1)
    for name, matrix in matrices(stored).items():
        values = np.linalg.svd(matrix.numpy(), compute_uv=False)
        error = np.linalg.norm(values[1:]) / np.linalg.norm(values)
        assert resized.loss.layers[name] == pytest.approx(error, rel=1e-4)
    assert set(resized.loss.ranks.values()) == {1}


def test_resizing_to_the_rank_it_has_loses_nothing(tmp_path, pair):
    resized = resize_folder(make_base(), pair[0], tmp_path / "r", rank=4)
    assert resized.loss.overall < 1e-6
    torch.testing.assert_close(
        output_of(tmp_path / "r"), output_of(pair[0].folder), rtol=1e-4, atol=1e-5
    )
    assert resized.probe is None or resized.probe < 1e-3


def test_energy_keeps_as_few_values_as_hold_it(tmp_path):
    stored = make_stored(tmp_path / "a", "rslora")
    resized = resize(make_base(), stored, energy=0.8)
    for name, matrix in matrices(stored).items():
        squares = np.linalg.svd(matrix.numpy(), compute_uv=False)[:4] ** 2
        held = np.cumsum(squares) / squares.sum()
        assert resized.loss.ranks[name] == int(np.argmax(held >= 0.8)) + 1
    assert len(set(resized.loss.ranks.values())) > 1  # so that peft's pattern of ranks is used
    assert resize(make_base(), stored, energy=1.0).loss.overall < 1e-6


def test_half_precision_stays_and_its_rounding_counts(tmp_path):
    adapter = attach(make_base(), Method(METHODS["lora"]()), seed=1)
    train_a_little(adapter)
    adapter.save_dtype = torch.float16
    adapter.round()
    save(adapter, tmp_path / "a", passport={})
    resized = resize_folder(make_base(), read_adapter(tmp_path / "a"), tmp_path / "r", rank=4)
    again = read_adapter(tmp_path / "r")
    assert {one.dtype for one in again.tensors.values()} == {torch.float16}
    assert 1e-5 < resized.loss.overall < 1e-2


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        ({}, "expected --rank or --energy, got neither"),
        ({"rank": 2, "energy": 0.5}, "got both"),
        ({"rank": 0}, "expected at least 1, got 0"),
        ({"rank": 5}, "expected at most 4, the greatest rank in"),
        ({"energy": 1.5}, "expected a share above 0 and up to 1, got 1.5"),
    ],
)
def test_goals_that_cannot_be_reached(pair, goal, message):
    with pytest.raises(RangeError, match=message):
        resize(make_base(), pair[0], **goal)


# What the folders say


def test_a_merged_adapter_says_what_it_is_made_of(tmp_path):
    said = {
        "config": {"name": "rat", "base": {"id": "test.small", "checkpoint": "x.pt"}},
        "plugins": {"test": {"distribution": "t", "version": "1"}, "loss": {}},
        "metrics": {"scenes": 3, "scores": {"adapted": {"psnr_db": 30.0}}},
        "data": {"fingerprint": "f" * 64},
        "licence": {"name": "CC-BY-4.0", "terms": "named", "inherited": []},
        "forced": ["another base"],
    }
    stored = [
        make_stored(tmp_path / name, seed=seed, passport=said if seed == 1 else {})
        for name, seed in (("a", 1), ("b", 2))
    ]
    merge_folders(make_base(), stored, tmp_path / "m", Recipe("dare_ties", seed=7))
    passport = json.loads((tmp_path / "m" / "passport.json").read_text())
    assert passport["made_by"] == "mfl-adapt adapter merge"
    first, second = passport["sources"]
    assert first["name"] == f"rat ({first['adapter_hash'][:8]})"
    assert first["adapter_hash"] == stored[0].passport["adapter_hash"]
    assert (first["data"], first["forced"]) == ("f" * 64, ["another base"])
    assert second["name"].startswith("b (")
    assert passport["merge"]["method"] == "dare_ties"
    assert (passport["merge"]["seed"], passport["merge"]["density"]) == (7, 0.5)
    assert 0 < passport["merge"]["error"]["overall"] < 1
    assert passport["metrics"] == {}
    assert passport["config"] == {"base": said["config"]["base"]}
    assert passport["plugins"] == {"test": said["plugins"]["test"]}
    assert passport["licence"]["name"] == "CC-BY-4.0"
    assert "at least one source states no licence" in passport["licence"]["terms"]
    load(make_base(), tmp_path / "m")  # its evidence is what is measured


def test_scores_are_added_to_a_stored_adapter(tmp_path, pair):
    base = make_base()
    before = base_digest(base.module)
    add_metrics(base, pair[0].folder, {"sources": [{"name": "x"}]})
    again = read_adapter(pair[0].folder)
    assert again.passport["metrics"] == {"sources": [{"name": "x"}]}
    assert again.passport["adapter_hash"] == pair[0].passport["adapter_hash"]
    assert base_digest(base.module) == before


def test_licences_are_joined(pair):
    base = {"name": "Research only", "terms": "no trade", "of": "test.small"}
    mark(pair[0], licence={"name": "B", "terms": "b", "inherited": [base]})
    mark(pair[1], licence={"name": "A", "terms": "a", "inherited": [dict(base)]})
    assert join_licences(pair) == {"name": "A AND B", "terms": "a; b", "inherited": [base]}
    mark(pair[1], licence="A")
    assert join_licences(pair)["name"] == "A AND B"
    assert join_licences([mark(pair[0], licence=None)]) is None


def test_a_source_is_never_replaced(tmp_path, pair):
    before = (pair[0].folder / "passport.json").read_bytes()
    with pytest.raises(StorageError, match="expected another folder than that of the source"):
        merge_folders(make_base(), pair, pair[0].folder, Recipe())
    with pytest.raises(StorageError, match="expected another folder"):
        scale_folder(make_base(), pair[0], 0.5, pair[0].folder / ".." / "a")
    with pytest.raises(StorageError, match="expected another folder"):
        resize_folder(make_base(), pair[0], pair[0].folder, rank=1)
    assert (pair[0].folder / "passport.json").read_bytes() == before


def test_nothing_else_is_replaced(tmp_path, pair):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("all of it")
    with pytest.raises(StorageError, match="expected a free name or an adapter folder"):
        scale_folder(make_base(), pair[0], 0.5, tmp_path / "mine")
    assert [one.name for one in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_a_merge_that_cancels_out_is_not_saved(tmp_path, pair):
    base = make_base()
    with pytest.raises(AdapterError, match="expected an effect"):
        merge_folders(base, [pair[0], pair[0]], tmp_path / "m", Recipe(weights=(1.0, -1.0)))
    assert not (tmp_path / "m").exists()
    assert base_digest(base.module) == base_digest(make_base().module)


def _wider():
    from mfl_adapt.models.gslrm.config import GSLRMConfig
    from mfl_adapt.models.gslrm.frozen import FrozenGSLRM
    from mfl_adapt.models.gslrm.model import GSLRM

    config = GSLRMConfig(image_size=16, patch_size=8, d=64, d_head=16, n_layer=2)
    model = GSLRM(config, generator=torch.Generator().manual_seed(3))
    return FrozenGSLRM(model, id="test.small", sha256="d" * 64)
