"""What the frozen networks make of a sample's pictures, computed once and kept.

In memory, and where there is a cache folder also in ``<cache>/encoded/<key>.safetensors``. The key
is over pictures, background and base, and over what could change a bit of the result: device and
libraries. So any run may use any file, and files may be deleted at any time. Every sample is
encoded alone, kept or not: a network may round differently in a larger batch.

Memory is bounded, at 2 GiB: some 2,600 samples of six views of 512 px. What came first stays, and
the rest is read from the cache folder or made again. Every sample comes once in each round through
the data, so that whatever gave way to another would be the one that is needed sooner.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mfl_adapt.adapter.digest import digest_tensors
from mfl_adapt.adapter.storage import encode_safetensors
from mfl_adapt.data.collate import collate_views
from mfl_adapt.data.source import hash_json
from mfl_adapt.errors import DataError
from mfl_adapt.files import write_atomically
from mfl_adapt.images import digest_views
from mfl_adapt.models.mvdiffusion.encoding import Encoded
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion
from mfl_adapt.pipeline import OpenData
from mfl_adapt.types import Sample

if TYPE_CHECKING:
    from mfl_adapt.types import Float

log = logging.getLogger(__name__)

_SCHEMA = 1
_NAMES = tuple(field.name for field in fields(Encoded))
_LIBRARIES = ("torch", "diffusers", "transformers")
MOST_BYTES = 2**31
"""Memory that a run's encodings may take."""


class Encodings:
    """Encoded training samples by their index."""

    def __init__(
        self,
        base: FrozenMVDiffusion,
        data: OpenData,
        *,
        keep: bool,
        cache: Path | None = None,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """Start with nothing in memory.

        Args:
            base: Its frozen networks encode.
            data: The samples.
            keep: Whether results are kept; False encodes anew each time.
            cache: Folder of the user's choice that keeps them between runs; None has none.
            most_bytes: Memory that they may take.
        """
        self._base, self._data, self._keep = base, data, keep
        self._folder = cache / "encoded" if keep and cache is not None else None
        self._kept: dict[tuple[int, bytes], Encoded] = {}
        self._left, self._is_full = most_bytes, False

    def of(self, index: int, colour: Float) -> Encoded:
        """Return one sample's encoding over a colour [3]; kept ones lie on the CPU."""
        sample = self._data.samples[index]
        if not self._keep:
            return self._encode(sample, colour)
        place = (index, colour.tobytes())
        found = self._kept.get(place)
        if found is None:
            found = self._find(sample, colour)
            self._keep_in_memory(place, found)
        return found

    def _keep_in_memory(self, place: tuple[int, bytes], encoded: Encoded) -> None:
        """Keep one encoding if there is room."""
        if encoded.num_bytes <= self._left:
            self._left -= encoded.num_bytes
            self._kept[place] = encoded
        elif not self._is_full:
            self._is_full = True
            how = "made again" if self._folder is None else f"read from {self._folder}"
            log.info(
                "encoded pictures: %d samples fill the memory for them; others are %s each time",
                len(self._kept),
                how,
            )

    def _find(self, sample: Sample, colour: Float) -> Encoded:
        """Read a sample's encoding from the cache folder, or make and write it."""
        if self._folder is None:
            return _to(self._encode(sample, colour), torch.device("cpu"))
        key = self._key(sample, colour)
        path = self._folder / f"{key}.safetensors"
        if path.exists():
            try:
                return read_encoded(path, key)
            except DataError as error:
                log.warning("data.cache: %s It is made again.", error)
        encoded = _to(self._encode(sample, colour), torch.device("cpu"))
        write_encoded(path, encoded, key)
        return encoded

    def _key(self, sample: Sample, colour: Float) -> str:
        return hash_json({
            "schema": _SCHEMA,
            "pictures": digest_views(sample.views),
            "colour": [float(one) for one in colour],
            "base": self._base.sha256,
            "dtype": str(self._base.dtype),
            "device": _name_of(self._base.device),
            "libraries": {name: version(name) for name in _LIBRARIES},
        })

    def _encode(self, sample: Sample, colour: Float) -> Encoded:
        """Encode all views of a sample over a colour, in slot order."""
        views = range(len(sample.views))
        contract = replace(self._data.contract, background=0.0)
        black = collate_views([sample], [views], contract)
        behind = torch.from_numpy(colour).view(3, 1, 1) * (1 - black.mask)
        pictures = (black.rgb + behind).to(self._base.device)
        return self._base.encode(pictures[:, 0], pictures)


def join(encoded: Sequence[Encoded], device: torch.device) -> Encoded:
    """Put encodings of single samples into one batch on a device."""
    columns = ([getattr(one, name) for one in encoded] for name in _NAMES)
    return Encoded(*(torch.cat(column).to(device) for column in columns))


def write_encoded(path: Path, encoded: Encoded, key: str) -> None:
    """Write an encoding, whole or not at all."""
    tensors = {name: getattr(encoded, name) for name in _NAMES}
    metadata = {"key": key, "digest": digest_tensors(tensors)}
    write_atomically(path, encode_safetensors(tensors, metadata))


def read_encoded(path: Path, key: str) -> Encoded:
    """Read an encoding onto the CPU.

    Raises:
        DataError: If the file is damaged or holds another one.
    """
    tensors: dict[str, Tensor] = {}
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: expected encoded pictures, got {error}.") from error
    found = {"key": metadata.get("key"), "digest": metadata.get("digest")}
    if set(tensors) != set(_NAMES) or found != {"key": key, "digest": digest_tensors(tensors)}:
        raise DataError(f"{path}: expected the encoded pictures that were written, got others.")
    return Encoded(**tensors)


def _to(encoded: Encoded, device: torch.device) -> Encoded:
    return Encoded(*(getattr(encoded, name).to(device) for name in _NAMES))


def _name_of(device: torch.device) -> str:
    """Name of a GPU's model, as two models may round differently; else the kind of device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
