"""Reading and loading weights: every good shape of a file, and every bad one with its words."""

import hashlib
import pickle
import zipfile

import pytest
import torch
from helpers import shared_path
from safetensors.torch import save_file
from torch import nn

from mfl_adapt.errors import CheckpointError
from mfl_adapt.models.checkpoint import fingerprint, load_into, read_checkpoint


def weights():
    return {
        "a.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3),
        "b.weight": torch.linspace(-1, 1, 4),
    }


def module():
    result = nn.Module()
    result.a, result.b = nn.Module(), nn.Module()
    result.a.weight = nn.Parameter(torch.zeros(2, 3))
    result.b.weight = nn.Parameter(torch.zeros(4))
    return result


def saved(tmp_path, content, name="c.pt"):
    path = tmp_path / name
    torch.save(content, path)
    return path


def refused(path, match, **options):
    with pytest.raises(CheckpointError, match=match) as caught:
        read_checkpoint(path, **options)
    assert str(caught.value).startswith(f"{path}: expected ")
    assert "\n" not in str(caught.value)


def assert_same(tensors, expected):
    assert tensors.keys() == expected.keys()
    for name, value in tensors.items():
        assert value.dtype == torch.float32
        assert torch.equal(value, expected[name])


@pytest.mark.parametrize("key", ["model", "model_state_dict", "state_dict", None])
def test_places_of_the_weights(tmp_path, key):
    content = weights() if key is None else {key: weights(), "step": 3, "optimizer": {"state": {}}}
    assert_same(read_checkpoint(saved(tmp_path, content)).tensors, weights())


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."]
)
def test_wrapper_prefixes_are_stripped(tmp_path, prefix):
    wrapped = {prefix + name: value for name, value in weights().items()}
    assert_same(read_checkpoint(saved(tmp_path, {"model": wrapped})).tensors, weights())


def test_a_prefix_on_some_names_is_part_of_them(tmp_path):
    mixed = {"module.a.weight": torch.ones(1), "b.weight": torch.ones(1)}
    assert_same(read_checkpoint(saved(tmp_path, mixed)).tensors, mixed)


def test_loss_network_is_put_aside(tmp_path):
    vgg = {"loss_calculator.net.conv1.weight": torch.ones(3)}
    checkpoint = read_checkpoint(saved(tmp_path, {"model": weights() | vgg}))
    assert_same(checkpoint.tensors, weights())
    assert_same(checkpoint.aside, vgg)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floating_dtypes_become_float32(tmp_path, dtype):
    cast = {name: value.to(dtype) for name, value in weights().items()}
    expected = {name: value.float() for name, value in cast.items()}
    assert_same(read_checkpoint(saved(tmp_path, cast)).tensors, expected)


def test_safetensors_under_any_name(tmp_path):
    path = tmp_path / "weights.bin"
    save_file(weights(), path)
    checkpoint = read_checkpoint(path)
    assert_same(checkpoint.tensors, weights())
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_tensors_do_not_depend_on_the_file(tmp_path):
    path = saved(tmp_path, weights())
    tensors = read_checkpoint(path).tensors
    path.write_bytes(bytes(path.stat().st_size))
    assert_same(tensors, weights())


def test_hash_is_checked_before_parsing(tmp_path):
    path = saved(tmp_path, weights())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_checkpoint(path, expected_sha256=digest.upper()).sha256 == digest
    refused(path, f"SHA-256 {'0' * 64}, got {digest}", expected_sha256="0" * 64)


def test_missing_file_and_folder(tmp_path):
    refused(tmp_path / "none.pt", "found nothing there")
    refused(tmp_path, r"got a folder\. Name a file in it")
    saved(tmp_path, weights(), "x.pt")
    refused(tmp_path, r"got a folder\. In it are: x\.pt")
    refused(tmp_path / "x.pt" / "y.pt", "expected a readable file: Not a directory")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (pickle.dumps({"a": 1}), "a bare pickle"),
        (b"\x00" * 100, "another kind of file"),
        (b"PK\x03\x04" + b"\x00" * 100, "damaged or truncated"),
        (b"\xff\xff\x00\x00\x00\x00\x00\x00{}", "damaged or truncated"),
        (b"\x02\x00\x00\x00\x00\x00\x00\x00{]", "damaged or truncated"),
    ],
)
def test_other_files_are_told_apart(tmp_path, content, match):
    path = tmp_path / "c.pt"
    path.write_bytes(content)
    refused(path, match)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("save", [torch.save, save_file])
def test_truncated_files(tmp_path, share, save):
    path = tmp_path / "c"
    save(weights(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    refused(path, "damaged or truncated")


def test_one_flipped_bit_in_a_torch_archive(tmp_path):
    path = saved(tmp_path, weights())
    content = bytearray(path.read_bytes())
    at = content.index(torch.arange(6, dtype=torch.float32).numpy().tobytes()) + 5
    content[at] ^= 1
    path.write_bytes(content)
    refused(path, "damaged or truncated one .the checksum of c/data/0 does not fit")


def test_an_archive_without_checksums_loads(tmp_path):
    torch.serialization.set_crc32_options(False)
    try:
        path = saved(tmp_path, weights())
    finally:
        torch.serialization.set_crc32_options(True)
    assert_same(read_checkpoint(path).tensors, weights())


def test_a_zip_that_torch_did_not_write(tmp_path):
    path = tmp_path / "c.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "hello")
    refused(path, "damaged or truncated")


class Evil:
    """Would create a file if it were unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_pickles_are_not_run(tmp_path):
    trap = tmp_path / "trap"
    path = saved(tmp_path, {"model": weights(), "extra": Evil(trap)})
    refused(path, r"other Python objects such as \S*open, which could run code")
    assert not trap.exists()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ([1, 2], "a mapping with the weights, got list"),
        ({}, "got nothing"),
        ({"model": {}}, "got nothing"),
        ({"step": 3, "lr": 0.1}, r"got 2 other entries: \(step, lr\)"),
        ({"model": {"a": torch.ones(1), "b": 3}}, r"got 1 other entries: \(b\)"),
        ({0: torch.ones(1)}, r"got 1 other entries: \(0\)"),
        ({"a": torch.ones(1, dtype=torch.int64)}, r"got a with torch\.int64"),
        ({"a": torch.eye(2).to_sparse()}, r"got a with torch\.float32, torch\.sparse_coo"),
        ({"a": torch.tensor([1.0, float("nan"), float("inf")])}, "got 2 of 3 NaN or infinite in a"),
        ({"a": torch.tensor([1e300], dtype=torch.float64)}, "got 1 of 1 NaN or infinite in a"),
    ],
)
def test_other_contents_are_refused_by_name(tmp_path, content, match):
    refused(saved(tmp_path, content), match)


def test_loading_is_strict_and_names_everything(tmp_path):
    target = nn.ModuleDict({k: nn.Linear(2, 2, bias=False) for k in "abcdef"})
    content = {
        "a.weight": torch.zeros(2, 3),
        "b.weight": torch.zeros(2, 2),
        "x.weight": torch.zeros(1),
    }
    before = target["b"].weight.clone()
    with pytest.raises(CheckpointError) as caught:
        load_into(target, read_checkpoint(saved(tmp_path, content)))
    message = str(caught.value)
    assert "4 missing (c.weight, d.weight, e.weight and 1 more)" in message
    assert "1 unexpected (x.weight)" in message
    assert "1 of another shape (a.weight [2, 3] instead of [2, 2])" in message
    assert "\n" not in message
    assert torch.equal(target["b"].weight, before)


def test_loading_fills_a_module_without_memory(tmp_path):
    with torch.device("meta"):
        target = module()
    load_into(target, read_checkpoint(saved(tmp_path, weights())))
    assert_same(dict(target.state_dict()), weights())
    assert all(parameter.requires_grad for parameter in target.parameters())


def test_fingerprint_is_of_the_architecture_alone():
    reference = fingerprint(module(), {"plucker": "custom"})
    other = module()
    nn.init.ones_(other.a.weight)
    assert fingerprint(other, {"plucker": "custom"}) == reference
    assert fingerprint(module(), {"plucker": "standard"}) != reference
    other.b.weight = nn.Parameter(torch.zeros(5))
    assert fingerprint(other, {"plucker": "custom"}) != reference


@pytest.mark.golden
@pytest.mark.parametrize(("name", "num_aside"), [("ckpt", 0), ("ckpt_vggkeys", 32)])
def test_golden_checkpoints(golden, name, num_aside):
    checkpoint = read_checkpoint(shared_path(f"reference/gslrm_tiny_{name}.pt"))
    assert_same(checkpoint.tensors, golden.group("weights."))
    assert len(checkpoint.aside) == num_aside
