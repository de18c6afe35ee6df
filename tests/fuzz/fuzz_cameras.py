"""Parsers of cameras and datasets: what labs, and strangers, hand over."""

import pickle
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fuzz_mutations import (
    JSON_TOKENS,
    TOML_TOKENS,
    changed_bytes,
    changed_trees,
    dump_json,
    dump_toml,
)
from fuzz_profile import Target
from mfl_adapt_anipose.calibration import read_calibration as read_toml
from mfl_adapt_colmap.config import SparseConfig
from mfl_adapt_colmap.reader import SparseReader
from mfl_adapt_facelift_cameras.keypoints import Keypoints
from mfl_adapt_facelift_reader.discover import find_samples
from mfl_adapt_facelift_reader.history import read_history
from mfl_adapt_markerless_mouse.calibration import read_calibration, to_raw_camera
from mfl_adapt_nerf_transforms.config import TransformsConfig
from mfl_adapt_nerf_transforms.reader import TransformsReader

from mfl_adapt.cameras import to_w2c
from mfl_adapt.cameras.camera_file import load_cameras
from mfl_adapt.cameras.lens import check_lens
from mfl_adapt.images.grade import load_metrics
from mfl_adapt.types import Cameras, Provenance, RawCamera, Sample, View

SIDE = 8
_W2C = [[1.0, 0.0, 0.0, 0.1], [0.0, 0.0, -1.0, 0.2], [0.0, 1.0, 0.0, 2.7], [0.0, 0.0, 0.0, 1.0]]
_TURNED = [[0.6, 0.8, 0.0, 0.0], [-0.8, 0.6, 0.0, 0.0], [0.0, 0.0, 1.0, 3.0], [0.0, 0.0, 0.0, 1.0]]


def check_pose(c2w: Any) -> None:
    """A rotation and a translation, all finite."""
    pose = np.asarray(c2w, np.float64)
    assert pose.shape[-2:] == (4, 4)
    assert np.isfinite(pose).all()
    rotation = pose[..., :3, :3]
    assert np.abs(rotation @ np.swapaxes(rotation, -1, -2) - np.eye(3)).max() < 1e-3
    assert (np.linalg.det(rotation) > 0).all()
    assert np.abs(pose[..., 3, :] - [0, 0, 0, 1]).max() < 1e-3


def check_intrinsics(fxfycxcy: Any) -> None:
    """Finite, with positive focal lengths."""
    numbers = np.asarray(fxfycxcy, np.float64)
    assert numbers.shape[-1] == 4
    assert np.isfinite(numbers).all()
    assert (numbers[..., :2] > 0).all()


def check_raw_camera(camera: RawCamera) -> None:
    """A camera that every later step can rely on."""
    check_pose(camera.c2w)
    check_intrinsics(camera.fxfycxcy)
    assert 0 < camera.width < 2**32
    assert 0 < camera.height < 2**32
    assert all(type(side) is int for side in (camera.width, camera.height))
    assert np.isfinite([camera.skew, *camera.distortion]).all()
    check_lens(camera)


def check_sample(sample: Sample) -> None:
    """Views that agree with their cameras."""
    assert sample.views
    assert len({view.name for view in sample.views}) == len(sample.views)
    assert sample.time_s is None or np.isfinite(sample.time_s)
    for view in sample.views:
        assert isinstance(view, View)
        check_pose(view.c2w)
        check_intrinsics(view.fxfycxcy)
        assert view.rgb.shape[:2] == (SIDE, SIDE)
    for camera in sample.provenance[0].raw_cameras:
        check_raw_camera(camera)


def _write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def _picture(channels: int) -> bytes:
    pixels = np.full((SIDE, SIDE, channels), 200, np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


def _put_pictures(folder: Path) -> None:
    for name in ("a.png", "b.png", "images/a.png", "images/b.png", "mask.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(_picture(1 if name == "mask.png" else 4))


# opencv_cameras.json


def _frame(name: str, w2c: Any, **more: Any) -> dict[str, Any]:
    frame = {"file_path": name, "fx": 9.0, "fy": 9.0, "cx": 4.0, "cy": 4.0, "w": 8, "h": 8}
    return frame | {"w2c": w2c} | more


CAMERAS = {"id": "m", "frames": [_frame("images/a.png", _W2C), _frame("images/b.png", _TURNED)]}


def _check_cameras(found: tuple[Path, Cameras]) -> None:
    folder, cameras = found
    check_pose(cameras.c2w)
    check_intrinsics(cameras.fxfycxcy)
    assert 0 < cameras.height < 2**21
    assert 0 < cameras.width < 2**21
    frames = [
        {"view_name": str(index), "file_path": f"{index}.png", "w": cameras.width}
        | {"h": cameras.height, "w2c": to_w2c(cameras.c2w[index]).tolist()}
        | dict(zip(("fx", "fy", "cx", "cy"), cameras.fxfycxcy[index].tolist(), strict=True))
        for index in range(len(cameras))
    ]
    again = load_cameras(_write(folder, "again.json", dump_json({"frames": frames})))
    assert np.allclose(again.c2w, cameras.c2w, rtol=1e-6, atol=1e-6)
    assert np.array_equal(again.fxfycxcy, cameras.fxfycxcy)


def _load_cameras(folder: Path, content: bytes) -> tuple[Path, Cameras]:
    return folder, load_cameras(_write(folder, "opencv_cameras.json", content))


# transforms.json

_C2W = [[1.0, 0.0, 0.0, 0.1], [0.0, 0.0, -1.0, -2.7], [0.0, 1.0, 0.0, 0.2], [0.0, 0.0, 0.0, 1.0]]
_SHARED = {"fl_x": 9.0, "fl_y": 9.0, "cx": 4.0, "cy": 4.0, "w": 8, "h": 8}
TRANSFORMS = [
    {
        **_SHARED,
        **{"k1": 0.01, "k2": 0.0, "p1": 0.0, "p2": 0.001, "camera_model": "OPENCV"},
        "frames": [
            {"file_path": "a.png", "transform_matrix": _C2W, "mask_path": "mask.png"},
            {"file_path": "images/b", "transform_matrix": _C2W[:3]},
        ],
    },
    {
        "camera_angle_x": 0.7,
        "frames": [
            {"file_path": "a", "transform_matrix": _C2W, "time": 0.0},
            {"file_path": "b", "transform_matrix": _C2W, "time": 0.5, "fl_x": 9.0},
        ],
    },
    {
        **_SHARED,
        "camera_model": "OPENCV_FISHEYE",
        "distortion_params": [0.01, 0.0, 0.0, 0.0, 0.0, 0.0],
        "frames": [{"file_path": "a.png", "transform_matrix": _C2W}],
    },
]


def _read_transforms(folder: Path, content: bytes) -> list[Sample]:
    path = _write(folder, "transforms.json", content)
    return list(TransformsReader(TransformsConfig(path=path)))


def _check_samples(samples: list[Sample]) -> None:
    assert samples
    for sample in samples:
        check_sample(sample)


# calibration.toml

CALIBRATION = {
    "cam_0": {
        "name": "top",
        "size": [1280, 1024],
        "matrix": [[900.0, 0.0, 640.0], [0.0, 900.0, 512.0], [0.0, 0.0, 1.0]],
        "distortions": [-0.1, 0.01, 0.0, 0.0, 0.0],
        "rotation": [0.1, -0.2, 3.0],
        "translation": [1.0, 2.0, 30.0],
        "fisheye": False,
    },
    "cam_1": {
        "size": [640, 480],
        "matrix": [[500.0, 0.0, 320.0], [0.0, 500.0, 240.0], [0.0, 0.0, 1.0]],
        "distortions": [0.0, 0.0, 0.0, 0.0],
        "rotation": [0.0, 0.0, 0.0],
        "translation": [0.0, 0.0, 0.0],
        "fisheye": True,
    },
    "metadata": {"error": 0.3},
}


def _check_toml(cameras: dict[str, Any]) -> None:
    assert cameras
    for name, one in cameras.items():
        assert name == one.name
        check_raw_camera(one.camera)


# new_cam.pkl


def _pickles() -> list[bytes]:
    entries = [
        {"R": np.eye(3), "T": np.zeros((3, 1)), "K": np.diag([9.0, 9.0, 1.0])},
        {"R": np.array(_TURNED)[:3, :3], "T": [0.0, 0.0, 3.0], "K": np.diag([9.0, 9.0, 1.0])},
    ]
    for one in entries:
        one["K"][0, 2] = one["K"][1, 2] = 4.0
    values = [entries, dict(enumerate(entries)), [np.float64(1.0), np.int32(2)]]
    return [pickle.dumps(value, protocol) for value in values for protocol in range(6)]


PICKLE_TOKENS = (
    b"cos\nsystem\n",
    b"cnumpy\ndtype\n",
    b"c_codecs\nencode\n",
    b"ccollections\nOrderedDict\n",
    b"cbuiltins\neval\n",
    b"r\xff\xff\xff\x7f",
    b"p99999999\n",
    b"\x8e" + struct.pack("<Q", 2**60),
    b"\x8d" + struct.pack("<Q", 2**60),
    b"\x95" + struct.pack("<Q", 2**60),
    b"B" + struct.pack("<I", 2**31),
    b"I" + b"9" * 5000 + b"\n",
    *(bytes([one]) for one in b"()]}.02Rab\x81\x85\x86\x87\x94ustedh\x93\x8a\x88"),
    b"2l" * 3,
    b"V(2,3)f8\nR",
    b"U\x03O8\n",
)


def _read_pickle(folder: Path, content: bytes) -> list[RawCamera]:
    file = _write(folder, "new_cam.pkl", content)
    return [
        to_raw_camera(
            f"{file}: camera {number}",
            entry,
            height=SIDE,
            width=SIDE,
            pixel_centers="integer",
            off_center=0.3,
        )
        for number, entry in read_calibration(file).items()
    ]


# COLMAP

_CAMERA_TEXT = b"# cameras\n1 PINHOLE 8 8 9.0 9.0 4.0 4.0\n2 OPENCV 8 8 9 9 4 4 0.01 0 0 0\n"
_IMAGE_TEXT = (
    b"# images\n1 1 0 0 0 0.1 0.2 2.7 1 a.png\n1.0 2.0 -1\n2 0.6 0.8 0 0 0 0 3 2 b.png\n\n"
)


def _binary_model() -> bytes:
    cameras = struct.pack("<QIiQQ4d", 2, 1, 1, 8, 8, 9.0, 9.0, 4.0, 4.0)
    cameras += struct.pack("<IiQQ8d", 2, 4, 8, 8, 9, 9, 4, 4, 0.01, 0, 0, 0)
    images = struct.pack("<QI7dI", 2, 1, 1, 0, 0, 0, 0.1, 0.2, 2.7, 1) + b"a.png\0"
    images += struct.pack("<Q2dq", 1, 1.0, 2.0, -1)
    images += (
        struct.pack("<I7dI", 2, 0.6, 0.8, 0, 0, 0, 0, 3, 2) + b"b.png\0" + struct.pack("<Q", 0)
    )
    return cameras + _CUT + images


_CUT = b"=== images ==="
COLMAP_TOKENS = (
    b"../../etc/passwd",
    b"/etc/passwd",
    b"a.png\0",
    b"\0",
    b"\n",
    b" ",
    b"nan",
    b"inf",
)
COLMAP_TOKENS += (b"1e400", b"9" * 5000, b"PINHOLE", b"OPENCV_FISHEYE", b"-1", b"\xff", b"#")


def _read_colmap(folder: Path, content: bytes) -> list[Sample]:
    for suffix in ("bin", "txt"):
        for name in ("cameras", "images"):
            (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    suffix = "txt" if _TEXT in content else "bin"
    cameras, _, images = content.replace(_TEXT, b"").partition(_CUT)
    _write(folder, f"cameras.{suffix}", cameras)
    _write(folder, f"images.{suffix}", images)
    return list(SparseReader(SparseConfig(path=folder, model=".", images=".")))


_TEXT = b"(text)"

# provenance.json, dataset.json, metrics

_EYE = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
_WORLD = {"scale": 0.5, "rotation": _EYE, "translation": [0.0, 1.0, 0.0]}
_RAW = {
    "c2w": _TURNED,
    "fxfycxcy": [9.0, 9.0, 4.0, 4.0],
    **{"height": 8, "width": 8, "lens": "brown", "distortion": [0.1, 0.0, 0.0, 0.0], "skew": 0.0},
}
_STEP = {"params": {}, "digest": "ab", "world": _WORLD, "exact": True}
PROVENANCE = {
    "schema": 2,
    "steps": [
        {**_STEP, "step": "a.b", "pixel_maps": [], "order": [], "raw_cameras": [_RAW, _RAW]},
        {**_STEP, "step": "c.d", "pixel_maps": [_EYE, _EYE], "order": [1, 0], "raw_cameras": []},
    ],
}
SUMMARY = {"schema": 1, "samples": ["a", "s/b"], "sessions": [], "fingerprint": "ab"}
METRICS = {"samples": [{"view_metrics": [{"size_ratio": 0.3, "com_offset_dist": 2.0}]}]}
KEYPOINTS = {"m": [0.0, 1.0, 2.0], "n": {"a": [1.0, 2.0], "b": None}}


def _check_history(steps: tuple[Provenance, ...]) -> None:
    for step in steps:
        assert isinstance(step.step, str)
        assert np.isfinite(np.array(step.pixel_maps, np.float64)).all()
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = step.world.rotation, step.world.translation
        check_pose(pose)
        assert 0 < step.world.scale < float("inf")
        assert all(type(index) is int and index >= 0 for index in step.order)
        for camera in step.raw_cameras:
            check_raw_camera(camera)


def _put_samples(folder: Path) -> None:
    for name in ("a", "s/b"):
        (folder / name).mkdir(parents=True)
        (folder / name / "opencv_cameras.json").write_bytes(dump_json(CAMERAS))


def _find(folder: Path, name: str, content: bytes, place: str) -> list[tuple[Path, Any]]:
    _write(folder, name, content)
    return [(folder, one) for one in find_samples(folder / place)]


def _check_inside(found: list[tuple[Path, Any]]) -> None:
    assert found
    for folder, one in found:
        assert ".." not in one.folder.parts
        assert one.folder.is_relative_to(folder)


def _check_listed(found: list[tuple[Path, Any]]) -> None:
    # A list may name folders anywhere; what it names must be there.
    assert found
    assert all(one.folder.is_dir() for _, one in found)


def _check_measures(found: Any) -> None:
    for sample in found:
        for one in sample:
            assert 0 < one.size_ratio <= 1
            assert 0 <= one.offset_px < float("inf")


def _read_keypoints(folder: Path, content: bytes) -> np.ndarray:
    points = Keypoints(_write(folder, "keypoints.json", content))
    return points.find(Sample("m", (), (Provenance("a.b"),)))


def _check_point(point: Any) -> None:
    assert np.asarray(point).shape == (3,)
    assert np.isfinite(point).all()


def _encode_model(text: bool) -> bytes:
    return _TEXT + _CAMERA_TEXT + _CUT + _IMAGE_TEXT if text else _binary_model()


TARGETS = [
    Target(
        "cameras",
        changed_trees([CAMERAS], dump_json, JSON_TOKENS),
        _load_cameras,
        _check_cameras,
    ),
    Target(
        "transforms",
        changed_trees(TRANSFORMS, dump_json, JSON_TOKENS),
        _read_transforms,
        _check_samples,
        _put_pictures,
    ),
    Target(
        "calibration_toml",
        changed_trees([CALIBRATION], dump_toml, TOML_TOKENS),
        lambda folder, content: read_toml(_write(folder, "calibration.toml", content)),
        _check_toml,
    ),
    Target(
        "calibration_pickle",
        changed_bytes(_pickles(), PICKLE_TOKENS),
        _read_pickle,
        lambda cameras: [check_raw_camera(one) for one in cameras],
    ),
    Target(
        "colmap_binary",
        changed_bytes([_encode_model(text=False)], COLMAP_TOKENS),
        _read_colmap,
        _check_samples,
        _put_pictures,
    ),
    Target(
        "colmap_text",
        changed_bytes([_encode_model(text=True)], COLMAP_TOKENS, share_raw=False),
        _read_colmap,
        _check_samples,
        _put_pictures,
    ),
    Target(
        "provenance",
        changed_trees([PROVENANCE], dump_json, JSON_TOKENS),
        lambda folder, content: read_history(
            _write(folder, "provenance.json", content).parent, num_views=2
        ),
        _check_history,
    ),
    Target(
        "dataset_summary",
        changed_trees([SUMMARY], dump_json, JSON_TOKENS),
        lambda folder, content: _find(folder, "dataset.json", content, "."),
        _check_inside,
        _put_samples,
    ),
    Target(
        "sample_list",
        changed_bytes([b"a\ns/b\n"], (b"../", b"/", b"\0", b"\n", b"\xff", b"x" * 5000, b"a/.")),
        lambda folder, content: _find(folder, "data_train.txt", content, "data_train.txt"),
        _check_listed,
        _put_samples,
    ),
    Target(
        "view_metrics",
        changed_trees([METRICS], dump_json, JSON_TOKENS),
        lambda folder, content: load_metrics(_write(folder, "metrics.json", content)),
        _check_measures,
    ),
    Target(
        "keypoints",
        changed_trees([KEYPOINTS], dump_json, JSON_TOKENS),
        _read_keypoints,
        _check_point,
    ),
]
