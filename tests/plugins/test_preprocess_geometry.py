"""Centring and scaling: exact where they say so, and with the stated error where not."""

import math
import subprocess
import sys

import numpy as np
import pytest
from mfl_adapt_preprocess import register_components
from mfl_adapt_preprocess.com_center import ComCenter
from mfl_adapt_preprocess.composite import Composite
from mfl_adapt_preprocess.config import (
    ComCenterConfig,
    CompositeConfig,
    PixelScaleConfig,
    SampleScaleConfig,
)
from mfl_adapt_preprocess.pixel_scale import PixelScale
from mfl_adapt_preprocess.sample_scale import SampleScale
from pydantic import ValidationError

from mfl_adapt.cameras import history, look_at, orbit, project, random_rig, triangulate
from mfl_adapt.errors import DataError, ShapeError
from mfl_adapt.images import RawView, begin_sample, composite, measure_foreground
from mfl_adapt.images.grade import grade_samples
from mfl_adapt.plugin import PreprocessorSpec
from mfl_adapt.synth import make_scene, render_view
from mfl_adapt.types import RawCamera


def to_raw(c2w, fxfycxcy, height, width):
    rows = tuple(tuple(float(value) for value in row) for row in c2w)
    return RawCamera(rows, tuple(float(value) for value in fxfycxcy), height, width)


def make_sample(masks, c2w=None, fxfycxcy=None, *, rgb=None):
    height, width = masks[0].shape
    c2w = [np.eye(4)] * len(masks) if c2w is None else c2w
    fxfycxcy = [(80.0, 80.0, width / 2, height / 2)] * len(masks) if fxfycxcy is None else fxfycxcy
    views = []
    for number, mask in enumerate(masks):
        camera = to_raw(c2w[number], fxfycxcy[number], *mask.shape)
        picture = np.full((*mask.shape, 3), 128, np.uint8) if rgb is None else rgb[number]
        views.append(RawView(f"cam_{number:03d}", picture, mask, camera, f"cam_{number:03d}.png"))
    return begin_sample("s", views, step="reader", params={})


def box(left, top, right, bottom, *, height=60, width=80):
    mask = np.zeros((height, width), np.uint8)
    mask[top:bottom, left:right] = 255
    return mask


@pytest.fixture(scope="module")
def mouse():
    """A mouse off the origin, seen by three skewed cameras with odd intrinsics."""
    scene = make_scene("mice", 3)
    rig = random_rig(np.random.default_rng(1), 3, size=96, distance=(2.6, 3.4))
    c2w = look_at(rig.centers, (0.25, -0.15, 0.1))  # the mouse is not where they look
    height, width = 88, 112
    fxfycxcy = np.array([[130.0, 138.0, 60.0, 41.0]] * 3) * [[1.0], [1.1], [1.2]]
    fxfycxcy[:, 2:] = [[60.0, 41.0], [50.0, 47.0], [56.0, 44.0]]
    pictures = [
        render_view(scene.ellipsoids, pose, one, height=height, width=width)
        for pose, one in zip(c2w, fxfycxcy, strict=True)
    ]
    masks = [np.rint(picture.alpha * 255).astype(np.uint8) for picture in pictures]
    rgb = [np.rint(picture.rgb * 255).astype(np.uint8) for picture in pictures]
    return make_sample(masks, c2w, fxfycxcy, rgb=rgb)


def center(sample, **settings):
    return ComCenter(ComCenterConfig(**settings))(sample)


def scale(sample, **settings):
    return SampleScale(SampleScaleConfig(**settings))(sample)


def centroids(sample):
    return np.array([measure_foreground(view.mask).centroid for view in sample.views])


def ratios(sample):
    return np.sqrt([measure_foreground(view.mask).share for view in sample.views])


def test_the_centre_of_mass_lands_in_the_middle(mouse):
    assert np.linalg.norm(centroids(mouse) - [56, 44], axis=1).max() > 5
    done = center(mouse)
    side = done.views[0].width
    assert side >= 88
    np.testing.assert_allclose(centroids(done), side / 2, rtol=0, atol=0.1)
    for old, new in zip(mouse.views, done.views, strict=True):
        assert new.rgb.shape == (side, side, 3)
        assert new.fxfycxcy[0] == pytest.approx(new.fxfycxcy[1], rel=1e-12)
        assert new.fxfycxcy[0] == pytest.approx(math.sqrt(old.fxfycxcy[0] * old.fxfycxcy[1]))
        np.testing.assert_allclose(new.fxfycxcy[2:], side / 2, rtol=0, atol=1e-9)
        assert np.array_equal(new.c2w[:3, 3], old.c2w[:3, 3])
        assert np.linalg.det(new.c2w[:3, :3]) == pytest.approx(1.0)


def test_centring_and_scaling_stay_exact(mouse):
    done = scale(center(mouse))
    assert [step.step for step in done.provenance[1:]] == [
        "preprocess.com_center",
        "preprocess.sample_scale",
    ]
    assert all(step.exact and step.digest for step in done.provenance[1:])
    assert history.round_trip_px(done).max() < 1e-9
    # The same by hand: a raw pixel of any point goes where the new camera projects that point.
    points = np.random.default_rng(0).normal(0.0, 0.2, (50, 3))
    for number, (old, new) in enumerate(zip(mouse.views, done.views, strict=True)):
        raw, _ = project(points, old.c2w, old.fxfycxcy)
        now, _ = project(points, new.c2w, new.fxfycxcy)
        chained = history.from_raw_pixels(raw, number, done.provenance)
        np.testing.assert_allclose(chained, now, rtol=0, atol=1e-9)


def test_pixels_agree_with_a_render_through_the_new_camera(mouse):
    """What the moved picture shows is what the new camera would have seen."""
    done = scale(center(mouse), target=0.3)
    scene = make_scene("mice", 3)
    for view in done.views:
        seen = render_view(
            scene.ellipsoids, view.c2w, view.fxfycxcy, height=view.height, width=view.width
        )
        truth = seen.alpha > 0.5
        assert (truth & (view.mask > 127)).sum() / (truth | (view.mask > 127)).sum() > 0.95


@pytest.mark.parametrize("seed", range(6))
def test_any_blob_ends_in_the_middle(seed):
    """Property: whatever mask and lens, the centre of mass is within half a pixel."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((96, 128), np.uint8)
    left, top = int(rng.integers(2, 90)), int(rng.integers(2, 60))
    mask[top : top + int(rng.integers(6, 34)), left : left + int(rng.integers(6, 36))] = 255
    mask[top + 2, left:] = 200  # a tail to the edge
    focal = float(rng.uniform(70, 300))
    intrinsics = (focal, focal * rng.uniform(0.9, 1.1), rng.uniform(40, 80), rng.uniform(30, 60))
    done = center(make_sample([mask], None, [intrinsics]))
    offset = centroids(done)[0] - done.views[0].width / 2
    assert np.hypot(*offset) < 0.5
    assert history.round_trip_px(done).max() < 1e-8


def test_a_subject_in_the_middle_stays():
    done = center(make_sample([box(30, 20, 50, 40)]))
    step = done.provenance[-1]
    assert step.params == {"side": 60, "turned_deg": [0.0]}
    # The principal point (40, 30) becomes (30, 30): a shift by 10 px.
    assert step.pixel_maps[0] == pytest.approx(np.array([[1, 0, -10], [0, 1, 0], [0, 0, 1]]))
    assert np.array_equal(done.views[0].mask, box(20, 20, 40, 40, width=60))


def test_the_turn_by_hand():
    """A tiny subject 60 px off the axis at 80 px focal length: atan(3 / 4)."""
    mask = box(100, 30, 102, 32, height=62, width=82 + 120)
    sample = make_sample([mask], None, [(80.0, 80.0, 41.0, 31.0)])
    done = center(sample)
    assert done.provenance[-1].params["turned_deg"] == [
        pytest.approx(math.degrees(math.atan(0.75)), abs=0.02)
    ]
    np.testing.assert_allclose(done.views[0].c2w[:3, 2], [0.6, 0.0, 0.8], rtol=0, atol=3e-4)


def test_the_side_grows_for_the_subject_and_never_cuts_it():
    mask = box(2, 28, 78, 32)  # as wide as the picture is, and higher than it is high
    done = center(make_sample([mask]))
    assert done.views[0].width > 60
    assert measure_foreground(done.views[0].mask).touched == ()
    with pytest.raises(
        DataError, match=r"cam_000\.png: expected a side of at least \d+ px"
    ) as caught:
        center(make_sample([mask]), side=60)
    assert "\n" not in str(caught.value)
    assert center(make_sample([mask]), side=100).views[0].rgb.shape == (100, 100, 3)


def test_a_subject_all_around_is_refused():
    with pytest.raises(DataError, match=r"cam_000\.png: .* within 84 deg of its own centre"):
        center(make_sample([box(0, 0, 80, 60)], None, [(2.0, 2.0, 40.0, 30.0)]))


def test_one_scale_for_all_views():
    # Size ratios 1/3 and 1/6 of 60 x 60 pictures: mean 0.25.
    masks = [box(20, 20, 40, 40, width=60), box(25, 25, 35, 35, width=60)]
    sample = make_sample(masks)
    done = scale(sample, target=0.5)
    step = done.provenance[-1]
    assert step.params["scale"] == pytest.approx(2.0)
    assert step.params["limited_by"] == "target"
    np.testing.assert_allclose(ratios(done), [2 / 3, 1 / 3], rtol=0, atol=0.02)
    np.testing.assert_allclose(step.params["size_ratios"], [2 / 3, 1 / 3], rtol=0, atol=1e-6)
    for old, new in zip(sample.views, done.views, strict=True):
        assert new.fxfycxcy == pytest.approx(old.fxfycxcy * [2, 2, 1, 1])
        assert np.array_equal(new.c2w, old.c2w)
    assert history.round_trip_px(done).max() < 1e-9


def test_the_safe_margin_limits_the_scale():
    # From the principal point (30, 30) the second subject reaches 15 px to the right.
    masks = [box(25, 25, 35, 35, width=60), box(25, 28, 45, 32, width=60)]
    done = scale(make_sample(masks), target=1.0, margin=0.1)
    assert done.provenance[-1].params["scale"] == pytest.approx(30 * 0.9 / 15)
    assert done.provenance[-1].params["limited_by"] == "cam_001"
    assert all(measure_foreground(view.mask).touched == () for view in done.views)
    right = np.flatnonzero((done.views[1].mask > 127).any(axis=0))[-1] + 1
    assert right == 57  # 30 + 27


def test_a_subject_beside_the_principal_point():
    """It moves away from the near side when enlarged, so only the far side counts."""
    done = scale(make_sample([box(40, 25, 45, 35, width=60)]), target=1.0, margin=0.0)
    assert done.provenance[-1].params["scale"] == pytest.approx(2.0)  # 30 / 15, not 30 / -10


def test_a_principal_point_outside():
    sample = make_sample([box(20, 20, 40, 40)], None, [(80.0, 80.0, -3.0, 30.0)])
    with pytest.raises(DataError, match=r"inside the picture, got \(-3\.0, 30\.0\)"):
        scale(sample)
    assert scale(center(sample)).provenance[-1].params["limited_by"] == "target"


def test_pixel_scale_is_graded_a_and_breaks_the_geometry(mouse):
    """The classic grade is blind to what the history and a triangulation see."""
    legacy = PixelScale(PixelScaleConfig())(mouse)
    np.testing.assert_allclose(ratios(legacy), 0.3, rtol=0, atol=0.004)
    np.testing.assert_allclose(centroids(legacy), [[56, 44]] * 3, rtol=0, atol=0.5)
    assert grade_samples([legacy]).letter == "A"
    moved, relabelled = legacy.provenance[1:]
    assert (moved.step, moved.exact) == ("preprocess.pixel_scale", True)
    assert (relabelled.step, relabelled.exact) == ("preprocess.pixel_scale", False)
    assert relabelled.params["error_px"] == max(relabelled.params["errors_px"]) > 5
    for old, new in zip(mouse.views, legacy.views, strict=True):
        assert np.array_equal(new.c2w, old.c2w)
        assert np.array_equal(new.fxfycxcy, old.fxfycxcy)
    assert history.round_trip_px(legacy).max() > 5
    # A silhouette's centroid is no point of the animal, so even exact views do not quite meet.
    exact = center(mouse)
    assert residual_px(exact) < 1.0 < residual_px(legacy) / 3


def residual_px(sample):
    c2w = np.stack([view.c2w for view in sample.views])
    fxfycxcy = np.stack([view.fxfycxcy for view in sample.views])
    return float(np.median(triangulate(centroids(sample), c2w, fxfycxcy).residuals_px))


def test_the_error_of_pixel_scale_by_hand():
    # 20 x 20 of 60 x 60 at (10, 10): ratio 1/3, zoom 1.5, centre (20, 20) to (30, 30).
    done = PixelScale(PixelScaleConfig(target=0.5))(make_sample([box(10, 10, 30, 30, width=60)]))
    # Corner (10, 10) goes to (15, 15), corner (30, 30) to (45, 45): 15 px along both axes.
    assert done.provenance[-1].params["error_px"] == pytest.approx(15 * math.sqrt(2), abs=1e-6)
    assert done.provenance[-2].params["scales"] == pytest.approx([1.5])


def test_pixel_scale_needs_views_of_one_size():
    sample = make_sample([box(10, 10, 30, 30), box(10, 10, 30, 30, width=60)])
    with pytest.raises(ShapeError, match="views of one size"):
        PixelScale(PixelScaleConfig())(sample)


STAGES = [
    ComCenter(ComCenterConfig()),
    SampleScale(SampleScaleConfig()),
    PixelScale(PixelScaleConfig()),
    Composite(CompositeConfig()),
]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: type(stage).__name__)
def test_masks_are_needed(stage):
    with pytest.raises(DataError, match=r"cam_000\.png: .* got an empty one\. Leave this view"):
        stage(make_sample([box(0, 0, 0, 0)]))
    sample = make_sample([box(1, 1, 5, 5)])
    bare = begin_sample(
        "s",
        [RawView("a", sample.views[0].rgb, None, to_raw(np.eye(4), (9, 9, 40, 30), 60, 80))],
        step="reader",
        params={},
    )
    with pytest.raises(DataError, match=r"^s/a: .* got none\. Add preprocess\.auto_mask"):
        stage(bare)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: type(stage).__name__)
def test_stages_return_new_samples(stage, mouse):
    before = [(view.rgb.copy(), view.mask.copy(), view.c2w.copy()) for view in mouse.views]
    done = stage(mouse)
    assert done is not mouse
    assert len(mouse.provenance) == 1
    for view, (rgb, mask, c2w) in zip(mouse.views, before, strict=True):
        assert np.array_equal(view.rgb, rgb)
        assert np.array_equal(view.mask, mask)
        assert np.array_equal(view.c2w, c2w)


def test_sixteen_bits_pass_through():
    mask = box(10, 10, 30, 30)
    rgb = np.full((60, 80, 3), 51_400, np.uint16)
    done = Composite(CompositeConfig())(scale(center(make_sample([mask], rgb=[rgb]))))
    view = done.views[0]
    assert view.rgb.dtype == np.uint16
    assert (view.rgb[view.mask == 255] == 51_400).all()
    assert (view.rgb[view.mask == 0] == 65_535).all()


def test_composite_by_hand():
    mask = np.array([[0, 128, 255, 255]], np.uint8)
    rgb = np.array([[[10, 20, 30], [40, 50, 60], [70, 80, 90], [1, 2, 3]]], np.uint8)
    sample = make_sample([mask], rgb=[rgb])
    done = Composite(CompositeConfig(color=(1.0, 0.0, 0.2)))(sample)
    assert np.array_equal(done.views[0].rgb[0, 0], [255, 0, 51])
    assert np.array_equal(done.views[0].rgb[0, 1:], rgb[0, 1:])
    assert np.array_equal(done.views[0].mask, mask)
    assert done.provenance[-1].params == {"color": [1.0, 0.0, 0.2], "photometric": True}


def test_a_background_put_behind_twice_is_put_behind_once():
    """Straight colour stays straight, so half-covered pixels do not fade twice."""
    rng = np.random.default_rng(0)
    mask = rng.integers(0, 256, (8, 9), dtype=np.uint8)
    mask[:4] = 0
    rgb = rng.integers(0, 256, (8, 9, 3), dtype=np.uint8)
    sample = make_sample([mask], rgb=[rgb])
    done = Composite(CompositeConfig(color=0.4))(sample)
    assert np.array_equal(composite(done.views[0].rgb, mask, 0.4), composite(rgb, mask, 0.4))


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        (ComCenterConfig, {"side": 7}),
        (ComCenterConfig, {"size": 512}),
        (SampleScaleConfig, {"target": 0}),
        (SampleScaleConfig, {"target": 1.01}),
        (SampleScaleConfig, {"margin": 1.0}),
        (SampleScaleConfig, {"margin": float("nan")}),
        (PixelScaleConfig, {"target": -0.3}),
        (CompositeConfig, {"color": 255}),
        (CompositeConfig, {"color": (0.0, 1.0)}),
    ],
)
def test_settings_are_checked(model, settings):
    with pytest.raises(ValidationError, match=next(iter(settings))):
        model(**settings)


def test_as_a_plugin():
    specs = register_components()
    assert all(isinstance(spec, PreprocessorSpec) for spec in specs)
    assert [spec.name for spec in specs] == [
        "auto_mask",
        "clean_mask",
        "com_center",
        "sample_scale",
        "pixel_scale",
        "composite",
    ]
    for spec in specs:
        module, _, attribute = spec.build.partition(":")
        assert callable(getattr(__import__(module, fromlist=["_"]), attribute))
    code = (
        "import sys, mfl_adapt_preprocess as p; p.register_components(); "
        "light = 'cv2' not in sys.modules; "
        "[__import__(s.build.partition(':')[0]) for s in p.register_components()]; "
        "sys.exit('torch' in sys.modules or 'cv2' in sys.modules or not light)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_whole_chain_on_a_rig():
    """Masks off centre in all views of a ring: centred and scaled, it certifies as one point."""
    rig = orbit([0, 60, 150, 240], [20.0] * 4, [2.0, 2.7, 3.1, 3.4], [1.2] * 4, 120)
    point = np.array([0.3, -0.2, 0.15])
    masks = []
    rows, columns = np.mgrid[0:120, 0:120] + 0.5
    for c2w, fxfycxcy in zip(rig.c2w, rig.fxfycxcy, strict=True):
        (pixel,), (depth,) = project(point[None], c2w, fxfycxcy)
        radius = 0.25 * fxfycxcy[0] / depth
        distance = np.hypot(columns - pixel[0], rows - pixel[1])
        masks.append(np.where(distance < radius, 255, 0).astype(np.uint8))
    done = scale(center(make_sample(masks, rig.c2w, rig.fxfycxcy)), target=0.5)
    assert np.mean(ratios(done)) == pytest.approx(0.5, abs=0.01)
    assert residual_px(done) < 0.5
    # Nearer cameras still see it larger, as their distances from it say.
    distances = np.linalg.norm(rig.centers - point, axis=1)
    np.testing.assert_allclose(ratios(done) * distances / distances[0], ratios(done)[0], rtol=0.04)
