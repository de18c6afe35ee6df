"""Failures of runs and adapters, put into a run folder and the adapter that it left."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import peft
import pytest
import torch
from visits import codes, only, visit, write

from mfl_adapt.adapter import attach, save
from mfl_adapt.config import dump_config, load_config
from mfl_adapt.doctor import folders
from mfl_adapt.pipeline import load_base

SCORES = {
    "white": {"psnr_db": 12.9, "foreground_psnr_db": 2.2},
    "mean colour": {"psnr_db": 13.3, "foreground_psnr_db": 2.9},
    "frozen base": {"psnr_db": 17.9, "foreground_psnr_db": 17.5},
    "adapted": {"psnr_db": 19.7, "foreground_psnr_db": 18.5},
}
METRICS = {
    "scores": SCORES,
    "gain_over_base_foreground_db": 1.0,
    "intervals": {"gain": {"foreground_psnr_db": [0.4, 1.6]}},
}


class Method:
    """LoRA of rank 2 on the attention of the shipped base."""

    def peft_config(self, module):
        return peft.LoraConfig(r=2, target_modules=["attn.fc"])


def make_adapter(folder: Path, **given) -> None:
    adapter = attach(load_base("facelift.tiny"), Method(), seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    save(adapter, folder, passport=given)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """What a run of three steps leaves, with good scores."""
    run = tmp_path_factory.mktemp("runs") / "mice"
    make_adapter(run / "adapter", metrics=METRICS)
    config = load_config("quickstart", overrides=["train.steps=3", "train.warmup=1"]).config
    write(run / "config.yaml", dump_config(config))
    rows = [
        {"number": number, "parts": {"masked_loss.masked_l2": 0.1, "masked_loss.masked_ssim": 0.3}}
        for number in (1, 2, 3)
    ]
    write(run / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    write(run / "evaluation.json", json.dumps({"scores": SCORES, "input_view_scores": SCORES}))
    write(run / "doctor.json", "{}")
    step = run / "checkpoints" / "step-2"
    step.mkdir(parents=True)
    (step / "state.bin").write_bytes(b"abc")
    # sha256 of b"abc", as published with the algorithm.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    write(step / "SHA256SUMS", f"{digest}  state.bin\n")
    return run


@pytest.fixture
def run(finished, tmp_path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "mice"))


def edit(file: Path, change) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_a_finished_run_is_clean(run):
    status, content = visit(run)
    assert (status, codes(content), content["kind"]) == (0, {}, "run")
    assert content["facts"]["base"] == "facelift.tiny"
    assert {"facelift_checks.saved", "facelift_checks.clip", "facelift_checks.unproven"} <= set(
        content["looked_at"]
    )


def test_failure_21_as_good_as_white(run):
    edit(
        run / "evaluation.json",
        lambda content: content["scores"]["adapted"].update(psnr_db=13.9),
    )
    only("MFL021", "warning", r"^13.90 dB on held-out views, \+0.60 dB over mean colour$", run)


def test_failure_22_a_gain_on_what_it_was_shown(run):
    def change(content):
        content["scores"] = {**SCORES, "adapted": {"psnr_db": 19.7, "foreground_psnr_db": 17.0}}
        content["input_view_scores"]["adapted"]["foreground_psnr_db"] = 21.0

    edit(run / "evaluation.json", change)
    only("MFL022", "warning", r"^\+3.50 dB on input views, -0.50 dB on held-out views$", run)


def test_failure_27_broken_laws_were_ignored(run):
    file = run / "config.yaml"
    write(file, file.read_text().replace("force: false", "force: true"))
    only("MFL027", "warning", "^true$", run)


def test_failure_29_a_negative_loss(run):
    row = {"number": 3, "parts": {"masked_loss.masked_ssim": -0.133}}
    with (run / "metrics.jsonl").open("a") as stream:
        stream.write(json.dumps(row) + "\n")
    one = only("MFL029", "law", "^-0.133 at step 3$", run)
    assert one["where"].endswith("metrics.jsonl: masked_loss.masked_ssim")


def test_failure_43_a_run_without_its_adapter(run):
    shutil.rmtree(run / "adapter")
    only("MFL043", "law", "^no adapter after 3 of 3 steps$", run)


def test_failure_43_a_damaged_checkpoint(run):
    (run / "checkpoints/step-2/state.bin").write_bytes(b"abd")
    only("MFL075", "warning", r"^state.bin is missing or was changed \(1 such\)$", run)


def test_a_checkpoint_names_no_file_outside(run):
    write(run / "checkpoints/step-2/SHA256SUMS", f"{'0' * 64}  ../../config.yaml\n")
    only("MFL075", "warning", "^SHA256SUMS is missing or was changed", run)


def test_a_run_that_stopped(run):
    file = run / "metrics.jsonl"
    write(file, "".join(file.read_text().splitlines(keepends=True)[:2]) + '{"number": 3, "pa')
    one = only("MFL074", "info", "^2 of 3 steps are logged$", run)
    assert one["where"].endswith("metrics.jsonl")


def test_what_guards_found_while_it_went_on(run):
    row = {
        "step": 3,
        "code": "MFL113",
        "severity": "warning",
        "where": "train",
        "value": "contrast 0.02 of the photographs'",
        "expected": "a subject that stands out from the background",
        "remedy": "Run mfl-adapt doctor on the data.",
    }
    write(run / "guards.jsonl", json.dumps(row) + '\n{"step": 4, "co')
    one = only("MFL113", "warning", "^contrast 0.02", run)
    assert one["where"] == "train, step 3"
    write(run / "guards.jsonl", "{}\n")
    only("MFL051", "law", "damaged line", run)


def test_a_run_whose_settings_are_not_ours(run):
    write(run / "config.yaml", "train: {stps: 3}\n")
    only("MFL046", "law", "unknown key 'stps'", run)


def test_scores_that_cannot_be_read(run):
    write(run / "evaluation.json", "{")
    only("MFL051", "law", "", run)


def test_an_adapter_alone(run):
    status, content = visit(run / "adapter")
    assert (status, codes(content), content["kind"]) == (0, {}, "adapter")


@pytest.mark.parametrize(
    ("injure", "value"),
    [
        (lambda folder: (folder / "adapter_config.json").unlink(), "adapter_config.json"),
        (lambda folder: (folder / "passport.json").write_text("{"), ""),
        (lambda folder: _flip(folder / "adapter_model.safetensors"), "[0-9a-f]{64}"),
        (lambda folder: _cut(folder / "adapter_model.safetensors"), "bytes of tensors"),
        (
            lambda folder: edit(
                folder / "passport.json", lambda passport: passport.update(adapter_hash="0" * 64)
            ),
            "",
        ),
    ],
)
def test_adapters_that_are_not_whole(run, injure, value):
    injure(run / "adapter")
    status, content = visit(run / "adapter")
    assert (status, codes(content)) == (1, {"MFL069": "law"})
    (one,) = content["findings"]
    assert re.search(value, f"{one['where']}: {one['value']}"), one
    assert one["remedy"]


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({}, "^no scores$"),
        ({"metrics": METRICS | {"gain_over_base_foreground_db": -0.3}}, "^-0.30 dB over the"),
        (
            {"metrics": METRICS | {"intervals": {"gain": {"foreground_psnr_db": [-0.2, 2.2]}}}},
            r"^\+1.00 dB, 95 % from -0.20 dB$",
        ),
    ],
)
def test_adapters_without_proof(tmp_path, given, value):
    make_adapter(tmp_path / "adapter", **given)
    only("MFL067", "warning", value, tmp_path / "adapter")


def test_an_adapter_that_was_forced(tmp_path):
    make_adapter(tmp_path / "adapter", metrics=METRICS, forced=["the base of another hash"])
    only("MFL068", "warning", "^1 mismatches were forced: the base of", tmp_path / "adapter")


def test_an_adapter_for_a_base_that_works_otherwise_here(tmp_path, monkeypatch):
    make_adapter(tmp_path / "adapter", metrics=METRICS)
    here = folders._contract_of("facelift.tiny")
    monkeypatch.setattr(folders, "_contract_of", lambda id: replace(here, depth_reach=2.5))
    one = only("MFL066", "law", "^depth_reach 1.8$", tmp_path / "adapter")
    assert one["expected"] == "depth_reach 2.5, as facelift.tiny has it here"


def test_an_adapter_of_a_base_that_nobody_offers(tmp_path, monkeypatch):
    make_adapter(tmp_path / "adapter", metrics=METRICS)
    original = folders._contract_of
    monkeypatch.setattr(folders, "_contract_of", lambda id: original("rats.large"))
    status, content = visit(tmp_path / "adapter")
    assert (status, codes(content)) == (1, {"MFL066": "law"})


def test_an_adapter_of_another_program(run):
    (run / "adapter/passport.json").unlink()
    status, content = visit(run / "adapter")
    assert content["kind"] == "adapter of another program"
    assert (status, codes(content)) == (0, {"MFL067": "warning"})
