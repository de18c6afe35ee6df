"""Videos, read back by the package's own reader."""

import numpy as np
import pytest
from mfl_adapt_exporters import register_components
from mfl_adapt_exporters.config import Mp4Config
from mfl_adapt_exporters.mp4 import Mp4

from mfl_adapt.checks import check_settings
from mfl_adapt.errors import ConfigError, RangeError, ShapeError, StorageError
from mfl_adapt.images.video import VideoReader


def frames(count=5, height=32, width=48):
    """Two flat halves, whose left one brightens from frame to frame."""
    pictures = np.full((count, height, width, 3), 255, np.uint8)
    pictures[:, :, : width // 2] = 40 * np.arange(count, dtype=np.uint8)[:, None, None, None]
    return pictures


def test_a_video_holds_the_frames_in_order(tmp_path):
    path = tmp_path / "new" / "a.mp4"
    Mp4(Mp4Config())(frames(), path, fps=12.5)
    video = VideoReader(path)
    assert (video.height, video.width, len(video)) == (32, 48, 5)
    assert video.fps == pytest.approx(12.5)
    for index in range(5):
        picture = video.frame(index).astype(int)
        # H.264 loses a little; the halves are flat, so only their border differs more.
        assert np.abs(picture[:, :20] - 40 * index).max() <= 4
        assert np.abs(picture[:, 28:] - 255).max() <= 4
    assert [file.name for file in path.parent.iterdir()] == ["a.mp4"]


def test_odd_sides_repeat_the_last_row_and_column(tmp_path):
    odd = frames(2, 31, 47)
    odd[:, -1], odd[:, :, -1] = (0, 200, 0), (0, 200, 0)
    Mp4(Mp4Config(crf=1))(odd, tmp_path / "a.mp4", fps=5)
    video = VideoReader(tmp_path / "a.mp4")
    assert (video.height, video.width) == (32, 48)
    assert np.abs(video.frame(1).astype(int)[31, 44:] - [0, 200, 0]).max() <= 12


def test_less_loss_makes_a_larger_file(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    Mp4(Mp4Config(crf=5))(noise, tmp_path / "fine.mp4", fps=5)
    Mp4(Mp4Config(crf=45))(noise, tmp_path / "coarse.mp4", fps=5)
    sizes = [(tmp_path / name).stat().st_size for name in ("fine.mp4", "coarse.mp4")]
    assert sizes[0] > 2 * sizes[1]
    with pytest.raises(ConfigError, match="crf"):
        check_settings(Mp4Config, {"crf": 52}, "exporters.mp4")


@pytest.mark.parametrize(
    ("pictures", "error", "message"),
    [
        (frames(0), ShapeError, r"at least one frame of at least one pixel, got \[0, 32, 48, 3\]"),
        (frames()[0], ShapeError, r"frames: expected \[\*, \*, \*, 3\], got \[32, 48, 3\]"),
        (frames().transpose(0, 3, 1, 2), ShapeError, r"got \[5, 3, 32, 48\]. Give frames, height"),
        (frames() / np.float32(255), ShapeError, "expected frames of uint8 from 0 to 255, got flo"),
    ],
)
def test_other_frames_are_refused(tmp_path, pictures, error, message):
    with pytest.raises(error, match=message):
        Mp4(Mp4Config())(pictures, tmp_path / "a.mp4", fps=5)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_frame_rates_are_checked(tmp_path, fps):
    with pytest.raises(RangeError, match="fps: expected a number of frames per second above 0"):
        Mp4(Mp4Config())(frames(), tmp_path / "a.mp4", fps=fps)


def test_paths_are_checked(tmp_path):
    with pytest.raises(RangeError, match=r"expected a path that ends in \.mp4, got .*a\.avi"):
        Mp4(Mp4Config())(frames(), tmp_path / "a.avi", fps=5)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="expected a folder to write a video to"):
        Mp4(Mp4Config())(frames(), tmp_path / "file" / "a.mp4", fps=5)
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_it_says_that_it_takes_frames():
    takes = {spec.name: (spec.suffix, spec.takes) for spec in register_components()}
    assert takes == {
        "ply": (".ply", "gaussians"),
        "compressed_ply": (".compressed.ply", "gaussians"),
        "splat": (".splat", "gaussians"),
        "mp4": (".mp4", "frames"),
    }
