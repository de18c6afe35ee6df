"""Every check fails on the failure it is named after, and on nothing else.

Subjects are ellipsoids whose silhouettes are exact: a pixel is inside where its ray's quadratic
has a real root. The published sample must pass all laws, and its broken variants must not.
"""

from dataclasses import replace

import numpy as np
import pytest
from helpers import shared_path
from mfl_adapt_facelift_reader.config import GslrmReaderConfig
from mfl_adapt_facelift_reader.reader import GslrmReader

from mfl_adapt.cameras import facelift_ring, lab_rig, pixel_grid, ray_directions
from mfl_adapt.doctor import build_checks, examine_samples
from mfl_adapt.errors import ConfigError
from mfl_adapt.images import warp_view
from mfl_adapt.plugin import Facts
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.types import RigContract, Sample, View

SIZE = 96
CONTRACT = RigContract(size=SIZE, patch=8, depth_reach=1.8, cut_edges=("bottom",))
PUBLISHED = replace(CONTRACT, size=512)
# The factors by which the mouse fork moved the cameras of its rig, one by one.
RADIAL = (1.346, 0.799, 0.911, 0.975, 1.041, 1.084)


@pytest.fixture(scope="module")
def checks():
    return build_checks(load_plugins(["facelift_checks"]))


@pytest.fixture
def laws(checks):
    """Codes of the broken laws of a sample."""

    def run(sample, contract=CONTRACT):
        return {one.code for one in examine_samples(checks, [sample], contract).laws}

    return run


@pytest.fixture
def found(checks):
    """Severities by code of all findings of a sample."""

    def run(sample, contract=CONTRACT):
        report = examine_samples(checks, [sample], contract)
        return {one.code: one.severity for one in report.findings}

    return run


def silhouette(axes, center, c2w, fxfycxcy, size):
    """Mask of an axis-aligned ellipsoid."""
    rays = ray_directions(pixel_grid(size, size).reshape(-1, 2), c2w, fxfycxcy) / axes
    start = (c2w[:3, 3] - center) / axes
    along, length = rays @ start, (rays * rays).sum(1)
    hit = along**2 - length * (start @ start - 1) > 0
    return (255 * hit.reshape(size, size)).astype(np.uint8)


def make_sample(cameras=None, *, axes=(0.45, 0.3, 0.25), center=(0.0, 0.0, 0.0)):
    cameras = facelift_ring(6, size=SIZE) if cameras is None else cameras
    views = []
    for index in range(len(cameras)):
        c2w, fxfycxcy = cameras.c2w[index], cameras.fxfycxcy[index]
        mask = silhouette(np.array(axes), np.array(center), c2w, fxfycxcy, cameras.width)
        rgb = np.zeros((cameras.height, cameras.width, 3), np.uint8)
        views.append(View(f"cam_{index:03d}", rgb, mask, c2w, fxfycxcy))
    return Sample("rat", tuple(views))


def change(sample, edit):
    """Edit copies of c2w and fxfycxcy of every view; pictures stay as they are."""
    views = []
    for index, view in enumerate(sample.views):
        c2w, fxfycxcy = view.c2w.copy(), view.fxfycxcy.copy()
        edit(index, c2w, fxfycxcy)
        views.append(replace(view, c2w=c2w, fxfycxcy=fxfycxcy))
    return replace(sample, views=tuple(views))


def opengl(index, c2w, fxfycxcy):
    c2w[:3, 1:3] *= -1


def raw_millimetres(index, c2w, fxfycxcy):
    c2w[:3, 3] *= 331.4 / 2.7


def mirrored(index, c2w, fxfycxcy):
    c2w[:3, 0] *= -1


def moved_one_by_one(index, c2w, fxfycxcy):
    c2w[:3, 3] *= RADIAL[index]


def test_a_good_sample_has_no_findings(found):
    assert found(make_sample()) == {}


def test_a_real_rig_breaks_habits_only(found):
    assert found(make_sample(lab_rig(SIZE))) == {"MFL101": "info", "MFL102": "info"}


@pytest.mark.parametrize(
    ("edit", "code"), [(opengl, "MFL013"), (raw_millimetres, "MFL001"), (mirrored, "MFL003")]
)
def test_broken_poses_break_their_law(laws, edit, code):
    assert code in laws(change(make_sample(), edit))


def test_units_alone_break_reach_alone(laws):
    assert laws(change(make_sample(), raw_millimetres)) == {"MFL001"}


def test_a_scale_hidden_in_the_rotation(laws):
    def scaled(index, c2w, fxfycxcy):
        c2w[:3, :3] *= 1.001

    assert "MFL003" in laws(change(make_sample(), scaled))


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_useless_cameras_are_findings_not_crashes(laws, value):
    def spoil(index, c2w, fxfycxcy):
        c2w[:3, :3] = value

    assert {"MFL003", "MFL013"} <= laws(change(make_sample(), spoil))


def test_cameras_moved_one_by_one_cannot_cast_the_masks(laws):
    """The centre of the masks still meets in the origin: only the outlines tell."""
    assert laws(change(make_sample(), moved_one_by_one)) == {"MFL002"}


def test_intrinsics_overwritten_after_a_crop(laws):
    """Crops around the animal, then the focal length and centre that the model likes."""
    rng = np.random.default_rng(1)
    sample = make_sample(lab_rig(SIZE), center=(0.0, 0.0, 0.0))

    def overwrite(index, c2w, fxfycxcy):
        fxfycxcy[:2] = 1.07225 * SIZE

    views = []
    for view in sample.views:
        crop = np.eye(3)
        crop[:2, 2] = rng.uniform(-0.1, 0.1, 2) * SIZE
        views.append(replace(warp_view(view, crop, SIZE, SIZE), fxfycxcy=view.fxfycxcy))
    broken = change(replace(sample, views=tuple(views)), overwrite)
    assert {"MFL002", "MFL004"} <= laws(broken)


def test_a_picture_zoomed_without_its_camera(laws):
    sample = make_sample()
    zoom = np.array([[1.4, 0, -0.2 * SIZE], [0, 1.4, -0.2 * SIZE], [0, 0, 1]])
    first = warp_view(sample.views[0], zoom, SIZE, SIZE)
    first = replace(first, fxfycxcy=sample.views[0].fxfycxcy)
    assert laws(replace(sample, views=(first, *sample.views[1:]))) == {"MFL002"}
    # With its camera it is the same scene, seen longer.
    right = warp_view(sample.views[0], zoom, SIZE, SIZE)
    assert laws(replace(sample, views=(right, *sample.views[1:]))) == set()


def test_subject_off_the_origin(found):
    assert found(make_sample(center=(0.2, 0.0, 0.0))) == {"MFL005": "warning"}

    # Three units along x: for the camera on the x axis all of it lies along the viewing rays.
    def shift(index, c2w, fxfycxcy):
        c2w[0, 3] += 3.0

    severities = found(change(make_sample(), shift))
    assert severities["MFL005"] == severities["MFL001"] == "law"


def test_reach_is_measured_along_the_rays(found):
    """Two units up, at elevation 20, are 2 sin 20 = 0.68 along a ray: within reach, yet far off."""

    def shift(index, c2w, fxfycxcy):
        c2w[2, 3] += 2.0

    severities = found(change(make_sample(), shift))
    assert severities["MFL005"] == "law"
    assert "MFL001" not in severities


def test_principal_point_scales_with_the_picture(laws):
    def off(pixels):
        return lambda i, c2w, k: k.__setitem__(2, SIZE / 2 + pixels)

    assert "MFL019" not in laws(change(make_sample(), off(1.9)))
    assert "MFL019" in laws(change(make_sample(), off(2.1)))
    # At the contract's 512 px, 2 px are 0.375 px of a picture of 96.
    assert "MFL019" in laws(change(make_sample(), off(0.4)), PUBLISHED)
    assert "MFL019" not in laws(change(make_sample(), off(0.35)), PUBLISHED)


def test_stretched_pixels(found):
    severities = found(change(make_sample(), lambda i, c2w, k: k.__setitem__(1, k[1] * 1.13)))
    assert severities["MFL015"] == "warning"


@pytest.mark.parametrize("value", [0.0, -100.0, np.nan, np.inf])
def test_focal_lengths_must_be_positive_numbers(found, value):
    severities = found(change(make_sample(), lambda i, c2w, k: k.__setitem__(0, value)))
    assert severities["MFL015"] == "law"


def test_a_y_up_world(found):
    turn = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # (x, y, z) -> (x, z, -y)

    def y_up(index, c2w, fxfycxcy):
        c2w[:3] = turn @ c2w[:3]

    assert found(change(make_sample(), y_up)) == {"MFL008": "warning"}


@pytest.mark.parametrize(
    ("value", "severity"), [(0, "law"), (255, "law"), (1, "warning"), (127, "warning")]
)
def test_mask_share(found, value, severity):
    sample = make_sample()
    mask = np.full((SIZE, SIZE), value, np.uint8)  # shares 0, 1, 0.004 and 0.498
    broken = replace(sample, views=(*sample.views[:-1], replace(sample.views[-1], mask=mask)))
    assert found(broken)["MFL032"] == severity


def test_missing_masks_are_findings(found):
    sample = make_sample()
    bare = replace(sample, views=tuple(replace(view, mask=None) for view in sample.views))
    severities = found(bare)
    assert severities == {"MFL032": "law", "MFL001": "info"}


def test_two_views_are_too_few_to_judge(found):
    sample = make_sample()
    assert found(replace(sample, views=sample.views[:2])) == {"MFL001": "info"}


def test_border_contact(checks):
    high = make_sample(center=(0.0, 0.0, 1.0))
    low = make_sample(center=(0.0, 0.0, -1.0))

    def texts(sample):
        report = examine_samples(checks, [sample], CONTRACT)
        return [one.value for one in report.findings if one.code == "MFL016"]

    assert texts(low) == []  # the bottom edge may cut
    assert len(texts(high)) == 6
    assert all("px on top" in text for text in texts(high))


def test_facts_must_be_complete(checks):
    with pytest.raises(ConfigError, match="sample True, contract False"):
        list(checks[0].run(Facts(sample=make_sample())))


@pytest.fixture(scope="module")
def head():
    path = shared_path("data/facelift_gslrm_sample")
    return GslrmReader(GslrmReaderConfig(path=path, views=(0, 5, 10, 16, 21, 26)))[0]


@pytest.mark.golden
def test_the_published_head_keeps_every_law(head, found):
    # Cut at the neck, so the mask centre is off the origin and does not meet: information only.
    assert found(head, PUBLISHED) == {"MFL004": "info", "MFL005": "info"}


@pytest.mark.golden
@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (opengl, "MFL013"),
        (raw_millimetres, "MFL001"),
        (mirrored, "MFL003"),
        (moved_one_by_one, "MFL002"),
    ],
)
def test_broken_heads_break_their_law(head, laws, edit, code):
    assert code in laws(change(head, edit), PUBLISHED)


@pytest.mark.golden
def test_heads_cropped_without_their_cameras(head, laws):
    rng = np.random.default_rng(0)
    views = []
    for view in head.views:
        crop = np.eye(3)
        crop[:2, 2] = rng.uniform(-60, 60, 2)
        views.append(replace(warp_view(view, crop, 512, 512), fxfycxcy=view.fxfycxcy))
    assert "MFL002" in laws(replace(head, views=tuple(views)), PUBLISHED)
