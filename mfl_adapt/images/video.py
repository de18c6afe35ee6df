"""Frames of a video by index, exactly those that decoding from the start would give.

Seeking by time lands on a wrong frame where the frame rate varies, where an edit list cuts the
beginning off, and where the header counts frames that are not there. So a list of the times at
which the frames are shown is made first, from the packets alone, without decoding. A seek may
then land anywhere before the wanted frame: every frame is told by its own time, and a frame that
has none in the list is an error, never a neighbour.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.images.video_file import check_video_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mfl_adapt.types import Bytes, Float

_log = logging.getLogger(__name__)
# OpenCV's log level belongs to the process.
_LOG_LEVEL = threading.Lock()

# Times come twice from the same integers, so they agree far below this.
_SAME_MS = 0.01
# OpenCV seeks to a keyframe at least this many frames before the one it was asked for.
_SEEK_MARGIN = 16
# OpenCV says "end" for damage too, so a video has ended only where this many tries say so.
_MOST_FAILURES = 100
_CONVERT = "Convert it with: ffmpeg -i OLD -c:v libx264 -crf 10 NEW.mp4"


class VideoReader:
    """One video file, read frame by frame in any order.

    Reading forward goes on where the last frame ended; a jump decodes from the nearest keyframe
    before it. The reader can be pickled and sent to another process, with its list of frames; each
    process opens the file for itself.

    Attributes:
        path: The file.
        height: Picture height in pixels, as stored: no rotation flag is applied, since a
            calibration refers to the stored grid.
        width: Picture width in pixels.
        fps: Mean frames per second.
        times_s: When each frame is shown, in seconds from the first, [F] float64.
    """

    def __init__(self, path: Path) -> None:
        """List the frames; the pictures are decoded when asked for.

        Raises:
            DataError: If the file is missing, truncated, no video, or has no frame that decodes.
        """
        self.path = Path(path)
        check_video_file(self.path)
        self._capture: Any = None
        self._opened_by = -1
        self._at = -1
        capture = self._open()
        self._fps = _property(capture, "FPS")
        self.height = int(_property(capture, "FRAME_HEIGHT"))
        self.width = int(_property(capture, "FRAME_WIDTH"))
        self._times_ms, self._keyframes = self._list_frames()
        self.times_s: Float = (self._times_ms - self._times_ms[0]) / 1000.0
        span = float(self.times_s[-1])
        # Milliseconds in a container round; a millionth of a frame per second is below them.
        self.fps = round((len(self) - 1) / span if span > 0 else self._fps, 6)

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._times_ms)

    def frame(self, index: int) -> Bytes:
        """Decode one frame.

        Args:
            index: Place in the order in which the frames are shown, from 0.

        Returns:
            sRGB colour as OpenCV converts it, [H, W, 3] uint8.

        Raises:
            DataError: If there is no such frame, or it does not decode.
        """
        if not 0 <= index < len(self):
            raise DataError(
                f"{self.path}: expected a frame index from 0 to {len(self) - 1}, got {index}."
            )
        try:
            self._move_to(index)
            return self._retrieve(index)
        except DataError:
            self.close()  # where a damaged file left the decoder is not known
            raise

    def close(self) -> None:
        """Release the decoder; the next frame opens the file again."""
        if self._capture is not None and self._opened_by == os.getpid():
            self._capture.release()
        self._capture, self._at = None, -1

    def __enter__(self) -> VideoReader:
        """Return the reader."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release the decoder."""
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the decoder."""
        return {**self.__dict__, "_capture": None, "_opened_by": -1, "_at": -1}

    def _open(self) -> Any:
        # A forked process shares the file position of its parent, so it needs a decoder of its own.
        if self._capture is None or self._opened_by != os.getpid():
            self._capture = _open_capture(self.path)
            self._opened_by, self._at = os.getpid(), -1
        return self._capture

    def _move_to(self, index: int) -> None:
        """Grab the frame ``index``.

        Raises:
            DataError: If it does not decode.
        """
        self._open()
        if index < self._at or self._keyframe_between(self._at, index - _SEEK_MARGIN):
            self._seek(index)
        while self._at < index:
            if not self._grab():
                break
        if self._at != index:
            raise DataError(
                f"{self.path}: expected frame {index} of {len(self)} to decode, got none at its "
                f"time. The file is damaged there; copy it again or skip the frame."
            )

    def _keyframe_between(self, after: int, until: int) -> bool:
        """Whether a jump would decode less than reading on."""
        place = int(np.searchsorted(self._keyframes, after, side="right"))
        return place < len(self._keyframes) and int(self._keyframes[place]) <= until

    def _seek(self, index: int) -> None:
        """Grab some frame at or before ``index``, as near as the keyframes allow."""
        import cv2

        # OpenCV counts in frames of the mean rate; where the rate varies that is only a guess.
        guess = round(float(self._times_ms[index]) * self._fps / 1000.0)
        step = 0
        while guess - step > 0:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, guess - step)
            if self._grab() and self._at <= index:
                return
            step = max(2 * step, _SEEK_MARGIN)
        self.close()
        self._open()

    def _grab(self) -> bool:
        """Advance by one frame and note which it is; False at the end or at damage.

        Raises:
            DataError: If the frame's time is not in the list.
        """
        if not self._capture.grab():
            return False
        time_ms = _property(self._capture, "POS_MSEC")
        place = int(np.searchsorted(self._times_ms, time_ms - _SAME_MS))
        if place == len(self) or abs(self._times_ms[place] - time_ms) > _SAME_MS:
            raise DataError(
                f"{self.path}: expected frames at the times listed in the file, got one at "
                f"{time_ms:.3f} ms. {_CONVERT}"
            )
        self._at = place
        return True

    def _retrieve(self, index: int) -> Bytes:
        import cv2

        whole, picture = self._capture.retrieve()
        if not whole or picture.shape != (self.height, self.width, 3):
            got = f"a picture of shape {list(picture.shape)}" if whole else "no picture"
            raise DataError(
                f"{self.path}: expected frame {index} as a picture of {self.width} x {self.height} "
                f"px, got {got}. {_CONVERT}"
            )
        rgb: Bytes = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        return rgb

    def _list_frames(self) -> tuple[Float, NDArray[np.int64]]:
        """Times of all frames in milliseconds, rising, [F], and places of the keyframes.

        Raises:
            DataError: If no frame decodes, two have the same time, or some are damaged.
        """
        times, keyframes = _packet_times(self.path)
        ends = self._decoded_ends()
        rising = len(times) > 0 and bool(np.all(np.diff(times) > _SAME_MS))
        if not rising or np.abs(times[[0, -1]] - ends).max() > _SAME_MS:
            # An edit list, or packets without times of their own.
            _log.warning("%s: listing its frames by decoding it once", self.path)
            times = np.array([time for time, _ in _scan(_open_capture(self.path), self.path)])
            keyframes = np.zeros(0, np.int64)
        if np.any(np.diff(times) <= _SAME_MS):
            raise DataError(
                f"{self.path}: expected every frame at a time of its own, got two at one. "
                f"{_CONVERT}"
            )
        return times, keyframes

    def _decoded_ends(self) -> Float:
        """Times of the first and the last frame that decode, [2].

        Raises:
            DataError: If none does.
        """
        import cv2

        capture = self._open()
        if not capture.grab():
            raise DataError(f"{self.path}: expected a video, got no frame that decodes. {_CONVERT}")
        first = last = _property(capture, "POS_MSEC")
        capture.set(cv2.CAP_PROP_POS_FRAMES, max(_property(capture, "FRAME_COUNT") - 2, 0))
        while capture.grab():
            last = _property(capture, "POS_MSEC")
        self.close()
        return np.array([first, last])


def _property(capture: Any, name: str) -> float:
    import cv2

    return float(capture.get(getattr(cv2, f"CAP_PROP_{name}")))


def _open_capture(path: Path, *, packets: bool = False) -> Any:
    """Open a video for decoding, or for listing its packets.

    Raises:
        DataError: If OpenCV's FFmpeg cannot.
    """
    import cv2

    # One thread: readers run in many processes, and each holds a dozen videos open.
    settings = [cv2.CAP_PROP_FORMAT, -1] if packets else [cv2.CAP_PROP_N_THREADS, 1]
    with _quiet():
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, settings)
    if not capture.isOpened():
        raise DataError(
            f"{path}: expected a video that FFmpeg can decode, got none. Check the file. {_CONVERT}"
        )
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
    return capture


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep OpenCV and FFmpeg from writing to stderr what an error is about to say."""
    import cv2

    # FFmpeg's level is read once, when the first video of the process is opened.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    with _LOG_LEVEL:
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            yield
        finally:
            cv2.utils.logging.setLogLevel(level)


def _packet_times(path: Path) -> tuple[Float, NDArray[np.int64]]:
    """Times of all packets in milliseconds, sorted, and the places of the keyframes in them.

    Raises:
        DataError: If packets in the middle are damaged.
    """
    found = np.array(list(_scan(_open_capture(path, packets=True), path))).reshape(-1, 2)
    found = found[np.argsort(found[:, 0], kind="stable")]
    return found[:, 0], np.flatnonzero(found[:, 1] > 0)


def _scan(capture: Any, path: Path) -> Iterator[tuple[float, float]]:
    """Time in milliseconds of each packet or frame, and whether it is a keyframe's packet.

    Raises:
        DataError: If more follow where one failed.
    """
    found = failed = 0
    while failed < _MOST_FAILURES:
        if not capture.grab():
            failed += 1
        elif failed:
            raise DataError(
                f"{path}: expected a video without gaps, got damaged data after {found} frames. "
                f"Copy the file again, or let FFmpeg mend it: ffmpeg -i OLD -c:v libx264 -crf 10 "
                f"NEW.mp4"
            )
        else:
            found += 1
            yield _property(capture, "POS_MSEC"), _property(capture, "LRF_HAS_KEY_FRAME")
    capture.release()
