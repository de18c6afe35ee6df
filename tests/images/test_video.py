"""Frames by index: every picture carries its own number, so a wrong frame cannot pass."""

import pickle
import subprocess
import sys

import imageio_ffmpeg
import numpy as np
import pytest

from mfl_adapt.errors import DataError
from mfl_adapt.images import video as video_module
from mfl_adapt.images.video import VideoReader

FRAMES, BITS, CELL = 120, 8, 16
HEIGHT, WIDTH = 48, BITS * CELL
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-bf", "3", "-x264-params", "scenecut=0")

# Every 7 frames three come late, and a pause of 1.3 s follows frame 40.
UNEVEN = "settb=1/9000,setpts='(N+0.6*gt(mod(N,7),3)+39*gt(N,40))/30/TB'"
CASES = {
    "b_frames.mp4": (*H264, "-g", "25"),
    "one_keyframe.mp4": (*H264, "-g", "1000"),
    "open_gop.mp4": (*H264[:-1], "scenecut=0:open-gop=1", "-g", "25"),
    "mpeg4.mp4": ("-c:v", "mpeg4", "-q:v", "3", "-bf", "2", "-g", "20"),
    "late_start.mp4": (*H264, "-g", "25", "-output_ts_offset", "5"),
    "wrong_count.mkv": (*H264, "-g", "25", "-output_ts_offset", "5"),
    "no_edit_list.mp4": (*H264, "-g", "25", "-use_editlist", "0"),
    "fragments.mp4": (*H264, "-g", "25", "-movflags", "frag_keyframe+empty_moov"),
    "uneven.mp4": (
        *H264,
        "-g",
        "25",
        "-vf",
        UNEVEN,
        "-fps_mode",
        "passthrough",
        "-enc_time_base",
        "1/9000",
    ),
    "index_first.mp4": (*H264, "-g", "25", "-movflags", "+faststart"),
    "motion.avi": ("-c:v", "mjpeg", "-q:v", "3"),
}


def picture(number: int) -> np.ndarray:
    """Black and white cells that spell the number in binary, over a grey that changes too."""
    rgb = np.full((HEIGHT, WIDTH, 3), 30 + number % 100, np.uint8)
    cells = np.array([number >> bit & 1 for bit in range(BITS)], np.uint8) * 255
    rgb[: HEIGHT // 2] = np.repeat(cells, CELL)[None, :, None]
    return rgb


def number_in(rgb: np.ndarray) -> int:
    cells = rgb[: HEIGHT // 2].mean(axis=(0, 2)).reshape(BITS, CELL).mean(axis=1)
    assert (np.abs(cells - 127.5) > 90).all(), "the number is not readable"
    return sum(1 << bit for bit in range(BITS) if cells[bit] > 127)


def ffmpeg(*arguments, data=b""):
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def encode(path, arguments, frames=FRAMES):
    data = b"".join(picture(number).tobytes() for number in range(frames))
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", "30", "-i", "-")
    ffmpeg(*raw, *arguments, path, data=data)
    return path


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    for name, arguments in CASES.items():
        encode(folder / name, arguments)
    # Cut without encoding: four frames before the cut stay in the file and are never shown.
    ffmpeg("-ss", "1.8", "-i", folder / "b_frames.mp4", "-c", "copy", folder / "cut.mp4")
    ffmpeg("-display_rotation", "90", "-i", folder / "b_frames.mp4", "-c", "copy",
           folder / "turned.mp4")  # fmt: skip
    return folder


@pytest.mark.parametrize("name", CASES)
def test_every_frame_is_the_one_asked_for(films, name):
    reader = VideoReader(films / name)
    assert len(reader) == FRAMES
    assert (reader.height, reader.width) == (HEIGHT, WIDTH)
    rng = np.random.default_rng(0)
    forwards, backwards = range(0, FRAMES, 3), range(FRAMES - 1, 0, -17)
    orders = [rng.integers(FRAMES, size=60), forwards, backwards, [5, 5, 4, 5, 6, 119, 0]]
    for index in np.concatenate([np.array(order) for order in orders]):
        assert number_in(reader.frame(int(index))) == index


def test_jumping_and_reading_on_give_the_same_pixels(films):
    reader = VideoReader(films / "b_frames.mp4")
    in_order = [reader.frame(index) for index in range(FRAMES)]
    for index in (77, 12, 119, 50, 49):
        np.testing.assert_array_equal(reader.frame(index), in_order[index])


def test_frames_before_a_cut_do_not_count(films):
    reader = VideoReader(films / "cut.mp4")
    shown = [number_in(reader.frame(index)) for index in range(len(reader))]
    assert shown == list(range(54, FRAMES))  # 1.8 s at 30 frames per second
    assert number_in(reader.frame(3)) == 57


def test_colour_comes_as_rgb(tmp_path):
    orange = np.broadcast_to(np.uint8([230, 120, 20]), (HEIGHT, WIDTH, 3)).tobytes()
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-i", "-")
    ffmpeg(*raw, *H264, "-crf", "5", tmp_path / "orange.mp4", data=orange * 3)
    rgb = VideoReader(tmp_path / "orange.mp4").frame(1)
    assert rgb.dtype == np.uint8
    np.testing.assert_allclose(rgb.mean(axis=(0, 1)), [230, 120, 20], atol=4)


def test_rotation_flag_leaves_the_stored_grid(films):
    reader = VideoReader(films / "turned.mp4")
    assert reader.frame(9).shape == (reader.height, reader.width, 3) == (HEIGHT, WIDTH, 3)
    assert number_in(reader.frame(9)) == 9


def test_times_and_rate(films):
    even = VideoReader(films / "late_start.mp4")
    assert even.fps == 30.0
    np.testing.assert_allclose(even.times_s, np.arange(FRAMES) / 30.0, atol=1e-6)
    uneven = VideoReader(films / "uneven.mp4").times_s
    assert uneven[41] - uneven[40] == pytest.approx(40 / 30, abs=0.03)
    assert (np.diff(uneven) > 0).all()


class Counted:
    """A decoder that counts what is asked of it."""

    def __init__(self, capture):
        self.capture, self.grabs, self.seeks = capture, 0, 0

    def grab(self):
        self.grabs += 1
        return self.capture.grab()

    def set(self, name, value):
        self.seeks += 1
        return self.capture.set(name, value)

    def __getattr__(self, name):
        return getattr(self.capture, name)


def test_reads_forward_without_seeking_and_jumps_without_decoding_all(films, monkeypatch):
    reader = VideoReader(films / "b_frames.mp4")
    opened = []

    def open_counted(path, *, packets=False):
        opened.append(Counted(original(path, packets=packets)))
        return opened[-1]

    original = video_module._open_capture
    monkeypatch.setattr(video_module, "_open_capture", open_counted)
    for index in (0, 1, 2, 2, 5, 20):
        reader.frame(index)
    (counted,) = opened
    assert (counted.seeks, counted.grabs) == (0, 21)
    reader.frame(110)
    assert (counted.seeks, counted.grabs) == (1, 22)
    reader.frame(111)
    assert (counted.seeks, counted.grabs) == (1, 23)
    assert len(opened) == 1


def test_a_pickled_reader_lists_nothing_again(films, monkeypatch):
    reader = VideoReader(films / "b_frames.mp4")
    expected = reader.frame(33)
    copy = pickle.loads(pickle.dumps(reader))
    monkeypatch.setattr(VideoReader, "_list_frames", None)
    np.testing.assert_array_equal(copy.frame(33), expected)
    assert number_in(reader.frame(34)) == 34  # the first one goes on where it was


def test_a_forked_process_opens_its_own_decoder(films, monkeypatch):
    reader = VideoReader(films / "b_frames.mp4")
    reader.frame(3)
    parents = reader._capture
    monkeypatch.setattr(video_module.os, "getpid", lambda: -2)
    assert number_in(reader.frame(4)) == 4
    assert reader._capture is not parents


def test_leaving_closes_and_reading_opens_again(films):
    with VideoReader(films / "b_frames.mp4") as reader:
        reader.frame(1)
    assert reader._capture is None
    assert number_in(reader.frame(2)) == 2


@pytest.mark.parametrize("index", [-1, FRAMES, 10**9])
def test_an_index_outside_is_refused(films, index):
    reader = VideoReader(films / "b_frames.mp4")
    with pytest.raises(DataError, match=rf"b_frames\.mp4: expected .* 0 to 119, got {index}\."):
        reader.frame(index)


def broken_files(films, folder):
    """Name of a broken file to what its message must say."""
    whole = (films / "b_frames.mp4").read_bytes()
    first = (films / "index_first.mp4").read_bytes()
    mdat = whole.index(b"mdat")
    hole = bytearray(whole)
    hole[mdat + 1500 : mdat + 2600] = bytes(1100)
    contents = {
        "empty.mp4": (b"", "an empty file"),
        "notes.mp4": (b"Day 3: the mouse was asleep.\n" * 20, "FFmpeg can decode, got none"),
        "cut_index.mp4": (whole[: len(whole) * 2 // 3], "bytes that end inside its mdat box"),
        "cut_pixels.mp4": (first[: len(first) * 2 // 3], "bytes that end inside its mdat box"),
        "cut_header.mp4": (whole[: mdat + 2], "bytes that end inside its"),
        "no_index.mp4": (whole[: whole.index(b"moov") - 4], r"without its index \(the moov box\)"),
        "hole.mp4": (bytes(hole), "without gaps, got damaged data after"),
    }
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    return {name: message for name, (_, message) in contents.items()}


def test_a_broken_file_gives_one_line(films, tmp_path):
    for name, message in broken_files(films, tmp_path).items():
        with pytest.raises(DataError, match=rf"{name}: expected .*{message}") as caught:
            VideoReader(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match=r"gone\.mp4: expected a video file, got No such file"):
        VideoReader(tmp_path / "gone.mp4")
    with pytest.raises(DataError, match="expected a video file, got Is a directory"):
        VideoReader(tmp_path)


def test_frames_that_share_a_time_are_refused(tmp_path):
    encode(tmp_path / "crowded.mkv", ("-c:v", "mjpeg", "-bsf:v", "setts=pts=0:dts=0"), frames=4)
    with pytest.raises(DataError, match=r"crowded\.mkv: expected every frame at a time of its own"):
        VideoReader(tmp_path / "crowded.mkv")


def test_a_video_without_frames_is_refused(tmp_path):
    raw = ("-f", "lavfi", "-i", "color=size=64x64:rate=30:duration=1", "-frames:v", "0")
    ffmpeg(*raw, "-c:v", "libx264", tmp_path / "none.mp4")
    with pytest.raises(DataError, match=r"none\.mp4: expected a video.*, got no(ne| frame)"):
        VideoReader(tmp_path / "none.mp4")


def test_a_frame_that_stops_decoding_is_named(films, tmp_path):
    file = tmp_path / "later.mp4"
    whole = bytearray((films / "b_frames.mp4").read_bytes())
    file.write_bytes(whole)
    reader = VideoReader(file)
    start = whole.index(b"mdat") + 1500
    whole[start : start + 1100] = bytes(1100)
    file.write_bytes(whole)
    failed = {}
    for index in range(FRAMES):
        try:
            assert number_in(reader.frame(index)) == index
        except DataError as error:
            failed[index] = str(error)
    # What comes before and after the damage is read as before.
    assert 0 < min(failed) < max(failed) < FRAMES - 30
    assert list(failed) == list(range(min(failed), max(failed) + 1))
    for index, message in failed.items():
        assert message.startswith(f"{file}: expected frame {index} of 120 to decode, got none")


def test_nothing_is_written_to_stderr(films, tmp_path):
    names = [str(tmp_path / name) for name in broken_files(films, tmp_path)]
    names.append(str(films / "open_gop.mp4"))
    script = (
        "import sys\n"
        "from mfl_adapt.errors import DataError\n"
        "from mfl_adapt.images.video import VideoReader\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n"
        "        VideoReader(name).frame(100)\n"
        "        print('read')\n"
        "    except DataError:\n"
        "        print('refused')\n"
    )
    command = [sys.executable, "-c", script, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["refused"] * (len(names) - 1) + ["read"]
    assert done.stderr == ""
