"""The PLY file, byte for byte against the original's, and field by field."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import shared_path
from mfl_adapt_exporters import register_components
from mfl_adapt_exporters.config import PlyConfig
from mfl_adapt_exporters.ply import FIELDS, Ply, encode_ply
from mfl_adapt_exporters.raw import RawGaussians, to_raw
from safetensors.numpy import load_file

from mfl_adapt.errors import RangeError, ShapeError, StorageError
from mfl_adapt.types import Gaussians


def gaussians(count=5, coefficients=1, batch=1):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.rand(batch, count, *shape, generator=generator)

    quats = torch.nn.functional.normalize(draw(4) - 0.5, dim=-1)
    return Gaussians(
        means=draw(3) * 2 - 1,
        quats=quats,
        scales=0.01 + 0.1 * draw(3),
        opacities=draw(),
        sh=4 * draw(coefficients, 3) - 2,
    )


def read_vertices(content):
    """Read a file of ours by its own header, not by the writer's table."""
    header, data = content.split(b"end_header\n", 1)
    lines = header.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    types = {"float": "<f4", "uchar": "u1"}
    fields = [line.split()[1:] for line in lines if line.startswith("property")]
    vertices = np.frombuffer(data, dtype=[(name, types[kind]) for kind, name in fields])
    assert lines[2] == f"element vertex {len(vertices)}"
    return vertices


@pytest.mark.golden
def test_equals_the_originals_file_byte_for_byte():
    data = load_file(shared_path("reference/gslrm_tiny.safetensors"))
    kept = data["misc.filter.cli.kept"][:200]
    raw = RawGaussians(
        means=data["a.gs.xyz"][0, kept],
        sh=data["a.gs.features"][0, kept],
        opacity_logits=data["a.gs.opacity"][0, kept, 0],
        log_scales=data["a.gs.scaling"][0, kept],
        quats=data["a.gs.rotation"][0, kept],
    )
    assert encode_ply(raw) == shared_path("reference/gslrm_tiny.ply").read_bytes()


def test_a_vertex_by_hand(tmp_path):
    one = Gaussians(
        means=torch.tensor([[[1.0, -2.0, 0.5]]]),
        quats=torch.tensor([[[0.5, -0.5, 0.5, 0.5]]]),
        scales=torch.tensor([[[1.0, np.e, np.e**-2]]]),
        opacities=torch.tensor([[0.75]]),
        sh=torch.tensor([[[[0.0, 9.0, -9.0]]]]),
    )
    Ply(PlyConfig())(one, tmp_path / "one.ply")
    (vertex,) = read_vertices((tmp_path / "one.ply").read_bytes())
    assert [vertex[name] for name in ("x", "y", "z")] == [1.0, -2.0, 0.5]
    # 255 x 0.5 = 127.5 is cut, not rounded; what leaves the range is clipped.
    assert [vertex[name] for name in ("red", "green", "blue")] == [127, 255, 0]
    assert [vertex[f"f_dc_{i}"] for i in range(3)] == [0.0, 9.0, -9.0]
    assert all(vertex[f"f_rest_{i}"] == 0 for i in range(45))
    assert vertex["opacity"] == pytest.approx(np.log(3), abs=1e-6)
    assert [vertex[f"scale_{i}"] for i in range(3)] == pytest.approx([0, 1, -2], abs=1e-6)
    assert [vertex[f"rot_{i}"] for i in range(4)] == [0.5, -0.5, 0.5, 0.5]


def test_239_bytes_per_vertex():
    sizes = {"<f4": 4, "u1": 1}
    assert sum(sizes[kind] for _, kind in FIELDS) == 239


def test_activating_the_file_gives_the_gaussians_back():
    source = gaussians(count=50)
    vertices = read_vertices(encode_ply(to_raw(source)))
    opacities = 1 / (1 + np.exp(-vertices["opacity"].astype(np.float64)))
    np.testing.assert_allclose(opacities, source.opacities[0], atol=1e-6)
    scales = np.exp(np.stack([vertices[f"scale_{i}"] for i in range(3)], axis=1))
    np.testing.assert_allclose(scales, source.scales[0], rtol=1e-5)
    np.testing.assert_array_equal(vertices["x"], source.means[0, :, 0])


@pytest.mark.parametrize("coefficients", [4, 9, 16])
def test_higher_harmonics_stand_colour_by_colour_each_in_15_columns(coefficients):
    source = gaussians(coefficients=coefficients)
    vertices = read_vertices(encode_ply(to_raw(source)))
    rest = np.stack([vertices[f"f_rest_{i}"] for i in range(45)], axis=1).reshape(5, 3, 15)
    filled = coefficients - 1
    np.testing.assert_array_equal(rest[:, :, :filled], source.sh[0, :, 1:].transpose(1, 2))
    assert (rest[:, :, filled:] == 0).all()


def test_the_ends_of_the_range_stay_finite():
    source = gaussians(count=2)
    source.opacities[0] = torch.tensor([0.0, 1.0])
    source.scales[0, 0] = 0
    raw = to_raw(source)
    assert np.isfinite(raw.opacity_logits).all()
    assert np.isfinite(raw.log_scales).all()
    assert raw.opacity_logits[0] == -raw.opacity_logits[1]


def test_the_first_item_of_a_batch_is_written_and_no_gaussian_is_fine():
    both = gaussians(batch=2)
    assert encode_ply(to_raw(both)) == encode_ply(to_raw(both[:1]))
    assert len(read_vertices(encode_ply(to_raw(gaussians(count=0))))) == 0


def test_gradients_do_not_matter():
    source = gaussians()
    source.means.requires_grad_()
    assert len(read_vertices(encode_ply(to_raw(source)))) == 5


@pytest.mark.parametrize("field", ["means", "quats", "scales", "opacities", "sh"])
@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(field, broken, tmp_path):
    source = gaussians()
    getattr(source, field).view(-1)[0] = broken
    with pytest.raises(RangeError, match=r"exporters.ply: .*expected finite numbers, got 1 of"):
        Ply(PlyConfig())(source, tmp_path / "x.ply")
    assert list(tmp_path.iterdir()) == []


def test_values_before_activation_are_refused():
    source = gaussians()
    source.scales[0, 0, 0] = -4.0
    with pytest.raises(RangeError, match=r"scales: expected a value from 0 .* got -4"):
        to_raw(source)
    source = gaussians()
    source.opacities[0, 0] = 3.0
    with pytest.raises(RangeError, match=r"opacities: expected a value from 0 to 1, got 3"):
        to_raw(source)


def test_shapes_and_names_are_checked(tmp_path):
    with pytest.raises(ShapeError, match=r"expected 1, 4, 9 or 16 .* got 5"):
        encode_ply(to_raw(gaussians(coefficients=5)))
    raw = to_raw(gaussians())
    with pytest.raises(ShapeError, match=r"exporters.ply: quats: expected \[5, 4\], got \[4, 4\]"):
        encode_ply(raw._replace(quats=raw.quats[:4]))
    with pytest.raises(RangeError, match=r"expected a path that ends in \.ply, got .*x\.splat"):
        Ply(PlyConfig())(gaussians(), tmp_path / "x.splat")


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.ply"
    Ply(PlyConfig())(gaussians(), path)
    before = path.read_bytes()

    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        Ply(PlyConfig())(gaussians(count=9), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.ply"]


def test_listing_needs_neither_torch_nor_opencv():
    spec, *_ = register_components()
    assert (spec.name, spec.suffix) == ("ply", ".ply")
    code = (
        "import sys, mfl_adapt_exporters as p; p.register_components(); "
        "sys.exit('torch' in sys.modules or 'cv2' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
