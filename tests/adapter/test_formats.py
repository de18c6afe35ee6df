"""Adapters in the files of other programs, held against those programs' own functions."""

import json

import peft
import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from diffusers.loaders.lora_conversion_utils import _convert_non_diffusers_lora_to_diffusers
from diffusers.utils import convert_state_dict_to_diffusers
from made_adapters import TARGETS, make_stored
from safetensors.torch import load_file, save_file
from small_base import Method, make_base, output, train_a_little
from small_views import make_views_base

from mfl_adapt.adapter import attach, base_tensors, load, read_adapter, save
from mfl_adapt.adapter.formats import describe_origin, import_adapter
from mfl_adapt.adapter.formats_base import extract, merged_weights
from mfl_adapt.adapter.formats_diffusers import NAME, read_diffusers, write_diffusers
from mfl_adapt.adapter.formats_kohya import read_kohya, write_kohya
from mfl_adapt.adapter.formats_peft import read_peft, write_peft
from mfl_adapt.adapter.updates import read_updates
from mfl_adapt.errors import AdapterError, RangeError, StorageError

UNET_TARGETS = ["conv_in", "attn1.to_q", "attn1.to_out.0", "attn2.to_v", "class_embedding.linear_1"]
PATTERNS = {"rank_pattern": {"attn2.to_v": 2}, "alpha_pattern": {"conv_in": 5}}


def make_views_stored(folder, **changes):
    settings = {"r": 3, "lora_alpha": 6, "target_modules": UNET_TARGETS, **PATTERNS}
    base = make_views_base()
    adapter = attach(base, Method(peft.LoraConfig(**settings | changes)), seed=1)
    train_a_little(adapter, seed=1)
    save(adapter, folder, passport={})
    return read_adapter(folder)


@pytest.fixture
def unet_lora(tmp_path):
    return make_views_stored(tmp_path / "unet")


@pytest.fixture
def lora(tmp_path):
    return make_stored(tmp_path / "lora")


def stock_unet():
    """Diffusers' own UNet with the sizes and weights of the small base."""
    ours = make_views_base().module
    unet = UNet2DConditionModel.from_config(dict(ours.config))
    unet.load_state_dict(ours.state_dict())
    return unet


def updates_of(stored):
    return {name: one.matrix for name, one in read_updates(stored, None).items()}


def updates_in(module, name="default"):
    """What peft would add to each layer of a network."""
    return {
        path: layer.get_delta_weight(name).flatten(1).double()
        for path, layer in module.named_modules()
        if hasattr(layer, "get_delta_weight")
    }


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, matrix in wanted.items():
        torch.testing.assert_close(found[name], matrix, rtol=1e-5, atol=1e-6)


def imported(foreign, base, folder):
    """Put what was read on a base and save it, as the command does."""
    adapter = import_adapter(base, foreign)
    save(adapter, folder, passport={"converted": describe_origin(foreign, "test")})
    return read_adapter(folder)


def bits_equal(first, second):
    assert first.keys() == second.keys()
    return all(
        torch.equal(first[name], second[name]) and first[name].dtype == second[name].dtype
        for name in first
    )


# peft


@pytest.mark.parametrize("method", ["lora", "dora", "oft", "lokr", "ia3"])
def test_peft_round_trip_of_any_method(tmp_path, method):
    stored = make_stored(tmp_path / "a", method)
    write_peft(stored, tmp_path / "p")
    assert {one.name for one in (tmp_path / "p").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    again = imported(read_peft(tmp_path / "p"), make_base(), tmp_path / "b")
    assert bits_equal(again.tensors, stored.tensors)
    assert again.passport["adapter_hash"] == stored.passport["adapter_hash"]


def test_stock_peft_loads_what_is_written(tmp_path, lora):
    write_peft(lora, tmp_path / "p")
    base = make_base()
    base.module = peft.PeftModel.from_pretrained(base.module, tmp_path / "p").eval()
    ours = make_base()
    load(ours, lora.folder)
    assert torch.equal(output(base), output(ours))


def test_what_stock_peft_writes_is_read(tmp_path):
    base = make_base()
    config = peft.LoraConfig(r=2, target_modules=TARGETS, init_lora_weights=False)
    model = peft.get_peft_model(base.module, config)
    model.save_pretrained(tmp_path / "p")
    wanted = updates_in(model.base_model.model)
    again = imported(read_peft(tmp_path / "p"), make_base(), tmp_path / "b")
    assert_same(updates_of(again), wanted)
    assert again.passport["converted"]["file"] == "adapter_model.safetensors"


def test_names_without_the_wrapper_are_read(tmp_path, lora):
    write_peft(lora, tmp_path / "p")
    path = tmp_path / "p" / "adapter_model.safetensors"
    bare = {name.removeprefix("base_model.model."): one for name, one in load_file(path).items()}
    save_file(bare, path)
    assert bits_equal(read_peft(tmp_path / "p").tensors, lora.tensors)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modules_to_save": ["fc"]}, r"got modules_to_save \['fc'\]"),
        ({"bias": "all"}, "got bias 'all'"),
        ({"init_lora_weights": "pissa"}, "got init_lora_weights 'pissa'"),
        ({"peft_type": "MAGIC"}, "got peft_type 'MAGIC'"),
    ],
)
def test_peft_settings_that_belong_to_no_frozen_base(tmp_path, lora, changes, message):
    write_peft(lora, tmp_path / "p")
    path = tmp_path / "p" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(AdapterError, match=message):
        import_adapter(make_base(), read_peft(tmp_path / "p"))


def test_peft_folders_that_are_none(tmp_path, lora):
    with pytest.raises(AdapterError, match="expected a JSON file of peft's settings"):
        read_peft(tmp_path)
    write_peft(lora, tmp_path / "p")
    (tmp_path / "p" / "adapter_model.safetensors").rename(tmp_path / "p" / "adapter_model.bin")
    with pytest.raises(AdapterError, match="Save them as safetensors"):
        read_peft(tmp_path / "p")


def test_an_adapter_of_another_network_is_refused(tmp_path, unet_lora):
    write_peft(unet_lora, tmp_path / "p")
    foreign = read_peft(tmp_path / "p")
    base = make_base()
    with pytest.raises(AdapterError):
        import_adapter(base, foreign)
    torch.testing.assert_close(output(base), output(make_base()))


def test_half_a_peft_adapter_is_refused(tmp_path, lora):
    write_peft(lora, tmp_path / "p")
    path = tmp_path / "p" / "adapter_model.safetensors"
    tensors = load_file(path)
    name = min(tensors)
    del tensors[name]
    save_file(tensors, path)
    with pytest.raises(AdapterError, match=f"got {name} none instead of"):
        import_adapter(make_base(), read_peft(tmp_path / "p"))


def test_nothing_is_overwritten(tmp_path, lora, unet_lora):
    (tmp_path / "x.safetensors").write_text("mine")
    for write, stored in ((write_kohya, lora), (write_diffusers, unet_lora)):
        with pytest.raises(StorageError, match="expected a free name"):
            write(stored, tmp_path / "x.safetensors")
    with pytest.raises(StorageError, match="expected a free name"):
        write_peft(lora, lora.folder)
    assert (tmp_path / "x.safetensors").read_text() == "mine"


# diffusers


@pytest.mark.parametrize("changes", [{}, {"use_rslora": True}])
def test_a_stock_unet_loads_what_is_written(tmp_path, changes):
    stored = make_views_stored(tmp_path / "a", **changes)
    path = write_diffusers(stored, tmp_path / "d")
    assert path == tmp_path / "d" / NAME
    unet = stock_unet()
    unet.load_lora_adapter(tmp_path / "d", prefix="unet", weight_name=NAME, adapter_name="default")
    assert_same(updates_in(unet), updates_of(stored))


def test_diffusers_round_trip(tmp_path, unet_lora):
    path = write_diffusers(unet_lora, tmp_path / "file.safetensors")
    again = imported(
        read_diffusers(path, make_views_base().module), make_views_base(), tmp_path / "b"
    )
    assert bits_equal(again.tensors, unet_lora.tensors)
    assert again.passport["adapter_hash"] == unet_lora.passport["adapter_hash"]
    assert_same(updates_of(again), updates_of(unet_lora))


@pytest.fixture
def adapted_unet():
    """A stock UNet with an adapter that diffusers' users would have trained."""
    unet = stock_unet()
    unet.add_adapter(
        peft.LoraConfig(
            r=3, lora_alpha=6, target_modules=UNET_TARGETS, init_lora_weights=False, **PATTERNS
        )
    )
    return unet


def test_what_save_lora_adapter_writes_is_read(tmp_path, adapted_unet):
    adapted_unet.save_lora_adapter(tmp_path / "d")
    foreign = read_diffusers(tmp_path / "d", make_views_base().module)
    again = imported(foreign, make_views_base(), tmp_path / "b")
    assert_same(updates_of(again), updates_in(adapted_unet))
    state = peft.get_peft_model_state_dict(adapted_unet)
    assert bits_equal(
        again.tensors, {f"base_model.model.{name}": one for name, one in state.items()}
    )


@pytest.mark.parametrize("with_metadata", [True, False])
def test_what_save_lora_weights_writes_is_read(tmp_path, adapted_unet, with_metadata):
    metadata = adapted_unet.peft_config["default"].to_dict() if with_metadata else None
    state = convert_state_dict_to_diffusers(peft.get_peft_model_state_dict(adapted_unet))
    StableDiffusionPipeline.save_lora_weights(
        tmp_path / "d", unet_lora_layers=state, unet_lora_adapter_metadata=_plain(metadata)
    )
    foreign = read_diffusers(tmp_path / "d", make_views_base().module)
    again = imported(foreign, make_views_base(), tmp_path / "b")
    wanted = updates_in(adapted_unet)
    if not with_metadata:  # the file says nothing of alpha then, and the factor is 1
        layers = dict(adapted_unet.named_modules())
        wanted = {name: one / layers[name].scaling["default"] for name, one in wanted.items()}
    assert_same(updates_of(again), wanted)


def test_names_of_earlier_versions_are_read(tmp_path, unet_lora):
    ends = {".lora_A.weight": "lora.down.weight", ".lora_B.weight": "lora.up.weight"}
    old = {}
    for name, layer in unet_lora.tensors.items():
        stem = name.removeprefix("base_model.model.")
        for end, word in ends.items():
            if stem.endswith(end):
                old[f"unet.{_old_name(stem.removesuffix(end))}{word}"] = layer
    save_file(old, tmp_path / "old.safetensors")
    foreign = read_diffusers(tmp_path / "old.safetensors", make_views_base().module)
    assert bits_equal(foreign.tensors, unet_lora.tensors)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda one: one.update({"text_encoder.x.lora_A.weight": torch.ones(1)}),
            "got text_encoder.x",
        ),
        (lambda one: one.pop("unet.conv_in.lora_A.weight"), "got conv_in.lora_B.weight"),
        (
            lambda one: one.update({
                "unet.conv_inn.lora_A.weight": torch.ones(3, 8, 3, 3),
                "unet.conv_inn.lora_B.weight": torch.ones(16, 3, 1, 1),
            }),
            "Did you mean 'conv_in'?",
        ),
        (
            lambda one: one.update({"unet.conv_in.lora_A.weight": torch.ones(3, 4, 3, 3)}),
            r"expected matrices for a weight \[16, 8, 3, 3\], got \[3, 4, 3, 3\]",
        ),
    ],
)
def test_diffusers_files_that_do_not_fit(tmp_path, unet_lora, change, message):
    path = write_diffusers(unet_lora, tmp_path / "d")
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    with pytest.raises(AdapterError, match=message):
        read_diffusers(path, make_views_base().module)


def test_diffusers_holds_no_other_network_and_no_other_method(tmp_path, lora):
    with pytest.raises(AdapterError, match=r"which knows no other network here.*Use --to peft"):
        write_diffusers(lora, tmp_path / "d")
    with pytest.raises(AdapterError, match=r"expected a plain LoRA for --to diffusers.*got OFT"):
        write_diffusers(make_stored(tmp_path / "o", "oft"), tmp_path / "d")
    with pytest.raises(AdapterError, match="got DoRA"):
        write_diffusers(make_stored(tmp_path / "x", "dora"), tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_dora_in_the_header_is_refused(tmp_path, unet_lora):
    path = write_diffusers(unet_lora, tmp_path / "d")
    header = {"lora_adapter_metadata": json.dumps({"unet.use_dora": True})}
    save_file(load_file(path), path, metadata=header)
    with pytest.raises(AdapterError, match="got use_dora True"):
        read_diffusers(path, make_views_base().module)


def _old_name(layer):
    """How early versions of diffusers called a layer, up to the word for the matrix."""
    parent, _, last = layer.rpartition(".")
    if parent.endswith("to_out"):
        return f"{parent.removesuffix('.to_out')}.processor.to_out_"
    if last in {"to_q", "to_v"}:
        return f"{parent}.processor.{last}_"
    return f"{layer}."


def _plain(settings):
    """What JSON can hold of peft's settings."""
    if settings is None:
        return None
    return {key: list(one) if isinstance(one, set) else one for key, one in settings.items()}


# kohya


def test_kohya_round_trip_of_a_transformer(tmp_path, lora):
    path = write_kohya(lora, tmp_path / "k.safetensors")
    tensors = load_file(path)
    assert "lora_gslrm_transformer_layers_0_attn_to_qkv.lora_down.weight" in tensors
    assert float(tensors["lora_gslrm_transformer_layers_0_attn_to_qkv.alpha"]) == 8
    again = imported(read_kohya(path, make_base().module), make_base(), tmp_path / "b")
    assert bits_equal(again.tensors, lora.tensors)
    assert_same(updates_of(again), updates_of(lora))


# diffusers' own reader of this form forgets all alphas but one where ranks and alphas differ.
@pytest.mark.parametrize("changes", [{}, {"use_rslora": True, "rank_pattern": {}}])
def test_diffusers_reads_our_kohya_file(tmp_path, changes):
    stored = make_views_stored(tmp_path / "a", **changes)
    tensors = load_file(write_kohya(stored, tmp_path / "k.safetensors"))
    assert all(name.startswith("lora_unet_") for name in tensors)
    # Its rules of thumb mangle names of one-off layers, such as class_embedding.linear_1.
    known = {name: one for name, one in tensors.items() if "class_embedding" not in name}
    state, alphas = _convert_non_diffusers_lora_to_diffusers(known)
    unet = stock_unet()
    unet.load_lora_adapter(state, prefix="unet", network_alphas=alphas, adapter_name="default")
    wanted = {name: one for name, one in updates_of(stored).items() if "class_emb" not in name}
    assert_same(updates_in(unet), wanted)


def test_kohya_round_trip_of_a_unet(tmp_path):
    stored = make_views_stored(tmp_path / "a", use_rslora=True)
    path = write_kohya(stored, tmp_path / "k.safetensors")
    base = make_views_base()
    again = imported(read_kohya(path, base.module), base, tmp_path / "b")
    assert bits_equal(again.tensors, stored.tensors)
    # The factor is alpha / r there: what rsLoRA divides by the root of r is folded into alpha.
    assert not again.config.use_rslora
    assert_same(updates_of(again), updates_of(stored))


def test_kohya_without_alpha_has_a_factor_of_one(tmp_path, lora):
    tensors = load_file(write_kohya(lora, tmp_path / "k.safetensors"))
    bare = {name: one for name, one in tensors.items() if not name.endswith(".alpha")}
    save_file(bare, tmp_path / "bare.safetensors")
    again = imported(
        read_kohya(tmp_path / "bare.safetensors", make_base().module), make_base(), tmp_path / "b"
    )
    wanted = {name: 0.5 * one for name, one in updates_of(lora).items()}
    assert_same(updates_of(again), wanted)


def test_a_linear_layer_stored_as_a_convolution_of_one_pixel(tmp_path, lora):
    tensors = load_file(write_kohya(lora, tmp_path / "k.safetensors"))
    as_convolution = {
        name: one if one.dim() == 0 else one[..., None, None].contiguous()
        for name, one in tensors.items()
    }
    save_file(as_convolution, tmp_path / "c.safetensors")
    foreign = read_kohya(tmp_path / "c.safetensors", make_base().module)
    assert bits_equal(foreign.tensors, lora.tensors)


def test_names_that_could_be_two_layers_are_refused(tmp_path):
    module = torch.nn.ModuleDict({
        "a_b": torch.nn.Linear(4, 4),
        "a": torch.nn.ModuleDict({"b": torch.nn.Linear(4, 4)}),
    })
    tensors = {"lora_down.weight": torch.ones(1, 4), "lora_up.weight": torch.ones(4, 1)}
    path = tmp_path / "k.safetensors"
    save_file({f"lora_unet_a_b.{name}": one for name, one in tensors.items()}, path)
    with pytest.raises(AdapterError, match=r"got lora_unet_a_b, which is a_b and a\.b"):
        read_kohya(path, module)


@pytest.mark.parametrize(
    ("added", "message"),
    [
        ({"lora_te_x.lora_down.weight": 1, "lora_te_x.lora_up.weight": 1}, "a text encoder"),
        (
            {"lora_unet_fcc.lora_down.weight": 1, "lora_unet_fcc.lora_up.weight": 1},
            "got lora_unet_fcc",
        ),
        ({"lora_unet_fc.lora_down.weight": 1}, "got lora_unet_fc.lora_down.weight"),
        ({"lora_unet_fc.hada_w1_a": 1}, "got lora_unet_fc.hada_w1_a"),
        ({"lora_unet_fc.dora_scale": 1}, "got lora_unet_fc.dora_scale"),
    ],
)
def test_kohya_files_that_do_not_fit(tmp_path, lora, added, message):
    path = write_kohya(lora, tmp_path / "k.safetensors")
    tensors = load_file(path) | {name: torch.ones(1, 1) for name in added}
    save_file(tensors, path)
    with pytest.raises(AdapterError, match=message):
        read_kohya(path, make_base().module)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("alpha", torch.ones(2), r"to_qkv.alpha: expected one finite number, got \[2\]"),
        ("alpha", torch.tensor(torch.nan), r"to_qkv.alpha: expected one finite number, got \[\]"),
        ("lora_down.weight", torch.ones(()), r"expected a matrix, or a kernel .*, got \[\]"),
        ("lora_down.weight", torch.ones(0, 32), r"expected a matrix, .*, got \[0, 32\]"),
        ("lora_up.weight", torch.ones(3), r"expected matrices for a weight \[96, 32\]"),
    ],
)
def test_kohya_files_with_wrong_numbers(tmp_path, lora, name, tensor, message):
    path = write_kohya(lora, tmp_path / "k.safetensors")
    stem = "lora_gslrm_transformer_layers_0_attn_to_qkv"
    save_file(load_file(path) | {f"{stem}.{name}": tensor}, path)
    with pytest.raises(AdapterError, match=message):
        read_kohya(path, make_base().module)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{", "expected JSON under lora_adapter_metadata"),
        ("[]", "expected a mapping under lora_adapter_metadata"),
        ('{"lora_alpha": "x"}', "expected numbers as lora_alpha"),
        (
            '{"unet.lora_alpha": 1, "unet.alpha_pattern": {"(": 2}}',
            "expected numbers as lora_alpha",
        ),
        ('{"lora_alpha": 1, "alpha_pattern": [3]}', "expected numbers as lora_alpha"),
    ],
)
def test_headers_of_strangers(tmp_path, unet_lora, header, message):
    path = write_diffusers(unet_lora, tmp_path / "d")
    save_file(load_file(path), path, metadata={"lora_adapter_metadata": header})
    with pytest.raises(AdapterError, match=message):
        read_diffusers(path, make_views_base().module)


def test_kohya_is_one_file(tmp_path, lora):
    with pytest.raises(StorageError, match=r"expected a name that ends in .safetensors"):
        write_kohya(lora, tmp_path / "k")


@pytest.mark.parametrize("content", [b"", b"\x80\x02pickle", b"\xff" * 64])
def test_files_that_are_no_safetensors(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    for read in (read_kohya, read_diffusers):
        with pytest.raises(AdapterError, match="expected a whole safetensors file"):
            read(path, make_base().module)


def test_other_kinds_of_files_are_not_opened(tmp_path):
    (tmp_path / "x.ckpt").write_bytes(b"\x80\x02pickle")
    with pytest.raises(AdapterError, match="may run code and are not read"):
        read_kohya(tmp_path / "x.ckpt", make_base().module)


def test_weights_that_are_not_finite_are_refused(tmp_path, lora):
    path = write_kohya(lora, tmp_path / "k.safetensors")
    tensors = load_file(path)
    tensors["lora_gslrm_transformer_layers_0_attn_fc.lora_up.weight"][0, 0] = torch.nan
    save_file(tensors, path)
    with pytest.raises(AdapterError, match="expected finite weights"):
        import_adapter(make_base(), read_kohya(path, make_base().module))


def test_half_precision_stays(tmp_path, lora):
    path = write_kohya(lora, tmp_path / "k.safetensors")
    half = {name: one.half() for name, one in load_file(path).items()}
    save_file(half, path)
    again = imported(read_kohya(path, make_base().module), make_base(), tmp_path / "b")
    assert bits_equal(again.tensors, {name: one.half() for name, one in lora.tensors.items()})


def test_an_adapter_that_does_nothing_is_refused(tmp_path, lora):
    path = write_kohya(lora, tmp_path / "k.safetensors")
    silent = {
        name: torch.zeros_like(one) if "lora_up" in name else one
        for name, one in load_file(path).items()
    }
    save_file(silent, path)
    with pytest.raises(AdapterError, match="expected an effect"):
        imported(read_kohya(path, make_base().module), make_base(), tmp_path / "b")
    assert not (tmp_path / "b").exists()


# the base


@pytest.mark.parametrize("method", ["lora", "dora", "oft", "lokr", "ia3"])
def test_merged_weights_do_what_the_adapter_does(tmp_path, method):
    stored = make_stored(tmp_path / "a", method)
    weights = merged_weights(make_base(), stored)
    base, adapted = make_base(), make_base()
    base.module.load_state_dict(weights)
    load(adapted, stored.folder)
    torch.testing.assert_close(output(base), output(adapted), rtol=1e-4, atol=1e-4)


def test_a_merged_adapter_is_found_again(tmp_path, lora):
    weights = merged_weights(make_base(), lora)
    extracted = extract(make_base(), weights, rank=4, where="merged")
    assert extracted.left_out == {}
    # Merged weights are rounded to float32 beside weights of about 1.
    assert extracted.loss.overall < 1e-5
    save(extracted.adapter, tmp_path / "b", passport={})
    found, wanted = updates_of(read_adapter(tmp_path / "b")), updates_of(lora)
    for name, matrix in wanted.items():
        torch.testing.assert_close(found[name], matrix, rtol=0, atol=1e-5)


def test_too_small_a_rank_is_measured(lora):
    weights = merged_weights(make_base(), lora)
    extracted = extract(make_base(), weights, rank=2, where="merged")
    assert 0.1 < extracted.loss.overall < 1
    assert set(extracted.loss.ranks.values()) == {2}


def test_what_no_adapter_can_hold_is_named(lora):
    weights = merged_weights(make_base(), lora)
    name = next(one for one in weights if "norm" in one and weights[one].dim() == 1)
    weights[name] = 1.5 * weights[name]
    extracted = extract(make_base(), weights, rank=4, where="merged")
    assert extracted.left_out == pytest.approx({name: 0.5})


def test_weights_that_are_no_others(lora):
    own = {name: one.clone() for name, one in base_tensors(make_base().module).items()}
    with pytest.raises(AdapterError, match="There is nothing to extract"):
        extract(make_base(), own, rank=4, where="same")
    name = min(own)
    with pytest.raises(AdapterError, match=f"got {name} none instead of"):
        extract(make_base(), {k: v for k, v in own.items() if k != name}, rank=4, where="less")
    with pytest.raises(RangeError, match="expected at least 1 for --from base, got none"):
        extract(make_base(), own, rank=None, where="same")


def test_weights_of_a_unet_and_back(tmp_path, unet_lora):
    weights = merged_weights(make_views_base(), unet_lora)
    extracted = extract(make_views_base(), weights, rank=3, where="merged")
    assert extracted.loss.overall < 1e-4
    assert extracted.loss.ranks["conv_in"] == 3


def test_merging_into_another_base_is_refused(lora):
    with pytest.raises(AdapterError, match=r"expected the base test.small"):
        merged_weights(make_base(sha256="c" * 64), lora)
