"""``adapter inspect``, ``verify`` and ``list``: what they say, and how they refuse."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from bad_input import call, program
from safetensors.torch import load_file, save_file

ADAPTER = Path("runs/quickstart/adapter")
WEIGHTS = ADAPTER / "adapter_model.safetensors"
PROOFS = ["files", "weights", "base", "tensors", "effect", "merged", "strength 0"]


@pytest.fixture
def adapter(empty_folder, finished_run) -> Path:
    """A copy of the adapter of a finished run, to be spoilt."""
    shutil.copytree(finished_run / "adapter", ADAPTER)
    return ADAPTER


def refused(*arguments: str) -> str:
    result = call("adapter", *arguments)
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    return result.stderr.removeprefix("error: ").rstrip("\n")


def facts(*arguments: str) -> dict[str, str]:
    """First line of every fact that ``inspect`` prints, by its name."""
    result = call("adapter", "inspect", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    pairs = [line.split(maxsplit=1) for line in result.stdout.splitlines() if line[0] != " "]
    return {pair[0]: pair[1] for pair in pairs}


def edit_passport(**changes) -> None:
    """Say something else in the passport, in both places."""
    passport = json.loads((ADAPTER / "passport.json").read_text()) | changes
    (ADAPTER / "passport.json").write_text(json.dumps(passport))
    save_file(load_file(WEIGHTS), WEIGHTS, metadata={"mfl_adapt": json.dumps(passport)})


def test_inspect(adapter):
    passport = json.loads((adapter / "passport.json").read_text())
    said = facts(str(adapter))
    assert said["base"] == "facelift.tiny"
    assert said["method"].startswith("LORA, r ")
    assert said["hash"] == passport["adapter_hash"]
    assert said["parameters"].startswith(f"{passport['adapter']['parameters']:,} on ")
    assert said["effect"].startswith("changes the output by ")
    assert said["data"].startswith(passport["data"]["fingerprint"])
    assert said["made"] == "steps 2, seed 0"
    assert "mfl-adapt" in said["plugins"]
    assert "forced" not in said
    text = call("adapter", "inspect", str(adapter)).stdout
    assert passport["base"]["sha256"] in text
    score = passport["metrics"]["scores"]["adapted"]["foreground_psnr_db"]
    assert f"{score:.2f} dB" in text


def test_inspect_shows_the_evidence_of_a_full_passport(adapter):
    edit_passport(
        metrics={
            "scenes": 4,
            "views": 8,
            "scores": {"adapted": {"psnr_db": 21.5, "foreground_psnr_db": 19.25}},
            "gain_over_base_foreground_db": 1.5,
            "intervals": {
                "adapted": {"psnr_db": [21.0, 22.0]},
                "gain": {"foreground_psnr_db": [-0.5, 3.25]},
            },
        },
        retention={
            "domain": "heads",
            "frozen base": {"foreground_psnr_db": 25.0, "psnr_db": 30.0},
            "adapted": {"foreground_psnr_db": 24.0, "psnr_db": 29.0},
        },
        licence={
            "name": "CC-BY-4.0",
            "terms": "name the author",
            "inherited": [{"name": "A", "terms": "research", "of": "facelift.x"}],
        },
        forced=["expected a, got b\x1b[2J"],
        sources=[{"adapter_hash": "e" * 64, "weight": 0.5}],
        made_by="mfl-adapt adapter merge",
    )
    text = call("adapter", "inspect", str(adapter)).stdout
    for line in (
        "held-out views 8, scenes 4",
        "adapted: 21.50 dB [21.00, 22.00] PSNR, 19.25 dB foreground",
        "+1.50 dB [-0.50, +3.25] foreground over the frozen base",
        "on heads, foreground: frozen base 25.00 dB, adapted 24.00 dB",
        "CC-BY-4.0: name the author",
        "inherited from facelift.x: A: research",
        f"{'e' * 64} with weight 0.5",
        "by mfl-adapt adapter merge",
        # Nothing that a stranger wrote can move the cursor.
        "expected a, got b?[2J",
    ):
        assert line in text


def test_inspect_survives_any_form_of_the_unchecked_fields(adapter):
    edit_passport(
        metrics={"scores": [1], "intervals": "no"}, data=3, licence=[], retention=7, steps={}
    )
    assert facts(str(adapter))["metrics"] == "none were recorded"
    edit_passport(metrics={"scores": {"adapted": 1}, "scenes": "x"}, plugins={"a": None})
    assert call("adapter", "inspect", str(adapter)).exit_code == 0
    assert call("adapter", "list").exit_code == 0


def test_inspect_as_json(adapter):
    found = json.loads(call("adapter", "inspect", str(adapter), "--json").stdout)
    assert found["kind"] == "mfl_adapt"
    assert found["passport"] == json.loads((adapter / "passport.json").read_text())
    tensors = load_file(WEIGHTS)
    assert {name: one["shape"] for name, one in found["tensors"].items()} == {
        name: list(tensor.shape) for name, tensor in tensors.items()
    }
    assert found["files"][WEIGHTS.name] == WEIGHTS.stat().st_size


def test_inspect_imports_no_torch(adapter):
    code = (
        "import sys; from mfl_adapt.cli.app import app\n"
        f"try: app(['adapter', 'inspect', {str(adapter)!r}])\n"
        "finally: print(sorted({'torch', 'peft', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([program()[0], "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[]")


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"adapter_model.safetensors": "base_model.model.fc.lora_A.weight"}, "peft adapter"),
        ({"pytorch_lora_weights.safetensors": "unet.x.lora_A.weight"}, "LoRA of diffusers"),
        ({"mouse.safetensors": "lora_unet_x.lora_down.weight"}, "LoRA with kohya-style keys"),
    ],
)
def test_adapters_of_other_programs_are_described(empty_folder, files, kind):
    folder = Path("foreign")
    folder.mkdir()
    for name, key in files.items():
        save_file({key: torch.zeros(4, 8)}, folder / name)
    if kind == "peft adapter":
        settings = {"peft_type": "LORA", "r": 4, "base_model_name_or_path": "somebody/model"}
        (folder / "adapter_config.json").write_text(json.dumps(settings))
    said = facts(str(folder))
    assert said["kind"].startswith(kind)
    assert "without a passport" in said["kind"]
    assert said["tensors"] == "1 (1 float32), 32 numbers"
    if kind == "peft adapter":
        assert (said["base"], said["method"]) == ("somebody/model", "LORA, r 4")
    # A single file of weights may be anything: only folders of the usual names are listed.
    listed = json.loads(call("adapter", "list", "foreign", "--json").stdout)
    assert len(listed) == ("mouse.safetensors" not in files)
    assert "passport.json: expected a file of an adapter folder" in refused("verify", str(folder))


def test_what_is_no_adapter(empty_folder):
    assert "nowhere: expected an adapter folder, got: No such file" in refused("inspect", "nowhere")
    Path("empty").mkdir()
    assert "got nothing. Name the folder of an adapter" in refused("inspect", "empty")
    Path("empty/adapter_model.bin").write_bytes(b"\x80\x04")
    assert "pickle format, which can run code and is not read" in refused("inspect", "empty")
    save_file({"prompts": torch.zeros(2)}, Path("empty/prompts.safetensors"))
    assert "the first named prompts" in refused("inspect", "empty")


def test_verify(adapter):
    result = call("adapter", "verify", str(adapter))
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line[4:15].strip() for line in lines] == PROOFS
    assert all(line.startswith("ok  ") for line in lines)
    assert "bit for bit" in lines[-1]
    found = json.loads(call("adapter", "verify", str(adapter), "--json").stdout)
    assert (found["error"], [one["name"] for one in found["proofs"]]) == (None, PROOFS)
    effect = json.loads((adapter / "passport.json").read_text())["effect"]
    values = {one["name"]: one["value"] for one in found["proofs"]}
    assert values["effect"] == pytest.approx(effect["relative"], rel=1e-3)
    assert values["strength 0"] == 0
    assert 0 < values["merged"] < effect["change"]


@pytest.mark.parametrize(
    ("spoil", "message", "shown"),
    [
        (lambda: (ADAPTER / "passport.json").unlink(), "expected a file of an adapter folder", 0),
        (
            lambda: edit_passport(plugin_api=9),
            "expected the plugin API 9, which it was made with, got 1",
            2,
        ),
        (
            lambda: edit_passport(base={"id": "facelift.tiny", "sha256": "0", "fingerprint": "1"}),
            "expected the base facelift.tiny with fingerprint 1",
            2,
        ),
        (lambda: edit_passport(base={"id": "../x", "sha256": "0", "fingerprint": "1"}), "name", 2),
        (lambda: WEIGHTS.write_bytes(WEIGHTS.read_bytes()[:-9]), "a whole safetensors file", 0),
    ],
)
def test_verify_stops_at_the_first_thing_that_does_not_hold(adapter, spoil, message, shown):
    spoil()
    assert message in refused("verify", str(adapter))
    result = call("adapter", "verify", str(adapter), "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert message in found["error"]
    assert [one["name"] for one in found["proofs"]] == PROOFS[:shown]


def test_verify_refuses_a_checkpoint_for_a_base_that_ships(adapter):
    assert "checkpoint" in refused("verify", str(adapter), "--checkpoint", "other.pt")


def test_list(adapter):
    shutil.copytree(adapter, "adapters/mouse")
    shutil.copytree(adapter, "adapters/broken")
    shutil.copytree(adapter, "adapters/.hidden")
    Path("adapters/broken/passport.json").write_text("{")
    result = call("adapter", "list")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["runs/quickstart/adapter", "mfl_adapt"],
        ["adapters/broken", "broken"],
        ["adapters/mouse", "mfl_adapt"],
    ]
    assert "passport.json: expected JSON, got" in lines[1]
    assert "facelift.tiny" in lines[2]
    found = json.loads(call("adapter", "list", "adapters", "--json").stdout)
    assert [(one["kind"], bool(one["reason"])) for one in found] == [
        ("broken", True),
        ("mfl_adapt", False),
    ]
    passport = json.loads((adapter / "passport.json").read_text())
    assert found[1]["gain_db"] == passport["metrics"]["gain_over_base_foreground_db"]


def test_list_where_there_is_nothing(empty_folder):
    assert call("adapter", "list").stdout == "no adapters in runs or adapters\n"
    assert call("adapter", "list", "--json").stdout == "[]\n"
    assert refused("list", "gone").startswith("gone: expected a folder with adapters below it")
