"""Run folders made by hand, and what a measurement of one would give."""

import json
from types import SimpleNamespace

import numpy as np
import torch
from balls import make_balls

from mfl_adapt.config import dump_config, load_config
from mfl_adapt.data import conform
from mfl_adapt.images import save_picture
from mfl_adapt.models.gslrm.config import TINY
from mfl_adapt.synth import render_sample

HASH = "ab" * 32
PASSPORT = {
    "adapter_hash": HASH,
    "adapter": {"method": "LORA", "parameters": 1200, "layers": 2},
    "base": {"id": "facelift.tiny", "sha256": "cd" * 32, "fingerprint": "ef" * 32},
    "data": {"train": 20, "validation": 8, "fingerprint": "12" * 32},
    "licence": {"name": "MIT", "inherited": [{"name": "Apache-2.0", "of": "facelift.tiny"}]},
    "effect": {"relative": 0.0621, "layers": {"attn.fc": 0.25, "mlp.0": 0.0}},
    "plugins": {"masked_loss": {"distribution": "mfl-adapt", "version": "0.1"}},
    "steps": 40,
}


def scores_of(psnr, foreground, ssim, iou=None):
    names = ("psnr_db", "foreground_psnr_db", "masked_ssim", "iou")
    return dict(zip(names, (psnr, foreground, ssim, iou), strict=True))


def evaluation(gain=(1.0, 0.4, 1.6), scenes=8):
    """An evaluation whose gain has a known interval."""
    mean, low, high = gain
    adapted, frozen = scores_of(20.0, 17.0 + mean, 0.5, 0.6), scores_of(19.0, 17.0, 0.4, 0.3)
    return {
        "scenes": scenes,
        "views": 4 * scenes,
        "scenes_held_out": True,
        "scores": {"white": scores_of(15.0, 6.5, 0.1), "frozen base": frozen, "adapted": adapted},
        "intervals": {"gain": {"foreground_psnr_db": [low, high]}},
        "gain_over_base_foreground_db": mean,
        "gain_over_constant_db": 5.0,
        "input_views": 4 * scenes,
        "input_view_scores": {"adapted": adapted},
        "retention": {
            "domain": "procedural heads",
            "scenes": 8,
            "frozen base": scores_of(27.0, 24.0, 0.7, 0.98),
            "adapted": scores_of(20.0, 21.5, 0.5, 0.9),
            "change_foreground_db": -2.5,
            "change_interval_db": [-3.0, -2.0],
        },
        "per_scene": {
            "frozen base": {"mouse-1": frozen},
            "adapted": {"mouse-1": adapted},
        },
    }


def finding(code="MFL007", severity="warning", **more):
    texts = {"where": "mouse-3/cam_001", "value": "12 px", "expected": "at most 2 px"}
    return {"code": code, "severity": severity, **texts, "remedy": "Look at the camera.", **more}


def step(number, loss=0.5, **more):
    row = {"number": number, "loss": loss, "parts": {"masked_loss.masked_l2": loss}}
    return (
        row | {"foreground_psnr_db": 16.0, "gradient_norm": 0.2, "lr": 1e-3, "seconds": 0.25} | more
    )


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def make_run(folder, *overrides):
    """A finished run of 40 steps, without an adapter."""
    folder.mkdir(parents=True)
    loaded = load_config("quickstart", overrides=["train.steps=40", *overrides])
    (folder / "config.yaml").write_text(dump_config(loaded.config))
    origins = {"train.steps": {"kind": "--set", "place": "--set train.steps=40"}}
    write_json(folder / "origins.json", origins)
    write_lines(folder / "metrics.jsonl", [step(1, 0.9), step(20), step(40, 0.25)])
    write_json(folder / "evaluation.json", evaluation())
    doctor = {"looked_at": {"a.b": 3, "a.c": 0}, "summary": [finding(places=4)], "forced": False}
    write_json(folder / "doctor.json", doctor)
    guard = finding("MFL115", name="blur", summary="The renders are blurred.", step=20)
    write_lines(folder / "guards.jsonl", [guard | {"picture": "guards/step-000020-MFL115.png"}])
    packages = {"torch": "2.13.0"}
    write_json(folder / "environment.json", {"python": "3.11.7", "packages": packages})
    grey = np.full((40, 60, 3), 128, np.uint8)
    for name in ("samples/step-000000", "samples/step-000040", "guards/step-000020-MFL115"):
        save_picture(folder / f"{name}.png", grey)
    (folder / "checkpoints" / "step-40").mkdir(parents=True)
    return folder


def points(*changes):
    """Points of a curve over strengths 0, 0.5, 1 and so on."""
    return [
        {
            "strength": place / 2,
            "foreground_psnr_db": 17.0 + change,
            "change_db": change,
            "change_interval_db": [change - 0.5, change + 0.5] if place else None,
        }
        for place, change in enumerate(changes)
    ]


class Measurer:
    """Gives a known curve and a scene of coloured balls, and counts how often it was asked."""

    def __init__(self, makes="gaussians", curve=None):
        self.asked, self.makes = 0, makes
        self.curve = curve or {
            "note": "",
            "held_out": {"scenes": 3, "unseen": True, "points": points(0.0, 1.0, 1.5)},
            "home": {"domain": "heads", "scenes": 2, "points": points(0.0, -1.0, -2.75)},
        }

    def __call__(self):
        return self

    def measure_strengths(self):
        self.asked += 1
        return self.curve

    def show_scene(self):
        contract = TINY.contract()
        sample = conform(render_sample("mice", 0, num_views=4), contract)
        views = torch.full((2, 3, 16, 16), 0.5)
        balls = make_balls({(0.3, 0.0, 0.0): (0.2, 0.6, 0.2)}), make_balls()
        return SimpleNamespace(
            sample=sample,
            contract=contract,
            unseen=True,
            inputs=views,
            truth=views,
            frozen=views,
            adapted=views,
            gaussians=balls if self.makes == "gaussians" else None,
        )
