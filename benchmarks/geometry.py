"""Compare camera normalizers on a recording whose truth is known, from files to held-out pictures.

    python benchmarks/geometry.py [--quick] [--work FOLDER] [--methods subject,N5]

A procedural mouse walks through a real laboratory rig (six cameras 246 to 414 mm away, focal
lengths near 1600 px at 1152 x 1024, the animal off the origin); videos, mask videos and
``new_cam.pkl`` are written to disk and read back. Each method then makes samples for the tiny
base, and the run measures

- ``round trip``: worst disagreement between the cameras and the recorded pixel maps, over random
  points, in pixels of a 512 px picture;
- ``residual``: true body points, followed through the pixel maps and triangulated with the
  cameras, worst reprojection error in the same pixels;
- ``hull IoU``: of the masks with the visual hull of all views, worst sample's mean;
- held-out PSNR, zero-shot and after the default adapter training. Two cameras are held out, and
  the last frames. All predictions are mapped back into the raw world and drawn through one crop
  of the true held-out cameras, so that the methods' different zooms do not count.
"""

import argparse
import logging
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch

from mfl_adapt.cameras import project, triangulate
from mfl_adapt.cameras.history import from_raw_pixels, raw_camera, round_trip_px
from mfl_adapt.cameras.lens import project_raw
from mfl_adapt.cameras.unmap import unmap_gaussians
from mfl_adapt.chain import open_chain
from mfl_adapt.cli.options import open_config
from mfl_adapt.data.collate import collate
from mfl_adapt.images.hull import fit_hull
from mfl_adapt.metrics import foreground_psnr, psnr, white_baseline
from mfl_adapt.render import render
from mfl_adapt.synth.recording import Recording, make_recording, write_recording
from mfl_adapt.train.run import run_training
from mfl_adapt.types import Cameras, Gaussians, Sample

LEGACY = Path(__file__).with_name("legacy_normalizers.py")
INPUTS, HELD_OUT = (0, 2, 3, 4), (1, 5)
CROP_PX, CROP_MM = 64, 110.0  # the whole mouse with its tail fits
FPS = 10.0
PICTURE = 512

METHODS: dict[str, Mapping[str, Any]] = {
    "none": {"crop": True},
    "N1": {"use": "legacy_normalizers.N1"},
    "N2": {"use": "legacy_normalizers.N2"},
    "N5": {"use": "legacy_normalizers.N5"},
    "pixel scale": {"use": "legacy_normalizers.S5"},
    "scene_scale": {"crop": True, "use": "facelift_cameras.scene_scale", "about": "masks"},
    "contract_focal": {"use": "facelift_cameras.virtual_camera", "mode": "contract_focal"},
    "dolly": {"use": "facelift_cameras.virtual_camera", "mode": "dolly"},
    "subject": {"use": "facelift_cameras.virtual_camera", "mode": "subject"},
}


class Geometry(NamedTuple):
    """Worst values over the samples of a method."""

    round_trip_px: float
    residual_px: float
    hull_iou: float


class Scores(NamedTuple):
    """Held-out PSNR in dB, full frame and foreground."""

    full: float
    foreground: float


class Silent:
    """A listener of training that prints nothing."""

    def opened(self, *_: object) -> None:
        """Say nothing."""

    def step(self, *_: object) -> None:
        """Say nothing."""

    def evaluating(self, *_: object) -> None:
        """Say nothing."""


def settings_of(method: str, recording: Path, options: argparse.Namespace) -> list[str]:
    """Overrides of the quickstart that make a run of a method over the recording."""
    chosen = dict(METHODS[method])
    crop = chosen.pop("crop", False)
    overrides = [
        "data.reader=markerless_mouse",
        f"data.path={recording}",
        "data.views={use: view_policies.fixed, "
        f"inputs: {list(INPUTS)}, held_out: {list(HELD_OUT)}}}",
        "data.split={by: time, validation: 0.2, gap: 0.05}",
        f"train.steps={options.steps}",
        "train.sample_every=100000",
        "train.force=true",
        f"name={method.replace(' ', '_')}",
        f"output={options.work / 'runs'}",
    ]
    if crop:
        overrides.append(
            f"data.preprocess=[{{use: legacy_normalizers.crop_square, size: {PICTURE}}}]"
        )
    if chosen:
        pairs = ", ".join(f"{key}: {value}" for key, value in chosen.items())
        overrides.append(f"data.cameras={{{pairs}}}")
    return overrides


def plugins_of(method: str) -> list[str]:
    """The plugins that a method needs; one that is named and not used would be an error."""
    chosen = METHODS[method]
    uses = str(chosen.get("use", ""))
    plugins = ["markerless_mouse"]
    if uses.startswith("facelift_cameras"):
        plugins.append("facelift_cameras")
    if "crop" in chosen or uses.startswith(LEGACY.stem):
        plugins.append(str(LEGACY))
    return plugins


def measure_geometry(samples: Sequence[Sample], recording: Recording) -> Geometry:
    """Measure samples before ``conform``."""
    trips, residuals, overlaps = [], [], []
    for number, sample in enumerate(samples):
        scale = PICTURE / np.array([view.width for view in sample.views])
        trips.append(float((round_trip_px(sample, seed=number) * scale).max()))
        residuals.append(_residual(sample, recording))
        overlaps.append(float(np.mean(fit_hull(sample.views).iou)))
    return Geometry(max(trips), max(residuals), min(overlaps))


def _residual(sample: Sample, recording: Recording) -> float:
    """Worst reprojection error of the true body points, triangulated one by one, in px at 512."""
    frame = int(sample.provenance[0].params["frame"])
    points = np.stack([part.center for part in recording.ellipsoids(frame)])
    views = range(len(sample.views))
    seen = np.stack([
        from_raw_pixels(
            project_raw(points, raw_camera(view, sample.provenance))[0],
            view,
            sample.provenance,
        )
        for view in views
    ])
    cameras = sample.cameras
    worst = 0.0
    for index in range(len(points)):
        found = triangulate(seen[:, index], cameras.c2w, cameras.fxfycxcy)
        worst = max(worst, float(found.residuals_px.max()))
    return worst * PICTURE / cameras.width


def crop_cameras(recording: Recording, frame: int) -> Cameras:
    """The true held-out cameras, cut to a square around the true subject, in mm."""
    cameras = recording.cameras[list(HELD_OUT)]
    seen, depth = project(recording.subject(frame)[None, None], cameras.c2w, cameras.fxfycxcy)
    fxfycxcy = np.array(cameras.fxfycxcy)
    for index in range(len(HELD_OUT)):
        side = CROP_MM / depth[index, 0] * fxfycxcy[index, 0]
        corner = seen[index, 0] - side / 2
        fxfycxcy[index, 2:] -= corner
        fxfycxcy[index] *= CROP_PX / side
    return Cameras(cameras.c2w, fxfycxcy, CROP_PX, CROP_PX)


def truth(recording: Recording, frame: int, cameras: Cameras) -> tuple[torch.Tensor, torch.Tensor]:
    """Analytic pictures on white [1, V, 3, H, W] and masks [1, V, 1, H, W]."""
    pictures = [recording.render(frame, cameras[index]) for index in range(len(cameras))]
    rgb = np.stack([p.alpha[..., None] * p.rgb + (1 - p.alpha[..., None]) for p in pictures])
    alpha = np.stack([p.alpha for p in pictures])[:, None]
    return (
        torch.from_numpy(rgb.transpose(0, 3, 1, 2).copy()).float()[None],
        torch.from_numpy(alpha).float()[None],
    )


def draw_raw(gaussians: Gaussians, sample: Sample, cameras: Cameras) -> torch.Tensor:
    """Draw a prediction in the raw world, [1, V, 3, H, W]."""
    raw = unmap_gaussians(gaussians, sample.provenance)
    tensors = Cameras(
        torch.from_numpy(np.array(cameras.c2w)).float()[None],
        torch.from_numpy(np.array(cameras.fxfycxcy)).float()[None],
        cameras.height,
        cameras.width,
    )
    return render(raw, tensors, backend="cpu", depth=False).rgb.clamp(0, 1)


def train_and_score(loaded: Any, host: Any, recording: Recording) -> dict[str, Scores]:
    """Train the default adapter and compare base and adapter in the raw frame."""
    result = run_training(loaded, host, Silent())
    session = result.session
    rows: dict[str, list[tuple[float, float]]] = {"white": [], "zero-shot": [], "trained": []}
    for sample in session.data.evaluation:
        frame = int(sample.provenance[0].params["frame"])
        cameras = crop_cameras(recording, frame)
        rgb, mask = truth(recording, frame, cameras)
        batch = collate(
            [sample], [session.data.policy.evaluate(sample.cameras)], session.data.contract
        )
        with torch.no_grad():
            trained = session.base.reconstruct(batch.inputs.rgb, batch.inputs.cameras)
            with session.adapter.disabled():
                frozen = session.base.reconstruct(batch.inputs.rgb, batch.inputs.cameras)
        for name, gaussians in (("zero-shot", frozen), ("trained", trained)):
            pred = draw_raw(gaussians, sample, cameras)
            rows[name].append((
                float(psnr(pred, rgb).mean()),
                float(foreground_psnr(pred, rgb, mask).mean()),
            ))
        _, full, inside = white_baseline(rgb, mask)
        rows["white"].append((float(full.mean()), float(inside.mean())))
    return {name: Scores(*np.mean(values, axis=0)) for name, values in rows.items()}


def main() -> None:
    """Run all methods and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few frames, few steps")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--scale", type=float, default=1.0, help="of the videos")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--work", type=Path, help="folder for the recording and the runs")
    parser.add_argument("--methods", default=",".join(METHODS))
    options = parser.parse_args()
    logging.getLogger("mfl_adapt").setLevel(logging.ERROR)
    if options.quick:
        options.frames, options.steps, options.scale = 12, 10, 0.25
    with tempfile.TemporaryDirectory() as scratch:
        options.work = (options.work or Path(scratch)).absolute()
        run(options)


def run(options: argparse.Namespace) -> None:
    """Write the recording where it is missing, and measure every method."""
    folder = options.work / f"recording-{options.seed}-{options.frames}-{options.scale:g}"
    made = {"frames": options.frames, "seed": options.seed, "fps": FPS, "scale": options.scale}
    if (folder / "truth.json").exists():
        recording = make_recording(**made)
    else:
        started = time.perf_counter()
        recording = write_recording(folder, **made)
        print(f"recording of {options.frames} frames: {time.perf_counter() - started:.0f} s")
    head = ("method", "round trip", "residual", "hull IoU", "zero-shot", "trained")
    print("{:<15} {:>11} {:>11} {:>9} {:>15} {:>15}".format(*head), flush=True)
    for method in options.methods.split(","):
        loaded, host = open_config(
            "quickstart",
            overrides=settings_of(method, folder, options),
            plugins=plugins_of(method),
        )
        chain = open_chain(loaded.config, host)
        picks = range(0, len(chain), max(1, len(chain) // 8))
        geometry = measure_geometry([chain[index] for index in picks], recording)
        scores = train_and_score(loaded, host, recording)
        zero, trained = scores["zero-shot"], scores["trained"]
        print(
            f"{method:<15} {geometry.round_trip_px:8.2g} px {geometry.residual_px:8.2g} px "
            f"{geometry.hull_iou:9.3f} {zero.full:6.2f} / {zero.foreground:5.2f} "
            f"{trained.full:6.2f} / {trained.foreground:5.2f}",
            flush=True,
        )
    white = scores["white"]
    print(f"{'white picture':<15} {'':>33} {white.full:6.2f} / {white.foreground:5.2f}")


if __name__ == "__main__":
    main()
