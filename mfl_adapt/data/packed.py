"""The packed cache: conformed samples as flat files that are mapped into memory.

<cache>/<first digits of the key>/
  index.json   ids, labels, cameras and provenance of all samples, with a hash over itself
  rgb.bin      [N, H, W, 3] uint8, all views of all samples in order
  mask.bin     [N, H, W] uint8

The key says what the samples are made from, so another key is another folder. A folder is used
only if every hash in it holds; any other is made anew. Folders may be deleted at any time, and
``packed_room`` deletes those that were not opened for long.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, overload

import numpy as np

from mfl_adapt.data.packed_room import drop_unused, note_use
from mfl_adapt.data.source import hash_json
from mfl_adapt.errors import DataError, ShapeError, StorageError
from mfl_adapt.files import write_through
from mfl_adapt.images import digest_views
from mfl_adapt.types import Provenance, Sample, View

if TYPE_CHECKING:
    from pydantic import TypeAdapter

    from mfl_adapt.types import Bytes

log = logging.getLogger(__name__)

SCHEMA = 1
_INDEX, _RGB, _MASK = "index.json", "rgb.bin", "mask.bin"
_DAMAGE = (OSError, ValueError, LookupError, TypeError)


class PackedSamples(Sequence[Sample]):
    """Samples whose pictures stay in files; a picture is read when something looks at it."""

    def __init__(self, folder: Path, key: str) -> None:
        """Map the files and check all of them against their hashes.

        Args:
            folder: One folder of a cache.
            key: What it must have been made from.

        Raises:
            DataError: If anything in it is not as it was written.
        """
        try:
            index = _read_index(folder / _INDEX, key)
            height, width = index["size"]
            count = index["views"]
            self._rgb = _map(folder / _RGB, (count, height, width, 3))
            self._mask = _map(folder / _MASK, (count, height, width))
            self._records: list[Mapping[str, Any]] = index["samples"]
            ends = np.cumsum([len(record["views"]) for record in self._records])
            self._starts = [0, *(int(end) for end in ends)]
            digests = [record["digest"] for record in self._records]
            damaged = [
                one.id
                for one, digest in zip(self, digests, strict=True)
                if digest_views(one.views) != digest
            ]
        except _DAMAGE as error:
            raise DataError(f"{folder}: expected a whole packed cache, got {error}.") from error
        if damaged:
            raise DataError(
                f"{folder}: expected the pictures that were packed, got others in {damaged[0]}."
            )

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        """Return one sample, its pictures read-only and still on disk, or several."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        record, first = self._records[index], self._starts[index]
        return Sample(
            id=record["id"],
            views=tuple(
                self._view(each, first + number) for number, each in enumerate(record["views"])
            ),
            provenance=tuple(_steps().validate_python(record["provenance"])),
            session=record["session"],
            animal=record["animal"],
            time_s=record["time_s"],
        )

    def _view(self, record: Mapping[str, Any], place: int) -> View:
        return View(
            name=record["name"],
            rgb=self._rgb[place],
            mask=self._mask[place],
            c2w=np.array(record["c2w"], dtype=np.float64),
            fxfycxcy=np.array(record["fxfycxcy"], dtype=np.float64),
            source=record["source"],
        )


def open_packed(
    cache_folder: Path, key: Mapping[str, Any], samples: Iterable[Sample]
) -> PackedSamples:
    """Open the cache of some samples, and make it first where it is missing or damaged.

    Args:
        cache_folder: Folder for all caches of the user's choice.
        key: What decides the samples, as plain JSON values.
        samples: Conformed samples of one size; read only if the cache must be made.

    Returns:
        The samples, as a sequence.

    Raises:
        DataError: If a sample cannot be read or has no mask.
        ShapeError: If the samples differ in size.
        StorageError: If the cache cannot be written.
    """
    name = hash_json({**key, "schema": SCHEMA})
    folder = cache_folder / name[:16]
    if folder.exists():
        try:
            packed = PackedSamples(folder, name)
            note_use(folder)
            return packed
        except DataError as error:
            log.warning("data.cache: %s It is made again.", error)
    partial = cache_folder / f".{name[:16]}.{os.getpid()}.partial"
    try:
        partial.mkdir(parents=True)
        _write(partial, name, samples)
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    except (StorageError, DataError, ShapeError):
        raise
    except OSError as error:
        raise StorageError(
            f"{cache_folder}: expected to write the packed cache, got {error.strerror or error}. "
            f"Check permissions and free space, or leave data.cache out."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    packed = PackedSamples(folder, name)
    log.info("data.cache: packed %d samples into %s", len(packed), folder)
    drop_unused(cache_folder)
    return packed


def _write(folder: Path, key: str, samples: Iterable[Sample]) -> None:
    """Write all files; the index last, so that half a cache has none.

    Raises:
        DataError: If there is no sample, or a view has no mask.
        ShapeError: If the samples differ in size.
        OSError: If a file cannot be written.
    """
    records, views = [], 0
    size: tuple[int, int] | None = None
    with (folder / _RGB).open("wb") as rgb, (folder / _MASK).open("wb") as mask:
        for sample in samples:
            cameras = sample.cameras
            size = size or (cameras.height, cameras.width)
            if (cameras.height, cameras.width) != size:
                raise ShapeError(
                    f"sample {sample.id}: expected pictures of {list(size)} like the others, got "
                    f"{[cameras.height, cameras.width]}. Run the samples through conform first."
                )
            for view in sample.views:
                _append(view, rgb, mask)
            records.append(_record(sample))
            views += len(sample.views)
        for stream in (rgb, mask):
            stream.flush()
            os.fsync(stream.fileno())
    if size is None:
        raise DataError("dataset: expected at least one sample, got none. Check data.path.")
    index = {"schema": SCHEMA, "key": key, "size": size, "views": views, "samples": records}
    content = {"sha256": hash_json(index), "index": index}
    write_through(folder / _INDEX, json.dumps(content).encode())


def _append(view: View, rgb: IO[bytes], mask: IO[bytes]) -> None:
    if view.mask is None or view.rgb.dtype != np.uint8:
        raise DataError(
            f"{view.source or view.name}: expected an 8-bit picture with a mask, got "
            f"{view.rgb.dtype} {'without' if view.mask is None else 'with'} one. Run the sample "
            f"through conform first."
        )
    rgb.write(np.ascontiguousarray(view.rgb).tobytes())
    mask.write(np.ascontiguousarray(view.mask).tobytes())


def _record(sample: Sample) -> dict[str, Any]:
    return {
        "id": sample.id,
        "session": sample.session,
        "animal": sample.animal,
        "time_s": sample.time_s,
        "digest": digest_views(sample.views),
        "provenance": [asdict(step) for step in sample.provenance],
        "views": [
            {
                "name": view.name,
                "c2w": np.asarray(view.c2w, np.float64).tolist(),
                "fxfycxcy": np.asarray(view.fxfycxcy, np.float64).tolist(),
                "source": view.source,
            }
            for view in sample.views
        ],
    }


def _read_index(path: Path, key: str) -> Mapping[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    index: Mapping[str, Any] = content["index"]
    if content["sha256"] != hash_json(index) or index["key"] != key:
        raise ValueError("an index that is damaged or of other data")
    return index


def _map(path: Path, shape: tuple[int, ...]) -> Bytes:
    if path.stat().st_size != np.prod(shape):
        raise ValueError(f"{path.stat().st_size} bytes in {path.name}, not {np.prod(shape)}")
    # A plain array over the mapping: views of it stay valid as long as they are used.
    return np.asarray(np.memmap(path, np.uint8, mode="r", shape=shape))


@cache
def _steps() -> TypeAdapter[list[Provenance]]:
    """Turns plain JSON back into records; pydantic takes a moment to import."""
    from pydantic import TypeAdapter

    return TypeAdapter(list[Provenance])
