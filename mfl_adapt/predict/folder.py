"""The folder of one result: all of its files, or none."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from mfl_adapt import __version__
from mfl_adapt.cameras.identity import SEAL, hash_cameras
from mfl_adapt.data import write_sample
from mfl_adapt.data.writer import write_json
from mfl_adapt.errors import ConfigError, MflAdaptError, StorageError
from mfl_adapt.images import RawView, begin_sample, save_picture
from mfl_adapt.plugin import ExporterSpec
from mfl_adapt.predict.background import mask_on_white
from mfl_adapt.render import Backend, render
from mfl_adapt.report.sheet import lay_out
from mfl_adapt.types import RawCamera, Sample

if TYPE_CHECKING:
    from mfl_adapt.plugin import Base
    from mfl_adapt.plugin.registry import PluginHost, Resolved
    from mfl_adapt.predict.predictor import Prediction, Reconstruction
    from mfl_adapt.types import RigContract

RECORD = "prediction.json"
PLY = "gaussians.ply"
SCHEMA = 1
_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_LEAST_VIDEO = 256


class Outputs(NamedTuple):
    """Which files a result has.

    Attributes:
        formats: Exporters of the Gaussians, ``plugin.component``; ``ply`` is short for ours.
        video: Write the turntable.
        viewer: Write the page with the 3D viewer.
        frames: Of the turntable.
        fps: Of the turntable.
        backend: Rasterizer.
    """

    formats: tuple[str, ...] = ("ply",)
    video: bool = True
    viewer: bool = True
    frames: int = 72
    fps: float = 24.0
    backend: Backend = "auto"


class Writers(NamedTuple):
    """Exporters, built.

    Attributes:
        gaussians: By file name.
        video: Takes frames, path and fps; None if no video is wanted.
    """

    gaussians: Mapping[str, Any]
    video: Any


def build_writers(host: PluginHost, outputs: Outputs) -> Writers:
    """Look up and build the exporters that are asked for.

    Raises:
        ConfigError: If a format is named twice or takes frames.
        PluginError: If there is no such exporter.
    """
    built: dict[str, Any] = {}
    for name in outputs.formats:
        full = name if "." in name else f"exporters.{name}"
        found = host.component(ExporterSpec, full, where="--format")
        file = f"gaussians{found.spec.suffix}"
        if found.spec.takes != "gaussians" or file in built:
            got = f"{name} twice" if file in built else f"{name}, which takes {found.spec.takes}"
            raise ConfigError(
                f"--format: expected exporters of Gaussians, each once, got {got}. "
                f"Known: {', '.join(_names(host))}."
            )
        built[file] = host.build(ExporterSpec, full, {}, where="--format")
    video = host.build(ExporterSpec, "exporters.mp4", {}) if outputs.video else None
    return Writers(built, video)


def with_ply(formats: tuple[str, ...]) -> tuple[str, ...]:
    """Add plain PLY to formats that lack it."""
    return formats if {"ply", "exporters.ply"} & set(formats) else (*formats, "ply")


def _names(host: PluginHost) -> list[str]:
    exporters: list[Resolved[ExporterSpec]] = host.components(ExporterSpec)
    return [one.name for one in exporters if one.spec.takes == "gaussians"]


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give a folder to fill, which takes its place when the block ends without an error.

    An earlier result there is replaced; anything else is left alone.

    Raises:
        StorageError: If something else stands there, or a file cannot be written.
        MflAdaptError: What the block raises.
    """
    check_place(folder)
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    try:
        partial.mkdir(parents=True)
        yield partial
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
    except MflAdaptError:
        raise
    except OSError as error:
        raise StorageError(
            f"{folder}: expected to write a result, got {error.strerror or error}. Check the "
            "folder's permissions and the free space."
        ) from error
    finally:  # also after Ctrl-C
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def check_place(folder: Path) -> None:
    """Refuse to write over what is no earlier result.

    Raises:
        StorageError: If something else stands there, or a file where a folder above it should be.
    """
    above = next(path for path in folder.parents if path.exists())
    if not above.is_dir():
        raise StorageError(f"{above}: expected a folder, got a file. Choose another --out.")
    if folder.exists() and not (folder / RECORD).is_file() and not _is_empty(folder):
        raise StorageError(
            f"{folder}: expected a new folder or an earlier result, got something else. Choose "
            "another --out, or move it away."
        )


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def read_record(folder: Path) -> dict[str, Any] | None:
    """Read what an earlier run wrote; None unless the result is whole."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        files = [str(name) for name in record["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # not a result that could be kept
    return record if all((folder / name).is_file() for name in files) else None


def write_record(folder: Path, content: Mapping[str, Any]) -> None:
    """Write ``prediction.json``, which names all other files."""
    files = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    head = {"schema": SCHEMA, "mfl_adapt": __version__}
    write_json(folder / RECORD, {**head, **content, "files": files})


def describe_base(base: Base) -> dict[str, str]:
    """Name a base so that nobody can take it for another one."""
    return {"id": base.id, "sha256": base.sha256, "fingerprint": base.fingerprint}


def write_prediction(folder: Path, name: str, made: Prediction, params: Mapping[str, Any]) -> None:
    """Write the framed picture, and the views as a sample with cameras.

    The views' masks are what white does not reach from the edge; their colour stays under a mask
    of 0 too.
    """
    save_picture(folder / "input.png", made.framed.straight, made.framed.mask)
    views = [
        RawView(
            slot,
            rgb,
            mask_on_white(rgb),
            RawCamera(
                c2w=tuple(tuple(row) for row in made.cameras.c2w[index].tolist()),
                fxfycxcy=tuple(made.cameras.fxfycxcy[index].tolist()),
                height=rgb.shape[0],
                width=rgb.shape[1],
            ),
        )
        for index, (slot, rgb) in enumerate(zip(made.names, made.views, strict=True))
    ]
    # By this a check knows these cameras again, should somebody give the views a rig's.
    sealed = {**params, SEAL: hash_cameras([view.camera for view in views])}
    write_views(begin_sample(name, views, step="predict", params=sealed), folder / "views")


def write_views(sample: Sample, folder: Path) -> None:
    """Write a sample whose pictures are called like its views, where they can be."""
    safe = all(_SAFE.fullmatch(view.name) for view in sample.views)
    names = [
        f"{view.name}.png" if safe else f"cam_{index:03d}.png"
        for index, view in enumerate(sample.views)
    ]
    write_sample(sample, folder, pictures=names)


def write_gaussians(
    folder: Path,
    title: str,
    found: Reconstruction,
    contract: RigContract,
    writers: Writers,
    outputs: Outputs,
) -> None:
    """Write Gaussians in all formats, the turntable and the viewer."""
    for name, write in writers.gaussians.items():
        write(found.gaussians, folder / name)
    if writers.video is not None:
        from mfl_adapt.report.turntable import turntable_frames

        frames = turntable_frames(
            found.gaussians,
            contract=contract,
            frames=outputs.frames,
            size=max(_LEAST_VIDEO, contract.size),
            backend=outputs.backend,
        )
        writers.video(frames, folder / "turntable.mp4", fps=outputs.fps)
    if outputs.viewer:
        from mfl_adapt.report.viewer import write_viewer

        write_viewer(folder / "viewer.html", found.gaussians, title=title, contract=contract)


def write_sheet(
    path: Path,
    found: Reconstruction,
    contract: RigContract,
    *,
    picture: np.ndarray[Any, Any] | None = None,
    backend: Backend = "auto",
) -> None:
    """Write a sheet: the picture, the views that were used, and renders from their cameras.

    Args:
        path: File to write.
        found: Gaussians and views.
        contract: Of the reconstructor; its background is drawn behind.
        picture: What the views base saw, of the views' size, [H, W, 3] uint8; None leaves it out.
        backend: Rasterizer.
    """
    with torch.no_grad():
        drawn = render(
            found.gaussians,
            found.cameras,
            background=contract.background,
            backend=backend,
            depth=False,
        ).rgb
    rows: dict[str, Any] = {} if picture is None else {"input": [picture / np.float32(255)]}
    rows["views"] = _tiles(found.rgb[0])
    rows["renders"] = _tiles(drawn[0])
    save_picture(path, lay_out(rows))


def _tiles(images: torch.Tensor) -> Any:
    return images.float().clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()


def settings_of(record: Any) -> dict[str, Any]:
    """Settings as plain JSON values."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(record)))
    return plain


def safe_name(text: str) -> str:
    """A folder name from a file name: other signs than letters, digits, . _ - become _."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", text).lstrip(".-")
    return name or "picture"


def unique_names(names: Sequence[str]) -> str | None:
    """The first name that occurs twice, or None; case does not count, as on some disks."""
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            return name
        seen.add(name.lower())
    return None
