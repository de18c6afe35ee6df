"""Small adapters on a small base, as folders, and what a stranger may do to them."""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "adapter"))

from small_base import make_base, make_lora, train_a_little

from mfl_adapt.adapter import attach, save
from mfl_adapt.adapter.schema import HEADER_KEY, WEIGHTS
from mfl_adapt.adapter.storage import encode_safetensors

SCORES = {"psnr_db": 21.25, "foreground_psnr_db": 19.5, "masked_ssim": 0.625, "iou": 0.75}
SAID = {
    "config": {
        "name": "mice",
        "adapter": {"r": 4, "targets": ["fc"]},
        "data": {"path": None, "reader": {"use": "procedural.mice", "samples": 6}},
    },
    "data": {"fingerprint": "f" * 64, "samples": 6, "train": 4, "validation": 2},
    "steps": 3,
    "metrics": {
        "scenes": 2,
        "views": 8,
        "scenes_held_out": True,
        "scores": {"adapted": SCORES, "frozen base": {**SCORES, "foreground_psnr_db": 17.5}},
        "gain_over_base_foreground_db": 2.0,
        "intervals": {
            "adapted": {"psnr_db": [20.5, 22.0]},
            "gain": {"foreground_psnr_db": [1.25, 2.75]},
        },
    },
    "retention": {"domain": "heads", "scenes": 7, "adapted": SCORES, "frozen base": SCORES},
}


def make_adapter(folder, *, id="facelift.tiny", seed=0, **said):
    """Save a LoRA on a small network that goes by the name of a base."""
    base = make_base()
    base.id = id
    adapter = attach(base, make_lora(), seed=seed)
    train_a_little(adapter, seed=seed)
    return save(adapter, folder, passport={**SAID, **said})


def make_views_adapter(folder, *, targets="default", **said):
    """Save an adapter with a network of its own on a small model that makes views."""
    from mfl_adapt_pose_mvdiffusion.config import PoseConfig
    from mfl_adapt_pose_mvdiffusion.pose import Pose
    from small_views import make_views_base

    base = make_views_base()
    base.id = "facelift.tiny_views"
    settings = {"kind": "both", "hidden": 8, "r": 2}
    if targets != "default":
        settings["targets"] = targets
    adapter = attach(base, Pose(PoseConfig(**settings)), seed=5)
    train_a_little(adapter)
    return save(adapter, folder, passport={**SAID, **said})


def passport_of(folder):
    return json.loads((folder / "passport.json").read_text())


def change_passport(folder, change):
    """Change the passport in all places, as somebody would who knows the format."""
    passport = passport_of(folder)
    change(passport)
    (folder / "passport.json").write_text(json.dumps(passport))
    for path in folder.glob("*.safetensors"):
        header = {"format": "pt", HEADER_KEY: json.dumps(passport)}
        path.write_bytes(encode_safetensors(load_file(path), header))


def change_weights(folder, change):
    """Change one tensor and keep the passport's word for it."""
    path = folder / WEIGHTS
    tensors = load_file(path)
    name = min(tensors)
    tensors[name] = change(tensors[name])
    header = {"format": "pt", HEADER_KEY: json.dumps(passport_of(folder))}
    path.write_bytes(encode_safetensors(tensors, header))


def poison(tensor):
    """A tensor with one number that is none."""
    return torch.full_like(tensor, float("nan"))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}
