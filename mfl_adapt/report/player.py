"""A sequence of Gaussians as a page that plays it in 3D, without a network and without a server."""

from __future__ import annotations

import base64
import html
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mfl_adapt.checks import is_number
from mfl_adapt.errors import DataError
from mfl_adapt.files import find_inside, read_json, write_atomically
from mfl_adapt.render.ply import read_ply
from mfl_adapt.report.packing import read_splats
from mfl_adapt.report.viewer import encode_splats, fill_page, page_settings, to_script

if TYPE_CHECKING:
    from mfl_adapt.types import RigContract

SEQUENCE_FILE = "sequence.json"
PAGE_FILE = "index.html"
SCRIPTS_FOLDER = "player"
LARGEST_PAGE = 64 * 1024 * 1024
"""Bytes of Gaussians, as text, that one page holds; browsers take long over larger ones."""


class SequenceFrame(NamedTuple):
    """One frame of a sequence.

    Attributes:
        name: Shown to the user.
        ply: Its Gaussians.
    """

    name: str
    ply: Path


def write_player(
    folder: Path, *, contract: RigContract | None = None, largest_page: int = LARGEST_PAGE
) -> Path:
    """Write ``index.html`` beside ``sequence.json``: play, pause, a slider, and an orbit.

    The page holds all frames (32 bytes for each Gaussian, a third more as text). Where that would
    be too large, the frames stand beside it as scripts in ``player/``, which the page loads one by
    one; the folder is then to be moved as a whole. Neither needs a network or a server.

    Args:
        folder: Holds ``sequence.json``: ``fps`` and ``frames``, each with ``name`` and ``ply``,
            a PLY or .splat file relative to the frame's ``folder`` if it has one.
        contract: As for ``write_viewer``.
        largest_page: Bytes of text beyond which frames stand beside the page.

    Returns:
        The page.

    Raises:
        DataError: If the sequence or one of its files cannot be used.
        RangeError: If a frame holds no Gaussian.
        StorageError: If a file cannot be written.
    """
    folder = Path(folder)
    fps, frames = read_sequence(folder / SEQUENCE_FILE)
    settings = {
        **page_settings(contract),
        "fps": fps,
        "frames": [frame.name for frame in frames],
        "scripts": None,
    }
    blocks: list[str] = []
    size = 0
    for index, frame in enumerate(frames):
        text = _encode_file(frame.ply)
        script = f'frame({index}, "{text}");'
        size += len(script)
        if settings["scripts"] is None and size > largest_page:
            _move_beside(folder, blocks)
            settings["scripts"] = f"{SCRIPTS_FOLDER}/#.js"
        if settings["scripts"] is None:
            blocks.append(script)
        else:
            write_atomically(_script_path(folder, index), script.encode())
    page = fill_page(
        "player.html",
        TITLE=html.escape(folder.resolve().name),
        DATA="\n".join(f"<script>{script}</script>" for script in blocks),
        SETTINGS=to_script(settings),
    )
    write_atomically(folder / PAGE_FILE, page.encode())
    return folder / PAGE_FILE


def _encode_file(file: Path) -> str:
    """Gaussians of a file as text.

    Raises:
        DataError: If the file cannot be used.
    """
    if file.suffix.lower() != ".splat":
        return encode_splats(read_ply(file), str(file))
    # A .splat file holds what the page reads, byte for byte.
    return base64.b64encode(read_splats(file)).decode("ascii")


def read_sequence(file: Path) -> tuple[float, list[SequenceFrame]]:
    """Read and check ``sequence.json``.

    Returns:
        Frames per second, and the frames in order.

    Raises:
        DataError: If the file cannot be read or breaks a rule.
    """
    content = read_json(file, holds="a sequence")
    content = content if isinstance(content, dict) else {}
    fps, frames = content.get("fps"), content.get("frames")
    if not is_number(fps) or fps <= 0:
        raise DataError(f"{file}: expected fps, a number of frames per second, got {fps!r:.40}.")
    if not isinstance(frames, list) or not frames:
        raise DataError(f"{file}: expected a list of frames, got {frames!r:.40}.")
    return float(fps), [_read_frame(file, index, entry) for index, entry in enumerate(frames)]


def _read_frame(file: Path, index: int, entry: Any) -> SequenceFrame:
    where = f"{file}: frames[{index}]"
    fields = entry if isinstance(entry, dict) else {}
    texts = {"folder": "", **fields}
    for key in ("name", "folder", "ply"):
        if not isinstance(texts.get(key), str):
            raise DataError(f"{where}.{key}: expected text, got {texts.get(key)!r:.40}.")
    try:
        return SequenceFrame(
            texts["name"], find_inside(file.parent, f"{texts['folder'] or '.'}/{texts['ply']}")
        )
    except ValueError as error:
        raise DataError(f"{where}: {error}. Write the sequence again.") from error


def _move_beside(folder: Path, blocks: list[str]) -> None:
    """Write the frames collected so far beside the page, and empty the list."""
    for index, script in enumerate(blocks):
        write_atomically(_script_path(folder, index), script.encode())
    blocks.clear()


def _script_path(folder: Path, index: int) -> Path:
    return folder / SCRIPTS_FOLDER / f"{index}.js"
