"""The page's text; what it draws is tested in a browser."""

import base64
import re

import numpy as np
import pytest
from balls import make_balls

from mfl_adapt.errors import RangeError, StorageError
from mfl_adapt.report.viewer import write_viewer
from mfl_adapt.types import Gaussians, RigContract

BLOCK = re.compile(r'<script class="splats" type="text/plain" data-caption="(.*?)">(.*?)</script>')


def write(folder, gaussians=None, **settings):
    path = folder / "mouse.html"
    write_viewer(path, gaussians or make_balls(), **settings)
    return path.read_text("utf-8")


def test_one_file_that_loads_nothing(tmp_path):
    page = write(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mouse.html"]
    assert not re.search(r"https?:|//[a-z]+\.|<link|\bsrc=|@import|\bfetch\(|\bimport\(", page)
    assert not re.search(r"__[A-Z]+__", page)
    assert "<title>mouse</title>" in page


def test_the_page_holds_the_gaussians(tmp_path):
    ((caption, data),) = BLOCK.findall(write(tmp_path))
    assert caption == "5 Gaussians"
    rows = np.frombuffer(base64.b64decode(data), np.uint8).reshape(5, 32)
    means = np.ascontiguousarray(rows[:, :12]).view("<f4")
    np.testing.assert_array_equal(means, make_balls().means[0])
    # Red is 0.8, 0.2, 0.2 of 255, and 0.999 opaque; no rotation is 256, cut to 255.
    assert rows[0, 24:].tolist() == [204, 51, 51, 255, 255, 128, 128, 128]


def test_two_sets_side_by_side(tmp_path):
    first = make_balls({(0.0, 0.0, 0.0): (1.0, 0.0, 0.0)})
    found = BLOCK.findall(write(tmp_path, before=first))
    assert [caption for caption, _ in found] == ["before: 1 Gaussians", "after: 5 Gaussians"]


def test_titles_stay_text(tmp_path):
    page = write(tmp_path, title="</title><script>alert(1)</script> & __DATA__")
    assert "<h1>&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt; &amp; __DATA__</h1>" in page
    assert len(BLOCK.findall(page)) == 1


def test_the_contract_places_the_camera(tmp_path):
    contract = RigContract(
        size=64, patch=8, depth_reach=1.8, distance=4.0, focal_ratio=1.5, background=0.5
    )
    page = write(tmp_path, contract=contract)
    assert '"distance": 4.0, "focalRatio": 1.5}, "background": 0.5}' in page
    assert '"distance": 2.7, "focalRatio": 1.0722534602547793}, "background": 1.0}' in write(
        tmp_path
    )


def test_bad_gaussians_are_refused_and_nothing_is_written(tmp_path):
    five = make_balls()
    none = Gaussians(*(getattr(five, name)[:, :0] for name in five.__slots__))
    with pytest.raises(RangeError, match=r"mouse\.html: expected at least one Gaussian, got none"):
        write(tmp_path, none)
    with pytest.raises(RangeError, match="expected at least one Gaussian, got none"):
        write(tmp_path, before=none)
    five.means[0, 2, 1] = float("nan")
    with pytest.raises(RangeError, match=r"mouse\.html: means: expected finite numbers, got 1 of"):
        write(tmp_path, five)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="expected to write"):
        write_viewer(tmp_path / "file" / "a.html", make_balls())
