"""An adapter folder: what is in it, who can load it, and everything that is refused."""

import errno
import json
import os
import shutil

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from small_base import make_base, make_lora, output, train_a_little

from mfl_adapt.adapter import attach, base_digest, digest_tensors, load, read_adapter, save
from mfl_adapt.errors import AdapterError, StorageError

FILES = ["README.md", "adapter_config.json", "adapter_model.safetensors", "passport.json"]
SAID = {
    "plugins": {"lora_gslrm": "0.1"},
    "config": {"train": {"steps": 3, "betas": (0.9, 0.99)}},
    "seeds": {"torch": 0},
    "metrics": {"psnr_db": 20.5},
    "licence": "CC-BY-4.0",
}


@pytest.fixture
def adapter(base, lora):
    adapter = attach(base, lora, seed=11)
    train_a_little(adapter)
    return adapter


@pytest.fixture
def folder(adapter, tmp_path):
    return save(adapter, tmp_path / "adapter", passport=SAID)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def edit_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def rewrite(folder, change):
    """Change the weights and keep the passport's word for them."""
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    change(tensors)
    passport = json.loads((folder / "passport.json").read_text())
    passport["adapter_hash"] = digest_tensors(tensors)
    (folder / "passport.json").write_text(json.dumps(passport))
    save_file(tensors, path, metadata={"format": "pt", "mfl_adapt": json.dumps(passport)})


def test_the_folder_round_trips(base, adapter, folder):
    fresh = make_base()
    loaded = load(fresh, folder)
    assert torch.equal(output(fresh), output(base))
    assert loaded.strength == 1
    assert loaded.seed == 11
    assert loaded.passport["metrics"] == {"psnr_db": 20.5}
    assert not any(p.requires_grad for p in fresh.module.parameters())
    assert base_digest(fresh.module) == base_digest(base.module)
    loaded.strength = 0
    assert torch.equal(output(fresh), output(make_base()))
    loaded.remove()
    assert torch.equal(output(fresh), output(make_base()))


def test_a_round_trip_at_step_zero(base, lora, tmp_path):
    folder = tmp_path / "adapter"
    fresh_adapter = attach(base, lora, seed=0)
    save(fresh_adapter, folder, passport={}, needs_effect=False)
    fresh = make_base()
    with pytest.raises(AdapterError, match="expected an effect on the output of the base, got a"):
        load(fresh, folder)
    load(fresh, folder, needs_effect=False)
    assert torch.equal(output(fresh), output(base))


def test_save_load_save_gives_the_same_bytes(adapter, folder, tmp_path):
    loaded = load(make_base(), folder)
    again = save(loaded, tmp_path / "again", passport=loaded.passport)
    assert sorted(contents(folder)) == FILES
    assert contents(again) == contents(folder)
    assert contents(save(adapter, folder, passport=SAID)) == contents(again)


def test_half_precision_halves_the_file_and_round_trips(adapter, folder, tmp_path):
    weights = "adapter_model.safetensors"
    adapter.save_dtype = torch.float16
    half = save(adapter, tmp_path / "half", passport=SAID)
    single, stored = (load_file(one / weights) for one in (folder, half))
    assert all(torch.equal(stored[name], single[name].half()) for name in single)
    sizes = [(one / weights).stat().st_size for one in (folder, half)]
    # Two bytes less a number, and a few more in the header.
    assert sizes[0] - sizes[1] == pytest.approx(2 * adapter.num_parameters(), abs=64)
    passport = read_adapter(half).passport
    assert passport["adapter"]["dtype"] == "float16"
    assert "dtype" not in read_adapter(folder).passport["adapter"]
    assert passport["adapter_hash"] == digest_tensors(stored)
    fresh = make_base()
    loaded = load(fresh, half)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    assert contents(save(loaded, tmp_path / "again", passport=loaded.passport)) == contents(half)
    stock = make_base()
    PeftModel.from_pretrained(stock.module, str(half))
    adapter.round()
    for one in (fresh, stock):
        assert torch.equal(output(one), output(adapter.base))


def test_weights_beyond_half_precision_are_refused(adapter, tmp_path):
    adapter.save_dtype = torch.float16
    with torch.no_grad():
        adapter.parameters()[0].view(-1)[0] = 7e4
    with pytest.raises(AdapterError, match=r"got 1 of .*need train\.save_dtype=float32"):
        save(adapter, tmp_path / "broken", passport={})
    assert not (tmp_path / "broken").exists()


def test_an_unknown_number_format_is_refused(adapter, tmp_path):
    adapter.save_dtype = torch.bfloat16
    folder = save(adapter, tmp_path / "odd", passport={})
    fresh = make_base()
    with pytest.raises(AdapterError, match=r"adapter\.dtype float16 or none, got 'bfloat16'"):
        load(fresh, folder)
    assert torch.equal(output(fresh), output(make_base()))


def test_every_list_in_the_files_is_sorted(folder):
    # Python orders sets, and the library orders metadata, differently in each process.
    encoded = (folder / "adapter_model.safetensors").read_bytes()
    length = int.from_bytes(encoded[:8], "little")
    header = json.loads(encoded[8 : 8 + length])
    assert length % 8 == 0
    assert list(header["__metadata__"]) == ["format", "mfl_adapt"]
    assert list(header) == ["__metadata__", *sorted(header.keys() - {"__metadata__"})]
    for name in ("adapter_config.json", "passport.json"):
        content = json.loads((folder / name).read_text())
        assert list(content) == sorted(content)


def test_stock_peft_loads_the_folder(base, folder):
    fresh = make_base()
    model = PeftModel.from_pretrained(fresh.module, str(folder))
    assert torch.equal(output(fresh), output(base))
    settings = json.loads((folder / "adapter_config.json").read_text())
    assert settings["target_modules"] == ["fc", "mlp.0", "mlp.2", "to_qkv"]
    assert model.peft_config["default"].base_model_name_or_path == "test.small"


def test_passport_stands_in_file_and_header(base, adapter, folder):
    stored = read_adapter(folder)
    passport = json.loads((folder / "passport.json").read_text())
    assert stored.passport == passport
    assert passport["schema"] == "mfl_adapt.adapter/1"
    assert passport["base"] == {
        "id": "test.small",
        "sha256": "a" * 64,
        "fingerprint": base.fingerprint,
    }
    assert passport["contract"]["depth_reach"] == base.contract.depth_reach
    assert passport["adapter"] == {"method": "LORA", "parameters": 4096, "layers": 8, "seed": 11}
    assert passport["adapter_hash"] == digest_tensors(adapter.state_dict())
    assert passport["config"] == {"train": {"steps": 3, "betas": [0.9, 0.99]}}
    card = (folder / "README.md").read_text()
    for fact in ("test.small", passport["adapter_hash"], "4096", "CC-BY-4.0", "20.5"):
        assert fact in card


def test_training_goes_on_after_loading(folder):
    fresh = make_base()
    loaded = load(fresh, folder, trainable=True)
    assert all(p.requires_grad for p in loaded.parameters())
    output(fresh).sum().backward()
    assert all(p.grad is not None for p in loaded.parameters())


def test_strength_and_merging_stay_out_of_the_file(adapter, folder, tmp_path):
    adapter.strength = 0.5
    adapter.merge()
    assert contents(save(adapter, tmp_path / "merged", passport=SAID)) == contents(folder)


@pytest.mark.parametrize("name", FILES[1:])
def test_a_missing_or_broken_file_is_named(folder, name):
    (folder / name).write_bytes(b"{ not this")
    with pytest.raises(AdapterError, match=name.replace(".", r"\.")):
        load(make_base(), folder)
    (folder / name).unlink()
    with pytest.raises(AdapterError, match=name.replace(".", r"\.")):
        load(make_base(), folder)


def test_no_folder_at_all(tmp_path):
    with pytest.raises(AdapterError, match=r"nowhere/passport\.json: .*No such file"):
        load(make_base(), tmp_path / "nowhere")


def test_a_cut_off_file_is_refused(folder):
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(AdapterError, match="expected a whole safetensors file"):
        load(make_base(), folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop(min(t)), r"the 16 tensors .*attn\.fc\.lora_A\.weight is missing \(1"),
        (lambda t: t.update(extra=torch.zeros(1)), r"extra is not expected \(1 such\)"),
        (lambda t: t.update({min(t): torch.zeros(4, 33)}), r"\[4, 32\] .*got \[4, 33\]"),
        (lambda t: t.update({min(t): t[min(t)].half()}), r"float32, got .*float16"),
        (
            lambda t: t[min(t)].view(-1)[:2].fill_(float("nan")),
            r"got 2 of 128 in base_model\.model",
        ),
        (lambda t: t[min(t)].view(-1)[0].fill_(float("inf")), r"expected finite weights, got 1"),
    ],
    ids=["missing", "unexpected", "misshapen", "other type", "NaN", "infinite"],
)
def test_tensors_that_do_not_fit_are_refused_by_name(folder, change, message):
    rewrite(folder, change)
    fresh = make_base()
    with pytest.raises(AdapterError, match=message):
        load(fresh, folder)
    # The base is as it was, and takes an adapter that fits.
    assert torch.equal(output(fresh), output(make_base()))
    attach(fresh, make_lora(), seed=0)


def test_changed_weights_are_noticed(folder):
    path = folder / "adapter_model.safetensors"
    encoded = bytearray(path.read_bytes())
    encoded[-1] ^= 1
    path.write_bytes(bytes(encoded))
    with pytest.raises(AdapterError, match="expected weights of hash"):
        load(make_base(), folder)


def test_a_changed_passport_is_noticed(folder):
    edit_json(folder / "passport.json", metrics={"psnr_db": 40.0})
    with pytest.raises(AdapterError, match=r"expected one passport in passport\.json and"):
        load(make_base(), folder)


def test_another_schema_is_refused(folder):
    edit_json(folder / "passport.json", schema="mfl_adapt.adapter/9")
    with pytest.raises(AdapterError, match=r"expected .*adapter/1', got 'mfl_adapt\.adapter/9'"):
        load(make_base(), folder)


def test_another_base_is_refused_naming_both(folder):
    with pytest.raises(AdapterError, match=f"test.small with sha256 {'a' * 64}.*{'b' * 64}"):
        load(make_base(sha256="b" * 64), folder)
    other = make_base(layers=3)
    with pytest.raises(AdapterError, match=f"with fingerprint .* got .*{other.fingerprint}"):
        load(other, folder)


def test_weights_that_are_not_finite_are_not_saved(adapter, tmp_path):
    with torch.no_grad():
        adapter.parameters()[0][0, 0] = float("nan")
    with pytest.raises(AdapterError, match=r"to_qkv\.lora_A\.weight that are not\. Nothing was"):
        save(adapter, tmp_path / "adapter", passport={})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"metrics": {"psnr": float("nan")}}, "finite numbers"),
        ({"config": {"path": object()}}, "JSON values"),
        ({"plugins": ["a"]}, r"passport\.plugins: expected a mapping, got \['a'\]"),
        ({"adapter_hash": "0" * 64}, r"passport\.adapter_hash: .* got \"0000"),
        ({"base": {"id": "other"}}, r"passport\.base: expected .*test\.small.* got .*other"),
    ],
)
def test_a_passport_that_cannot_be_true_is_refused(adapter, tmp_path, said, message):
    with pytest.raises(AdapterError, match=message):
        save(adapter, tmp_path / "adapter", passport=said)
    assert list(tmp_path.iterdir()) == []


def test_an_old_passport_does_not_vouch_for_new_weights(folder, tmp_path):
    loaded = load(make_base(), folder, trainable=True)
    train_a_little(loaded, seed=9)
    with pytest.raises(AdapterError, match=r"passport\.adapter_hash"):
        save(loaded, tmp_path / "again", passport=loaded.passport)


def test_a_full_disk_leaves_the_old_adapter_and_no_other_file(adapter, folder, monkeypatch):
    before = contents(folder)
    train_a_little(adapter)
    calls = []

    def full(handle):
        calls.append(handle)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        save(adapter, folder, passport=SAID)
    assert len(calls) == 2
    assert contents(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["adapter"]


def test_a_failing_rename_brings_the_old_adapter_back(adapter, folder, monkeypatch):
    before = contents(folder)
    train_a_little(adapter)
    rename = type(folder).rename

    def refuse(path, target):
        if path.name.endswith(".partial"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(path, target)

    monkeypatch.setattr(type(folder), "rename", refuse)
    with pytest.raises(StorageError, match="Input/output error"):
        save(adapter, folder, passport=SAID)
    assert contents(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["adapter"]


def test_a_folder_with_other_files_is_not_replaced(adapter, folder):
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"also holds notes\.txt"):
        save(adapter, folder, passport=SAID)
    assert (folder / "notes.txt").read_text() == "mine"
    shutil.rmtree(folder)
    folder.write_text("a file")
    with pytest.raises(StorageError, match="got a file"):
        save(adapter, folder, passport=SAID)


def test_a_new_adapter_replaces_the_old_one(adapter, folder):
    before = contents(folder)
    train_a_little(adapter)
    save(adapter, folder, passport=SAID)
    after = contents(folder)
    assert before["adapter_model.safetensors"] != after["adapter_model.safetensors"]
    fresh = make_base()
    load(fresh, folder)
    assert torch.equal(output(fresh), output(adapter.base))
