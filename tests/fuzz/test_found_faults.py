"""Every fault that fuzzing has found, by name: what a parser once took, or fell over."""

import io
import json
import os
import pickle
import struct
import time
import zipfile

import fuzz_cameras
import fuzz_files
import numpy as np
import pytest
import torch
from fuzz_mutations import dump_json, dump_toml
from fuzz_profile import bounded_memory, bounded_time, judge
from mfl_adapt_markerless_mouse import pickles

from mfl_adapt.config import load_config
from mfl_adapt.errors import ConfigError, DataError, MflAdaptError
from mfl_adapt.files import find_inside, read_json
from mfl_adapt.models.gslrm.config import read_config
from mfl_adapt.models.weight_files import read_torch

TARGETS = {one.name: one for one in (*fuzz_cameras.TARGETS, *fuzz_files.TARGETS)}
EVERY = pytest.mark.parametrize("name", sorted(TARGETS))


def is_refused(name, content, folder):
    """Whether a parser refuses a file, within the bounds of all fuzzing."""
    TARGETS[name].prepare(folder)
    with bounded_memory():
        return judge(TARGETS[name], content, folder)


def changed(tree, path, value):
    """A copy of a document with another value at a dotted path."""
    copy = json.loads(json.dumps(tree))
    *parents, last = [int(part) if part.isdecimal() else part for part in path.split(".")]
    inner = copy
    for part in parents:
        inner = inner[part]
    inner[last] = value
    return copy


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cameras", dump_json(fuzz_cameras.CAMERAS)),
        ("transforms", dump_json(fuzz_cameras.TRANSFORMS[0])),
        ("transforms", dump_json(fuzz_cameras.TRANSFORMS[1])),
        ("transforms", dump_json(fuzz_cameras.TRANSFORMS[2])),
        ("calibration_toml", dump_toml(fuzz_cameras.CALIBRATION)),
        ("provenance", dump_json(fuzz_cameras.PROVENANCE)),
        ("dataset_summary", dump_json(fuzz_cameras.SUMMARY)),
        ("view_metrics", dump_json(fuzz_cameras.METRICS)),
        ("keypoints", dump_json(fuzz_cameras.KEYPOINTS)),
        ("config", dump_json(fuzz_files.CONFIGS[0])),
        ("config", dump_json(fuzz_files.CONFIGS[1])),
        *(("config", text) for text in fuzz_files.YAML_TEXTS),
        ("facelift_yaml", dump_json(fuzz_files.FACELIFT)),
        ("passport", dump_json(fuzz_files.PASSPORT)),
        *(("safetensors_header", one) for one in fuzz_files.SAFETENSORS),
        *(("checkpoint", one) for one in fuzz_files.CHECKPOINTS),
        ("splat", fuzz_files.SPLATS[0]),
        ("sequence", dump_json(fuzz_files.SEQUENCE)),
        ("registry", dump_toml(fuzz_files.REGISTRY)),
        ("hub_listing", dump_json(fuzz_files.LISTING)),
        ("fetched_record", dump_json(fuzz_files.FETCHED)),
    ],
)
def test_the_good_files_are_taken(name, content, tmp_path):
    assert not is_refused(name, content, tmp_path)


CAMERA = "frames.0."
HUGE = 10**400


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("fx", HUGE),  # math.isfinite raises OverflowError
        ("fx", "9.0"),
        ("fx", True),
        ("fx", 1e-320),  # divided by, it is infinite
        ("cx", 1e300),
        ("w", HUGE),
        ("w", float("nan")),
        ("w2c.0.0", "1.0"),  # numpy reads numbers in texts
        ("w2c.0.0", HUGE),
        ("w2c.2.0", 1e308),  # its square overflows
        ("w2c.0.3", 1e300),
        ("w2c.3", [0, 0, 0, None]),
        ("file_path", "../../etc/passwd"),
        ("file_path", "/etc/passwd"),
        ("file_path", "images/../../x.png"),
        ("file_path", "a\0b.png"),
        ("file_path", "\ud800.png"),
        ("file_path", "x" * 3000),
        ("view_name", "\ud800"),
    ],
)
def test_cameras_of_no_camera(path, value, tmp_path):
    content = dump_json(changed(fuzz_cameras.CAMERAS, CAMERA + path, value))
    assert is_refused("cameras", content, tmp_path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("distortion_params.2", 1e300),
        ("fl_x", 1e-320),
        ("fl_x", HUGE),
        ("w", 2**64),
        ("frames.0.transform_matrix.0.0", 1e308),
        ("frames.0.transform_matrix.0.0", True),
        ("frames.0.transform_matrix", "abc"),
        ("frames.0.file_path", "x" * 3000),
        ("frames.0.mask_path", "a\0b"),
        ("frames.0.time", HUGE),
    ],
)
def test_transforms_of_no_camera(path, value, tmp_path):
    content = dump_json(changed(fuzz_cameras.TRANSFORMS[2], path, value))
    assert is_refused("transforms", content, tmp_path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("cam_0.rotation", [1e200, 1e200, 0.0]),  # was a pose of NaN
        ("cam_0.translation", [1e308, 1e308, 1e308]),
        ("cam_0.matrix.0", ["900", 0.0, 640.0]),
        ("cam_0.matrix.0", [True, 0.0, 640.0]),
        ("cam_0.size", [2**63, 1024]),
        ("cam_0.distortions", [1e300, 0.0, 0.0, 0.0]),
    ],
)
def test_calibrations_of_no_camera(path, value, tmp_path):
    content = dump_toml(changed(fuzz_cameras.CALIBRATION, path, value))
    assert is_refused("calibration_toml", content, tmp_path)


@pytest.mark.parametrize("content", [b"a = " + b"[" * 5000, b"a." * 5000 + b"b = 1", b"\xff"])
def test_toml_that_exhausts_the_stack(content, tmp_path):
    assert is_refused("calibration_toml", content, tmp_path)
    assert is_refused("registry", content, tmp_path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("steps.0.world.scale", float("nan")),
        ("steps.0.world.scale", "0.5"),
        ("steps.0.world.scale", -1.0),
        ("steps.0.world.rotation.0", [2.0, 0.0, 0.0]),
        ("steps.0.world.rotation.0", [-1.0, 0.0, 0.0]),
        ("steps.0.world.rotation.0.2", 1e308),
        ("steps.0.world.translation.0", float("inf")),
        ("steps.0.raw_cameras.0.fxfycxcy.0", -9.0),
        ("steps.0.raw_cameras.0.c2w.0.0", float("nan")),
        ("steps.0.raw_cameras.0.width", 8.5),
        ("steps.0.raw_cameras.0.lens", "thick"),
        ("steps.0.raw_cameras.0.distortion", [0.1]),
        ("steps.1.pixel_maps.0.0.0", float("nan")),
        ("steps.1.order", [1.7, 0]),
        ("steps.0.step", 3),
        ("schema", "2"),
    ],
)
def test_histories_that_cannot_be_undone(path, value, tmp_path):
    content = dump_json(changed(fuzz_cameras.PROVENANCE, path, value))
    assert is_refused("provenance", content, tmp_path)


@pytest.mark.parametrize("name", ["../../etc", "/etc", "a/../../b", "", "a\0b", "a\nb"])
def test_names_that_lead_out_of_a_dataset(name, tmp_path):
    content = dump_json({"samples": [name]})
    assert is_refused("dataset_summary", content, tmp_path)
    with pytest.raises(ValueError, match="expected a path inside"):
        find_inside(tmp_path, name)


def test_a_path_inside_is_taken(tmp_path):
    assert find_inside(tmp_path, "a b/Ünïcode\u3000x.png") == tmp_path / "a b/Ünïcode\u3000x.png"


@pytest.mark.parametrize("key", ["folder", "ply"])
def test_sequences_that_lead_elsewhere(key, tmp_path):
    content = dump_json(changed(fuzz_files.SEQUENCE, f"frames.1.{key}", "../../etc"))
    assert is_refused("sequence", content, tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b'{"a": 1, "a": 2}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": 99999999999999999999999}',
        b'{"a": "\\ud800"}',
        b"[" * 100_000,
        b"\xff\xfe{\x00}\x00",
        b"\xef\xbb\xbf{}",
        b"{} {}",
    ],
)
def test_json_that_two_readers_would_read_differently(content, tmp_path):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.json"):
        read_json(tmp_path / "a.json")


def test_a_pipe_is_no_json_file(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    with bounded_time(), pytest.raises(DataError, match="a pipe or device"):
        read_json(tmp_path / "a.json")


# YAML

LAUGHS = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 8)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "expected at most 20000 values"),
        ("a: " + "[" * 3000, "50 deep"),
        ("a: !!python/object/apply:os.system [x]\n", "expected plain values, got one with the tag"),
        ("name: !thing {a: 1}\n", "expected plain values, got one with the tag"),
        (
            "data: &a {limit: 1}\ntrain: &a {steps: 1}\n",
            "expected each anchor once, got '&a' again",
        ),
        ("data: &a {limit: &a 1}\n", "expected each anchor once"),
        ("%YAML 1.1\n---\nname: a\n", "got a directive"),
        (f"seed: {'9' * 5000}\n", "expected YAML text"),
        ("name: 2001-99-99\n", "a.yaml"),
        ("adapter: {use: [lora_gslrm.lora]}\n", "adapter.use: expected text"),
        ("'[plugins': 1\n", r"unknown key '\[plugins'"),
        ("train: {'a[b]': 1}\n", r"unknown key 'a\[b\]' in train"),
        ("a: " + "x" * 300_000, "more than 262144 bytes"),
    ],
)
def test_yaml_that_does_too_much(text, message, tmp_path):
    (tmp_path / "a.yaml").write_text(text)
    with bounded_time(), bounded_memory(), pytest.raises(ConfigError, match=message) as caught:
        load_config(tmp_path / "a.yaml")
    assert str(caught.value).isprintable()


def test_laughs_in_the_file_of_another_program(tmp_path):
    (tmp_path / "a.yaml").write_text(f"{LAUGHS}model: *i\n")
    with bounded_time(), pytest.raises(ConfigError, match="expected at most"):
        read_config(tmp_path / "a.yaml")


@pytest.mark.parametrize("key", ["transformer.n_layer", "transformer.d", "gaussians.n_gaussians"])
def test_a_network_larger_than_any_machine(key, tmp_path):
    content = dump_json(changed(fuzz_files.FACELIFT, f"model.{key}", 2**31))
    assert is_refused("facelift_json", content, tmp_path)


# Pickles


def pickled(*instructions):
    return b"\x80\x02" + b"".join(instructions) + b"."


@pytest.mark.parametrize(
    "content",
    [
        pickled(b"Nr\xff\xff\xff\x7f"),  # a note at the last place reserves 34 GB
        pickled(b"Np2147483647\n"),
        pickled(b"\x8e" + struct.pack("<Q", 2**60)),
        pickle.dumps([1]) + b"more",
        b"S'\\O'\n.",  # Python warns of the escape
        pickled(b"cnumpy\ndtype\n(U\x06(1 2)fK\x00K\x01tR"),  # numpy evaluates it as Python
        pickled(b"cnumpy\ndtype\n(U\x0208K\x00K\x01tR"),
        pickled(b"cnumpy\ndtype\n(U\x02O8K\x00K\x01tR"),
        pickled(b"cbuiltins\neval\n"),
        pickled(b"cos\nsystem\n"),
    ],
)
def test_pickles_that_do_too_much(content, tmp_path):
    (tmp_path / "a.pkl").write_bytes(content)
    with bounded_time(), bounded_memory(), pytest.raises(DataError):
        pickles.load_arrays(tmp_path / "a.pkl")


def test_a_pickle_that_multiplies(tmp_path):
    value = [0]
    for _ in range(40):
        value = [value, value]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(value))
    with bounded_time(), pytest.raises(DataError, match="more than 100000 values"):
        pickles.load_arrays(tmp_path / "a.pkl")


@pytest.mark.parametrize("name", ["_codecs\nencode", "numpy.core.multiarray\nscalar"])
def test_a_pickle_cannot_change_the_reader(name, tmp_path):
    # BUILD with (None, {name: value}) sets attributes, which would outlive this file.
    content = pickled(b"c", name.encode(), b"\n(N}U\x0c__defaults__(U\x01xts\x86tb")
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(DataError):
        pickles.load_arrays(tmp_path / "a.pkl")
    assert pickles._encode.__defaults__ == ("latin1",)


def test_arrays_of_all_kinds_still_come_through(tmp_path):
    values = [np.arange(6.0).reshape(2, 3), np.array([True]), np.int16([1]), np.float32(2.5)]
    for protocol in range(6):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(values, protocol))
        found = pickles.load_arrays(tmp_path / "a.pkl")
        assert all(np.array_equal(one, two) for one, two in zip(found, values, strict=True))


# COLMAP, PLY, splats, weights


def test_bytes_after_a_model(tmp_path):
    good = fuzz_cameras._encode_model(text=False)
    assert not is_refused("colmap_binary", good, tmp_path)
    (tmp_path / "b").mkdir()
    assert is_refused("colmap_binary", good + b"\0", tmp_path / "b")


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "9" * 5000, "a\x07.png"])
def test_pictures_outside_of_a_model(name, tmp_path):
    text = fuzz_cameras._encode_model(text=True).replace(b"a.png", name.encode())
    assert is_refused("colmap_text", text, tmp_path)


def ply_with(name, value, *, double=False):
    """A PLY file in which one property of all Gaussians has this value."""
    names = [line.split()[2] for line in fuzz_files._ply().split(b"\n") if b"property" in line]
    kinds = [(one.decode(), "<f8" if double else "<f4") for one in names]
    body = np.full(2, 0.5, dtype=kinds)
    body[name] = value
    word = "double" if double else "float"
    head = ["ply", "format binary_little_endian 1.0", "element vertex 2"]
    head += [f"property {word} {one}" for one, _ in kinds] + ["end_header\n"]
    return "\n".join(head).encode() + body.tobytes()


@pytest.mark.parametrize(
    "content",
    [
        ply_with("scale_0", 1000.0),  # exp of it is infinite
        ply_with("x", 1e300, double=True),  # infinite as float32
        ply_with("x", np.nan),
        ply_with("x", np.array([0x7F800001], "<u4").view("<f4")),  # a NaN that signals
        ply_with("rot_1", 1e300, double=True),  # was a rotation of length 0
        fuzz_files._ply(0),
        fuzz_files._ply().replace(b"vertex 3", b"vertex " + b"9" * 5000),
        fuzz_files._ply().replace(b"vertex 3", b"vertex 1152921504606846976"),
        fuzz_files._ply().replace(b"vertex 3", b"vertex -3"),
        fuzz_files._ply() + b"\0",
    ],
)
def test_gaussians_that_are_none(content, tmp_path):
    assert is_refused("ply", content, tmp_path)


def test_extreme_gaussians_are_taken(tmp_path):
    assert not is_refused("ply", ply_with("opacity", -1000.0), tmp_path)
    assert not is_refused("ply", ply_with("scale_0", -1000.0), tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_splat_that_is_nowhere(value, tmp_path):
    assert is_refused("splat", struct.pack("<6f8B", value, *[0] * 13), tmp_path)


def test_a_checkpoint_that_unpacks_to_far_more(tmp_path):
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(2)}, stream)
    with zipfile.ZipFile(stream) as old, zipfile.ZipFile(tmp_path / "a.pt", "w") as new:
        for record in old.infolist():
            new.writestr(record.filename, old.read(record), zipfile.ZIP_DEFLATED)
    with pytest.raises(MflAdaptError, match=r"is compressed, as torch\.save never"):
        read_torch(tmp_path / "a.pt")


def test_a_torch_archive_that_is_called_safetensors(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(fuzz_files.CHECKPOINTS[0])
    with pytest.raises(MflAdaptError, match="expected a whole checkpoint"):
        read_torch(tmp_path / "a.safetensors")


# Hubs


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("siblings.0.rfilename", "a/../../x"),
        ("siblings.0.rfilename", "a//x"),
        ("siblings.0.rfilename", "a/x\ny"),
        ("siblings.0.rfilename", 3),
        ("siblings.0.size", 2.5),
        ("siblings.0.size", -1),
        ("siblings.0.size", True),
        ("siblings.0.blobId", "../x"),
        ("siblings.1.lfs.sha256", ["d" * 64]),
        ("siblings.2.rfilename", "a/model_index.json"),
        ("sha", ["0"]),
    ],
)
def test_listings_that_a_hub_never_sends(path, value, tmp_path):
    content = dump_json(changed(fuzz_files.LISTING, path, value))
    assert is_refused("hub_listing", content, tmp_path)


@pytest.mark.parametrize(
    "files",
    [
        {"../w.pt": {"size": 3, "sha256": "a"}},
        {"/w.pt": {"size": 3, "sha256": "a"}},
        {"w.pt": {"size": -3, "sha256": "a"}},
        {"w.pt": {"size": float("inf"), "sha256": "a"}},
        {"w.pt": {"size": 3, "sha256": None}},
    ],
)
def test_records_of_downloads_that_nobody_wrote(files, tmp_path):
    content = dump_json(fuzz_files.FETCHED | {"files": files, "entry": "."})
    assert is_refused("fetched_record", content, tmp_path)


# Messages


def test_a_message_cannot_command_a_terminal():
    error = DataError("camera \x1b[2Jbad\r\nname \u202e\ud800: expected é")
    assert str(error) == "camera \\x1b[2Jbad name \\u202e\\ud800: expected é"


def test_a_message_stays_short_and_keeps_its_remedy():
    text = str(DataError(f"a.json: expected x, got {'y' * 10_000}. Mend it."))
    assert len(text) < 2001
    assert text.startswith("a.json: expected x, got yyy")
    assert text.endswith("y. Mend it.")


@EVERY
def test_nothing_and_noise_are_refused_at_once(name, tmp_path):
    start = time.monotonic()
    TARGETS[name].prepare(tmp_path)
    for content in (b"", b"\0" * 5000, b"\xff" * 5000, b"[" * 50_000, b"9" * 50_000, b"{" * 50_000):
        if name != "typed_value":
            assert judge(TARGETS[name], content, tmp_path)
    assert time.monotonic() - start < 60
