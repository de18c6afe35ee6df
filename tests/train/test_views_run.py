"""Whole runs on a model of views: what they leave behind, and what they refuse."""

import json

import pytest
import torch
from fresh_views import open_views
from safetensors.torch import load_file
from silent import Silent

from mfl_adapt import adapter as adapters
from mfl_adapt.errors import AdapterError, ConfigError, DataError
from mfl_adapt.evaluate.stored import evaluate_adapter
from mfl_adapt.images import load_picture
from mfl_adapt.models.mvdiffusion.frozen import load_mvdiffusion


def adapter_hash(result):
    path = result.session.folder.path / "adapter" / "passport.json"
    return json.loads(path.read_text())["adapter_hash"]


def test_a_run_leaves_the_folder_of_the_design(views_run, fresh_model):
    listener = Silent()
    result = views_run(listener=listener, plugins=["facelift_loss,lora_mvdiffusion"])
    folder = result.session.folder.path
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.yaml", "environment.json", "doctor.json", "metrics.jsonl", "evaluation.json",
        "samples", "checkpoints", "adapter", "origins.json", "identity.json",
    }  # fmt: skip
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [set(row["parts"]) for row in rows] == [{"facelift_loss.min_snr"}] * 2
    assert [row["foreground_psnr_db"] for row in rows] == [None, None]
    assert listener.evaluated == [(1, 1)]
    # Input, truth and what was made of one held-out sample, six columns.
    picture = load_picture(folder / "samples" / "step-000002.png").rgb
    assert picture.shape == (3 * 132 + 4, 72 + 6 * 132, 3)
    bare = load_mvdiffusion(fresh_model, id="facelift.mvdiffusion")
    module = result.session.base.module
    assert adapters.base_digest(module) == adapters.base_digest(bare.module)
    assert set(result.evaluation.rows) == {
        "white", "mean colour", "copy of the input", "frozen base", "adapted",
    }  # fmt: skip


def test_a_saved_adapter_scores_as_it_did_in_the_run(views_run, fresh_model, tmp_path):
    result = views_run("train.lr=0.05", "train.ema=0.9")
    folder = result.session.folder.path
    loaded, host = open_views(fresh_model, tmp_path / "runs")
    again = evaluate_adapter(loaded, host, folder / "adapter")
    assert again == result.evaluation
    assert again.rows["adapted"] != again.rows["frozen base"]


def test_switched_off_the_adapter_is_the_base_bit_for_bit(views_run, fresh_model):
    session = views_run("train.lr=0.05").session
    base = session.base
    bare = load_mvdiffusion(fresh_model, id="facelift.mvdiffusion")
    picture = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    prompts = bare.prompt_embeds
    expected, adapted = (
        one.generate(picture, prompts, steps=2, seed=1).images for one in (bare, base)
    )
    with session.adapter.disabled():
        off = base.generate(picture, prompts, steps=2, seed=1).images
    assert torch.equal(off, expected)
    assert not torch.equal(adapted, expected)


def test_kept_encodings_train_the_same_adapter_as_fresh_ones(views_run, tmp_path, monkeypatch):
    from mfl_adapt.train import diffusion

    cache = f"data.cache={tmp_path / 'cache'}"
    kept = [views_run(), views_run(cache), views_run(cache)]
    encodings = diffusion.Encodings
    monkeypatch.setattr(
        diffusion, "Encodings", lambda base, data, **given: encodings(base, data, keep=False)
    )
    fresh = views_run()
    assert {adapter_hash(one) for one in kept} == {adapter_hash(fresh)}


def test_a_drawn_background_keeps_nothing_and_says_so(views_run, tmp_path, caplog):
    caplog.set_level("INFO", logger="mfl_adapt.train.diffusion")
    cache = tmp_path / "cache"
    first, again, other = (
        views_run("diffusion.background=three_choices", f"data.cache={cache}", f"seed={seed}")
        for seed in (0, 0, 1)
    )
    assert "encoded pictures are not kept" in caplog.text
    assert not (cache / "encoded").exists()
    assert adapter_hash(first) == adapter_hash(again) != adapter_hash(other)


def test_the_average_is_what_is_saved(views_run):
    listener = Silent()
    last = views_run("train.lr=0.05", "train.steps=3")
    averaged = views_run("train.lr=0.05", "train.steps=3", "train.ema=0.9", listener=listener)
    folders = [one.session.folder.path for one in (last, averaged)]
    first, second = (load_file(path / "adapter/adapter_model.safetensors") for path in folders)
    steps = [load_file(folders[0] / f"checkpoints/step-{k}/adapter_model.safetensors")
             for k in (1, 2)]  # fmt: skip
    name = next(key for key in first if key.endswith("to_q.lora_B.weight"))
    # B starts at 0, and training does not depend on the average.
    expected = torch.zeros_like(first[name])
    for keep, weights in zip((1 / 10, 2 / 11, 3 / 12), [*steps, first], strict=True):
        expected = keep * expected + (1 - keep) * weights[name]
    torch.testing.assert_close(second[name], expected)


def test_training_lowers_the_loss(views_run):
    listener = Silent()
    views_run("train.steps=30", "train.lr=0.02", "train.batch=3", "train.save_every=100",
              "train.sample_every=100", "adapter.targets=[attention, conditioning]",
              listener=listener)  # fmt: skip
    losses = [step.loss for step in listener.steps]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (["data.reader.rig=lab"], DataError,
         r"mice-train-0-000000: expected one view per slot .*got .*facelift_cameras\.slots"),
        (["data.views={use: view_policies.held_out}"], ConfigError,
         r"data\.views: expected nothing, .*makes all views from view 0, got view_policies"),
        (["data.size=128"], ConfigError, r"data\.size: expected 64, .*got 128"),
        (["data.split.validation=0"], DataError, r"data\.split: expected samples kept"),
        (["losses.masked_loss.masked_l2.weight=1"], ConfigError,
         r"masked_l2: expected a loss on latents, .*makes views, got one on pictures\. Use face"),
        (["adapter.targets=atn1.to_q"], AdapterError, "Did you mean 'attn1.to_q'"),
        (["adapter.reference_view_idx=random"], ConfigError, "expected 0, got 'random': the ref"),
        (["diffusion.background=pink"], ConfigError, "background"),
        (["diffusion.background=1.5"], ConfigError, "background.*1.5"),
        (["train.ema=1"], ConfigError, "ema"),
    ],
)  # fmt: skip
def test_what_cannot_run_says_so_before_it_makes_a_folder(
    views_run, tmp_path, overrides, error, message
):
    with pytest.raises(error, match=message) as caught:
        views_run(*overrides)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_a_reconstructor_refuses_what_is_for_views(small_run):
    with pytest.raises(ConfigError, match=r"diffusion: expected no settings, as facelift\.tiny"):
        small_run("diffusion.guidance=2.0")
    with pytest.raises(
        ConfigError, match=r"min_snr: expected a loss on pictures, .*got one on lat"
    ):
        small_run("losses.facelift_loss.min_snr.weight=1")


def test_a_pose_adapter_trains_on_a_rig_that_is_not_the_slots(views_run):
    result = views_run("data.reader.rig=random", "data.reader.num_views=5", "train.steps=1",
                       plugins=["pose_mvdiffusion"])  # fmt: skip
    assert result.evaluation.views == 4
