from pathlib import Path

import numpy as np
import pytest
import torch

from mfl_adapt.errors import ShapeError
from mfl_adapt.images import load_picture
from mfl_adapt.report.sheet import GAP_PX, LABEL_PX, contact_sheet, save_contact_sheet


def test_rows_are_truth_render_and_error() -> None:
    target = torch.full((1, 2, 3, 64, 64), 0.4)
    pred = torch.full((1, 2, 3, 64, 64), 0.6)
    sheet = contact_sheet(target, pred)
    assert sheet.shape == (3 * (128 + GAP_PX) + GAP_PX, LABEL_PX + 2 * (128 + GAP_PX), 3)
    centres = [GAP_PX + row * (128 + GAP_PX) + 64 for row in range(3)]
    # 0.4 and 0.6 of 255, and three times their difference.
    assert [int(sheet[y, LABEL_PX + 70, 0]) for y in centres] == [102, 153, 153]


def test_colours_out_of_range_are_clamped() -> None:
    target, pred = torch.ones(1, 1, 3, 8, 8), torch.full((1, 1, 3, 8, 8), 1.7)
    sheet = contact_sheet(target, pred)
    assert sheet[GAP_PX + 128 + GAP_PX + 5, LABEL_PX + 20].tolist() == [255, 255, 255]


def test_shapes_must_agree() -> None:
    with pytest.raises(ShapeError, match=r"expected \[1, 1, 3, 8, 8\], got \[1, 2, 3, 8, 8\]"):
        contact_sheet(torch.ones(1, 1, 3, 8, 8), torch.ones(1, 2, 3, 8, 8))


def test_file_holds_the_sheet(tmp_path: Path) -> None:
    pictures = torch.rand(1, 3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    save_contact_sheet(tmp_path / "sheet.png", pictures, pictures)
    loaded = load_picture(tmp_path / "sheet.png")
    np.testing.assert_array_equal(loaded.rgb, contact_sheet(pictures, pictures))


def test_rows_are_labelled() -> None:
    pictures = torch.ones(1, 1, 3, 64, 64)
    margin = contact_sheet(pictures, pictures)[:, :LABEL_PX]
    thirds = np.array_split(margin, 3)
    assert all((third < 100).sum() > 50 for third in thirds)


def test_views_beyond_the_last_column_are_left_out() -> None:
    many = torch.ones(2, 6, 3, 8, 8)
    assert contact_sheet(many, many, max_columns=5).shape[1] == LABEL_PX + 5 * (128 + GAP_PX)
