"""Where the subject ends and the background begins: the sources of a picture's mask."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.images.sources import load_mask, to_mask
from mfl_adapt.predict.functions import UserFunction, is_reference, load_function
from mfl_adapt.predict.videos import VIDEOS, hash_file, hash_video, open_video

if TYPE_CHECKING:
    from mfl_adapt.predict.picture import RawPicture
    from mfl_adapt.types import Bytes

log = logging.getLogger(__name__)

WHITE = 245
"""Least value of all three channels of a white background; JPEG leaves it a little below 255."""
# Share of the picture's edge that must be white before ``auto`` believes in a white background.
_WHITE_EDGE = 0.5


class Background(Protocol):
    """Finds the subject of a picture."""

    def mask(self, picture: RawPicture) -> Bytes:
        """Return the subject's opacity, [H, W] uint8 like ``picture.rgb``, 255 inside."""
        ...

    def key(self, picture: RawPicture) -> str:
        """Return a text that changes when the mask could."""
        ...


@dataclass(frozen=True, slots=True)
class Alpha:
    """The picture's own alpha."""

    def mask(self, picture: RawPicture) -> Bytes:
        """Return it.

        Raises:
            DataError: If there is none.
        """
        if picture.alpha is None:
            raise DataError(
                f"{picture.source}: expected an alpha channel that holds the subject, got a "
                "picture without one. Use --background white, a mask file or a function."
            )
        return picture.alpha

    def key(self, picture: RawPicture) -> str:
        """The picture decides."""
        return "alpha"


@dataclass(frozen=True, slots=True)
class White:
    """A white background that reaches the picture's edge.

    Attributes:
        threshold: Least value of all three channels of a background pixel.
    """

    threshold: int = WHITE

    def mask(self, picture: RawPicture) -> Bytes:
        """Return what is not reached from the edge through white pixels.

        Raises:
            DataError: If no pixel at the edge is white.
        """
        found = mask_on_white(picture.rgb, self.threshold)
        if found.min() > 0:
            raise DataError(
                f"{picture.source}: expected a white background at the picture's edge, got none "
                f"of {self.threshold} or more. Lower the threshold (--background white:230), or "
                "give a mask file or a function."
            )
        return found

    def key(self, picture: RawPicture) -> str:
        """The threshold decides."""
        return f"white:{self.threshold}"


@dataclass(frozen=True, slots=True)
class Auto:
    """Alpha if it shows a subject, else a white background, else an error."""

    def mask(self, picture: RawPicture) -> Bytes:
        """Return the mask and log how it was found.

        Raises:
            DataError: If the picture has neither.
        """
        if picture.alpha is not None and picture.alpha.min() < 128:
            log.debug("%s: background by alpha", picture.source)
            return picture.alpha
        share = white_edge(picture.rgb)
        if share < _WHITE_EDGE:
            raise DataError(
                f"{picture.source}: expected an alpha channel or a white background to tell the "
                f"subject by, got neither ({100 * share:.0f} % of the picture's edge is white). "
                "Give --background FILE with a mask, or --background package.module:function."
            )
        # A line for each frame of a video would say the same thousands of times.
        level = logging.INFO if picture.frame is None else logging.DEBUG
        log.log(level, "%s: background by white, %d or more", picture.source, WHITE)
        return White().mask(picture)

    def key(self, picture: RawPicture) -> str:
        """The picture decides."""
        return "auto"


@dataclass(frozen=True, slots=True)
class MaskFile:
    """A mask picture; a folder of them, one per picture and called like it; or a mask video.

    Attributes:
        path: The file or folder.
    """

    path: Path

    def mask(self, picture: RawPicture) -> Bytes:
        """Read the mask of a picture.

        Raises:
            DataError: If it is missing, no mask, or of another size.
        """
        file = self._file(picture)
        if picture.frame is None:
            found = load_mask(file)
        else:
            found = to_mask(open_video(file).frame(picture.frame), file)
        if found.shape != picture.rgb.shape[:2]:
            height, width = picture.rgb.shape[:2]
            raise DataError(
                f"{file}: expected a mask of {width} x {height} px like {picture.source} when it "
                f"is upright, got {found.shape[1]} x {found.shape[0]}. Make it from this picture."
            )
        return found

    def key(self, picture: RawPicture) -> str:
        """Hash the file that decides."""
        file = self._file(picture)
        return f"mask:{hash_file(file) if picture.frame is None else hash_video(file)}"

    def _file(self, picture: RawPicture) -> Path:
        """The file that belongs to a picture.

        Raises:
            DataError: If a folder has none, or a picture is named for a video.
        """
        file = self.path
        if file.is_dir():
            names = [picture.path.with_suffix(end).name for end in (".png", ".jpg", ".mp4")]
            names.insert(0, picture.path.name)
            found = [file / name for name in names if (file / name).is_file()]
            if not found:
                raise DataError(
                    f"{file}: expected a mask called {names[1]} for {picture.source}, found none."
                )
            file = found[0]
        if picture.frame is not None and file.suffix.lower() not in VIDEOS:
            raise DataError(
                f"{picture.path}: expected a mask video with as many frames for a video, got "
                f"{file}. Give one, or use --background white or a function."
            )
        return file


@dataclass(frozen=True, slots=True)
class ByFunction:
    """A function of the user's: rgb [H, W, 3] uint8 to a mask [H, W], bool or uint8.

    Attributes:
        function: The function.
    """

    function: UserFunction

    def mask(self, picture: RawPicture) -> Bytes:
        """Call it and check what it returns.

        Raises:
            DataError: If that is no mask of the picture.
            PluginError: If it raises.
        """
        found: Any = self.function(picture.rgb.copy())
        where = f"--background {self.function.reference}"
        shape = list(picture.rgb.shape[:2])
        kind = getattr(found, "dtype", None)
        if not isinstance(found, np.ndarray) or list(found.shape) != shape:
            got = list(found.shape) if hasattr(found, "shape") else type(found).__name__
            raise DataError(f"{where}: expected a numpy array {shape} like the picture, got {got}.")
        if kind == np.bool_:
            return found.astype(np.uint8) * 255
        if kind != np.uint8 or found.max() == 1:
            got_kind = "uint8 with 1 as its greatest value" if kind == np.uint8 else str(kind)
            raise DataError(
                f"{where}: expected bool, or uint8 with 255 on the subject, got {got_kind}."
            )
        return found

    def key(self, picture: RawPicture) -> str:
        """Hash the code that decides."""
        return f"{self.function.reference}:{self.function.digest}"


def choose_background(text: str) -> Background:
    """Read what followed ``--background``.

    Args:
        text: ``auto``, ``alpha``, ``white``, ``white:THRESHOLD``, a mask file, or a function.

    Raises:
        ConfigError: If it is none of these.
        PluginError: If the function's module cannot be imported.
    """
    word, _, number = text.partition(":")
    if text in {"auto", "alpha"}:
        return Auto() if text == "auto" else Alpha()
    if word == "white":
        return White(_threshold(number, text))
    path = Path(text).expanduser()
    if path.exists():
        return MaskFile(path)
    if is_reference(text):
        return ByFunction(load_function(text, "--background"))
    raise ConfigError(
        "--background: expected auto, alpha, white, white:THRESHOLD, an existing mask file or "
        f"folder, or package.module:function, got {text!r}."
    )


def _threshold(number: str, text: str) -> int:
    """Read the number after ``white:``.

    Raises:
        ConfigError: If it is none from 1 to 255.
    """
    if not number and ":" not in text:
        return WHITE
    if not number.isdecimal() or not 1 <= int(number) <= 255:
        raise ConfigError(
            f"--background: expected white:THRESHOLD with a number from 1 to 255, got {text!r}."
        )
    return int(number)


def mask_on_white(rgb: Bytes, threshold: int = WHITE) -> Bytes:
    """Tell a subject from the white around it, [H, W] uint8, 0 or 255.

    White inside of the subject stays, as long as no white leads from it to the picture's edge.

    Args:
        rgb: [H, W, 3] uint8.
        threshold: Least value of all three channels of a background pixel.
    """
    import cv2

    white = (rgb.min(axis=2) >= threshold).astype(np.uint8)
    # A ring of white around the picture joins all white regions at its edge into one.
    ring = cv2.copyMakeBorder(white, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    _, labels = cv2.connectedComponents(ring, connectivity=4)
    return np.where(labels[1:-1, 1:-1] == labels[0, 0], 0, 255).astype(np.uint8)


def white_edge(rgb: Bytes, threshold: int = WHITE) -> float:
    """Share of the outermost rows and columns that is white."""
    edge = np.concatenate([rgb[0], rgb[-1], rgb[1:-1, 0], rgb[1:-1, -1]])
    return float((edge.min(axis=1) >= threshold).mean())
