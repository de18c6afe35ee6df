"""Pictures to generate views of, one by one: files, frames of videos, or samples of a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mfl_adapt.errors import DataError, did_you_mean
from mfl_adapt.images.depth import to_8_bit
from mfl_adapt.predict.background import Alpha
from mfl_adapt.predict.framing import frame_picture
from mfl_adapt.predict.inputs import PICTURES, VIDEOS, find_inputs
from mfl_adapt.predict.picture import RawPicture
from mfl_adapt.predict.preparation import Preparation

if TYPE_CHECKING:
    from mfl_adapt.chain import Chain
    from mfl_adapt.predict.inputs import Item
    from mfl_adapt.types import Bytes, RigContract, Sample, View


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One picture to generate views of.

    Attributes:
        id: Name of the sample to make.
        rgb: The subject as the model expects it, on its background, [S, S, 3] uint8.
        params: Where it came from and what was done to it, plain JSON values.
        session: Recording it belongs to.
        animal: Individual it shows.
        time_s: Time within the session in seconds.
    """

    id: str
    rgb: Bytes
    params: Mapping[str, Any]
    session: str = ""
    animal: str = ""
    time_s: float | None = None


class Sources(Protocol):
    """Pictures in a fixed order, read when asked for."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def __getitem__(self, index: int) -> Source:
        """Read one and bring it to its place."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Return everything that decides the pictures, as plain JSON values."""
        ...


@dataclass(frozen=True, slots=True)
class Placing:
    """How a picture becomes what a views base takes.

    Attributes:
        contract: Of the views base.
        preparation: Finds the subject and says how it is placed.
    """

    contract: RigContract
    preparation: Preparation = field(default_factory=Preparation)

    def __call__(self, picture: RawPicture) -> tuple[Bytes, dict[str, Any]]:
        """Return the placed picture [S, S, 3] uint8, and what was done to it.

        Raises:
            DataError: If it does not show one subject on a background.
        """
        mask = self.preparation.mask(picture)
        framed = frame_picture(picture, mask, self.contract, self.preparation.framing)
        done = {
            "background": self.preparation.background.key(picture),
            "framing": framed.note,
            "pixel_map": (framed.pixel_map @ picture.upright).tolist(),
        }
        return framed.rgb, done

    def describe(self) -> dict[str, Any]:
        """Return the settings as plain JSON values."""
        framing = self.preparation.framing
        plain = {name: getattr(framing, name) for name in ("by", "share", "scale", "face_box")}
        plain["detector"] = None if framing.detector is None else framing.detector.digest
        largest = self.preparation.largest
        return {"largest": largest, "framing": plain, "size": self.contract.size}


class PictureFiles:
    """Files, the files of folders, and frames of videos."""

    def __init__(
        self, paths: Sequence[Path], placing: Placing, *, every: int = 1, limit: int | None = None
    ) -> None:
        """List them; pictures are decoded when asked for.

        Args:
            paths: Pictures, folders that hold some, and videos.
            placing: What happens to each.
            every: Of a video, take every so-manieth frame.
            limit: Of a video, take no more than so many frames.

        Raises:
            DataError: If a path does not exist or holds no picture, or two have one name.
        """
        self._placing = placing
        found = find_inputs(paths, every=every, limit=limit)
        self._items: list[tuple[Item, str, float | None]] = [
            (item, "", None) for item in found.pictures
        ]
        for video in found.sequences:
            for number, item in enumerate(video.items):
                self._items.append((item, video.name, number / video.fps))

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._items)

    def __getitem__(self, index: int) -> Source:
        """Read one and bring it to its place.

        Raises:
            DataError: If it cannot be used.
        """
        item, session, time_s = self._items[index]
        rgb, done = self._placing(item.read())
        found = {"file": item.path.name, "sha256": item.digest(), **done}
        if item.frame is not None:
            found["frame"] = item.frame
        return Source(item.name, rgb, found, session=session, time_s=time_s)

    def describe(self) -> dict[str, Any]:
        """Return names and hashes of all files."""
        hashes = {item.name: item.digest() for item, _, _ in self._items}
        # What finds the subject depends on the file alone; all frames of a video share it.
        one_each = {item.path: item for item, _, _ in reversed(self._items)}
        masks = {
            item.name: self._placing.preparation.background.key(_unread(item))
            for item in one_each.values()
        }
        return {"files": hashes, "masks": masks, **self._placing.describe()}


class DatasetPictures:
    """One view of every sample of a dataset, which must have masks."""

    def __init__(
        self,
        chain: Chain,
        placing: Placing,
        described: Mapping[str, Any],
        *,
        view: int | str = 0,
    ) -> None:
        """Keep what reads the samples.

        Args:
            chain: Reader and stages.
            placing: What happens to each picture; the samples' own masks are used.
            described: What decides the samples, as plain JSON values.
            view: Number or name of the view to take.
        """
        self._chain, self._view, self._described = chain, view, dict(described)
        preparation = replace(placing.preparation, background=Alpha())
        self._placing = replace(placing, preparation=preparation)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._chain)

    def __getitem__(self, index: int) -> Source:
        """Read one sample and bring its view to its place.

        Raises:
            DataError: If it lacks the view or its mask.
        """
        sample = self._chain[index]
        view = _choose(sample, self._view)
        if view.mask is None:
            raise DataError(
                f"sample {sample.id}, view {view.name}: expected a mask, got none. Add --set "
                "data.preprocess=[preprocess.auto_mask] with the mask's source."
            )
        name = Path(view.source or f"{sample.id}/{view.name}")
        placed, done = self._placing(RawPicture(to_8_bit(view.rgb), view.mask, np.eye(3), name))
        digest = sample.provenance[-1].digest if sample.provenance else ""
        found = {"sample": sample.id, "view": view.name, "digest": digest, **done}
        return Source(sample.id, placed, found, sample.session, sample.animal, sample.time_s)

    def describe(self) -> dict[str, Any]:
        """Return what decides the samples, and which view is taken."""
        return {"dataset": self._described, "view": self._view, **self._placing.describe()}


def _unread(item: Item) -> RawPicture:
    """A picture's name without its pixels."""
    return RawPicture(np.zeros((0, 0, 3), np.uint8), None, np.eye(3), item.path, item.frame)


def is_dataset(path: Path) -> bool:
    """Whether a path is for a reader: a folder without pictures of its own, or another file."""
    if path.is_dir():
        return not any(
            one.suffix.lower() in PICTURES | VIDEOS for one in path.iterdir() if one.is_file()
        )
    return path.is_file() and path.suffix.lower() not in PICTURES | VIDEOS


def _choose(sample: Sample, view: int | str) -> View:
    """Return the view of that number or name.

    Raises:
        DataError: If there is none.
    """
    names = [one.name for one in sample.views]
    if isinstance(view, str) and view in names:
        return sample.views[names.index(view)]
    if isinstance(view, int) and 0 <= view < len(names):
        return sample.views[view]
    hint = did_you_mean(str(view), names)
    raise DataError(f"sample {sample.id}: expected a view called {view!r}, got none. {hint}")
