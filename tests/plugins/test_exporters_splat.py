"""The .splat file, byte by byte."""

import numpy as np
import pytest
import torch
from mfl_adapt_exporters.config import SplatConfig
from mfl_adapt_exporters.splat import Splat

from mfl_adapt.errors import RangeError, ShapeError, StorageError
from mfl_adapt.report.packing import pack_splats
from mfl_adapt.types import Gaussians

C0 = 0.28209479177387814


def gaussians(count=40, coefficients=1):
    generator = torch.Generator().manual_seed(3)

    def draw(*shape):
        return torch.rand(1, count, *shape, generator=generator)

    return Gaussians(
        means=draw(3),
        quats=torch.nn.functional.normalize(draw(4) - 0.5, dim=-1),
        scales=0.01 + 0.1 * draw(3),
        opacities=0.1 + 0.8 * draw(),
        sh=2 * draw(coefficients, 3) - 1,
    )


def write(gaussians, folder):
    Splat(SplatConfig())(gaussians, folder / "a.splat")
    content = (folder / "a.splat").read_bytes()
    assert len(content) % 32 == 0
    rows = np.frombuffer(content, np.uint8).reshape(-1, 32)
    numbers = np.ascontiguousarray(rows[:, :24]).view("<f4")
    return numbers[:, :3], numbers[:, 3:], rows[:, 24:28], rows[:, 28:]


def test_two_gaussians_by_hand(tmp_path):
    two = Gaussians(
        means=torch.tensor([[[1.0, 2.0, 3.0], [-1.0, 0.0, 0.5]]]),
        quats=torch.tensor([[[0.5, -0.5, 0.5, 0.5], [-2.0, 0.0, 0.0, 0.0]]]),
        scales=torch.tensor([[[0.1, 0.1, 0.1], [0.2, 0.1, 0.1]]]),
        opacities=torch.tensor([[0.75, 0.5]]),
        sh=torch.tensor([[[[0.0, 0.25 / C0, 9.0]], [[-9.0, -0.25 / C0, 0.0]]]]),
    )
    positions, scales, rgba, rotations = write(two, tmp_path)
    # The second covers more: 0.002 x 0.5 against 0.001 x 0.75.
    assert positions.tolist() == [[-1, 0, 0.5], [1, 2, 3]]
    np.testing.assert_allclose(scales, [[0.2, 0.1, 0.1], [0.1, 0.1, 0.1]], rtol=1e-6)
    # 127.5 is rounded to even, 63.75 and 191.25 to the nearest; what leaves the range is cut.
    assert rgba.tolist() == [[0, 64, 128, 128], [128, 191, 255, 191]]
    # 128 + 128 q, cut at 255; a quaternion of length 2 is made one of length 1.
    assert rotations.tolist() == [[0, 128, 128, 128], [192, 64, 192, 192]]


def test_what_is_read_is_within_half_a_step(tmp_path):
    source = gaussians()
    positions, scales, rgba, rotations = write(source, tmp_path)
    order = [source.means[0].tolist().index(row) for row in positions.tolist()]
    assert sorted(order) == list(range(40))
    importance = (source.scales[0].prod(dim=-1) * source.opacities[0])[order]
    assert (importance.diff() <= 0).all()
    np.testing.assert_allclose(scales, source.scales[0, order], rtol=1e-5)
    wanted = 0.5 + C0 * source.sh[0, order, 0].numpy()
    assert np.abs(rgba[:, :3] / 255 - wanted).max() <= 0.5 / 255 + 1e-6
    assert np.abs(rgba[:, 3] / 255 - source.opacities[0, order].numpy()).max() <= 0.5 / 255 + 1e-6
    error = np.abs((rotations.astype(float) - 128) / 128 - source.quats[0, order].numpy())
    # +1 itself would be 256 and becomes 255.
    assert error.max() <= 1 / 128 + 1e-6
    assert np.sort(error, axis=1)[:, :3].max() <= 0.5 / 128 + 1e-6


def test_the_pages_read_the_same_bytes(tmp_path):
    source = gaussians()
    write(source, tmp_path)
    rows = np.frombuffer((tmp_path / "a.splat").read_bytes(), np.uint8).reshape(-1, 32)
    shown = np.frombuffer(pack_splats(source, "page"), np.uint8).reshape(-1, 32)
    by_place = rows[np.lexsort(rows[:, :12].T)], shown[np.lexsort(shown[:, :12].T)]
    # Scales went through a logarithm on their way into the file.
    np.testing.assert_array_equal(by_place[0][:, 24:], by_place[1][:, 24:])


def test_harmonics_above_degree_0_are_left_out_and_that_is_said(tmp_path, caplog):
    source = gaussians(coefficients=4)
    write(source, tmp_path)
    assert "left out 3 of 4 spherical-harmonic coefficients" in caplog.text
    with_all = (tmp_path / "a.splat").read_bytes()
    caplog.clear()
    plain = Gaussians(
        source.means, source.quats, source.scales, source.opacities, source.sh[:, :, :1]
    )
    write(plain, tmp_path)
    assert (tmp_path / "a.splat").read_bytes() == with_all
    assert caplog.text == ""


def test_bad_gaussians_are_refused_and_nothing_is_written(tmp_path):
    export = Splat(SplatConfig())
    path = tmp_path / "a.splat"
    with pytest.raises(RangeError, match=r"exporters\.splat: expected at least one Gaussian, got"):
        export(gaussians(0), path)
    with pytest.raises(ShapeError, match=r"expected 1, 4, 9 or 16 .* got 2"):
        export(gaussians(3, 2), path)
    broken = gaussians(3)
    broken.opacities[0, 0] = float("nan")
    with pytest.raises(RangeError, match="opacities: expected finite numbers, got 1 of 3"):
        export(broken, path)
    with pytest.raises(RangeError, match=r"expected a path that ends in \.splat, got .*a\.ply"):
        export(gaussians(3), tmp_path / "a.ply")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"expected to write .* got File exists"):
        export(gaussians(3), tmp_path / "file" / "a.splat")
