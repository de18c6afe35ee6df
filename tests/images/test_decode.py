"""Decoding: depth, channels, and files that are not whole."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import shared_path

from mfl_adapt.errors import DataError
from mfl_adapt.images import decode_picture, encode_png, load_picture


def png(color_type: int, depth: int, rows: list[bytes], width: int, extra: bytes = b"") -> bytes:
    """A PNG written by hand, so that OpenCV does not test itself."""

    def chunk(name: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, len(rows), depth, color_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def words(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def test_16_bit_is_divided_by_257_and_rounded():
    # 128 / 257 = 0.498 rounds down and 129 / 257 = 0.502 up; 65535 is 255, never 255 * 257.
    data = png(6, 16, [words(0, 128, 129, 65535, 65535, 257, 32896, 25700)], 2)
    picture = decode_picture(data, "two.png")
    assert picture.rgb.dtype == np.uint8
    assert picture.rgb.tolist() == [[[0, 0, 1], [255, 1, 128]]]
    assert picture.mask is not None
    assert picture.mask.tolist() == [[255, 100]]


def test_16_bits_stay_where_asked_for():
    data = png(6, 16, [words(0, 128, 129, 65535, 65535, 257, 32896, 25700)], 2)
    picture = decode_picture(data, "two.png", 16)
    assert picture.rgb.dtype == np.uint16
    assert picture.rgb.tolist() == [[[0, 128, 129], [65535, 257, 32896]]]
    assert picture.mask is not None
    assert picture.mask.dtype == np.uint8
    assert picture.mask.tolist() == [[255, 100]]
    shallow = png(2, 8, [bytes([1, 2, 3])], 1)
    assert decode_picture(shallow, "one.png", 16).rgb.dtype == np.uint8


@pytest.mark.parametrize(
    ("color_type", "row", "rgb", "mask"),
    [
        (0, bytes([7, 250]), [[7, 7, 7], [250, 250, 250]], None),
        (2, bytes([1, 2, 3, 4, 5, 6]), [[1, 2, 3], [4, 5, 6]], None),
        (4, bytes([7, 9, 250, 0]), [[7, 7, 7], [250, 250, 250]], [9, 0]),
        (6, bytes([1, 2, 3, 9, 4, 5, 6, 0]), [[1, 2, 3], [4, 5, 6]], [9, 0]),
    ],
    ids=["grey", "rgb", "grey-alpha", "rgba"],
)
def test_channels(color_type, row, rgb, mask):
    picture = decode_picture(png(color_type, 8, [row], 2), "two.png")
    assert picture.rgb.tolist() == [rgb]
    assert (None if picture.mask is None else picture.mask.tolist()[0]) == mask


def test_encoding_keeps_every_byte():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    mask = rng.integers(0, 256, (5, 7), dtype=np.uint8)
    picture = decode_picture(encode_png(rgb, mask), "x.png")
    assert np.array_equal(picture.rgb, rgb)
    assert np.array_equal(picture.mask, mask)
    assert decode_picture(encode_png(rgb), "x.png").mask is None


def test_encoding_16_bits_keeps_every_bit():
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 65536, (5, 7, 3), dtype=np.uint16)
    mask = rng.integers(0, 256, (5, 7), dtype=np.uint8)
    picture = decode_picture(encode_png(rgb, mask), "x.png", 16)
    assert np.array_equal(picture.rgb, rgb)
    assert np.array_equal(picture.mask, mask)


def jpeg(*, thumbnail: bool = False) -> bytes:
    rgb = np.linspace(0, 255, 64 * 64 * 3).reshape(64, 64, 3).astype(np.uint8)
    data = cv2.imencode(".jpg", rgb)[1].tobytes()
    if thumbnail:  # an APP1 segment right after the start that holds a whole JPEG
        inner = b"Exif\0\0" + data
        data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(inner) + 2) + inner + data[2:]
    return data


def test_jpeg_is_read():
    picture = decode_picture(jpeg(thumbnail=True), "a.jpg")
    assert picture.rgb.shape == (64, 64, 3)
    assert picture.mask is None
    # The ramp rises along the rows; JPEG keeps that to a few grey levels.
    assert abs(int(picture.rgb[0, 0, 0]) - 0) < 12
    assert abs(int(picture.rgb[-1, -1, 0]) - 255) < 12


@pytest.mark.parametrize("kind", ["png", "jpg", "jpg-with-thumbnail"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
def test_truncated_files_are_named(tmp_path, capfd, kind, share):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = encode_png(noise) if kind == "png" else jpeg(thumbnail="thumb" in kind)
    path = tmp_path / f"cut.{kind[:3]}"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=rf"cut\.{kind[:3]}: expected .*truncated") as caught:
        load_picture(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_damaged_png_fails_its_checksum():
    data = bytearray(encode_png(np.zeros((8, 8, 3), np.uint8)))
    data[-20] ^= 1  # inside IDAT or its checksum: IEND is the last 12 bytes
    with pytest.raises(DataError, match=r"bad\.png: expected an intact PNG, got a IDAT chunk"):
        decode_picture(bytes(data), "bad.png")


def test_broken_pixel_stream_is_an_error():
    broken = png(2, 8, [b"\0\0\0"], 1).replace(
        zlib.compress(b"\0\0\0\0"), b"x" * len(zlib.compress(b"\0\0\0\0"))
    )
    # The checksum must fit, so that only the decoder can notice.
    start = broken.index(b"IDAT")
    end = broken.index(b"IEND") - 8
    crc = struct.pack(">I", zlib.crc32(broken[start:end]))
    with pytest.raises(DataError, match=r"b\.png: expected a picture that decodes"):
        decode_picture(broken[:end] + crc + broken[end + 4 :], "b.png")


@pytest.mark.parametrize(
    ("content", "got"),
    [(b"", "an empty file"), (b"GIF89a..", "a file that starts with 47494638")],
)
def test_other_files_are_refused(tmp_path, content, got):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"x\.png: expected a PNG or JPEG picture, got {got}"):
        load_picture(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataError, match=r"nope\.png: expected .* No such file"):
        load_picture(tmp_path / "nope.png")
    with pytest.raises(DataError, match="expected a PNG or JPEG file, got Is a directory"):
        load_picture(tmp_path)


@pytest.mark.golden
def test_real_16_bit_rgba(capfd):
    path: Path = shared_path("data/facelift_gslrm_sample/images/cam_000.png")
    picture = load_picture(path)
    assert picture.rgb.shape == (512, 512, 3)
    assert picture.mask is not None
    # Share of the subject measured by hand from the file's 16-bit alpha.
    assert picture.mask.mean() / 255 == pytest.approx(0.3011, abs=2e-4)
    assert picture.rgb.max() > 200
    # libpng complains about this file's EXIF chunk when left to itself.
    assert capfd.readouterr().err == ""
