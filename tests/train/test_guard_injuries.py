"""Each guard speaks up when its failure is put into a real run, and no other one does."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mfl_adapt_masked_loss.background import Background
from mfl_adapt_masked_loss.masked_l2 import MaskedL2
from mfl_adapt_masked_loss.silhouette import Silhouette
from scaling import Scaling
from silent import Silent
from typer.testing import CliRunner

from mfl_adapt import chain
from mfl_adapt.cli.app import app
from mfl_adapt.images import load_picture
from mfl_adapt.models.gslrm.frozen import FrozenGSLRM
from mfl_adapt.train import diffusion, optim, reconstruction
from mfl_adapt.train import run as run_module
from mfl_adapt.train.guards import watch
from mfl_adapt.train.guards.stop import GuardError

# A warning needs five looks after the first step; at this rate nothing heals that soon.
LOOKED_AT = ("train.lr=1.0e-4", "train.steps=8", "train.guards.every=1", "train.sample_every=100",
             "train.save_every=100")  # fmt: skip
WHITE_SH = 0.5 / 0.28209


class EnoughError(Exception):
    """Ends a run that has shown what it had to show."""


class Brief(Silent):
    def step(self, step) -> None:
        super().step(step)
        if step.number == 7:
            raise EnoughError


@pytest.fixture
def findings(small_run, tmp_path):
    """Return a function that runs what was injured and returns the findings in its folder."""

    def run(*overrides: str, stops: bool = False) -> list[dict]:
        listener = Brief()
        with pytest.raises(GuardError if stops else EnoughError) as caught:
            small_run(*LOOKED_AT, *overrides, listener=listener)
        folder = tmp_path / "runs" / "quickstart"
        path = folder / "guards.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        shown = [found.code for step in listener.steps for found in step.findings]
        if stops:
            assert caught.value.finding.code == rows[-1]["code"]
            shown.append(caught.value.finding.code)
        assert shown == [row["code"] for row in rows]
        for row in rows:
            if row["picture"] is not None:
                assert load_picture(folder / row["picture"]).rgb.ndim == 3
        return rows

    return run


def codes(rows: list[dict]) -> list[str]:
    return [row["code"] for row in rows]


def test_a_sound_run_has_no_findings(findings, tmp_path):
    assert findings() == []
    assert not (tmp_path / "runs" / "quickstart" / "guards.jsonl").exists()


def injure_gaussians(monkeypatch, change):
    real = FrozenGSLRM.reconstruct
    monkeypatch.setattr(
        FrozenGSLRM, "reconstruct", lambda self, rgb, cameras: change(real(self, rgb, cameras))
    )


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("MFL111", lambda scene: replace(scene, means=scene.means * 5)),
        ("MFL112", lambda scene: replace(scene, opacities=scene.opacities * 0.01)),
        ("MFL113", lambda scene: replace(scene, sh=scene.sh * 0 + WHITE_SH)),
    ],
)
def test_gaussians_that_left_vanished_or_turned_white(findings, monkeypatch, code, change):
    injure_gaussians(monkeypatch, change)
    (row,) = findings()
    assert (row["code"], row["step"], row["severity"]) == (code, 6, "warning")
    assert row["picture"] == f"guards/step-000006-{code}.png"


def injure_renders(monkeypatch, change):
    real = reconstruction.render

    def render(*arguments, **options):
        drawn = real(*arguments, **options)
        return drawn._replace(rgb=change(drawn.rgb))

    monkeypatch.setattr(reconstruction, "render", render)


def smear(rgb):
    """Average over 25 x 25 pixels."""
    flat = rgb.flatten(0, 1)
    return F.avg_pool2d(flat, 25, 1, 12, count_include_pad=False).unflatten(0, rgb.shape[:2])


@pytest.mark.parametrize(
    ("code", "change"),
    [("MFL114", lambda rgb: 0.4 + 0.01 * (rgb - 0.4)), ("MFL115", smear)],
)
def test_renders_of_one_colour_or_without_edges(findings, monkeypatch, code, change):
    injure_renders(monkeypatch, change)
    assert codes(findings()) == [code]


def test_masks_that_cover_too_much(findings, monkeypatch):
    conform = chain.conform

    def cover(sample, contract):
        sample = conform(sample, contract)
        mask = np.zeros_like(sample.views[0].mask)
        mask[:, : mask.shape[1] * 3 // 4] = 255
        return replace(sample, views=tuple(replace(view, mask=mask) for view in sample.views))

    monkeypatch.setattr(chain, "conform", cover)
    # The doctor sees them too, and would not let the run begin.
    monkeypatch.setattr(run_module, "build_checks", lambda host: [])
    assert codes(findings()) == ["MFL110"]


def injure_loss(monkeypatch, loss, change):
    real = loss.__call__

    def call(self, pred, target, mask, context):
        return change(real(self, pred, target, mask, context), pred, context.step)

    monkeypatch.setattr(loss, "__call__", call)


def test_a_loss_that_is_not_a_number(findings, monkeypatch):
    injure_loss(monkeypatch, MaskedL2, lambda x, _, step: x * float("nan") if step == 2 else x)
    (row,) = findings(stops=True)
    assert (row["code"], row["step"], row["value"]) == ("MFL103", 3, "nan")
    assert row["where"] == "losses.masked_loss.masked_l2"
    assert row["picture"] == "guards/step-000003-MFL103.png"


def test_a_gradient_that_is_not_a_number(findings, monkeypatch):
    # The value is finite; the derivative of a root at 0 is not.
    injure_loss(monkeypatch, MaskedL2, lambda x, pred, _: x + (0 * pred).sum().sqrt())
    assert codes(findings(stops=True)) == ["MFL104"]


def test_no_gradient_at_all(findings, monkeypatch):
    injure_gaussians(monkeypatch, lambda scene: replace(scene, opacities=scene.opacities * 0))
    (row,) = findings(stops=True)
    assert (row["code"], row["step"], row["value"]) == ("MFL105", 1, "0 everywhere")


def test_losses_that_are_all_detached(findings, monkeypatch):
    for loss in (MaskedL2, Background, Silhouette):
        injure_loss(monkeypatch, loss, lambda x, *_: x.detach())
    assert codes(findings(stops=True)) == ["MFL105"]


def test_one_loss_that_is_detached(findings, monkeypatch):
    injure_loss(monkeypatch, Background, lambda x, *_: x.detach())
    (row,) = findings()
    assert (row["code"], row["where"]) == ("MFL109", "losses.masked_loss.background")


def test_a_rate_of_zero(findings, monkeypatch):
    monkeypatch.setattr(optim, "warmup_cosine", lambda step, **_: float(step < 2))
    (row,) = findings(stops=True)
    assert (row["code"], row["step"]) == ("MFL106", 3)


def test_a_gradient_that_jumps(findings, monkeypatch):
    monkeypatch.setattr(watch, "LEAST_KNOWN", 3)
    injure_loss(monkeypatch, MaskedL2, lambda x, _, step: x * (1e4 if step == 4 else 1))
    (row,) = findings()
    assert (row["code"], row["step"]) == ("MFL107", 5)


def test_steps_that_are_thrown_away(findings, monkeypatch):
    class Overflowing(Scaling):
        """A factor that overflows again after each step that went well."""

        def __init__(self):
            super().__init__()
            self.scaler = torch.amp.GradScaler(
                "cpu", init_scale=2.0**127, growth_factor=2.0, growth_interval=1
            )

    monkeypatch.setattr(watch, "LEAST_TRIES", 4)
    monkeypatch.setattr(run_module, "build_accelerator", lambda device, precision: Overflowing())
    monkeypatch.setattr(reconstruction, "open_shards", lambda *_: None)
    assert codes(findings()) == ["MFL108"]


def test_views_that_are_all_white(views_run, monkeypatch):
    def white(base, sample, *_):
        return torch.ones(len(sample.views), 3, 64, 64)

    monkeypatch.setattr(diffusion, "make_views", white)
    settings = ("train.steps=3", "train.sample_every=1", "evaluate.retention=0")
    result = views_run(*settings, "evaluate.samples=1")
    path = result.session.folder.path / "guards.jsonl"
    (row,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert (row["code"], row["step"]) == ("MFL113", 3)
    assert result.notes == (f"guards: 1 finding, in {path}",)


IDLE = '''"""A loss that forgot what it was made from."""

from mfl_adapt.plugin import ComponentConfig, LossSpec, hookimpl

MFL_API = 1


class Idle:
    def __init__(self, config):
        pass

    def __call__(self, pred, target, mask, context):
        return (pred - target).square().mean(dim=(2, 3, 4)).detach()


@hookimpl
def register_components():
    return [LossSpec(name="l2", summary="No gradient.", config=ComponentConfig, build="{}:Idle")]
'''


def test_the_command_line_shows_what_a_guard_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("idle.py").write_text(IDLE.replace("{}", "idle"))
    monkeypatch.syspath_prepend(tmp_path)
    settings = (
        *(*LOOKED_AT, "data.reader.samples=4", "data.split.gap=0", "train.warmup=1"),
        *("evaluate.samples=1", "evaluate.retention=0", "losses.idle.l2.weight=1"),
    )
    words = [word for one in settings for word in ("--set", one)]
    done = CliRunner().invoke(app, ["train", "quickstart", "--plugins", "./idle.py", *words])
    assert done.exit_code == 0, done.output
    assert "guard     warning MFL109 at step 5: losses.idle.l2: expected a gradient" in done.stderr
    assert "Remove the term" in done.stderr
    assert "guards: 1 finding, in runs/quickstart/guards.jsonl" in done.stdout
