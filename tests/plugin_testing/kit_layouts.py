"""The probe of the kit in the layout of every reader that ships with the package."""

import json

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from mfl_adapt.data import write_dataset
from mfl_adapt.images import save_picture
from mfl_adapt.plugin.testing.probes import make_probe
from mfl_adapt.synth.recording import write_recording

VIEWS = make_probe("raw").sample.views
FRAMES = 3


def facelift_reader(folder):
    return write_dataset([make_probe("slots").sample], folder)


def markerless_mouse(folder):
    write_recording(folder, frames=FRAMES, fps=10, scale=0.125, true_masks=True)


def nerf_transforms(folder):
    frames = []
    for view in VIEWS:
        columns = view.c2w * [1, -1, -1, 1]
        numbers = dict(zip(("fl_x", "fl_y", "cx", "cy"), view.fxfycxcy.tolist(), strict=True))
        picture = f"images/{view.name}/frame_7.png"
        frames.append({"file_path": picture, "transform_matrix": columns.tolist(), **numbers})
        _save(folder / picture, view)
    content = {"camera_model": "OPENCV", "w": VIEWS[0].width, "h": VIEWS[0].height}
    (folder / "transforms.json").write_text(json.dumps(content | {"frames": frames}))


def colmap(folder):
    cameras, images = [], []
    for number, view in enumerate(VIEWS, start=1):
        w2c = np.linalg.inv(view.c2w)
        x, y, z, w = Rotation.from_matrix(w2c[:3, :3]).as_quat()
        pose = " ".join(repr(float(value)) for value in (w, x, y, z, *w2c[:3, 3]))
        lens = " ".join(repr(value) for value in view.fxfycxcy.tolist())
        cameras.append(f"{number} PINHOLE {view.width} {view.height} {lens}")
        images += [f"{number} {pose} {number} {view.name}.png", ""]
        _save(folder / "images" / f"{view.name}.png", view)
    model = folder / "sparse/0"
    model.mkdir(parents=True)
    (model / "cameras.txt").write_text("\n".join(cameras) + "\n")
    (model / "images.txt").write_text("\n".join(images) + "\n")


def anipose(folder):
    lines = []
    for number, view in enumerate(VIEWS):
        name = "ABCDEF"[number]
        w2c = np.linalg.inv(view.c2w)
        fx, fy, cx, cy = view.fxfycxcy.tolist()
        matrix = [[fx, 0.0, cx - 0.5], [0.0, fy, cy - 0.5], [0.0, 0.0, 1.0]]
        lines += [
            f"[cam_{number}]",
            f'name = "{name}"',
            f"size = [{view.width}, {view.height}]",
            f"matrix = {matrix}",
            "distortions = [0.0, 0.0, 0.0, 0.0, 0.0]",
            f"rotation = {cv2.Rodrigues(w2c[:3, :3])[0].ravel().tolist()}",
            f"translation = {w2c[:3, 3].tolist()}",
            "",
        ]
        _film(folder / f"videos-raw/run-cam{name}.avi", view.rgb)
        _film(folder / f"masks/run-cam{name}.avi", np.repeat(view.mask[..., None], 3, axis=2))
    (folder / "calibration.toml").write_text("\n".join(lines))


def _save(path, view):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_picture(path, view.rgb, view.mask)


def _film(path, picture):
    """Motion JPEG, which loses little."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = picture.shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25.0, (width, height))
    writer.set(cv2.VIDEOWRITER_PROP_QUALITY, 100)
    for _ in range(FRAMES):
        writer.write(np.ascontiguousarray(picture[:, :, ::-1]))
    writer.release()
