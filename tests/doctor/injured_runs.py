"""Injuries of finished runs (``RUNS``) and of the adapters that they leave (``ADAPTERS``).

``injure`` takes the folder of a copy of a sound run and returns what to examine: the run, or the
adapter in it.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import peft
import torch
from injury import Injury, named
from visits import write

from mfl_adapt.adapter import attach, save
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


def make_adapter(folder: Path, given: Mapping[str, Any], **of_the_base: Any) -> None:
    """Save an adapter that has an effect, with what its passport is given.

    Args:
        folder: To write.
        given: Fields of the passport.
        of_the_base: What is otherwise with the base that it is made on.
    """
    base = load_base("facelift.tiny")
    for name, value in of_the_base.items():
        setattr(base, name, value)
    adapter = attach(base, Method(), seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in adapter.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    save(adapter, folder, passport=given)


def edit(file: Path, change: Callable[[Any], object]) -> None:
    """Change a JSON file."""
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def edited(name: str, file: str, change: Callable[[Any], object]) -> Callable[[Path], Path]:
    """A run, or the adapter in it, of which one JSON file was changed."""

    def injure(run: Path) -> Path:
        edit(run / file, change)
        return run / "adapter" if file.startswith("adapter/") else run

    return named(name, injure)


def only_on_inputs(content: dict[str, Any]) -> None:
    """Better where the model was shown the picture, worse where it was not."""
    content["scores"] = {**SCORES, "adapted": {"psnr_db": 19.7, "foreground_psnr_db": 17.0}}
    content["input_view_scores"]["adapted"]["foreground_psnr_db"] = 21.0


def forced(run: Path) -> Path:
    """Broken laws were ignored."""
    file = run / "config.yaml"
    write(file, file.read_text().replace("force: false", "force: true"))
    return run


def negative(run: Path) -> Path:
    """A term in half precision fell below zero."""
    row = {"number": 3, "parts": {"masked_loss.masked_ssim": -0.133}}
    with (run / "metrics.jsonl").open("a") as stream:
        stream.write(json.dumps(row) + "\n")
    return run


def without_adapter(run: Path) -> Path:
    """All steps were done, and what they made was written elsewhere."""
    shutil.rmtree(run / "adapter")
    return run


def stopped(run: Path) -> Path:
    """Killed while it wrote the line of the last step."""
    file = run / "metrics.jsonl"
    write(file, "".join(file.read_text().splitlines(keepends=True)[:2]) + '{"number": 3, "pa')
    return run


def damaged_checkpoint(run: Path) -> Path:
    """One bit of a checkpoint."""
    (run / "checkpoints/step-2/state.bin").write_bytes(b"abb")
    return run


def checkpoint_that_points_outside(run: Path) -> Path:
    """A list of hashes that names a file of somebody else."""
    write(run / "checkpoints/step-2/SHA256SUMS", f"{'0' * 64}  ../../config.yaml\n")
    return run


def settings_of_another_program(run: Path) -> Path:
    """A configuration with a key that nothing reads."""
    write(run / "config.yaml", "train: {stps: 3}\n")
    return run


def half_of_the_scores(run: Path) -> Path:
    """A disk that filled up."""
    write(run / "evaluation.json", "{")
    return run


def damaged_guards(run: Path) -> Path:
    """A log of guards that is none."""
    write(run / "guards.jsonl", "{}\n")
    return run


RUNS = (
    Injury(
        code="MFL021",
        severity="warning",
        value=r"^13.90 dB on held-out views, \+0.60 dB over mean colour$",
        injure=edited(
            "as_good_as_white",
            "evaluation.json",
            lambda content: content["scores"]["adapted"].update(psnr_db=13.9),
        ),
        failures=(21,),
    ),
    Injury(
        code="MFL022",
        severity="warning",
        value=r"^\+3.50 dB on input views, -0.50 dB on held-out views$",
        injure=edited("only_on_inputs", "evaluation.json", only_on_inputs),
        failures=(22,),
    ),
    Injury(code="MFL027", severity="warning", value="^true$", injure=forced, failures=(27,)),
    Injury(
        code="MFL029",
        severity="law",
        value="^-0.133 at step 3$",
        where="metrics.jsonl: masked_loss.masked_ssim$",
        injure=negative,
        failures=(29,),
    ),
    Injury(
        code="MFL043",
        severity="law",
        value="^no adapter after 3 of 3 steps$",
        injure=without_adapter,
        failures=(43,),
    ),
    Injury(
        code="MFL046",
        severity="law",
        value="unknown key 'stps'",
        injure=settings_of_another_program,
        failures=(46,),
    ),
    Injury(code="MFL051", severity="law", value=".", injure=half_of_the_scores),
    Injury(code="MFL051", severity="law", value="damaged line", injure=damaged_guards),
    Injury(
        code="MFL074",
        severity="info",
        value="^2 of 3 steps are logged$",
        where="metrics.jsonl$",
        injure=stopped,
    ),
    Injury(
        code="MFL075",
        severity="warning",
        value=r"^state.bin is missing or was changed \(1 such\)$",
        injure=damaged_checkpoint,
        failures=(43,),
    ),
    Injury(
        code="MFL075",
        severity="warning",
        value="^SHA256SUMS is missing or was changed",
        injure=checkpoint_that_points_outside,
        failures=(43,),
    ),
)


def without_config(run: Path) -> Path:
    """An adapter of which one file was not copied."""
    (run / "adapter/adapter_config.json").unlink()
    return run / "adapter"


def half_a_passport(run: Path) -> Path:
    """A passport that breaks off."""
    (run / "adapter/passport.json").write_text("{")
    return run / "adapter"


def flipped_bit(run: Path) -> Path:
    """One bit of the last weight."""
    file = run / "adapter/adapter_model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    return run / "adapter"


def cut_weights(run: Path) -> Path:
    """A copy that broke off."""
    file = run / "adapter/adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    return run / "adapter"


def of_another_program(run: Path) -> Path:
    """An adapter as peft writes it, which proves nothing."""
    (run / "adapter/passport.json").unlink()
    return run / "adapter"


def made(name: str, given: Mapping[str, Any], **of_the_base: Any) -> Callable[[Path], Path]:
    """An adapter with another passport, or of another base."""

    def injure(run: Path) -> Path:
        shutil.rmtree(run / "adapter")
        make_adapter(run / "adapter", given, **of_the_base)
        return run / "adapter"

    return named(name, injure)


def of_another_reach(run: Path) -> Path:
    """Made where the same base could reach further."""
    contract = replace(load_base("facelift.tiny").contract, depth_reach=2.5)
    return made("", {"metrics": METRICS}, contract=contract)(run)


ADAPTERS = (
    Injury(
        code="MFL066",
        severity="law",
        value="^depth_reach 2.5$",
        injure=of_another_reach,
    ),
    Injury(
        code="MFL066",
        severity="law",
        value=".",
        injure=made("of_a_base_that_nobody_offers", {"metrics": METRICS}, id="rats.large"),
    ),
    Injury(
        code="MFL067",
        severity="warning",
        value="^no scores$",
        injure=made("never_evaluated", {}),
    ),
    Injury(
        code="MFL067",
        severity="warning",
        value="^-0.30 dB over the",
        injure=made("worse", {"metrics": METRICS | {"gain_over_base_foreground_db": -0.3}}),
    ),
    Injury(
        code="MFL067",
        severity="warning",
        value=r"^\+1.00 dB, 95 % from -0.20 dB$",
        injure=made(
            "within_noise",
            {"metrics": METRICS | {"intervals": {"gain": {"foreground_psnr_db": [-0.2, 2.2]}}}},
        ),
    ),
    Injury(
        code="MFL067",
        severity="warning",
        value=".",
        injure=of_another_program,
    ),
    Injury(
        code="MFL068",
        severity="warning",
        value="^1 mismatches were forced: the base of",
        injure=made("forced", {"metrics": METRICS, "forced": ["the base of another hash"]}),
    ),
    Injury(
        code="MFL069",
        severity="law",
        value=".",
        where="adapter_config.json",
        injure=without_config,
        failures=(43,),
    ),
    Injury(
        code="MFL069",
        severity="law",
        value=".",
        injure=half_a_passport,
    ),
    Injury(
        code="MFL069",
        severity="law",
        value="[0-9a-f]{64}",
        injure=flipped_bit,
    ),
    Injury(
        code="MFL069",
        severity="law",
        value="bytes of tensors",
        injure=cut_weights,
    ),
    Injury(
        code="MFL069",
        severity="law",
        value=".",
        injure=edited(
            "another_hash",
            "adapter/passport.json",
            lambda passport: passport.update(adapter_hash="0" * 64),
        ),
    ),
)
