"""The published crop of faces, pixel for pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.images import resize_map
from mfl_adapt.predict.framed import Box, Framed, FramingSettings, over_background

if TYPE_CHECKING:
    from mfl_adapt.predict.picture import RawPicture
    from mfl_adapt.types import Bytes, RigContract

# Of the published program, all in pixels of its canvas: side of a face's box, and its centre.
FACE_CANVAS = 512
FACE_SIDE = 194.2749650813705
FACE_CENTER = (251.83270369057132, 280.0133630862363)
_MOST_PIXELS = 80_000_000


def find_face(picture: RawPicture, settings: FramingSettings) -> Box:
    """Take the given box, or ask the detector.

    Raises:
        DataError: If there is no face, or the box is none of this picture.
    """
    box: Any = settings.face_box
    if box is None and settings.detector is not None:
        box = settings.detector(picture.rgb.copy())
        if box is None:
            raise DataError(
                f"{picture.source}: expected a face, got none from --face-detector "
                f"{settings.detector.reference}. Give --face-box x,y,w,h, or use --framing mask."
            )
    try:
        x, y, w, h = (float(value) for value in box)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{picture.source}: expected a face box as four numbers x, y, w, h, got {box!r:.60}."
        ) from error
    height, width = picture.rgb.shape[:2]
    inside = 0 <= x < width and 0 <= y < height and w >= 1 and h >= 1
    if not (inside and x + w <= width + 1 and y + h <= height + 1):
        raise DataError(
            f"{picture.source}: expected a face box x,y,w,h inside of the picture's {width} x "
            f"{height} px, got {x:g},{y:g},{w:g},{h:g}."
        )
    return x, y, w, h


def frame_face(picture: RawPicture, mask: Bytes, contract: RigContract, box: Box) -> Framed:
    """Place a face as the published program does, pixel for pixel.

    Raises:
        DataError: If the box is so small that the picture would become huge.
    """
    from PIL import Image

    height, width = mask.shape
    over = over_background(picture.rgb, mask, contract)
    ratio = FACE_SIDE / ((box[2] + box[3]) / 2)
    new_width, new_height = int(width * ratio), int(height * ratio)
    if not 1 <= new_width * new_height <= _MOST_PIXELS:
        raise DataError(
            f"{picture.source}: expected a face box whose face is scaled to about 194 px, got one "
            f"that makes the picture {new_width} x {new_height} px. Check the box."
        )
    center = int((box[0] + box[2] / 2) * ratio), int((box[1] + box[3] / 2) * ratio)
    x, y = FACE_CENTER[0] - center[0], FACE_CENTER[1] - center[1]
    # Pillow's own filter for resizing, bicubic, and corners cut to whole pixels.
    scaled = Image.fromarray(over).resize((new_width, new_height))
    cover = Image.fromarray(mask).resize((new_width, new_height))
    part = (
        int(max(0, -x)),
        int(max(0, -y)),
        int(min(new_width, FACE_CANVAS - x)),
        int(min(new_height, FACE_CANVAS - y)),
    )
    place = int(max(0, x)), int(max(0, y))
    white = round(255 * contract.background)
    canvas = Image.new("RGB", (FACE_CANVAS, FACE_CANVAS), (white, white, white))
    canvas.paste(scaled.crop(part), place)
    alpha = Image.new("L", (FACE_CANVAS, FACE_CANVAS), 0)
    alpha.paste(cover.crop(part), place)
    size = contract.size
    if size != FACE_CANVAS:
        canvas = canvas.resize((size, size), Image.Resampling.LANCZOS)
        alpha = alpha.resize((size, size), Image.Resampling.LANCZOS)
    moved = np.array([[1.0, 0, place[0] - part[0]], [0, 1, place[1] - part[1]], [0, 0, 1]])
    pixel_map = (
        resize_map((FACE_CANVAS, FACE_CANVAS), (size, size))
        @ moved
        @ resize_map((height, width), (new_height, new_width))
    )
    rgb = np.asarray(canvas).copy()
    note = f"framed by the face: its box scaled by {ratio:.4g} and placed as in training"
    return Framed(rgb, rgb, np.asarray(alpha).copy(), pixel_map, note)
