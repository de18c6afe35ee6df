"""Every plugin that ships with the package breaks no rule, and leaves no rule unchecked."""

import tomllib

import kit_layouts as layouts
import pytest
from helpers import ROOT

from mfl_adapt.plugin.testing import check_plugin

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NAMES = sorted(PROJECT["entry-points"]["mfl_adapt"])
SETTINGS = {
    "anipose": {"videos": {"masks": "masks/{trial}-cam{camera}.avi"}},
    "facelift_cameras": {"virtual_camera": {"size": 128}},
    "preprocess": {"auto_mask": {"source": "alpha"}},
    "procedural": {"heads": {"samples": 2}, "mice": {"samples": 2}},
    "view_policies": {"fixed": {"inputs": [0, 1], "held_out": [2]}},
}
# Weights that are not in the tree.
UNCHECKED = {
    "facelift": {"facelift.gslrm", "facelift.mvdiffusion"},
    "facelift_loss": {"facelift_loss.perceptual", "facelift_loss.lpips"},
}
# These load bases, or start a process with torch for each component.
SLOW = {"exporters", "facelift", "lora_gslrm", "lora_mvdiffusion", "pose_mvdiffusion"}


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=[pytest.mark.slow] if one in SLOW else []) for one in NAMES]
)
def test_a_plugin_of_the_package_conforms(name, tmp_path):
    data = None
    if hasattr(layouts, name):
        data = tmp_path / "example"
        data.mkdir()
        getattr(layouts, name)(data)
    report = check_plugin(name, data, settings=SETTINGS.get(name))
    assert report.failed == (), "\n".join(one.line() for one in report.failed)
    assert {one.component for one in report.unchecked} == UNCHECKED.get(name, set())


def test_every_reader_of_files_has_an_example():
    readers = {"anipose", "colmap", "facelift_reader", "markerless_mouse", "nerf_transforms"}
    assert readers <= set(NAMES)
    assert all(hasattr(layouts, name) for name in readers)
