"""Which frames of a recording become samples."""

from mfl_adapt.errors import DataError

from .config import RecordingConfig


def choose_frames(config: RecordingConfig, num_frames: int, where: str) -> tuple[int, ...]:
    """Frames that the settings ask for, rising.

    Frames to skip are left out first, so that ``count`` frames are ``count`` samples.

    Args:
        config: Where to start and stop, every how many frames or how many, and what to skip.
        num_frames: Frames of the videos.
        where: The recording, for messages.

    Raises:
        DataError: If a setting names a frame that is not there, or no frame is left.
    """
    stop = num_frames if config.stop is None else config.stop
    named = [("start", config.start), ("stop", stop - 1), *(("skip", f) for f in config.skip)]
    for name, frame in named:
        if not 0 <= frame < num_frames:
            raise DataError(
                f"{where}: expected {name} within the {num_frames} frames of the videos, got frame "
                f"{frame}. Change the reader's {name}."
            )
    skip = set(config.skip)
    frames = [f for f in range(config.start, stop, config.every) if f not in skip]
    wanted = len(frames) if config.count is None else config.count
    if not 0 < wanted <= len(frames):
        raise DataError(
            f"{where}: expected {max(wanted, 1)} frames from {config.start} to {stop - 1} without "
            f"skip, got only {len(frames)}. Change start, stop, skip or count."
        )
    if config.count is None:
        return tuple(frames)
    last = len(frames) - 1
    return tuple(frames[round(k * last / max(wanted - 1, 1))] for k in range(wanted))
