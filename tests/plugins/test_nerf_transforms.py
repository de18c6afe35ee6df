"""The reader of transforms.json: three dialects, lenses, times, and one line per broken input."""

import json
import math
import pickle

import cv2
import mfl_adapt_nerf_transforms
import numpy as np
import pytest
from mfl_adapt_nerf_transforms.config import TransformsConfig
from mfl_adapt_nerf_transforms.discover import can_read
from mfl_adapt_nerf_transforms.reader import TransformsReader
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

from mfl_adapt.cameras import history, project
from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.images import save_picture

SHOTS = take_shots(3)
CENTERED = take_shots(3, centered=True)


def read(path, **settings):
    return TransformsReader(TransformsConfig(path=path, **settings))


def opengl(c2w):
    """Columns right, up, back, centre."""
    columns = [c2w[:, 0], -c2w[:, 1], -c2w[:, 2], c2w[:, 3]]
    return np.column_stack(columns).tolist()


def intrinsics(shot):
    return dict(zip(("fl_x", "fl_y", "cx", "cy"), shot.fxfycxcy.tolist(), strict=True))


def write(file, content, shots=SHOTS, pictures=None, *, alpha=True):
    """A camera file and its pictures; ``pictures`` replaces the rendered ones."""
    pictures = pictures or [(shot.rgb, shot.mask) for shot in shots]
    for entry, (rgb, mask) in zip(content["frames"], pictures, strict=True):
        path = file.parent / entry["file_path"]
        path = path if path.suffix else path.with_name(path.name + ".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        save_picture(path, rgb, mask if alpha else None)
    file.write_text(json.dumps(content))
    return file.parent


def nerfstudio(folder, edit=None, shots=SHOTS, pictures=None, **top):
    frames = [
        {
            "file_path": f"images/cam{index}/frame_7.png",
            "transform_matrix": opengl(shot.c2w),
            **intrinsics(shot),
        }
        for index, shot in enumerate(shots)
    ]
    content = {"camera_model": "OPENCV", "w": WIDTH, "h": HEIGHT, **top, "frames": frames}
    written = write(folder / "transforms.json", content, shots, pictures)
    if edit:
        edit(content)
        (folder / "transforms.json").write_text(json.dumps(content))
    return written


def test_blender(tmp_path):
    (tmp_path / "lego").mkdir()
    frames = [
        {
            "file_path": f"./train/r_{index}",
            "rotation": 0.1,
            "camera_angle_x": 2 * math.atan(WIDTH / 2 / shot.fxfycxcy[0]),
            "transform_matrix": opengl(shot.c2w),
        }
        for index, shot in enumerate(CENTERED)
    ]
    write(tmp_path / "lego/transforms_train.json", {"frames": frames}, CENTERED)
    reader = read(tmp_path / "lego")
    assert len(reader) == 1
    sample = reader[0]
    assert (sample.id, sample.session, sample.time_s) == ("lego", "", None)
    assert [view.name for view in sample.views] == ["r_0", "r_1", "r_2"]
    check_cameras(sample, CENTERED)
    check_round_trip(sample, CENTERED, "pinhole", ())
    for view, shot in zip(sample.views, CENTERED, strict=True):
        assert np.array_equal(view.rgb, shot.rgb)
        assert np.array_equal(view.mask, shot.mask)
        # The subject is in front of the camera and inside its mask.
        pixel, depth = project(np.zeros((1, 3)), view.c2w, view.fxfycxcy)
        column, row = np.floor(pixel[0]).astype(int)
        assert depth[0] > 0
        assert view.mask[row, column] > 127
    step = sample.provenance[0]
    assert step.step == "nerf_transforms.transforms"
    assert step.params["camera_axes"] == "opengl"
    assert [camera.lens for camera in step.raw_cameras] == ["pinhole"] * 3


def test_the_angle_of_the_whole_file_and_three_rows(tmp_path):
    shot = CENTERED[0]
    entry = {"file_path": "a.png", "transform_matrix": opengl(shot.c2w)[:3]}
    angle = 2 * math.atan(WIDTH / 2 / shot.fxfycxcy[0])
    content = {"camera_angle_x": angle, "frames": [entry]}
    write(tmp_path / "transforms.json", content, [shot])
    sample = read(tmp_path)[0]
    check_cameras(sample, [shot])
    assert sample.views[0].name == "a"


@pytest.mark.parametrize(
    ("model", "keys", "lens", "values"),
    [
        ("OPENCV", ("k1", "k2", "p1", "p2", "k3"), "brown", BROWN),
        ("SIMPLE_RADIAL", ("k1",), "brown", (-0.2,)),
        ("RADIAL", ("k1", "k2"), "brown", (-0.2, 0.05)),
        ("OPENCV_FISHEYE", ("k1", "k2", "k3", "k4"), "fisheye", FISHEYE),
        ("OPENCV_FISHEYE", (), "fisheye", ()),
        (None, ("k1", "k2", "p1", "p2"), "brown", BROWN[:4]),
    ],
)
def test_lenses(tmp_path, model, keys, lens, values):
    coefficients = dict(zip(keys, values, strict=True))
    top = {"camera_model": model, **coefficients} if model else coefficients
    folder = nerfstudio(tmp_path, edit=None if model else drop_model, **top)
    sample = read(folder)[0]
    check_cameras(sample, SHOTS)
    padded = (*values, *(0.0,) * ((4 if lens == "fisheye" else 5) - len(values)))
    assert {camera.lens for camera in sample.provenance[0].raw_cameras} == {lens}
    assert {camera.distortion for camera in sample.provenance[0].raw_cameras} == {padded}
    check_round_trip(sample, SHOTS, lens, padded)


def drop_model(content):
    del content["camera_model"]


def test_a_distorted_picture_becomes_the_pinhole_render(tmp_path):
    pictures = [through_lens(shot, "brown", BROWN) for shot in SHOTS]
    names = ("k1", "k2", "p1", "p2", "k3")
    folder = nerfstudio(tmp_path, pictures=pictures, **dict(zip(names, BROWN, strict=True)))
    check_straightened(read(folder)[0], SHOTS, [mask for _, mask in pictures])


def test_no_distortion_leaves_the_pixels_alone(tmp_path):
    sample = read(nerfstudio(tmp_path, k1=0.0, k2=0, p1=0, p2=0))[0]
    for view, shot in zip(sample.views, SHOTS, strict=True):
        assert np.array_equal(view.rgb, shot.rgb)
    assert sample.provenance[0].raw_cameras[0].lens == "pinhole"
    assert history.round_trip_px(sample).max() < 1e-9


def test_16_bits(tmp_path):
    folder = nerfstudio(tmp_path)
    deep = SHOTS[0].rgb.astype(np.uint16) * 257 - 100 * (SHOTS[0].rgb > 0)
    cv2.imwrite(str(folder / "images/cam0/frame_7.png"), deep.astype(np.uint16)[:, :, ::-1])
    assert np.array_equal(read(folder, bits=16)[0].views[0].rgb, deep)
    assert np.array_equal(read(folder)[0].views[0].rgb, SHOTS[0].rgb)


def test_readers_travel_to_other_processes(tmp_path):
    reader = read(nerfstudio(tmp_path))
    again = pickle.loads(pickle.dumps(reader))
    assert again[0].provenance == reader[0].provenance


def test_names_of_views_are_what_tells_them_apart(tmp_path):
    sample = read(nerfstudio(tmp_path))[0]
    assert [view.name for view in sample.views] == ["cam0", "cam1", "cam2"]


def test_frame_keys_go_before_those_of_the_file(tmp_path):
    def edit(content):
        content["fl_x"] = content["fl_y"] = 9.0
        content["k1"] = -0.3
        content["frames"][1] |= {"k1": 0.0}
        content["frames"][2] |= {"camera_angle_x": 1.0, "cx": 20.0}
        for key in ("fl_x", "fl_y"):
            del content["frames"][2][key]

    cameras = read(nerfstudio(tmp_path, edit))[0].provenance[0].raw_cameras
    assert [camera.lens for camera in cameras] == ["brown", "pinhole", "brown"]
    assert cameras[0].fxfycxcy[0] == 72.0
    # 42 / tan(0.5 rad)
    np.testing.assert_allclose(cameras[2].fxfycxcy[:3], [76.88047, 76.88047, 20.0], atol=1e-5)


def test_times_make_samples(tmp_path):
    def edit(content):
        for entry, time in zip(content["frames"], (0.5, 0.0, 0.5), strict=True):
            entry["time"] = time

    (tmp_path / "jump").mkdir()
    reader = read(nerfstudio(tmp_path / "jump", edit), time_unit_s=4.0)
    samples = list(reader)
    assert len(reader) == 2
    assert [sample.id for sample in samples] == ["jump/t000000", "jump/t000001"]
    assert [sample.time_s for sample in samples] == [0.0, 2.0]
    assert {sample.session for sample in samples} == {"jump"}
    check_cameras(samples[0], [SHOTS[1]])
    check_cameras(samples[1], [SHOTS[0], SHOTS[2]])


def test_folders_of_scenes(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        nerfstudio(tmp_path / name)
    (tmp_path / "notes").mkdir()
    assert [sample.id for sample in read(tmp_path)] == ["a", "b"]
    assert len(read(tmp_path / "a/transforms.json")[0].views) == 3
    (tmp_path / "a/other.json").write_text((tmp_path / "a/transforms.json").read_text())
    assert [sample.id for sample in read(tmp_path, file="other.json")] == ["a"]


def test_view_choice(tmp_path):
    folder = nerfstudio(tmp_path)
    sample = read(folder, views=["cam2", 0])[0]
    check_cameras(sample, [SHOTS[2], SHOTS[0]])
    with pytest.raises(DataError, match=r"got 'cam9'\. Did you mean 'cam"):
        read(folder, views=["cam9"])[0]
    with pytest.raises(DataError, match="view indices from 0 to 2, got 3"):
        read(folder, views=[3])[0]
    with pytest.raises(DataError, match="every view once, got 'cam1' twice"):
        read(folder, views=[1, "cam1"])[0]


def test_masks(tmp_path):
    def edit(content):
        content["frames"][0]["mask_path"] = "masks/0.png"

    folder = nerfstudio(tmp_path, edit)
    (tmp_path / "masks").mkdir()
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:20, 5:50] = 255
    cv2.imwrite(str(tmp_path / "masks/0.png"), mask)
    views = read(folder)[0].views
    assert np.array_equal(views[0].mask, mask)
    assert np.array_equal(views[1].mask, SHOTS[1].mask)
    assert np.array_equal(read(folder, mask="alpha")[0].views[0].mask, SHOTS[0].mask)
    assert all(view.mask is None for view in read(folder, mask="none")[0].views)
    with pytest.raises(DataError, match=r"frames\[1\]: expected a mask_path .* got none"):
        read(folder, mask="mask_path")[0]
    save_picture(tmp_path / "images/cam1/frame_7.png", SHOTS[1].rgb)
    assert read(folder)[0].views[1].mask is None
    with pytest.raises(DataError, match=r"frames\[1\]: expected an alpha channel"):
        read(folder, mask="alpha")[0]
    cv2.imwrite(str(tmp_path / "masks/0.png"), mask // 255)
    with pytest.raises(DataError, match=r"0\.png: expected a mask of 0 and 255, got one of 0 and"):
        read(folder)[0]
    save_picture(tmp_path / "masks/0.png", SHOTS[0].rgb)
    with pytest.raises(DataError, match=r"0\.png: expected a grey mask"):
        read(folder)[0]
    cv2.imwrite(str(tmp_path / "masks/0.png"), mask[:20])
    with pytest.raises(DataError, match=r"frame_7\.png: expected a mask like the picture"):
        read(folder)[0]


def test_a_turned_world_stays_turned_and_is_noted(tmp_path):
    turn = [[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0]]
    sample = read(nerfstudio(tmp_path, applied_transform=turn))[0]
    check_cameras(sample, SHOTS)
    assert sample.provenance[0].params["applied_transform"] == turn


def test_can_read(tmp_path):
    for name in ("set", "none"):
        (tmp_path / name).mkdir()
    (tmp_path / "set/s").mkdir()
    nerfstudio(tmp_path / "set/s")
    (tmp_path / "cameras.json").write_text('{"frames": [{"w2c": []}]}')
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "binary.json").write_bytes(bytes(range(256)))
    known = ["set", "set/s", "set/s/transforms.json"]
    unknown = ["none", "missing", "missing.json", "cameras.json", "deep.json", "binary.json"]
    assert [can_read(tmp_path / name) for name in known] == [True] * 3
    assert [can_read(tmp_path / name) for name in unknown] == [False] * 6


def set_key(key, value):
    return lambda content: content["frames"][1].__setitem__(key, value)


def nan_pose(content):
    content["frames"][1]["transform_matrix"][0][3] = float("nan")


def mirrored_pose(content):
    rows = content["frames"][1]["transform_matrix"]
    for row in rows[:3]:
        row[0] = -row[0]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (nan_pose, r"frames\[1\]\.transform_matrix: expected finite numbers"),
        (mirrored_pose, r"frame_7\.png: expected a rotation with det \+1, got det -1"),
        (set_key("transform_matrix", [[1]]), r"frames\[1\]\.transform_matrix: expected 3 or 4"),
        (set_key("transform_matrix", "I"), r"frames\[1\]\.transform_matrix: expected 3 or 4"),
        (set_key("w", WIDTH // 2), r"frame_7\.png: expected a picture of the camera's height and"),
        (set_key("w", 7.5), r"frames\[1\]\.w: expected a whole number of pixels, got 7\.5"),
        (set_key("fl_x", -3), r"frames\[1\]\.fl_x: expected a positive focal length, got -3"),
        (set_key("cx", "middle"), r"frames\[1\]\.cx: expected a finite number, got 'middle'"),
        (set_key("k4", 0.1), r"frames\[1\]\.k4: expected k1 k2 p1 p2 k3 with camera model OPENCV"),
        (set_key("camera_model", "OPENCV_FISH"), r"got 'OPENCV_FISH'\. Did you mean 'OPENCV_FI"),
        (set_key("camera_model", "EQUIRECTANGULAR"), r"Known: SIMPLE_PINHOLE, PINHOLE, .*FISHEYE"),
        (set_key("distortion_params", [0.1]), r"expected six numbers k1 k2 k3 k4 p1 p2"),
        (set_key("file_path", "images/gone"), r"frames\[1\]\.file_path: .*gone, which does not ex"),
        (set_key("file_path", "images/cam0/frame_7.png"), r"every picture once.* and frames\[1\]"),
        (set_key("file_path", 7), r"frames\[1\]: expected a path under 'file_path', got 7"),
        (set_key("mask_path", "masks/gone.png"), r"masks/gone\.png: expected a PNG or JPEG file"),
        (set_key("time", 0.5), r"expected a time in all frames or in none, got 1 of 3"),
        (lambda c: c["frames"].__setitem__(1, 3), r"frames\[1\]: expected a mapping, got 3"),
        (lambda c: c.__setitem__("frames", []), r"expected a list of cameras under 'frames'"),
        (lambda c: [f.pop("fl_x") for f in c["frames"]], r"expected a focal length as fl_x or"),
        (set_key("is_fisheye", True), None),
    ],
)
def test_broken_camera_files(tmp_path, edit, message):
    folder = nerfstudio(tmp_path, edit)
    if message is None:  # a model that is named goes before instant-ngp's flag
        assert read(folder)[0].provenance[0].raw_cameras[1].lens == "pinhole"
        return
    with pytest.raises(DataError, match=message) as caught:
        read(folder)[0]
    assert "\n" not in str(caught.value)


def test_broken_paths(tmp_path):
    with pytest.raises(ConfigError, match=r"expected a dataset under data\.path, got none"):
        TransformsReader(TransformsConfig())
    with pytest.raises(DataError, match=r"gone: expected a NeRF dataset, got no such path"):
        read(tmp_path / "gone")
    with pytest.raises(DataError, match=r"expected transforms\.json or transforms_train\.json in"):
        read(tmp_path)
    (tmp_path / "transforms.json").write_text('{\n "frames": [\n}\n')
    with pytest.raises(DataError, match=r"transforms\.json:3: expected JSON, got"):
        read(tmp_path)


def test_the_offered_component():
    (spec,) = mfl_adapt_nerf_transforms.register_components()
    assert (spec.name, spec.needs_path) == ("transforms", True)
    assert spec.config is TransformsConfig
    assert spec.build == f"{TransformsReader.__module__}:TransformsReader"
    assert spec.can_read == f"{can_read.__module__}:can_read"
