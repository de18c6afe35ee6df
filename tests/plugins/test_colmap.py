"""The reader of COLMAP's models: text and binary, all lenses, groups, one line per broken input."""

import pickle
import struct

import cv2
import mfl_adapt_colmap
import numpy as np
import pytest
from mfl_adapt_colmap.config import SparseConfig
from mfl_adapt_colmap.discover import can_read
from mfl_adapt_colmap.reader import SparseReader
from raw_pictures import (
    BROWN,
    FISHEYE,
    HEIGHT,
    WIDTH,
    check_cameras,
    check_round_trip,
    check_straightened,
    take_shots,
    through_lens,
)
from scipy.spatial.transform import Rotation

from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.images import save_picture

SHOTS = take_shots(3)
NAMES = ("b/left.png", "a.png", "c d.png")
# Number and layout of COLMAP's models, from its documentation.
MODELS = {
    "SIMPLE_PINHOLE": (0, "f cx cy"),
    "PINHOLE": (1, "fx fy cx cy"),
    "SIMPLE_RADIAL": (2, "f cx cy 0"),
    "RADIAL": (3, "f cx cy 0 1"),
    "OPENCV": (4, "fx fy cx cy 0 1 2 3"),
    "OPENCV_FISHEYE": (5, "fx fy cx cy 0 1 2 3"),
    "FULL_OPENCV": (6, "fx fy cx cy 0 1 2 3 4 5 6 7"),
    "SIMPLE_RADIAL_FISHEYE": (8, "f cx cy 0"),
    "RADIAL_FISHEYE": (9, "f cx cy 0 1"),
}


def read(path, **settings):
    return SparseReader(SparseConfig(path=path, **settings))


def params(shot, model, coefficients):
    fx, fy, cx, cy = shot.fxfycxcy.tolist()
    values = {"f": fx, "fx": fx, "fy": fy, "cx": cx, "cy": cy}
    words = MODELS[model][1].split()
    return [coefficients[int(word)] if word.isdigit() else values[word] for word in words]


def pose(shot):
    w2c = np.linalg.inv(shot.c2w)
    x, y, z, w = Rotation.from_matrix(w2c[:3, :3]).as_quat()
    return [w, x, y, z, *w2c[:3, 3]]


def write_text(folder, shots, names, model, coefficients):
    folder.mkdir(parents=True, exist_ok=True)
    cameras = ["# Camera list with one line of data per camera:", ""]
    images = ["# Image list with two lines of data per image:"]
    for index, (shot, name) in enumerate(zip(shots, names, strict=True)):
        numbers = " ".join(map(repr, params(shot, model, coefficients)))
        cameras.append(f"{10 + index} {model} {WIDTH} {HEIGHT} {numbers}")
        numbers = " ".join(repr(float(value)) for value in pose(shot))
        images += [f"{index + 1} {numbers} {10 + index} {name}", "1.5 2.5 -1 3 4 7" * (index % 2)]
    (folder / "cameras.txt").write_text("\n".join(cameras) + "\n")
    (folder / "images.txt").write_text("\n".join(images) + "\n")


def write_binary(folder, shots, names, model, coefficients):
    folder.mkdir(parents=True, exist_ok=True)
    cameras = struct.pack("<Q", len(shots))
    images = struct.pack("<Q", len(shots))
    for index, (shot, name) in enumerate(zip(shots, names, strict=True)):
        values = params(shot, model, coefficients)
        cameras += struct.pack("<iiQQ", 10 + index, MODELS[model][0], WIDTH, HEIGHT)
        cameras += struct.pack(f"<{len(values)}d", *values)
        images += struct.pack("<i7di", index + 1, *pose(shot), 10 + index)
        images += name.encode() + b"\0" + struct.pack("<Q", index)
        images += struct.pack("<ddq", 1.5, 2.5, -1) * index
    (folder / "cameras.bin").write_bytes(cameras)
    (folder / "images.bin").write_bytes(images)


def project_folder(
    folder, *, shots=SHOTS, names=NAMES, model="PINHOLE", coefficients=(), binary=True, alpha=True
):
    """A COLMAP project with pictures; square pixels where the model has one focal length."""
    write = write_binary if binary else write_text
    write(folder / "sparse/0", shots, names, model, coefficients)
    for shot, name in zip(shots, names, strict=True):
        save_picture(folder / "images" / name, shot.rgb, shot.mask if alpha else None)
    return folder


def by_name(shots, names=NAMES):
    return [shot for _, shot in sorted(zip(names, shots, strict=True), key=lambda pair: pair[0])]


@pytest.mark.parametrize("binary", [True, False])
def test_pinhole(tmp_path, binary):
    (tmp_path / "rat").mkdir()
    reader = read(project_folder(tmp_path / "rat", binary=binary))
    assert len(reader) == 1
    sample = reader[0]
    shots = by_name(SHOTS)
    assert (sample.id, sample.session) == ("rat", "")
    assert [view.name for view in sample.views] == ["a", "b_left", "c d"]
    check_cameras(sample, shots)
    check_round_trip(sample, shots, "pinhole", ())
    for view, shot in zip(sample.views, shots, strict=True):
        assert np.array_equal(view.rgb, shot.rgb)
        assert np.array_equal(view.mask, shot.mask)
    step = sample.provenance[0]
    assert step.step == "colmap.sparse"
    assert step.params["model"] == "sparse/0"


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize(
    ("model", "given", "lens", "values"),
    [
        ("SIMPLE_PINHOLE", (), "pinhole", ()),
        ("SIMPLE_RADIAL", (-0.2,), "brown", (-0.2, 0, 0, 0, 0)),
        ("RADIAL", (-0.2, 0.05), "brown", (-0.2, 0.05, 0, 0, 0)),
        ("OPENCV", BROWN[:4], "brown", (*BROWN[:4], 0)),
        ("OPENCV", (0, 0, 0, 0), "pinhole", ()),
        ("FULL_OPENCV", (*BROWN, 0.01, 0.02, -0.01), "brown", (*BROWN, 0.01, 0.02, -0.01)),
        ("OPENCV_FISHEYE", FISHEYE, "fisheye", FISHEYE),
        ("OPENCV_FISHEYE", (0, 0, 0, 0), "fisheye", (0, 0, 0, 0)),
        ("SIMPLE_RADIAL_FISHEYE", (0.05,), "fisheye", (0.05, 0, 0, 0)),
        ("RADIAL_FISHEYE", (0.05, -0.01), "fisheye", (0.05, -0.01, 0, 0)),
    ],
)
def test_lenses(tmp_path, binary, model, given, lens, values):
    shots = SHOTS
    if "fx" not in MODELS[model][1]:
        square = [shot.fxfycxcy[[0, 0, 2, 3]] for shot in SHOTS]
        shots = [shot._replace(fxfycxcy=one) for shot, one in zip(SHOTS, square, strict=True)]
    folder = project_folder(
        tmp_path, shots=shots, model=model, coefficients=given, binary=binary, alpha=False
    )
    sample = read(folder)[0]
    raw = sample.provenance[0].raw_cameras
    assert {(camera.lens, camera.distortion) for camera in raw} == {(lens, tuple(values))}
    check_cameras(sample, by_name(shots))
    check_round_trip(sample, by_name(shots), lens, np.array(values, np.float64))


def test_a_distorted_picture_becomes_the_pinhole_render(tmp_path):
    pictures = [through_lens(shot, "fisheye", FISHEYE) for shot in SHOTS]
    folder = project_folder(tmp_path, model="OPENCV_FISHEYE", coefficients=FISHEYE)
    for name, (rgb, mask) in zip(NAMES, pictures, strict=True):
        save_picture(folder / "images" / name, rgb, mask)
    masks = [mask for _, mask in pictures]
    check_straightened(read(folder)[0], by_name(SHOTS), by_name(masks))


def test_short_text_quaternions_are_normalized(tmp_path):
    folder = project_folder(tmp_path, binary=False)
    path = folder / "sparse/0/images.txt"
    lines = path.read_text().splitlines()
    words = lines[1].split()
    lines[1] = " ".join([words[0], *(f"{float(word):.6f}" for word in words[1:5]), *words[5:]])
    path.write_text("\n".join(lines))
    rotation = read(folder)[0].views[1].c2w[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), rtol=0, atol=1e-12)


def test_model_folders(tmp_path, caplog):
    for name in ("two", "one"):
        (tmp_path / name).mkdir()
        project_folder(tmp_path / name)
    write_text(tmp_path / "one/sparse/1", SHOTS[:1], NAMES[:1], "PINHOLE", ())
    (tmp_path / "notes").mkdir()
    assert [sample.id for sample in read(tmp_path)] == ["one", "two"]
    assert "COLMAP made further models (1); only 0 is read" in caplog.text
    assert len(read(tmp_path / "one", model="sparse/1")[0].views) == 1
    flat = tmp_path / "flat"
    project_folder(flat)
    (flat / "sparse/0").rename(flat / "model")
    assert read(flat, model="model")[0].provenance[0].params["model"] == "model"
    with pytest.raises(DataError, match=r"expected cameras and images as .* in gone, got none"):
        read(flat, model="gone")
    with pytest.raises(DataError, match=r"expected cameras and images as .* in sparse/0, sparse"):
        read(flat / "images")


def test_readers_travel_to_other_processes(tmp_path):
    reader = read(project_folder(tmp_path))
    again = pickle.loads(pickle.dumps(reader))
    assert again[0].provenance == reader[0].provenance


def test_groups(tmp_path):
    names = ("cam1/000.png", "cam0/000.png", "cam0/001.png", "cam1/001.png")
    shots = [SHOTS[0], SHOTS[1], SHOTS[2], SHOTS[0]]
    folder = project_folder(tmp_path / "rig", shots=shots, names=names)
    samples = list(read(folder, samples="name"))
    assert [sample.id for sample in samples] == ["rig/000", "rig/001"]
    assert {sample.session for sample in samples} == {"rig"}
    assert [view.name for view in samples[1].views] == ["cam0", "cam1"]
    check_cameras(samples[0], [SHOTS[1], SHOTS[0]])
    check_cameras(samples[1], [SHOTS[2], SHOTS[0]])
    samples = list(read(folder, samples="folder"))
    assert [sample.id for sample in samples] == ["rig/cam0", "rig/cam1"]
    assert [view.name for view in samples[0].views] == ["000", "001"]
    assert [view.name for view in read(folder)[0].views][:2] == ["cam0_000", "cam0_001"]
    write_binary(folder / "sparse/0", shots[:3], names[:3], "PINHOLE", ())
    with pytest.raises(DataError, match=r"expected 001 from 2 cameras, got 1; cam1 was not reg"):
        read(folder, samples="name")


def test_view_choice(tmp_path):
    folder = project_folder(tmp_path)
    check_cameras(read(folder, views=["c d", 0])[0], [SHOTS[2], SHOTS[1]])
    with pytest.raises(DataError, match=r"got 'c'\. Known: a, b_left, c d"):
        read(folder, views=["c"])[0]
    with pytest.raises(DataError, match="view indices from 0 to 2, got -1"):
        read(folder, views=[-1])[0]
    with pytest.raises(DataError, match="every view once, got 'a' twice"):
        read(folder, views=[0, "a"])[0]


def test_masks(tmp_path):
    folder = project_folder(tmp_path)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[9:, 7:30] = 255
    (folder / "masks/b").mkdir(parents=True)
    for name in NAMES:
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), mask)
    assert all(np.array_equal(view.mask, mask) for view in read(folder)[0].views)
    assert np.array_equal(read(folder, mask="alpha")[0].views[0].mask, SHOTS[1].mask)
    assert read(folder, mask="none")[0].views[0].mask is None
    (folder / "masks/a.png.png").unlink()
    with pytest.raises(DataError, match=r"masks/a\.png\.png: expected a PNG or JPEG file"):
        read(folder)[0]
    cv2.imwrite(str(folder / "masks/a.png.png"), mask // 255)
    with pytest.raises(DataError, match=r"a\.png\.png: expected a mask of 0 and 255"):
        read(folder)[0]
    save_picture(folder / "images/a.png", SHOTS[1].rgb)
    with pytest.raises(DataError, match=r"images/a\.png: expected an alpha channel"):
        read(folder, mask="alpha")[0]
    with pytest.raises(DataError, match=r"nowhere/a\.png\.png: expected a PNG or JPEG file"):
        read(folder, mask="folder", masks="nowhere")[0]


def test_can_read(tmp_path):
    project_folder(tmp_path / "set/rat")
    write_text(tmp_path / "flat", SHOTS, NAMES, "PINHOLE", ())
    (tmp_path / "half/sparse/0").mkdir(parents=True)
    (tmp_path / "half/sparse/0/cameras.bin").touch()
    known = ["set", "set/rat", "flat"]
    unknown = ["half", "missing", "flat/cameras.txt"]
    assert [can_read(tmp_path / name) for name in known] == [True] * 3
    assert [can_read(tmp_path / name) for name in unknown] == [False] * 3


@pytest.mark.parametrize("file", ["cameras.bin", "images.bin"])
def test_truncated_binary(tmp_path, file):
    folder = project_folder(tmp_path)
    path = folder / "sparse/0" / file
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=rf"{file}: expected .* more bytes for .* truncated"):
            read(folder)


def test_broken_binary(tmp_path):
    folder = project_folder(tmp_path)
    path = folder / "sparse/0/cameras.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:12] + struct.pack("<i", 7) + whole[16:])
    with pytest.raises(DataError, match=r"got number 7\. Known: SIMPLE_PINHOLE \(0\), PINHOLE"):
        read(folder)
    path.write_bytes(struct.pack("<Q", 2**63) + whole[8:])
    with pytest.raises(DataError, match=r"for camera 4 of 9223372036854775808, got 0"):
        read(folder)
    path.write_bytes(whole)
    path = folder / "sparse/0/images.bin"
    path.write_bytes(path.read_bytes().replace(b"a.png", b"\xff.png"))
    with pytest.raises(DataError, match=r"images\.bin: expected UTF-8 text"):
        read(folder)


def change(file, line, old, new):
    """Edit of one line of a text model; lines count from 1."""

    def edit(folder):
        path = folder / "sparse/0" / file
        lines = path.read_text().splitlines()
        assert old in lines[line - 1]
        lines[line - 1] = lines[line - 1].replace(old, new, 1)
        path.write_text("\n".join(lines) + "\n")

    return edit


def word(file, line, index, new):
    """Edit of one word of a line."""

    def edit(folder):
        path = folder / "sparse/0" / file
        lines = path.read_text().splitlines()
        words = lines[line - 1].split(" ")
        words[index] = new
        lines[line - 1] = " ".join(words)
        path.write_text("\n".join(lines) + "\n")

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change("cameras.txt", 3, "PINHOLE", "FOV"), r"txt:3: .* got 'FOV'\. Known: SIMPLE_PINHO"),
        (change("cameras.txt", 3, "PINHOLE", "PINHOLES"), r"got 'PINHOLES'\. Did you mean 'PINH"),
        (change("cameras.txt", 3, "PINHOLE", "RADIAL"), r"expected 5 parameters of RADIAL \(f cx"),
        (word("cameras.txt", 3, 4, "nan"), r"txt:3: expected a positive focal length as fx, got n"),
        (word("cameras.txt", 3, 6, "inf"), r"txt:3: expected a finite number as cx, got inf"),
        (word("cameras.txt", 3, 2, "wide"), r"txt:3: expected CAMERA_ID MODEL WIDTH HEIGHT PARAMS"),
        (word("cameras.txt", 3, 2, "0"), r"txt:3: expected a width and height of at least 1 px"),
        (word("cameras.txt", 3, 2, "42"), r"left\.png: expected a picture of the camera's height"),
        (word("cameras.txt", 3, 0, "11"), r"txt:4: expected every camera once, got 11 again"),
        (word("images.txt", 2, 8, "99"), r"txt:2: expected a camera .*\(10, 11, 12\), got 99"),
        (word("images.txt", 2, 1, "nan"), r"txt:2: expected a unit quaternion .* length nan"),
        (word("images.txt", 2, 1, "3"), r"txt:2: expected a unit quaternion"),
        (word("images.txt", 2, 5, "nan"), r"txt:2: expected a unit quaternion and a finite trans"),
        (word("images.txt", 2, 7, "far"), r"txt:2: expected IMAGE_ID QW QX QY QZ TX TY TZ CAM"),
        (word("images.txt", 2, 9, "a.png"), r"txt:4: expected every picture once, got a\.png ag"),
        (word("images.txt", 2, 9, "gone.png"), r"txt:2: expected the picture .*images/gone\.png"),
        (word("images.txt", 5, 0, "1 2"), r"txt:5: expected the points of a\.png as X Y POINT3D"),
    ],
)
def test_broken_text(tmp_path, edit, message):
    folder = project_folder(tmp_path, binary=False)
    edit(folder)
    with pytest.raises(DataError, match=message) as caught:
        read(folder)[0]
    assert "\n" not in str(caught.value)


def test_broken_paths(tmp_path):
    with pytest.raises(ConfigError, match=r"expected a dataset under data\.path, got none"):
        SparseReader(SparseConfig())
    with pytest.raises(DataError, match=r"gone: expected the folder of a .* got no such path"):
        read(tmp_path / "gone")
    folder = project_folder(tmp_path / "set", binary=False)
    (folder / "sparse/0/images.txt").write_text("# nothing\n")
    with pytest.raises(DataError, match=r"images\.txt: expected registered pictures, got none"):
        read(folder)
    with pytest.raises(DataError, match=r"got a file"):
        read(folder / "sparse/0/images.txt")


def test_the_offered_component():
    (spec,) = mfl_adapt_colmap.register_components()
    assert (spec.name, spec.needs_path) == ("sparse", True)
    assert spec.config is SparseConfig
    assert spec.build == f"{SparseReader.__module__}:SparseReader"
    assert spec.can_read == f"{can_read.__module__}:can_read"
