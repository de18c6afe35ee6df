"""Faster steps: what is kept of which network, and that a run learns the same."""

from types import SimpleNamespace

import pytest
import torch
from small_runs import run_small

from mfl_adapt.adapter import attach, read_header
from mfl_adapt.errors import TrainingError
from mfl_adapt.models.gslrm.model import GSLRM
from mfl_adapt.models.gslrm.prefix import Prefix
from mfl_adapt.plugin import AdapterSpec
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.train import fast
from mfl_adapt.train.fast import fast_training, open_prefix

import mfl_adapt as mfl  # isort: skip

LATE = "adapter.targets=[transformer_layers.4.*, transformer_layers.5.*]"
FIXED = (
    "data.views={use: view_policies.fixed, inputs: [0, 2, 4, 6], held_out: [1], targets: [3]}",
)


def adapted(targets):
    base = mfl.load_base("facelift.tiny")
    host = load_plugins(["lora_gslrm"])
    method = host.build(AdapterSpec, "lora_gslrm.lora", {"targets": targets}, where="adapter")
    return base, attach(base, method, seed=0)


@pytest.mark.parametrize(
    ("targets", "depth"),
    [(["transformer_layers.4.*"], 4), ("all-linear", 0), (["patch_embedder.1"], None)],
)
def test_the_prefix_ends_before_the_first_adapted_layer(targets, depth):
    base, adapter = adapted(targets)
    with fast_training(adapter):
        prefix = base.module.prefix
        assert (None if prefix is None else prefix.depth) == depth
    assert base.module.prefix is None


def test_an_adapter_that_is_not_trained_ends_the_prefix_too():
    base, _ = adapted(["transformer_layers.2.*"])
    host = load_plugins(["lora_gslrm"])
    settings = {"targets": ["transformer_layers.5.*"]}
    method = host.build(AdapterSpec, "lora_gslrm.lora", settings, where="adapter")
    attach(base, method, seed=0)
    prefix = open_prefix(base.module)
    assert prefix is not None
    assert prefix.depth == 2


def test_a_network_of_its_own_may_act_anywhere():
    base, _ = adapted(["transformer_layers.5.*"])
    assert open_prefix(base.module, has_extra=True) is None
    assert open_prefix(torch.nn.Linear(1, 1)) is None


def test_blocks_are_recomputed_by_choice_and_only_where_they_can_be():
    base, adapter = adapted("all-linear")
    with fast_training(adapter, checkpointing=True):
        assert base.module.checkpoint_blocks
    assert not base.module.checkpoint_blocks
    adapter.base = SimpleNamespace(id="other", module=torch.nn.Linear(1, 1))
    with (
        pytest.raises(TrainingError, match=r"train\.checkpointing: expected false for other"),
        fast_training(adapter, checkpointing=True),
    ):
        pass


def small_hash(root, *overrides):
    result = run_small(root, LATE, *overrides)
    passport = read_header(result.session.folder.path / "adapter").passport
    return passport["adapter_hash"], result


def test_a_run_with_a_prefix_is_the_same_run_bit_for_bit(tmp_path, monkeypatch):
    seen = []

    class Noted(Prefix):
        def __init__(self, *args, **settings):
            super().__init__(*args, **settings)
            seen.append(self)

    monkeypatch.setattr(fast, "Prefix", Noted)
    kept, result = small_hash(tmp_path / "kept", *FIXED, "train.steps=6")
    assert isinstance(result.session.base.module, GSLRM)
    assert [one.depth for one in seen] == [4]
    # Four samples to learn from, twelve draws: each is computed once.
    assert (len(seen[0]), seen[0].hits) == (4, 8)
    monkeypatch.setattr(fast, "open_prefix", lambda *args, **settings: None)
    again = "train.checkpointing=true"  # the same numbers from less memory
    plain, _ = small_hash(tmp_path / "plain", *FIXED, "train.steps=6", again)
    assert kept == plain
