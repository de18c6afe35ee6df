"""Parsers of everything else: configurations, adapters, registries, weights, Gaussians."""

import io
import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuzz_mutations import (
    JSON_TOKENS,
    TOML_TOKENS,
    changed_bytes,
    changed_trees,
    dump_json,
    dump_toml,
)
from fuzz_profile import Target
from huggingface_hub import HfApi
from huggingface_hub.hf_api import ModelInfo
from safetensors.torch import save

from mfl_adapt.adapter.header import AdapterHeader, read_header, read_tensor_header
from mfl_adapt.config import dump_config, load_config
from mfl_adapt.config.yaml_file import parse_value
from mfl_adapt.hub.listing import Source, list_source
from mfl_adapt.hub.registry import Registry, dump_registry, read_registry
from mfl_adapt.models import fetched
from mfl_adapt.models.checkpoint import Checkpoint, read_checkpoint
from mfl_adapt.models.gslrm.config import GSLRMConfig, read_config
from mfl_adapt.models.mvdiffusion.prompt_sets import PromptSet, load_prompt_set
from mfl_adapt.plugin import PublishedWeights
from mfl_adapt.render.ply import read_ply
from mfl_adapt.report.packing import read_splats
from mfl_adapt.report.player import read_sequence
from mfl_adapt.types import Gaussians


def _write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


# Configurations

CONFIGS = [
    {
        "name": "mouse",
        "seed": 3,
        "base": {"id": "facelift.gslrm", "checkpoint": "a.pt"},
        "plugins": ["facelift", "masked_loss", "lora_gslrm"],
        "data": {
            "path": "mice",
            "preprocess": [{"use": "preprocess.auto_mask", "source": "alpha"}],
        },
        "losses": {"masked_loss.masked_l2": {"weight": 1.0}},
        "adapter": {"use": "lora_gslrm.lora", "r": 4},
        "train": {"steps": 10, "lr": 1.0e-3, "precision": "fp32"},
    },
    {"adapter": "lora_gslrm.lora", "data": {"split": {"by": "time", "gap": 0.1}, "limit": 4}},
]
YAML_TEXTS = [
    b"# a run\nname: mouse\ntrain: &t\n  steps: 10\n  lr: 1e-3\ndata:\n  path: mice\n  limit: 4\n",
    b"plugins: [facelift, masked_loss]\nlosses:\n  masked_loss.masked_l2: {weight: 1.0}\n",
    b"seed: 0\nname: 'a'\ndata: {preprocess: [{use: a.b, x: &x [1, 2]}, {use: c.d, y: *x}]}\n",
]
YAML_TOKENS = (
    *(
        b"&a ",
        b"*a",
        b"*x",
        b"&x",
        b"<<: *t\n",
        b"- ",
        b"{",
        b"}",
        b"[",
        b"]",
        b": ",
        b"? ",
        b"|\n",
    ),
    *(
        b">-\n",
        b"\t",
        b"%YAML 1.1\n---\n",
        b"---\n",
        b"...\n",
        b"!!python/object:os.system ",
        b"!a ",
    ),
    *(b"!!binary ", b"!!set ", b".nan", b".inf", b"2001-99-99", b"0o7", b"9" * 5000, b"~", b"#"),
    *(
        b"\xff",
        b"\x00",
        b"\xef\xbb\xbf",
        b"[" * 3000,
        b"- " * 3000,
        b'"\\ud800"',
        b"./evil.py",
        b"1:2",
    ),
    b"a: &a [x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\n"
    b"d: &d [*c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d]\nf: [*e]\n",
)


def _load_config(folder: Path, content: bytes) -> Any:
    return folder, load_config(_write(folder, "a.yaml", content)).config


def _check_config(loaded: Any) -> None:
    folder, config = loaded
    assert all(name.isidentifier() for name in config.plugins)
    again = load_config(_write(folder, "again.yaml", dump_config(config).encode())).config
    assert again == config


def _check_plain(value: Any) -> None:
    if isinstance(value, dict):
        assert all(type(key) is str for key in value)
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            _check_plain(one)
    else:
        assert value is None or type(value) in {bool, int, float, str}


FACELIFT = {
    "model": {
        "image_tokenizer": {"image_size": 64, "patch_size": 8, "in_channels": 9},
        "transformer": {"d": 192, "d_head": 64, "n_layer": 6},
        "gaussians": {"n_gaussians": 2, "sh_degree": 0, "upsampler": {"upsample_factor": 1}},
        "hard_pixelalign": True,
        "use_custom_plucker": True,
        "clip_xyz": True,
    },
    "training": {"lr": 1e-4},
}


def _check_facelift(config: GSLRMConfig) -> None:
    assert GSLRMConfig.from_facelift(config.to_facelift(), where="again") == config
    assert 0 < config.n_layer < 10_000
    assert 0 < config.d < 10**6
    contract = config.contract()
    assert math.isfinite(contract.depth_reach)
    assert contract.size % contract.patch == 0


# Adapters

PASSPORT = {
    "schema": "mfl_adapt.adapter/1",
    "plugin_api": 1,
    "base": {"id": "facelift.tiny", "sha256": "a" * 64, "fingerprint": "b" * 64},
    "contract": {"size": 64},
    "adapter": {"method": "LORA", "parameters": 2, "layers": 1, "seed": 0},
    "adapter_hash": "c" * 64,
    "effect": {"probe": "d" * 64, "change": 0.1, "relative": 0.01, "layers": {"fc": 0.1}},
    "plugins": {},
    "config": {"name": "mouse"},
    "seeds": {},
    "metrics": {},
}
TENSORS = {
    "fc.lora_A.weight": torch.arange(6.0).reshape(2, 3),
    "fc.lora_B.weight": torch.ones(3, 2),
}


def _read_adapter(folder: Path, content: bytes) -> AdapterHeader:
    text = content.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
    _write(folder, "passport.json", content)
    _write(folder, "adapter_config.json", b"{}")
    metadata = {"format": "pt", "mfl_adapt": text}
    _write(folder, "adapter_model.safetensors", save(TENSORS, metadata))
    return read_header(folder)


def _check_header(header: AdapterHeader) -> None:
    json.dumps(header.passport, allow_nan=False).encode()
    assert header.passport["schema"] == PASSPORT["schema"]
    assert isinstance(header.passport["base"]["sha256"], str)
    for size in header.passport["effect"]["layers"].values():
        assert size is None or 0 <= size < math.inf
    assert {name: one.shape for name, one in header.tensors.items()} == {
        name: tuple(tensor.shape) for name, tensor in TENSORS.items()
    }


SAFETENSORS = [save(TENSORS, {"a": "b"}), save({"x": torch.zeros(2, dtype=torch.float16)})]
SAFETENSORS_TOKENS = (b'"F32"', b'"BOOL"', b"[0,24]", b"[0,1152921504606846976]", b"__metadata__")
SAFETENSORS_TOKENS += (
    b"-1",
    b"1e3",
    b'"fc.lora_A.weight":',
    b"{",
    b"}",
    b"[" * 50_000,
    b"9" * 5000,
)


def _read_tensors(folder: Path, content: bytes) -> Any:
    path = _write(folder, "a.safetensors", content)
    return read_tensor_header(path)[0], len(content)


def _check_tensors(found: Any) -> None:
    entries, size = found
    widths = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}
    known = [one for one in entries.values() if one.dtype in widths]
    assert sum(one.count * widths[one.dtype] for one in known) <= size


# Weights

PROMPTS = torch.sin(torch.arange(2 * 77 * 4.0) ** 2).reshape(2, 77, 4)
NOTES = {
    "prompt_set": json.dumps({"views": ["front", "back"], "prompts": ["a", "b"], "tower": "c"})
}


def _torch_file(value: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def _check_prompts(prompts: PromptSet) -> None:
    assert prompts.embeds.shape[1:] == (77, 4)
    assert torch.isfinite(prompts.embeds).all()
    assert len(prompts.views) in {0, len(prompts.embeds)}


def _check_checkpoint(checkpoint: Checkpoint) -> None:
    assert checkpoint.tensors
    for tensor in checkpoint.tensors.values():
        assert tensor.dtype == torch.float32
        assert torch.isfinite(tensor).all()


CHECKPOINTS = [_torch_file({"model": TENSORS}), save(TENSORS)]
CHECKPOINT_TOKENS = (
    b"cos\nsystem\n",
    b"PK\x03\x04",
    b"PK\x01\x02",
    b"cposix\nsystem\n",
    b"\x80\x02}",
)

# Gaussians


def _ply(count: int = 3, rest: int = 9) -> bytes:
    names = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", *(f"f_rest_{i}" for i in range(rest))]
    names += ["opacity", *(f"scale_{i}" for i in range(3)), *(f"rot_{i}" for i in range(4))]
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    lines += [*(f"property float {name}" for name in names), "end_header"]
    body = np.linspace(-1, 1, count * len(names), dtype="<f4").tobytes()
    return "\n".join(lines).encode() + b"\n" + body


PLY_TOKENS = (
    b"element vertex 1152921504606846976",
    b"property list uchar int a\n",
    b"end_header\n",
)
PLY_TOKENS += (b"property double y\n", b"format ascii 1.0\n", b"comment \xff\n", b"-3", b"9" * 5000)
PLY_TOKENS += (b"property uchar x\n", b"element face 0\n", b"f_rest_8", b" ", b"\r\n", b"\x1c")


def _check_gaussians(gaussians: Gaussians) -> None:
    fields = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.sh)
    for field in fields:
        assert field.dtype == torch.float32
        assert field.shape[:2] == gaussians.means.shape[:2]
        assert torch.isfinite(field).all()
    assert gaussians.means.shape[1] > 0
    assert (gaussians.scales >= 0).all()
    assert ((gaussians.opacities >= 0) & (gaussians.opacities <= 1)).all()
    assert torch.allclose(gaussians.quats.norm(dim=-1), torch.ones(()), atol=1e-4)


SPLATS = [struct.pack("<6f8B", 0, 1, 2, 0.1, 0.1, 0.1, 200, 0, 0, 255, 255, 128, 128, 128) * 2]
SEQUENCE = {
    "fps": 25,
    "frames": [{"name": "a", "ply": "a.ply"}, {"name": "b", "folder": "b", "ply": "b.ply"}],
}


def _check_splats(data: bytes) -> None:
    numbers = np.frombuffer(data, "<f4").reshape(-1, 8)[:, :6]
    assert len(numbers)
    assert np.isfinite(numbers).all()


def _check_sequence(found: Any) -> None:
    folder, (fps, frames) = found
    assert 0 < fps < math.inf
    assert frames
    for frame in frames:
        assert frame.ply.is_relative_to(folder)
        assert ".." not in frame.ply.parts


# Hubs

_FILES = {
    name: {"size": 3, "sha256": "a" * 64}
    for name in ("README.md", "adapter_config.json", "adapter_model.safetensors", "passport.json")
}
REGISTRY = {
    "schema": "mfl_adapt.registry/1",
    "adapters": {
        "mouse": {
            **{"folder": "mouse/1", "revision": "1", "adapter_hash": "b" * 64, "size": 12},
            **{"base": "facelift.tiny", "base_sha256": "c" * 64, "licence": "Apache-2.0"},
            **{"inherited": ["Apache-2.0"], "files": _FILES, "title": "A mouse"},
        }
    },
}


def _read_registry(folder: Path, content: bytes) -> Any:
    _write(folder, "registry.toml", content)
    return folder, read_registry(folder)


def _check_registry(found: tuple[Path, Registry]) -> None:
    folder, registry = found
    for name, entry in registry.adapters.items():
        for one in (name, *entry.folder.split("/"), *entry.files):
            assert one not in {"", ".", ".."}
            assert not set(one) & set("/\\\0\n")
    _write(folder, "registry.toml", dump_registry(registry).encode())
    assert read_registry(folder) == registry


_BLOB = {"rfilename": "a/model_index.json", "size": 2, "blobId": "f" * 40}
_LARGE = {"rfilename": "a/unet/w.bin", "size": 5000, "blobId": "e" * 40}
LISTING = {
    "id": "owner/name",
    "sha": "0123456789abcdef0123456789abcdef01234567",
    "siblings": [
        _BLOB,
        _LARGE | {"lfs": {"sha256": "d" * 64, "size": 5000, "pointerSize": 134}},
        _BLOB | {"rfilename": "README.md"},
    ],
}


def _list_source(folder: Path, content: bytes) -> Source:
    published = PublishedWeights(repository="owner/name", path="a", revision="main")
    real = HfApi.model_info
    # What the library itself does with the body of an answer.
    HfApi.model_info = lambda *_, **__: ModelInfo(**json.loads(content))
    try:
        return list_source(published, "main")
    finally:
        HfApi.model_info = real


def _check_source(source: Source) -> None:
    assert source.files
    for file in source.files:
        parts = file.name.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert not set(file.name) & set("\\:\0\n")
        assert type(file.size) is int
        assert 0 <= file.size < 2**63
        assert file.sha256 or file.git_sha1
    assert len({file.name for file in source.files}) == len(source.files)


FETCHED = {
    **{"repository": "owner/name", "commit": "0" * 40, "revision": "main", "licence": "MIT"},
    **{"entry": "w.pt", "files": {"w.pt": {"size": 3, "sha256": "a" * 64}}},
}


def _read_fetched(folder: Path, content: bytes) -> fetched.Fetched | None:
    real = fetched.find_folder
    fetched.find_folder = lambda id: folder
    try:
        _write(folder, fetched.RECORD, content)
        return fetched.read_fetched("a.b")
    finally:
        fetched.find_folder = real


def _check_fetched(record: fetched.Fetched) -> None:
    for name, file in record.files.items():
        assert not {"", "..", "."} & set(name.split("/"))
        assert not name.startswith("/")
        assert file.size >= 0
    assert all(type(one) is str for one in (record.repository, record.commit, record.entry))


TARGETS = [
    Target(
        "config",
        changed_trees(CONFIGS, dump_json, YAML_TOKENS)
        | changed_bytes(YAML_TEXTS, YAML_TOKENS)
        | changed_bytes(YAML_TEXTS, YAML_TOKENS),
        _load_config,
        _check_config,
    ),
    Target(
        "typed_value",
        changed_bytes([b"[{use: a.b, k: 1}]", b"1e-3", b"'x'"], YAML_TOKENS),
        lambda _, content: parse_value(content.decode("utf-8", "replace"), "--set x"),
        _check_plain,
    ),
    Target(
        "facelift_yaml",
        changed_trees([FACELIFT], dump_json, YAML_TOKENS),
        lambda folder, content: read_config(_write(folder, "gslrm.yaml", content)),
        _check_facelift,
    ),
    Target(
        "facelift_json",
        changed_trees([FACELIFT], dump_json, JSON_TOKENS),
        lambda folder, content: read_config(_write(folder, "gslrm.json", content)),
        _check_facelift,
    ),
    Target(
        "passport", changed_trees([PASSPORT], dump_json, JSON_TOKENS), _read_adapter, _check_header
    ),
    Target(
        "safetensors_header",
        changed_bytes(SAFETENSORS, SAFETENSORS_TOKENS),
        _read_tensors,
        _check_tensors,
    ),
    Target(
        "prompts",
        changed_bytes([save({"prompt_embeds": PROMPTS}, NOTES), _torch_file(PROMPTS)]),
        lambda folder, content: load_prompt_set(_write(folder, "p.safetensors", content), 4),
        _check_prompts,
    ),
    Target(
        "checkpoint",
        changed_bytes(CHECKPOINTS, CHECKPOINT_TOKENS),
        lambda folder, content: read_checkpoint(_write(folder, "c.pt", content)),
        _check_checkpoint,
    ),
    Target(
        "ply",
        changed_bytes([_ply(), _ply(2, 0)], PLY_TOKENS),
        lambda folder, content: read_ply(_write(folder, "a.ply", content)),
        _check_gaussians,
    ),
    Target(
        "splat",
        changed_bytes(SPLATS),
        lambda folder, content: read_splats(_write(folder, "a.splat", content)),
        _check_splats,
    ),
    Target(
        "sequence",
        changed_trees([SEQUENCE], dump_json, JSON_TOKENS),
        lambda folder, content: (folder, read_sequence(_write(folder, "sequence.json", content))),
        _check_sequence,
    ),
    Target(
        "registry",
        changed_trees([REGISTRY], dump_toml, TOML_TOKENS),
        _read_registry,
        _check_registry,
    ),
    Target("hub_listing", changed_trees([LISTING], dump_json), _list_source, _check_source),
    Target(
        "fetched_record",
        changed_trees([FETCHED], dump_json, JSON_TOKENS),
        _read_fetched,
        _check_fetched,
    ),
]
