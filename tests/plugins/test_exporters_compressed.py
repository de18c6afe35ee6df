"""The compressed PLY file, decoded again by the format's own rules."""

import numpy as np
import pytest
import torch
from mfl_adapt_exporters.compressed_ply import CHUNK, CompressedPly, encode_compressed_ply
from mfl_adapt_exporters.config import CompressedPlyConfig
from mfl_adapt_exporters.morton import morton_order
from mfl_adapt_exporters.raw import SH_C0, RawGaussians, to_raw

from mfl_adapt.errors import RangeError, ShapeError, StorageError
from mfl_adapt.types import Gaussians

LIMITS = [
    f"{end}_{name}"
    for names in (["x", "y", "z"], ["scale_x", "scale_y", "scale_z"], ["r", "g", "b"])
    for end in ("min", "max")
    for name in names
]


def gaussians(count=600, coefficients=1):
    generator = torch.Generator().manual_seed(count)

    def draw(*shape):
        return torch.rand(1, count, *shape, generator=generator)

    quats = torch.randn(1, count, 4, generator=generator)
    return Gaussians(
        means=draw(3) * torch.tensor([2.0, 1.0, 0.5]) - 0.7,
        quats=torch.nn.functional.normalize(quats, dim=-1),
        scales=torch.exp(-6 * draw(3)),
        opacities=draw(),
        sh=4 * draw(coefficients, 3) - 2,
    )


def elements(content):
    """Tables of a PLY file by name, read by its own header."""
    header, data = content.split(b"end_header\n", 1)
    lines = [line.split() for line in header.decode("ascii").splitlines()]
    assert lines[:2] == [["ply"], ["format", "binary_little_endian", "1.0"]]
    kinds = {"float": "<f4", "uint": "<u4", "uchar": "u1"}
    tables, counts = {}, {}
    for words in lines[2:]:
        if words[0] == "element":
            name, counts[name], tables[name] = words[1], int(words[2]), []
        else:
            tables[name].append((words[2], kinds[words[1]]))
    found = {}
    for name, fields in tables.items():
        size = counts[name] * np.dtype(fields).itemsize
        found[name], data = np.frombuffer(data[:size], dtype=fields), data[size:]
    assert data == b""
    return found


def unpack(words, widths):
    """Numbers in [0, 1] from the top bits down, [N, 3]."""
    shifts = [widths[1] + widths[2], widths[2], 0]
    masks = [(1 << width) - 1 for width in widths]
    return np.stack([(words >> s & m) / m for s, m in zip(shifts, masks, strict=True)], axis=1)


def decode(content):
    """Means, log-scales, colours, opacities, unit quaternions, rest, and the ranges used."""
    tables = elements(content)
    vertex = tables["vertex"]
    assert list(tables["chunk"].dtype.names) == LIMITS
    assert len(tables["chunk"]) == -(-len(vertex) // 256)
    limits = np.stack([tables["chunk"][name] for name in LIMITS], axis=1).astype(float)
    limits = limits[np.arange(len(vertex)) // 256]
    parts, spans = [], []
    for column, word, widths in (
        (0, vertex["packed_position"], (11, 10, 11)),
        (6, vertex["packed_scale"], (11, 10, 11)),
        (12, vertex["packed_color"] >> 8, (8, 8, 8)),
    ):
        low, high = limits[:, column : column + 3], limits[:, column + 3 : column + 6]
        parts.append(low + (high - low) * unpack(word, widths))
        spans.append(high - low)
    opacities = (vertex["packed_color"] & 255) / 255
    others = (unpack(vertex["packed_rotation"], (10, 10, 10)) - 0.5) * np.sqrt(2)
    largest = np.sqrt(1 - (others**2).sum(axis=1))
    quats = np.empty((len(vertex), 4))
    for row, index in enumerate(vertex["packed_rotation"] >> 30):
        quats[row] = np.insert(others[row], index, largest[row])
    return *parts, opacities, quats, tables.get("sh"), spans


@pytest.mark.parametrize("count", [1, 255, 256, 257, 600])
def test_what_is_decoded_is_within_half_a_step(count):
    raw = to_raw(gaussians(count))
    order = morton_order(raw.means)
    means, log_scales, colours, opacities, quats, rest, spans = decode(encode_compressed_ply(raw))
    assert rest is None
    # Half a step of each axis' bits; the rounding of the limits to float32 is far below it.
    steps = np.array([2047, 1023, 2047])
    slack = 1e-6
    assert (np.abs(means - raw.means[order]) <= spans[0] / steps / 2 + slack).all()
    assert (np.abs(log_scales - raw.log_scales[order]) <= spans[1] / steps / 2 + slack).all()
    wanted = 0.5 + SH_C0 * raw.sh[order, 0]
    assert (np.abs(colours - wanted) <= spans[2] / 255 / 2 + slack).all()
    wanted = 1 / (1 + np.exp(-raw.opacity_logits[order].astype(float)))
    assert np.abs(opacities - wanted).max() <= 0.5 / 255 + slack
    # Components left in move by half of sqrt(2)/1023; the one left out is at least 1/2 and no
    # smaller than they are, so it moves by at most three times as much, and a little more.
    signs = np.sign((quats * raw.quats[order]).sum(axis=1, keepdims=True))
    error = np.abs(quats * signs - raw.quats[order])
    half = np.sqrt(2) / 1023 / 2
    assert np.sort(error, axis=1)[:, :3].max() <= half + slack
    assert error.max() <= 3.1 * half


def test_neighbours_share_a_chunk():
    raw = to_raw(gaussians(4096))
    *_, spans = decode(encode_compressed_ply(raw))
    whole = np.prod(np.ptp(raw.means, axis=0))
    # 16 chunks of a filled box: one of them alone is a small part of it. Unsorted it is all.
    assert np.prod(spans[0], axis=1).mean() < whole / 4


def test_a_gaussian_by_hand():
    raw = RawGaussians(
        means=np.array([[0, 0, 0], [1, 1, 1], [0.5, 0.25, 0]], np.float32),
        sh=np.zeros((3, 1, 3), np.float32),
        opacity_logits=np.array([0, np.log(3), -50], np.float32),
        log_scales=np.array([[-1, -2, -30], [-1, -2, 2], [-1, -2, 1]], np.float32),
        quats=np.array([[2, 0, 0, 0], [0, -1, 0, 0], [0.5, 0.5, 0.5, -0.5]], np.float32),
    )
    tables = elements(encode_compressed_ply(raw))
    vertex = tables["vertex"]
    row = int(np.flatnonzero(vertex["packed_position"] == (2**32 - 1))[0])
    first = int(np.flatnonzero(vertex["packed_position"] == 0)[0])
    last = 3 - row - first
    # x 0.5 of 2047 is 1023.5, rounded to even; y 0.25 of 1023 is 255.75.
    assert vertex["packed_position"][last] == 1024 << 21 | 256 << 11
    # A range that is a point packs to 0; z of the scales is cut to -20 and spans 22.
    assert vertex["packed_scale"][row] == 2047
    assert vertex["packed_scale"][first] == 0
    assert vertex["packed_scale"][last] == round(21 / 22 * 2047)
    assert tables["chunk"]["min_scale_z"][0] == -20
    # All colours are the same middle grey.
    assert [tables["chunk"][name][0] for name in ("min_r", "max_r", "max_b")] == [0.5, 0.5, 0.5]
    # Opacities 1/2 of 255 is 127.5, to even; 3/4 is 191.25.
    assert vertex["packed_color"].tolist() == [
        {first: 128, row: 191, last: 0}[index] for index in range(3)
    ]
    # Zeros are the middle, 511.5 to even; -x is x, the second component; in a tie the first is
    # left out, and 1/2 packs to (1/2/sqrt(2) + 1/2) of 1023.
    middle = 512 << 20 | 512 << 10 | 512
    up, down = round((0.5 + 0.5 / 2**0.5) * 1023), round((0.5 - 0.5 / 2**0.5) * 1023)
    words = vertex["packed_rotation"]
    assert words[first] == middle
    assert words[row] == 1 << 30 | middle
    assert words[last] == up << 20 | up << 10 | down


def test_16_bytes_each_and_72_per_chunk():
    content = encode_compressed_ply(to_raw(gaussians(600)))
    _, data = content.split(b"end_header\n", 1)
    assert len(data) == 600 * 16 + 3 * 72
    assert CHUNK == 256


@pytest.mark.parametrize("coefficients", [4, 9, 16])
def test_higher_harmonics_stand_colour_by_colour_within_half_a_step(coefficients):
    raw = to_raw(gaussians(300, coefficients))
    order = morton_order(raw.means)
    rest = decode(encode_compressed_ply(raw))[5]
    names = [f"f_rest_{index}" for index in range(3 * (coefficients - 1))]
    assert list(rest.dtype.names) == names
    stored = np.stack([rest[name] for name in names], axis=1).astype(float)
    found = ((stored + 0.5) / 256 - 0.5) * 8
    wanted = raw.sh[order, 1:].transpose(0, 2, 1).reshape(300, -1)
    # Steps of 8/256; readers take the middle of a step.
    assert np.abs(found - wanted).max() <= 8 / 256 / 2 + 1e-6


def test_coefficients_beyond_the_format_are_cut_and_counted(caplog):
    raw = to_raw(gaussians(2, 4))
    raw.sh[:, 1:] = 0
    raw.sh[0, 1, 0], raw.sh[1, 3, 2] = 5, -9
    rest = decode(encode_compressed_ply(raw))[5]
    assert sorted({int(rest[name][row]) for name in rest.dtype.names for row in (0, 1)}) == [
        0,
        128,
        255,
    ]
    assert "cut 2 of 18 spherical-harmonic coefficients to [-4, 4]" in caplog.text


def test_bad_gaussians_are_refused_and_nothing_is_written(tmp_path):
    write = CompressedPly(CompressedPlyConfig())
    path = tmp_path / "a.compressed.ply"
    with pytest.raises(RangeError, match="expected at least one Gaussian, got none"):
        write(gaussians(0), path)
    with pytest.raises(ShapeError, match=r"expected 1, 4, 9 or 16 .* got 5"):
        write(gaussians(3, 5), path)
    broken = gaussians(3)
    broken.means[0, 1, 2] = float("nan")
    with pytest.raises(RangeError, match=r"compressed_ply: means: expected finite numbers, got 1"):
        write(broken, path)
    flat = gaussians(3)
    flat.quats[0, 1] = 0
    with pytest.raises(RangeError, match="quats: expected rotations of a length above 0, got 1"):
        write(flat, path)
    with pytest.raises(RangeError, match=r"ends in \.compressed\.ply, got .*b\.ply\. Rename it"):
        write(gaussians(3), tmp_path / "b.ply")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"expected to write .* got File exists"):
        write(gaussians(3), tmp_path / "file" / "a.compressed.ply")
