"""Datasets on disk, in the layout that FaceLift reads.

<dataset>/
  dataset.json           who made it, how it is split, its fingerprint
  data_train.txt         sample folders, one a line, relative to this file (also data_val.txt)
  <sample>/images/cam_000.png   8-bit RGBA, straight alpha
  <sample>/opencv_cameras.json
  <sample>/provenance.json
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfl_adapt.cameras import to_w2c
from mfl_adapt.data.fingerprint import fingerprint
from mfl_adapt.data.splits import TRAIN_LIST, VALIDATION_LIST
from mfl_adapt.errors import DataError, StorageError
from mfl_adapt.files import write_atomically
from mfl_adapt.images import save_picture
from mfl_adapt.types import Provenance

if TYPE_CHECKING:
    from mfl_adapt.data.splits import Split
    from mfl_adapt.types import RawCamera, Sample, Similarity, View

SCHEMA = 1
# 2 added raw cameras, orders and exactness.
HISTORY_SCHEMA = 2
ALL = "data_all.txt"
_SAFE_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")


def write_dataset(
    samples: Sequence[Sample],
    folder: Path,
    *,
    split: Split | None = None,
    description: Mapping[str, Any] | None = None,
) -> None:
    """Write a whole dataset, or nothing.

    Args:
        samples: Samples with masks; their ids become folder names.
        folder: Folder to make; it must not exist yet, or be empty.
        split: Which samples train and validate; None lists them all in ``data_all.txt``.
        description: More entries for ``dataset.json``: reader, plugin versions, species, split
            rule.

    Raises:
        DataError: If an id is no folder name or occurs twice, or a view has no mask.
        StorageError: If the folder is in use or cannot be written.
    """
    _check_ids(samples)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StorageError(
            f"{folder}: expected a new or empty folder, got one in use. Choose another name or "
            f"move it away; datasets are never overwritten."
        )
    # Built beside its place and moved there in one step, so that no half dataset is ever seen.
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        for sample in samples:
            write_sample(sample, partial / sample.id)
        write_lists([sample.id for sample in samples], split, partial)
        summary = summarize(samples, fingerprint(samples), description or {})
        write_json(partial / "dataset.json", summary)
        partial.replace(folder)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"{folder}: expected to write a dataset, got {error}. Check permissions and space."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_sample(
    sample: Sample,
    folder: Path,
    *,
    extra: Mapping[str, Any] | None = None,
    pictures: Sequence[str] | None = None,
) -> None:
    """Write one sample's pictures, cameras and provenance.

    Args:
        sample: Sample with a mask in every view.
        folder: The sample's folder; made where missing.
        extra: More entries for ``provenance.json``.
        pictures: Name of each view's file in the folder; None is ``images/cam_000.png`` onwards.

    Raises:
        DataError: If a view has no mask.
        StorageError: If a file cannot be written.
    """
    names = pictures or [f"images/cam_{index:03d}.png" for index in range(len(sample.views))]
    for view, name in zip(sample.views, names, strict=True):
        if view.mask is None:
            raise DataError(
                f"sample {sample.id}, view {view.name}: expected a mask to write as alpha, got "
                f"none. Add preprocess.auto_mask to data.preprocess."
            )
        save_picture(folder / name, view.rgb, view.mask)
    write_json(
        folder / "opencv_cameras.json",
        {
            "id": sample.id,
            "session": sample.session,
            "animal": sample.animal,
            "time_s": sample.time_s,
            "frames": [_frame(v, name) for v, name in zip(sample.views, names, strict=True)],
        },
    )
    steps = [_plain_step(step) for step in sample.provenance]
    write_json(
        folder / "provenance.json", {"schema": HISTORY_SCHEMA, "steps": steps, **(extra or {})}
    )


def _frame(view: View, name: str) -> dict[str, Any]:
    fx, fy, cx, cy = (float(value) for value in view.fxfycxcy)
    return {
        "view_name": view.name,
        "file_path": name,
        "w": view.width,
        "h": view.height,
        "fx": fx,
        "fy": fy,
        "cx": cx,
        "cy": cy,
        "w2c": to_w2c(view.c2w).tolist(),
    }


def check_id(name: str) -> None:
    """Refuse a sample id that can name no folder, or one outside its dataset.

    Raises:
        DataError: If it does not.
    """
    if not _SAFE_ID.fullmatch(name):
        raise DataError(
            f"sample {name!r}: expected an id of letters, digits, '.', '_' and '-' that can name "
            f"a folder. Rename the sample."
        )


def _check_ids(samples: Sequence[Sample]) -> None:
    seen: set[str] = set()
    for sample in samples:
        check_id(sample.id)
        if sample.id in seen:
            raise DataError(f"sample {sample.id}: expected every id once, got it twice. Rename it.")
        seen.add(sample.id)


def write_lists(ids: Sequence[str], split: Split | None, folder: Path) -> None:
    """Write the list files of a dataset, each in one step.

    No moment of it shows a sample on both sides: the old validation list goes first, and the new
    one comes last.

    Args:
        ids: All samples.
        split: Which of them train and validate; None lists all in ``data_all.txt``.
        folder: The dataset.

    Raises:
        StorageError: If a file cannot be written.
    """
    lists: dict[str, Iterable[int]] = {ALL: range(len(ids))}
    if split is not None:
        lists = {TRAIN_LIST: split.train}
        if split.validation:
            lists[VALIDATION_LIST] = split.validation
    _delete(folder / VALIDATION_LIST)
    for name, indices in lists.items():
        write_atomically(folder / name, "".join(f"{ids[index]}\n" for index in indices).encode())
    for name in {ALL, TRAIN_LIST} - set(lists):
        _delete(folder / name)


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{path}: expected to replace an old list, got {error.strerror or error}. Check the "
            f"folder's permissions."
        ) from error


def summarize(
    samples: Sequence[Sample], fingerprint: str, description: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of ``dataset.json``; of the samples only ids and labels are used."""
    return {
        **description,
        "schema": SCHEMA,
        "samples": [sample.id for sample in samples],
        "sessions": sorted({sample.session for sample in samples if sample.session}),
        "animals": sorted({sample.animal for sample in samples if sample.animal}),
        "fingerprint": fingerprint,
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write plain JSON values to a file, in one step.

    Raises:
        DataError: If a value is not plain or not finite.
        StorageError: If the file cannot be written.
    """
    try:
        text = to_text(content)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{path}: expected plain finite JSON values, got {error}. Mend the provenance of the "
            f"step that made them."
        ) from error
    write_atomically(path, f"{text}\n".encode())


def to_text(content: Mapping[str, Any]) -> str:
    """JSON with a line per key, and per record in a list of records, for people and for diffs.

    The indented form of ``json`` is not used: it comes from an encoder ten times as slow.
    """
    parts = []
    for key, value in content.items():
        text = json.dumps(value, allow_nan=False)
        if isinstance(value, list) and value and isinstance(value[0], dict):
            text = ",\n  ".join(json.dumps(each, allow_nan=False) for each in value)
            text = f"[\n  {text}\n ]"
        parts.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}"


def _plain_step(step: Provenance) -> dict[str, Any]:
    """A step as JSON takes it; ``dataclasses.asdict`` would copy every number on the way."""
    plain = {name: getattr(step, name) for name in Provenance.__slots__}
    return plain | {
        "params": dict(step.params),
        "world": _fields(step.world),
        "raw_cameras": [_fields(camera) for camera in step.raw_cameras],
    }


def _fields(record: Similarity | RawCamera) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}
