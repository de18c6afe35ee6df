"""Pictures from files: what is read, how it is turned, and everything that is refused."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from mfl_adapt.errors import DataError
from mfl_adapt.predict.picture import read_picture


def noise(height=20, width=32, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def png_chunk(name, content):
    crc = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


def refused(path):
    with pytest.raises(DataError) as caught:
        read_picture(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_a_png_with_alpha(tmp_path):
    pixels = noise(channels=4)
    found = read_picture(save(tmp_path / "a.png", pixels))
    assert np.array_equal(found.rgb, pixels[..., :3])
    assert np.array_equal(found.alpha, pixels[..., 3])
    assert np.array_equal(found.upright, np.eye(3))


def test_sixteen_bits_are_divided_by_257(tmp_path):
    import cv2

    deep = np.zeros((16, 16, 3), np.uint16)
    deep[:, :8] = 257 * 200
    deep[:, 8:] = 257 * 10 + 128  # just below the middle between 10 and 11
    cv2.imwrite(str(tmp_path / "a.png"), deep)
    found = read_picture(tmp_path / "a.png")
    assert found.rgb.dtype == np.uint8
    assert set(np.unique(found.rgb[:, :8])) == {200}
    assert set(np.unique(found.rgb[:, 8:])) == {10}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_pillow_turns_it(tmp_path, orientation):
    pixels = noise()
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", pixels, exif=exif)
    found = read_picture(path)
    with Image.open(path) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture))
    assert np.array_equal(found.rgb, expected)
    # The map leads the middle of every stored pixel to where its colour is now.
    for row, column in ((0, 0), (3, 17), (19, 31)):
        x, y, _ = found.upright @ [column + 0.5, row + 0.5, 1]
        assert np.array_equal(found.rgb[int(y), int(x)], pixels[row, column])


def test_a_jpeg_is_turned_as_well(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path / "a.jpg", noise(), exif=exif)
    assert read_picture(path).rgb.shape == (32, 20, 3)


def test_a_folder(tmp_path):
    assert "got a folder" in refused(tmp_path)


def test_a_missing_file(tmp_path):
    assert "No such file" in refused(tmp_path / "none.png")


def test_a_text_file(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("not a picture at all")
    assert "expected a PNG or JPEG picture" in refused(path)


@pytest.mark.parametrize("end", [".png", ".jpg"])
def test_a_truncated_file(tmp_path, end):
    path = save(tmp_path / f"a{end}", noise(64, 64))
    path.write_bytes(path.read_bytes()[:-400])
    assert "truncated" in refused(path)


@pytest.mark.parametrize("end", [".gif", ".webp", ".png"])
def test_animations_name_the_way_out(tmp_path, end):
    frames = [Image.fromarray(noise(seed=seed)) for seed in range(3)]
    path = tmp_path / f"a{end}"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)
    assert f"ffmpeg -i a{end} -frames:v 1" in refused(path)


@pytest.mark.parametrize(("end", "kind"), [(".tif", "TIFF"), (".bmp", "BMP"), (".webp", "WebP")])
def test_other_formats_are_called_by_their_name(tmp_path, end, kind):
    message = refused(save(tmp_path / f"a{end}", noise()))
    assert f"got {kind}" in message
    assert "Convert it" in message


def test_cmyk(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(noise()).convert("CMYK").save(path)
    assert "CMYK" in refused(path)


def test_one_pixel(tmp_path):
    assert "got 1 x 1" in refused(save(tmp_path / "a.png", noise(1, 1)))


@pytest.mark.parametrize("size", [(60_000, 60_000), (40_000, 100)])
def test_a_picture_that_claims_to_be_huge_is_not_decoded(tmp_path, size):
    path = tmp_path / "bomb.png"
    header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    data = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data + png_chunk(b"IEND", b""))
    assert f"got {size[0]} x {size[1]}" in refused(path)


def test_a_damaged_orientation_is_none(tmp_path):
    path = save(tmp_path / "a.jpg", noise())
    data = path.read_bytes()
    exif = b"Exif\0\0II*\0\xff\xff\xff\xff"
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    path.write_bytes(data[:2] + segment + data[2:])
    assert read_picture(path).rgb.shape == (20, 32, 3)
