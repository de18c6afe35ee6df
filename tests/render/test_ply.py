import numpy as np
import pytest
import torch

from mfl_adapt.errors import DataError
from mfl_adapt.plugin import ExporterSpec
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.render.ply import read_ply
from mfl_adapt.types import Gaussians


def make_gaussians(count=7, coefficients=1, seed=0):
    rng = torch.Generator().manual_seed(seed)
    quats = torch.randn(1, count, 4, generator=rng)
    return Gaussians(
        means=torch.randn(1, count, 3, generator=rng),
        quats=quats / quats.norm(dim=-1, keepdim=True),
        scales=0.1 * torch.rand(1, count, 3, generator=rng) + 0.01,
        opacities=0.8 * torch.rand(1, count, generator=rng) + 0.1,
        sh=torch.randn(1, count, coefficients, 3, generator=rng),
    )


@pytest.fixture
def write(tmp_path):
    exporter = load_plugins(["exporters"]).build(ExporterSpec, "exporters.ply", {})

    def write(gaussians):
        path = tmp_path / "mouse.ply"
        exporter(gaussians, path)
        return path

    return write


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
def test_what_is_written_is_read(write, coefficients):
    given = make_gaussians(coefficients=coefficients)
    found = read_ply(write(given))
    for name in ("means", "quats", "scales", "opacities", "sh"):
        torch.testing.assert_close(getattr(found, name), getattr(given, name), rtol=1e-5, atol=1e-6)


def header_and_body(path):
    content = path.read_bytes()
    end = content.index(b"end_header\n") + len(b"end_header\n")
    return content[:end], content[end:]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda head, body: head + body[:-1], "bytes for 7 Gaussians, got"),
        (lambda head, body: b"solid" + body, "expected a PLY file with a header"),
        (lambda head, body: head.replace(b"opacity", b"opazity") + body, "property opacity"),
        (lambda head, body: head.replace(b"binary_little", b"binary_big") + body, "little_endian"),
        (lambda head, body: head.replace(b"float x", b"half x") + body, "unknown types"),
        (lambda head, body: head.replace(b"f_rest_44", b"rest_44__") + body, "0, 9, 24 or 45"),
        (lambda head, body: head.replace(b"vertex", b"corner") + body, "vertices alone"),
        (lambda head, body: head.replace(b"vertex 7", b"vertex") + body, "vertices alone"),
        (lambda head, body: head.replace(b"float y", b"float x") + body, "each once, got x x z"),
        (lambda head, body: head[: head.index(b"property")] + b"end_header\n", "once, got none"),
        (lambda head, body: head.replace(b"ply\n", b"ply\n \n") + body[:-1], "bytes for 7"),
        (lambda head, body: head + np.float32("nan").tobytes() + body[4:], "finite numbers"),
    ],
)
def test_other_files_are_refused(write, edit, message):
    path = write(make_gaussians())
    path.write_bytes(edit(*header_and_body(path)))
    with pytest.raises(DataError, match=message) as caught:
        read_ply(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="readable PLY file"):
        read_ply(tmp_path / "none.ply")
