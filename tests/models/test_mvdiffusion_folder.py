"""Reading the published directory: whole, strict, and clear about what is wrong."""

import json
import logging
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from mfl_adapt.errors import CheckpointError, ConfigError, StorageError
from mfl_adapt.models.mvdiffusion.folder import load_parts
from mfl_adapt.models.mvdiffusion.fresh import FreshSizes, build_fresh
from mfl_adapt.models.mvdiffusion.frozen import load_mvdiffusion
from mfl_adapt.models.mvdiffusion.saving import save_parts

UNET = "unet/diffusion_pytorch_model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"
CLIP = "image_encoder/model.safetensors"
NORMALIZER = "image_normalizer/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"
CONFIGS = [
    "unet/config.json",
    "vae/config.json",
    "image_encoder/config.json",
    "feature_extractor/preprocessor_config.json",
    "image_normalizer/config.json",
    "image_noising_scheduler/scheduler_config.json",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
]
FILES = [*CONFIGS, UNET, VAE, CLIP, NORMALIZER, TEXT, "tokenizer/merges.txt"]


@pytest.fixture(scope="module")
def fresh():
    return build_fresh(seed=5)


@pytest.fixture(scope="module")
def whole(fresh, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mvdiffusion") / "pipeckpts"
    save_parts(fresh, folder)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "pipeckpts")


def edit_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_tensors(path, edit):
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path)


def refused(folder, match, **options):
    with pytest.raises(CheckpointError, match=match) as caught:
        load_parts(folder, **options)
    assert "\n" not in str(caught.value)


def test_what_is_written_is_what_is_read(fresh, whole):
    parts = load_parts(whole)
    for before, after in zip(fresh.networks(), parts.networks(), strict=True):
        expected = before.state_dict()
        assert expected.keys() == after.state_dict().keys()
        for name, value in after.state_dict().items():
            assert torch.equal(value, expected[name]), name
        assert not any(buffer.is_meta for buffer in after.buffers())
    assert torch.equal(parts.normalizer.std, fresh.normalizer.std)
    assert parts.scheduler.config.steps_offset == 1
    assert parts.tokenizer("front").input_ids == fresh.tokenizer("front").input_ids
    assert sorted(parts.files) == sorted(FILES)


def test_a_folder_that_holds_something_is_not_written_to(fresh, folder):
    before = sorted(folder.rglob("*"))
    with pytest.raises(StorageError, match="expected a new or empty folder"):
        save_parts(fresh, folder)
    assert sorted(folder.rglob("*")) == before


def test_nothing_half_written_stays(fresh, tmp_path, monkeypatch):
    def fail(path):
        raise OSError("disk full")

    monkeypatch.setattr(fresh.scheduler, "save_pretrained", fail)
    with pytest.raises(StorageError, match="model: expected to write a model there: disk full"):
        save_parts(fresh, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    refused(folder, name.replace(".", r"\."))


@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] + b"\xff")
    refused(folder, name.replace(".", r"\."))


@pytest.mark.parametrize("part", sorted({name.partition("/")[0] for name in FILES}))
def test_a_missing_sub_folder_is_named(folder, part):
    shutil.rmtree(folder / part)
    refused(folder, f"{part}: expected a sub-folder '{part}', found none")


def test_a_missing_folder(tmp_path):
    refused(tmp_path / "none", "none: expected the folder of a multi-view diffusion model")


def test_the_text_tower_may_be_left_out(folder):
    everything = load_parts(folder).sha256()
    for part in ("text_encoder", "tokenizer"):
        shutil.rmtree(folder / part)
    base = load_mvdiffusion(folder, id="facelift.mvdiffusion", text=False)
    assert base.sha256 == everything
    with pytest.raises(CheckpointError, match="loaded without one"):
        base.encode_prompts(["front"])


@pytest.mark.parametrize("name", [UNET, VAE, CLIP, NORMALIZER, TEXT])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(folder, name, value):
    def spoil(tensors):
        next(iter(tensors.values())).view(-1)[0] = value

    edit_tensors(folder / name, spoil)
    refused(folder, f"{name}: expected finite weights, got 1 of")


@pytest.mark.parametrize("name", [UNET, VAE, CLIP, TEXT])
def test_a_missing_tensor(folder, name):
    edit_tensors(folder / name, lambda tensors: tensors.pop(sorted(tensors)[3]))
    refused(folder, f"{name}: expected the .* 1 missing")


@pytest.mark.parametrize("name", [UNET, VAE, CLIP, TEXT])
def test_an_unexpected_tensor(folder, name):
    edit_tensors(folder / name, lambda tensors: tensors.update({"more": torch.ones(1)}))
    refused(folder, f"{name}: expected the .* 1 unexpected .more.")


def test_a_tensor_of_another_shape(folder):
    edit_tensors(
        folder / UNET,
        lambda tensors: tensors.update({"conv_in.weight": torch.zeros(32, 4, 3, 3)}),
    )
    refused(folder, r"conv_in.weight \[32, 4, 3, 3\] instead of \[32, 8, 3, 3\]")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("mid_block.attentions.0.transformer_blocks.0.attn_mv.to_q.weight", "multi-view"),
        ("mid_block.attentions.0.transformer_blocks.0.norm_mv.weight", "multi-view"),
        ("mid_block.attentions.0.transformer_blocks.0.attn_joint_mid.to_q.weight", "joint"),
        ("mid_block.attentions.0.transformer_blocks.0.norm_joint_last.weight", "joint"),
        ("conv_block.0.weight", "side branch"),
        ("camera_embedding.weight", "camera"),
    ],
)
def test_weights_of_another_variant(folder, name, what):
    edit_tensors(folder / UNET, lambda tensors: tensors.update({name: torch.ones(1)}))
    refused(folder, f"got {name}, which belongs to .*{what}.*not supported")


def test_a_configuration_of_another_variant(folder):
    edit_json(folder / "unet/config.json", cd_attention_mid=True)
    refused(folder, "unet/config.json: expected cd_attention_mid False, got True")


def test_keys_of_other_programs_are_ignored_and_logged(folder, caplog):
    edit_json(folder / "unet/config.json", decay=0.9999, update_after_step=0, use_ema_warmup=True)
    edit_json(folder / "scheduler/scheduler_config.json", skip_prk_steps=True)
    edit_json(folder / "image_encoder/config.json", mystery=1)
    with caplog.at_level(logging.DEBUG, logger="mfl_adapt"):
        load_parts(folder)
    assert "['decay', 'update_after_step', 'use_ema_warmup']" in caplog.text
    assert "['skip_prk_steps']" in caplog.text
    assert all(record.levelno <= logging.DEBUG for record in caplog.records)


@pytest.mark.parametrize(
    ("name", "changes", "match"),
    [
        ("unet/config.json", {"block_out_channels": [32]}, "unet/config.json: expected a conf"),
        ("vae/config.json", {"norm_num_groups": 7}, "vae/config.json: expected a conf"),
        ("vae/config.json", {"act_fn": "none"}, "vae/config.json: expected a conf"),
        ("image_encoder/config.json", {"hidden_size": "wide"}, "image_encoder/config.json: exp"),
        ("image_encoder/config.json", {"hidden_act": "none"}, "image_encoder/config.json: exp"),
        ("scheduler/scheduler_config.json", {"beta_schedule": "none"}, "scheduler_config.json: e"),
    ],
)
def test_values_that_build_no_part(folder, name, changes, match):
    edit_json(folder / name, **changes)
    refused(folder, match)


def test_parts_of_different_models(folder, tmp_path):
    save_parts(build_fresh(FreshSizes(embed_width=24)), tmp_path / "other")
    shutil.rmtree(folder / "image_encoder")
    shutil.copytree(tmp_path / "other/image_encoder", folder / "image_encoder")
    refused(folder, "unet: expected projection_class_embeddings_input_dim 48 .*got 32")


def test_a_text_tower_of_another_width(folder, tmp_path):
    save_parts(build_fresh(FreshSizes(text_width=24)), tmp_path / "other")
    shutil.rmtree(folder / "text_encoder")
    shutil.copytree(tmp_path / "other/text_encoder", folder / "text_encoder")
    refused(folder, "unet: expected cross_attention_dim 24 .*got 32")


def test_a_normalizer_that_divides_by_nothing(folder):
    edit_tensors(folder / NORMALIZER, lambda tensors: tensors["std"].zero_())
    refused(folder, "expected positive std, got 0")


def test_a_normalizer_of_another_shape(folder):
    edit_tensors(folder / NORMALIZER, lambda tensors: tensors.pop("std"))
    refused(folder, "expected mean and std")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_other_types(whole, dtype):
    parts = load_parts(whole, dtype=dtype)
    for network in parts.networks():
        assert {p.dtype for p in network.parameters()} == {dtype}


def test_half_precision_that_cannot_hold_the_weights(folder):
    edit_tensors(folder / UNET, lambda tensors: tensors["conv_in.bias"].fill_(1e5))
    refused(folder, "expected weights that torch.float16 can hold.*bfloat16", dtype=torch.float16)
    load_parts(folder, dtype=torch.bfloat16)


def test_a_type_that_is_no_choice(whole):
    with pytest.raises(ConfigError, match=r"dtype: expected one of .*got torch.int8"):
        load_parts(whole, dtype=torch.int8)


def test_half_precision_files_are_read(folder, fresh):
    edit_tensors(
        folder / CLIP, lambda tensors: tensors.update({k: v.half() for k, v in tensors.items()})
    )
    parts = load_parts(folder)
    assert parts.image_encoder.dtype == torch.float32
    name, value = next(iter(fresh.image_encoder.named_parameters()))
    assert torch.equal(parts.image_encoder.get_parameter(name), value.half().float())


def test_torch_archives_are_read(folder):
    tensors = load_file(folder / UNET)
    (folder / UNET).unlink()
    torch.save(tensors, folder / "unet/diffusion_pytorch_model.bin")
    clip = load_file(folder / CLIP)
    (folder / CLIP).unlink()
    torch.save(clip, folder / "image_encoder/pytorch_model.bin")
    parts = load_parts(folder)
    assert torch.equal(parts.unet.conv_in.weight, tensors["conv_in.weight"])


def test_safetensors_go_before_torch_archives(folder):
    torch.save({}, folder / "image_encoder/pytorch_model.bin")
    torch.save({}, folder / "vae/diffusion_pytorch_model.bin")
    assert sorted(load_parts(folder).files) == sorted(FILES)


def test_a_single_tensor_is_no_part(folder):
    (folder / UNET).unlink()
    torch.save(torch.ones(3), folder / "unet/diffusion_pytorch_model.bin")
    refused(folder, "expected names with tensors, got Tensor")


def test_names_of_older_files(folder, fresh):
    def age(tensors):
        names = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
        for new, old in names.items():
            for name in [n for n in tensors if f".{new}." in n]:
                tensors[name.replace(new, old)] = tensors.pop(name)

    edit_tensors(folder / VAE, age)
    edit_tensors(
        folder / CLIP,
        lambda tensors: tensors.update({
            "vision_model.embeddings.position_ids": torch.arange(17)[None]
        }),
    )
    parts = load_parts(folder)
    for name, value in parts.vae.state_dict().items():
        assert torch.equal(value, fresh.vae.state_dict()[name])


def test_the_hash_covers_every_file_that_decides_a_sample(folder):
    hashes = {load_parts(folder).sha256()}
    for name in (UNET, VAE, CLIP, NORMALIZER):
        edit_tensors(folder / name, lambda tensors: next(iter(tensors.values())).add_(0.5))
        hashes.add(load_parts(folder).sha256())
    edit_json(folder / "scheduler/scheduler_config.json", steps_offset=0)
    hashes.add(load_parts(folder).sha256())
    assert len(hashes) == 6


def test_another_model_than_the_expected_one(whole):
    with pytest.raises(CheckpointError, match="expected the model with SHA-256 abc"):
        load_mvdiffusion(whole, id="facelift.mvdiffusion", expected_sha256="abc")


def test_fingerprint_names_the_architecture_and_not_the_weights(whole, tmp_path):
    base = load_mvdiffusion(whole, id="facelift.mvdiffusion")
    save_parts(build_fresh(FreshSizes(num_views=4, latent=4), seed=9), tmp_path / "same")
    same = load_mvdiffusion(tmp_path / "same", id="facelift.mvdiffusion")
    assert same.fingerprint == base.fingerprint
    edit_json(tmp_path / "same/unet/config.json", sparse_mv_attention=False)
    dense = load_mvdiffusion(tmp_path / "same", id="facelift.mvdiffusion")
    assert dense.fingerprint != base.fingerprint


def test_nothing_of_a_base_takes_a_gradient(whole):
    base = load_mvdiffusion(whole, id="facelift.mvdiffusion")
    for network in base.parts.networks():
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())
    assert (base.num_views, base.size, base.dtype) == (6, 64, torch.float32)
