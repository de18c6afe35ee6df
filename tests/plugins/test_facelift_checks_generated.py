"""Generated views are refused with any cameras but those that generated them."""

from dataclasses import replace

import numpy as np
import pytest

from mfl_adapt.cameras import FACELIFT_SLOTS_DEG, lab_rig, orbit
from mfl_adapt.cameras.identity import hash_cameras, to_raw_cameras
from mfl_adapt.data import conform
from mfl_adapt.doctor import build_checks, examine_samples
from mfl_adapt.images import RawView, begin_sample, relabel_cameras, warp_sample
from mfl_adapt.plugin import CameraNormalizerSpec
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.synth import render_sample
from mfl_adapt.types import Provenance, RigContract, Similarity

SIZE = 96
CONTRACT = RigContract(size=SIZE, patch=8, depth_reach=1.8, cut_edges=("bottom",))
KEY = "generating_cameras_sha256"


def facelift_slots(size):
    """The six slots at the contract's own focal length."""
    six = np.ones(6)
    return orbit(FACELIFT_SLOTS_DEG, 0 * six, 2.7 * six, 1.07225 * six, size)


@pytest.fixture(scope="module")
def host():
    return load_plugins(["facelift_cameras", "facelift_checks"])


@pytest.fixture(scope="module")
def found(host):
    """Findings of the check alone."""
    checks = [one for one in build_checks(host) if one.name == "facelift_checks.generated_cameras"]

    def run(sample):
        return examine_samples(checks, [sample], CONTRACT).findings

    return run


@pytest.fixture(scope="module")
def generated():
    """Exact pictures of a head for the six slots, with the record that a generator writes."""
    drawn = render_sample("heads", 0, rig="slots", size=SIZE)
    cameras = to_raw_cameras(facelift_slots(SIZE))
    views = [
        RawView(view.name, view.rgb, view.mask, camera)
        for view, camera in zip(drawn.views, cameras, strict=True)
    ]
    params = {KEY: hash_cameras(cameras), "base": {"id": "a base"}}
    return begin_sample("head", views, step="data synth", params=params)


def as_read(sample):
    """What a reader makes of a stored sample: one more step without cameras."""
    return replace(sample, provenance=(*sample.provenance, Provenance("facelift_reader.gslrm")))


def with_cameras(sample, cameras):
    views = tuple(
        replace(view, c2w=c2w, fxfycxcy=fxfycxcy)
        for view, c2w, fxfycxcy in zip(sample.views, cameras.c2w, cameras.fxfycxcy, strict=True)
    )
    return replace(sample, views=views)


def test_the_cameras_that_made_the_views_are_no_finding(found, generated):
    assert found(as_read(generated)) == ()


def test_pictures_of_a_camera_are_none_of_its_business(found):
    drawn = render_sample("heads", 0, rig="slots", size=SIZE)
    assert found(with_cameras(drawn, lab_rig(SIZE))) == ()
    assert found(replace(drawn, provenance=())) == ()


def test_a_rigs_cameras_are_refused_with_numbers(found, generated):
    (one,) = found(with_cameras(as_read(generated), lab_rig(SIZE)))
    assert (one.code, one.severity, one.where) == ("MFL063", "law", "head")
    rig, slots = lab_rig(SIZE), facelift_slots(SIZE)
    # By the trace of the relative rotation, which is not how the check does it.
    traces = np.einsum("vij,vij->v", rig.c2w[:, :3, :3], slots.c2w[:, :3, :3])
    angle = np.degrees(np.arccos((traces - 1) / 2)).max()
    away = np.linalg.norm(rig.centers - slots.centers, axis=1).max()
    lens = np.abs(rig.fxfycxcy - slots.fxfycxcy).max()
    assert f"{angle:.2f} degrees, {away:.3f} units and {lens:.2f} px" in one.value
    assert "opencv_cameras.json" in one.remedy


@pytest.mark.parametrize("view", [0, 3])
def test_one_camera_is_enough(found, generated, view):
    cameras = facelift_slots(SIZE)
    cameras.c2w[view, :3, 3] *= 1.01
    (one,) = found(with_cameras(as_read(generated), cameras))
    assert "up to 0.00 degrees, 0.027 units and 0.00 px" in one.value
    assert one.value.endswith(f"worst in view cam_{view:03d}")


def test_other_order_is_other_cameras(found, generated):
    (one,) = found(with_cameras(as_read(generated), facelift_slots(SIZE)[[0, 5, 4, 3, 2, 1]]))
    assert one.severity == "law"


@pytest.mark.parametrize(
    "use",
    [
        {"use": "facelift_cameras.virtual_camera", "mode": "subject"},
        {"use": "facelift_cameras.virtual_camera", "mode": "contract_focal"},
        {"use": "facelift_cameras.scene_scale"},
        {"use": "facelift_cameras.slots"},
        {"use": "facelift_cameras.up_axis", "up": [0.2, 0.1, 1.0]},
    ],
    ids=lambda use: "-".join(value for value in use.values() if isinstance(value, str)),
)
def test_exact_normalizers_leave_it_silent(host, found, generated, use):
    name, settings = use["use"], {key: value for key, value in use.items() if key != "use"}
    stage = host.build(CameraNormalizerSpec, name, settings)
    good = conform(stage(as_read(generated)), CONTRACT)
    assert found(good) == ()
    spoilt = with_cameras(as_read(generated), lab_rig(SIZE))
    (one,) = found(conform(stage(spoilt), CONTRACT))
    assert one.code == "MFL063"


def test_fewer_views_in_another_order_are_still_theirs(found, generated):
    chosen = warp_sample(as_read(generated), step="chosen", params={}, order=[5, 1, 2])
    assert found(chosen) == ()
    moved = warp_sample(chosen, step="moved", params={}, world=Similarity(scale=3.0))
    assert found(moved) == ()
    (one,) = found(with_cameras(moved, facelift_slots(SIZE)[[5, 1, 3]]))
    assert one.code == "MFL063"


def test_an_edited_record_is_refused(found, generated):
    """Cameras and record exchanged together; only the hash still knows better."""
    rig = lab_rig(SIZE)
    first = replace(generated.provenance[0], raw_cameras=to_raw_cameras(rig))
    forged = replace(with_cameras(generated, rig), provenance=(first,))
    (one,) = found(as_read(forged))
    assert "recorded cameras of hash" in one.value
    assert "degrees" in one.value
    (bare,) = found(replace(generated, provenance=(replace(first, raw_cameras=()),)))
    assert "recorded cameras of hash none" in bare.value


def test_an_inexact_step_speaks_for_itself(found, generated):
    """Its own finding is MFL007; the cameras before it can no longer be told."""
    rig = lab_rig(SIZE)
    moved = relabel_cameras(as_read(generated), rig, step="moved", params={"error_px": 9.0})
    assert found(moved) == ()
