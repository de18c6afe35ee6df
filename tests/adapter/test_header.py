"""The header of an adapter is read without torch, in bounds, and never believed blindly."""

import json
import os
import subprocess
import sys
from importlib import import_module

import pytest
from safetensors.torch import load_file
from small_base import make_base, make_lora, train_a_little

import mfl_adapt.adapter as room
from mfl_adapt.adapter import attach, read_adapter, read_header, save
from mfl_adapt.adapter.header import TensorEntry, read_tensor_header
from mfl_adapt.errors import AdapterError

WEIGHTS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    adapter = attach(make_base(), make_lora(), seed=11)
    train_a_little(adapter)
    return save(adapter, tmp_path_factory.mktemp("header") / "adapter", passport={})


@pytest.fixture
def folder(made, tmp_path):
    copied = tmp_path / "adapter"
    copied.mkdir()
    for path in made.iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    return copied


def write_file(path, header, data=b""):
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + data)
    return path


def entry(begin, end, *, dtype="F32", shape=(1,)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def test_it_says_what_the_weights_are(folder):
    header = read_header(folder)
    tensors = load_file(folder / WEIGHTS)
    assert header.tensors == {
        name: TensorEntry("float32", tuple(tensor.shape)) for name, tensor in tensors.items()
    }
    # r 4 on two layers of width 32: the numbers of test_attach.
    assert sum(one.count for one in header.tensors.values()) == 4096
    assert header.passport == read_adapter(folder).passport
    assert header.files == {path.name: path.stat().st_size for path in folder.iterdir()}


def test_no_torch_is_imported(folder):
    code = (
        "import sys; from mfl_adapt.adapter import read_header; from pathlib import Path\n"
        "from mfl_adapt.adapter.description import describe\n"
        "from mfl_adapt.adapter.facts import list_facts\n"
        f"header = read_header(Path({str(folder)!r})); list_facts(describe(header.folder))\n"
        "assert header.passport['base']['id'] == 'test.small'\n"
        "print(sorted({'torch', 'peft', 'safetensors', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_functions_stay_functions_beside_modules_of_their_names():
    for name in ("attach", "load", "save"):
        module = import_module(f"mfl_adapt.adapter.{name}")
        assert getattr(room, name) is getattr(module, name)
    assert all(callable(getattr(room, name)) for name in room.__all__)
    with pytest.raises(AttributeError, match="no attribute 'unload'"):
        _ = room.unload


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        (b"[]", b"", "a header that is no mapping"),
        (b"{", b"", "expected JSON"),
        ({"a": entry(0, 4), "b": entry(8, 12)}, b"x" * 12, "a gap or overlap at byte 4"),
        ({"a": entry(0, 4), "b": entry(0, 4)}, b"x" * 8, "a gap or overlap at byte 4"),
        ({"a": entry(0, 8)}, b"x" * 8, "8 bytes for 'a', which takes 4"),
        ({"a": entry(0, 4)}, b"x" * 5, "5 bytes of tensors, where the header speaks of 4"),
        ({"a": entry(0, 4)}, b"x" * 3, "3 bytes of tensors, where the header speaks of 4"),
        ({"a": entry(0, 4, dtype="F7")}, b"x" * 4, "without a known dtype"),
        ({"a": entry(0, 4, shape=[-1])}, b"x" * 4, "without a known dtype"),
        ({"a": entry(0, 4, shape=[True])}, b"x" * 4, "without a known dtype"),
        ({"a": entry(0, 4, shape=[2**62] * 10**4)}, b"x" * 4, "without a known dtype"),
        ({"a": {"dtype": "F32"}}, b"", "without a known dtype"),
        ({"__metadata__": {"mfl_adapt": 3}}, b"", "metadata that are no texts"),
        (b'{"a": 1, "a": 2}', b"", "the key 'a' twice"),
        (b'{"a": NaN}', b"", "expected JSON"),
        (b"[" * 100_000, b"", "expected JSON"),
    ],
)
def test_a_header_that_breaks_the_format(tmp_path, header, data, message):
    path = write_file(tmp_path / "a.safetensors", header, data)
    with pytest.raises(AdapterError, match=message) as caught:
        read_tensor_header(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 400


def test_lengths_are_bounded(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes((17 * 2**20).to_bytes(8, "little"))
    with pytest.raises(AdapterError, match="a header of 17825792 bytes, more than 16777216"):
        read_tensor_header(path)
    path.write_bytes((100).to_bytes(8, "little") + b"{}")
    with pytest.raises(AdapterError, match="a header that ends 98 bytes after the file"):
        read_tensor_header(path)
    (tmp_path / "passport.json").write_bytes(b" " * (16 * 2**20 + 1))
    with pytest.raises(AdapterError, match="expected at most 16777216 bytes, got more"):
        read_header(tmp_path)


@pytest.mark.parametrize("name", ["passport.json", WEIGHTS])
def test_a_pipe_is_not_read(folder, name):
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(AdapterError, match=r"got something else|something that is no file"):
        read_header(folder)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema", "mfl_adapt.adapter/9", r"got 'mfl_adapt\.adapter/9'"),
        ("plugin_api", "1", "expected plugin_api to be a whole number, got '1'"),
        ("plugin_api", True, "plugin_api to be a whole number, got True"),
        ("plugin_api", None, "expected the field plugin_api, got a passport without it"),
        ("base", "tiny", "expected base to be a mapping, got 'tiny'"),
        ("base.sha256", None, r"expected the field base\.sha256"),
        ("base.id", ["x"], r"expected base\.id to be a text, got \['x'\]"),
        ("adapter.seed", 2**64, r"expected adapter\.seed to be a number of 64 bits"),
        ("adapter.parameters", -1, r"adapter\.parameters to be at least 0, got -1"),
        ("effect", None, "expected the field effect"),
        ("effect.layers", [], r"effect\.layers to be a mapping"),
        ("effect.relative", -0.5, r"effect\.relative to be a finite number of at least 0, got -0"),
        ("effect.layers.x", "big", r"effect\.layers\.x to be a finite number"),
        ("forced", "all", "expected forced to be a list of texts, got 'all'"),
        ("metrics", [], r"expected metrics to be a mapping, got \[\]"),
    ],
)
def test_a_passport_of_another_form_is_refused_by_field(folder, path, value, message):
    passport = json.loads((folder / "passport.json").read_text())
    *parents, last = path.split(".")
    inner = passport
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    if value is None:
        del inner[last]
    (folder / "passport.json").write_text(json.dumps(passport))
    with pytest.raises(AdapterError, match=rf"passport\.json: .*{message}"):
        read_header(folder)


@pytest.mark.parametrize("text", ['{"a": 1e999}', '{"a": "\\ud800"}', "\xff", '{"a": Infinity}'])
def test_json_that_could_not_be_written_again_is_refused(folder, text):
    (folder / "passport.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(AdapterError, match=r"passport\.json: expected JSON, got"):
        read_header(folder)


def test_the_two_passports_must_agree(folder):
    passport = json.loads((folder / "passport.json").read_text())
    (folder / "passport.json").write_text(json.dumps(passport | {"steps": 9}))
    with pytest.raises(AdapterError, match=r"expected one passport in passport\.json and in the"):
        read_header(folder)
