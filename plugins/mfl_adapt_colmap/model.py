"""The files of a sparse model, as COLMAP documents them under "Output Format".

Text files hold one camera a line and two lines an image, the second of which (its points) may be
empty. Binary files are little-endian; strings end with a null byte. Rigs, frames and 3-D points
are not needed to place the cameras, and ``images`` always holds the full pose.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfl_adapt.errors import DataError
from mfl_adapt.files import find_inside

from .discover import model_file
from .lenses import MODELS, ModelCamera, check_camera


@dataclass(frozen=True, slots=True)
class ModelImage:
    """A registered picture.

    Attributes:
        where: File and record, for messages.
        name: Path of the picture within the pictures' folder, with forward slashes.
        camera_id: Its camera.
        quaternion: World to camera, w x y z.
        translation: World to camera, in the model's arbitrary unit.
    """

    where: str
    name: str
    camera_id: int
    quaternion: tuple[float, ...]
    translation: tuple[float, ...]


def read_model(folder: Path) -> tuple[dict[int, ModelCamera], list[ModelImage]]:
    """Read cameras and images of a model.

    Args:
        folder: Folder of the model; binary files go before text ones.

    Returns:
        Cameras by identifier, and images sorted by name.

    Raises:
        DataError: If a file is missing, truncated or malformed, or names a camera or picture
            twice or not at all.
    """
    cameras: dict[int, ModelCamera] = {}
    file = _required(folder, "cameras")
    for camera in _binary_cameras(file) if file.suffix == ".bin" else _text_cameras(file):
        check_camera(camera)
        if camera.id in cameras:
            raise DataError(f"{camera.where}: expected every camera once, got {camera.id} again.")
        cameras[camera.id] = camera
    images: dict[str, ModelImage] = {}
    file = _required(folder, "images")
    for image in _binary_images(file) if file.suffix == ".bin" else _text_images(file):
        if image.camera_id not in cameras:
            known = ", ".join(map(str, sorted(cameras)[:8])) or "none"
            raise DataError(
                f"{image.where}: expected a camera of the model ({known}), got "
                f"{image.camera_id}. Export cameras and images together."
            )
        _check_name(folder, image)
        if image.name in images:
            raise DataError(f"{image.where}: expected every picture once, got {image.name} again.")
        images[image.name] = image
    if not images:
        raise DataError(f"{file}: expected registered pictures, got none. Reconstruct again.")
    return cameras, [images[name] for name in sorted(images)]


def _check_name(folder: Path, image: ModelImage) -> None:
    try:
        find_inside(folder, image.name)
    except ValueError as error:
        raise DataError(
            f"{image.where}: expected the name of a picture inside the pictures' folder, got "
            f"{image.name[:200]!r}. Export the model again."
        ) from error


def _required(folder: Path, stem: str) -> Path:
    file = model_file(folder, stem)
    if file is None:
        raise DataError(f"{folder}: expected {stem}.bin or {stem}.txt, got neither. Export it.")
    return file


class _Cursor:
    """Reads a binary file front to back; never beyond its end."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._data = _read_bytes(file)
        self._at = 0

    def take(self, layout: str, what: str) -> tuple[Any, ...]:
        """Unpack little-endian values."""
        start = self._at
        self.skip(struct.calcsize("<" + layout), what)
        return struct.unpack_from("<" + layout, self._data, start)

    def skip(self, count: int, what: str) -> None:
        # Step over bytes, if they are there.
        left = len(self._data) - self._at
        if count > left:
            raise DataError(
                f"{self.file}: expected {count} more bytes for {what}, got {left}; the file is "
                f"truncated. Copy or export it again."
            )
        self._at += count

    def close(self) -> None:
        """Hold the file to have ended.

        Raises:
            DataError: If it has not.
        """
        if left := len(self._data) - self._at:
            raise DataError(
                f"{self.file}: expected the end of the file, got {left} more bytes. It is damaged "
                f"or of another kind; export it again."
            )

    def text(self, what: str) -> str:
        """Read a string that ends with a null byte."""
        end = self._data.find(b"\0", self._at)
        if end < 0:
            self.skip(len(self._data) - self._at + 1, what)
        start, self._at = self._at, end + 1
        return _decoded(self.file, self._data[start:end])


def _binary_cameras(file: Path) -> Iterator[ModelCamera]:
    names = {model.number: name for name, model in MODELS.items()}
    cursor = _Cursor(file)
    (count,) = cursor.take("Q", "the number of cameras")
    for index in range(count):
        what = f"camera {index + 1} of {count}"
        camera_id, number, width, height = cursor.take("IiQQ", what)
        if number not in names:
            known = ", ".join(f"{name} ({number})" for number, name in names.items())
            raise DataError(
                f"{file}: {what}: expected a known camera model, got number {number}. Known: "
                f"{known}. Undistort with COLMAP's image_undistorter and read its output."
            )
        model = names[number]
        params = cursor.take(f"{len(MODELS[model].params)}d", what)
        yield ModelCamera(f"{file}: {what}", camera_id, model, width, height, params)
    cursor.close()


def _binary_images(file: Path) -> Iterator[ModelImage]:
    cursor = _Cursor(file)
    (count,) = cursor.take("Q", "the number of images")
    for index in range(count):
        what = f"image {index + 1} of {count}"
        _, *pose, camera_id = cursor.take("I7dI", what)
        name = cursor.text(what)
        (points,) = cursor.take("Q", what)
        cursor.skip(24 * points, f"the points of {what}")
        yield ModelImage(f"{file}: {what}", name, camera_id, tuple(pose[:4]), tuple(pose[4:]))
    cursor.close()


def _text_cameras(file: Path) -> Iterator[ModelCamera]:
    for number, line in _lines(file):
        if not line.strip() or line.startswith("#"):
            continue
        where = f"{file}:{number}"
        words = line.split()
        try:
            camera_id, width, height = int(words[0]), int(words[2]), int(words[3])
            params = tuple(float(word) for word in words[4:])
        except (IndexError, ValueError) as error:
            raise DataError(
                f"{where}: expected CAMERA_ID MODEL WIDTH HEIGHT PARAMS, got {line.strip()[:60]!r}."
                f" Export the model again."
            ) from error
        yield ModelCamera(where, camera_id, words[1], width, height, params)


def _text_images(file: Path) -> Iterator[ModelImage]:
    lines = _lines(file)
    for number, line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        where = f"{file}:{number}"
        words = line.strip().split(maxsplit=9)
        try:
            pose, camera_id, name = [float(word) for word in words[1:8]], int(words[8]), words[9]
        except (IndexError, ValueError) as error:
            raise DataError(
                f"{where}: expected IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, got "
                f"{line.strip()[:60]!r}. Export the model again."
            ) from error
        points = next(lines, (number + 1, ""))[1]
        if len(points.split()) % 3:
            raise DataError(
                f"{file}:{number + 1}: expected the points of {name} as X Y POINT3D_ID or an "
                f"empty line, got {points.strip()[:60]!r}. Every image has two lines."
            )
        yield ModelImage(where, name, camera_id, tuple(pose[:4]), tuple(pose[4:]))


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    text = _decoded(file, _read_bytes(file))
    return iter(enumerate(text.splitlines(), start=1))


def _read_bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file}: expected a readable file, got {error.strerror}.") from error


def _decoded(file: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: expected UTF-8 text, got {error}. Export it again.") from error
