"""Pictures inside a page: decoded, made small enough, and encoded again."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mfl_adapt.data.spread import spread
from mfl_adapt.errors import DataError, MflAdaptError
from mfl_adapt.files import read_bounded
from mfl_adapt.images import decode_picture
from mfl_adapt.report.run.markup import Html, el

if TYPE_CHECKING:
    from torch import Tensor

    from mfl_adapt.report.run.record import RunRecord
    from mfl_adapt.types import Bytes

WIDEST, HIGHEST = 1600, 1600
"""Pixels that a picture keeps at most."""
QUALITY = 84
MOST_SHEETS = 6
_LARGEST_FILE, _MOST_PIXELS = 64 * 2**20, 50_000_000


def picture(rgb: Bytes, text: str, *, class_: str | None = None) -> Html:
    """Put a picture into a page as JPEG.

    Args:
        rgb: [H, W, 3] uint8.
        text: What it shows, for those who cannot see it.
        class_: For the style sheet.
    """
    import cv2

    height, width = rgb.shape[:2]
    factor = min(1.0, WIDEST / width, HIGHEST / height)
    if factor < 1:
        height, width = max(1, round(height * factor)), max(1, round(width * factor))
        rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
    data = cv2.imencode(".jpg", rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    source = "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
    # Built here and no text, so that it is not cut.
    return el("img", src=Html(source), alt=text, width=width, height=height, class_=class_)


def picture_of(path: Path, text: str) -> Html:
    """Put a PNG or JPEG file into a page, or the reason why it cannot be shown."""
    try:
        return picture(load_bounded(path), text)
    except MflAdaptError as error:
        return el("p", f"Not shown: {error}", class_="note")


def load_bounded(path: Path) -> Bytes:
    """Read a picture of anybody, [H, W, 3] uint8.

    Raises:
        DataError: If it cannot be read, is no picture, or a very large one.
    """
    try:
        data = read_bounded(path, _LARGEST_FILE)
    except OSError as error:
        raise DataError(
            f"{path.name}: expected a picture, got {error.strerror or error}. Check the file."
        ) from error
    # The size stands in the first chunk of a PNG; what decodes to gigabytes is refused before.
    sides = [int.from_bytes(data[at : at + 4], "big") for at in (16, 20)]
    if data[12:16] != b"IHDR" or sides[0] * sides[1] > _MOST_PIXELS:
        raise DataError(
            f"{path.name}: expected a PNG of at most {_MOST_PIXELS:,} pixels, got something else. "
            "Check the file."
        )
    return decode_picture(data, path.name).rgb


def to_tiles(images: Tensor, most: int) -> list[np.ndarray]:
    """Return the first pictures of [V, 3, H, W] in [0, 1] as [H, W, 3] each."""
    chosen = images[:most].detach().float().clamp(0, 1).cpu().numpy()
    return [np.ascontiguousarray(one.transpose(1, 2, 0)) for one in chosen]


def sheets(record: RunRecord) -> Html:
    """Show how the pictures of held-out samples changed in training."""
    if not record.samples:
        return el("p", "The run folder holds no pictures in samples/.", class_="note")
    chosen = spread(record.samples, MOST_SHEETS)
    left = len(record.samples) - len(chosen)
    note = f"{left} more in samples/ of the run folder." if left else None
    figures = [_sheet(step, path, place > 0) for place, (step, path) in enumerate(_newest(chosen))]
    return el("div", figures, el("p", note, class_="note") if note else None)


def _newest(chosen: Sequence[tuple[int, Path]]) -> list[tuple[int, Path]]:
    """The last sheet first, then from the first one on."""
    return [*chosen[-1:], *chosen[:-1]]


def _sheet(step: int, path: Path, folded: bool) -> Html:
    when = f"after step {step}" if step else "before the first step"
    shown = picture_of(path, f"Contact sheet {when}: photographs, what the model makes, difference")
    if not folded:
        return el("figure", shown, el("figcaption", f"Held-out samples {when}"))
    return el("details", el("summary", f"Held-out samples {when}"), el("figure", shown))
