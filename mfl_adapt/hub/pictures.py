"""Pictures for a model card, published without what cameras and programs write into them."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from mfl_adapt.errors import DataError
from mfl_adapt.hub.contents import PICTURE_LIMIT, PICTURES, is_picture

_FORMATS = {"PNG": ".png", "JPEG": ".jpg"}
_ORIENTATION = 0x0112


def read_pictures(paths: Iterable[Path]) -> dict[str, bytes]:
    """Read pictures and leave out all that is not picture: places, times, programs, paths.

    Args:
        paths: PNG and JPEG files; the pixels of a PNG stay as they are, a JPEG keeps its quality.

    Returns:
        Contents by the name they are published under.

    Raises:
        DataError: If one is no such picture, too large, or has the name of another.
    """
    read: dict[str, bytes] = {}
    for path in paths:
        content, suffix = _without_notes(path)
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem).strip("-_") or "picture"
        name = f"{name[:90]}{suffix}"
        if name in read or not is_picture(name):
            raise DataError(
                f"{path}: expected a name of its own for each picture, got {name!r} twice. "
                "Rename one."
            )
        read[name] = content
    return read


def _without_notes(path: Path) -> tuple[bytes, str]:
    """Encode a picture again with nothing but its pixels.

    Raises:
        DataError: If it is no picture, or too large.
    """
    encoded = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=list(_FORMATS)) as picture:
                form = str(picture.format)
                _encode(picture, form, encoded)
    except (
        OSError,
        ValueError,
        SyntaxError,
        UnidentifiedImageError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:
        reason = getattr(error, "strerror", None) or "another file"
        raise DataError(
            f"{path}: expected a picture ({', '.join(PICTURES)}) for the card, got {reason}. "
            "Name a PNG or JPEG file."
        ) from error
    content = encoded.getvalue()
    if len(content) > PICTURE_LIMIT:
        raise DataError(
            f"{path}: expected a picture of at most {PICTURE_LIMIT:,} bytes, got "
            f"{len(content):,}. Make it smaller."
        )
    return content, _FORMATS[form]


def _encode(picture: Image.Image, form: str, stream: io.BytesIO) -> None:
    """Write the pixels the right way up; a JPEG that need not be turned keeps its tables."""
    upright = picture.getexif().get(_ORIENTATION, 1) == 1
    shown = picture if upright else ImageOps.exif_transpose(picture)
    # The encoders would write all else that stands there back into the file.
    shown.info = {key: item for key, item in shown.info.items() if key == "transparency"}
    quality: dict[str, Any] = {"quality": "keep" if upright else 95} if form == "JPEG" else {}
    shown.save(stream, format=form, **quality)
