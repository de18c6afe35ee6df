"""The model of views that ships with the package: it loads, fits its contract and makes views."""

from importlib.resources import files
from pathlib import Path

import pytest
import torch

from mfl_adapt.metrics import psnr
from mfl_adapt.models.mvdiffusion.config import TINY_CONTRACT
from mfl_adapt.models.mvdiffusion.prompt_sets import MAX_COSINE
from mfl_adapt.models.mvdiffusion.shipped import load_shipped_views
from mfl_adapt.synth import render_sample
from mfl_adapt.train.pretrain_views import to_batch

FOLDER = Path(str(files("mfl_adapt.models.mvdiffusion"))) / "weights" / "facelift_tiny_views"


@pytest.fixture(scope="module")
def base():
    return load_shipped_views()


def test_it_is_what_its_contract_says(base):
    assert base.id == "facelift.tiny_views"
    assert base.contract == TINY_CONTRACT
    assert (base.size, base.num_views) == (64, 6)
    assert base.module.pattern == "reference"


def test_it_is_small():
    size = sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file())
    assert size <= 20e6


def test_its_prompts_tell_the_slots_apart(base):
    rows = torch.nn.functional.normalize(base.prompt_embeds.flatten(1), dim=1)
    alike = (rows @ rows.T).fill_diagonal_(0)
    assert base.prompt_embeds.shape == (6, 77, 64)
    assert float(alike.max()) < MAX_COSINE


def test_views_of_an_unseen_head_are_nearer_to_the_truth_than_copies_or_mirrored_slots(base):
    truth = to_batch([render_sample("heads", 0, split="test", rig="slots")]).rgb[0]
    front = truth[:1].expand_as(truth)
    made = base.generate(front, base.prompt_embeds, steps=8, guidance=1.5, seed=0).images
    mirrored = truth[[0, 5, 4, 3, 2, 1]]
    sides = [1, 2, 4, 5]

    def score(pred, target):
        return float(psnr(pred[None, sides], target[None, sides]).mean())

    assert score(made, truth) > score(front, truth) + 2
    assert score(made, truth) > score(made, mirrored) + 2
