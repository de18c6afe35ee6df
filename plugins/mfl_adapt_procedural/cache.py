"""Rendered samples on disk, one file each."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from pathlib import Path

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.files import write_atomically
from mfl_adapt.images import RawView, begin_sample
from mfl_adapt.synth import GENERATOR_VERSION
from mfl_adapt.types import RawCamera, Sample

from .config import ProceduralConfig

# What changes neither the scenes nor the cameras of a sample.
_OUTSIDE_KEY = {"samples", "workers", "cache"}
# What numpy and zlib raise on half a file or on another one.
_DAMAGE = (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


class SampleCache:
    """A folder of samples; other settings or another generator never meet the same file."""

    def __init__(self, folder: Path, config: ProceduralConfig) -> None:
        """Take the folder; it is made when the first sample is saved."""
        settings = config.model_dump(mode="json", exclude=_OUTSIDE_KEY)
        made_by = {"generator": GENERATOR_VERSION, "species": config.species}
        text = json.dumps(made_by | settings, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._stem = folder / f"{config.species}-{config.split}-{key}"

    def _file(self, index: int) -> Path:
        return self._stem / f"{index:06d}.npz"

    def save(self, index: int, sample: Sample) -> None:
        """Write one sample, whole or not at all.

        Raises:
            StorageError: If the file cannot be written.
        """
        record = sample.provenance[0]
        facts = {
            "id": sample.id,
            "session": sample.session,
            "animal": sample.animal,
            "step": record.step,
            "params": dict(record.params),
            "digest": record.digest,
            "views": [[view.name, view.source] for view in sample.views],
        }
        content = io.BytesIO()
        np.savez_compressed(
            content,
            facts=np.array(json.dumps(facts)),
            rgb=np.stack([view.rgb for view in sample.views]),
            mask=np.stack([np.asarray(view.mask) for view in sample.views]),
            c2w=np.stack([view.c2w for view in sample.views]),
            fxfycxcy=np.stack([view.fxfycxcy for view in sample.views]),
        )
        write_atomically(self._file(index), content.getvalue())

    def load(self, index: int) -> Sample | None:
        """Read one sample; None if it is not there.

        Raises:
            DataError: If the file is damaged.
        """
        file = self._file(index)
        if not file.exists():
            return None
        try:
            # From memory: numpy leaves the file open when it is not a whole archive.
            with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as arrays:
                sample, digest = _to_sample(dict(arrays))
        except (*_DAMAGE, OSError, DataError) as error:
            raise DataError(_damage(file, type(error).__name__)) from error
        if sample.provenance[0].digest != digest:
            raise DataError(_damage(file, "other pixels or cameras"))
        return sample


def _to_sample(arrays: dict[str, np.ndarray]) -> tuple[Sample, str]:
    # The sample as it is now, and the digest it was written with.
    facts = json.loads(str(arrays["facts"]))
    fields = (arrays[name] for name in ("rgb", "mask", "c2w", "fxfycxcy"))
    views = [
        RawView(name, rgb, mask, _raw_camera(rgb, c2w, fxfycxcy), source)
        for (name, source), rgb, mask, c2w, fxfycxcy in zip(facts["views"], *fields, strict=True)
    ]
    sample = begin_sample(
        facts["id"],
        views,
        step=facts["step"],
        params=facts["params"],
        session=facts["session"],
        animal=facts["animal"],
    )
    return sample, facts["digest"]


def _raw_camera(rgb: np.ndarray, c2w: np.ndarray, fxfycxcy: np.ndarray) -> RawCamera:
    rows = tuple(tuple(row) for row in c2w.tolist())
    return RawCamera(rows, tuple(fxfycxcy.tolist()), height=rgb.shape[0], width=rgb.shape[1])


def _damage(file: Path, found: str) -> str:
    return (
        f"{file}: expected a cached sample as it was written, got {found}. Delete the file; it "
        f"will be rendered again."
    )
