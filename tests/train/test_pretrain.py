"""The script that made the tiny base still makes bases."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from mfl_adapt.models.gslrm.config import TINY
from mfl_adapt.models.gslrm.frozen import load_gslrm
from mfl_adapt.synth import render_sample
from mfl_adapt.train.pretrain import NUM_INPUTS, choose_views, pretrain


def test_a_few_steps_write_a_file_that_loads_as_a_base(tmp_path: Path) -> None:
    scenes = [render_sample("heads", index, num_views=8) for index in range(2)]
    path = tmp_path / "base.safetensors"
    model = pretrain(
        scenes, scenes[:1], steps=2, lr=1e-3, muon_lr=1e-3, batch_size=2, seed=0, out=path,
        report_every=1,
    )  # fmt: skip
    assert all(tensor.dtype == torch.float16 for tensor in load_file(path).values())
    base = load_gslrm(path, TINY, id="test.base")
    for name, value in model.state_dict().items():
        assert torch.equal(base.module.state_dict()[name], value.half().float())


def test_targets_hold_inputs_and_new_views() -> None:
    for seed in range(20):
        inputs, targets = choose_views(np.random.default_rng(seed), num_views=16)
        assert len(set(inputs)) == NUM_INPUTS
        assert len(set(targets)) == 6
        assert len(set(inputs) & set(targets)) == 2
