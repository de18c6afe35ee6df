"""H.264 videos, written by the FFmpeg program that imageio-ffmpeg ships."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from mfl_adapt.errors import StorageError

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes


class Mp4Writer:
    """Writes pictures to an MP4 file, which appears when the writer is left without an error.

    Frames that lean on later ones (B-frames) and a keyframe every 50 frames make the files as hard
    to seek in as those of a laboratory.
    """

    def __init__(self, path: Path, *, fps: float, crf: int) -> None:
        """Remember the settings; FFmpeg starts with the first picture.

        Args:
            path: File to write; its folder is made where missing.
            fps: Frames per second.
            crf: Quality, from 0 (lossless) to 51.
        """
        self._path, self._fps, self._crf = path, fps, crf
        self._partial = path.with_name(f".{path.stem}.{os.getpid()}.partial.mp4")
        self._process: Any = None

    def add(self, rgb: Bytes) -> None:
        """Append a picture, [H, W, 3] uint8, with even sides.

        Raises:
            StorageError: If FFmpeg cannot be started or has given up.
        """
        if self._process is None:
            self._start(rgb.shape[0], rgb.shape[1])
        try:
            self._process.stdin.write(rgb.tobytes())
        except OSError as error:
            raise self._failure() from error

    def __enter__(self) -> Mp4Writer:
        """Return the writer."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the file, or leave none behind.

        Raises:
            StorageError: If FFmpeg reports an error.
        """
        try:
            if kind is not None:
                self._stop()
            elif self._process is not None:
                self._finish()
        finally:
            with suppress(OSError):
                self._partial.unlink()

    def _start(self, height: int, width: int) -> None:
        import imageio_ffmpeg

        size = f"{width}x{height}"
        raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", str(self._fps), "-i", "-"]
        codec = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", str(self._crf)]
        # One thread and no version strings: the same program then writes the same bytes.
        steady = ["-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]
        keys = ["-g", "50", "-bf", "3", "-preset", "veryfast"]
        self._make_folder()
        try:
            program = imageio_ffmpeg.get_ffmpeg_exe()
            self._process = subprocess.Popen(
                [program, "-v", "error", "-y", *raw, *codec, *keys, *steady, str(self._partial)],
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except (OSError, RuntimeError) as error:
            raise StorageError(
                f"{self._path}: expected FFmpeg to write a video with, got {error}. Install "
                f"imageio-ffmpeg again."
            ) from error

    def _make_folder(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"{self._path}: expected a folder to write a video to, got "
                f"{error.strerror or error}. Choose another place."
            ) from error

    def _finish(self) -> None:
        self._process.stdin.close()
        self._process.stdin = None
        message = self._process.stderr.read()
        self._process.stderr.close()
        if self._process.wait() != 0:
            raise StorageError(self._words(message))
        try:
            self._partial.replace(self._path)
        except OSError as error:
            raise StorageError(
                f"{self._path}: expected to write a video, got {error.strerror or error}."
            ) from error

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            with suppress(OSError):
                self._process.stdin.close()
            self._process.stderr.close()
            self._process.wait()

    def _failure(self) -> StorageError:
        message = self._process.stderr.read()
        return StorageError(self._words(message))

    def _words(self, message: bytes) -> str:
        said = " ".join(message.decode(errors="replace").split())[:200] or "no reason"
        return f"{self._path}: expected FFmpeg to write the video, got: {said}. Check free space."
