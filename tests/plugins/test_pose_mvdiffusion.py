"""Pose conditioning: what it makes of cameras, and that a denoiser learns to follow it."""

import functools
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from mfl_adapt_pose_mvdiffusion import register_components
from mfl_adapt_pose_mvdiffusion.angles import FEATURES, TURNS, angle_features
from mfl_adapt_pose_mvdiffusion.config import PoseConfig
from mfl_adapt_pose_mvdiffusion.pose import Pose
from mfl_adapt_pose_mvdiffusion.rays import pluecker_rays
from pydantic import ValidationError
from small_views import SIZE, inputs, make_rig, make_views_base, output, to_items

from mfl_adapt.adapter import attach
from mfl_adapt.cameras import facelift_slots, orbit, pixel_grid, ray_directions
from mfl_adapt.errors import AdapterError, DataError
from mfl_adapt.models.mvdiffusion.pose import join_cameras
from mfl_adapt.types import Cameras

KINDS = ("angles", "pluecker", "both")


@functools.cache
def network():
    """One denoiser for all tests that only look at it."""
    return make_views_base().module


def make_pose(kind):
    """A pose module alone, without LoRA."""
    return Pose(PoseConfig(kind=kind, hidden=16, targets="none"))


def batch(cameras):
    """One object, [1, V], float32."""
    return to_items(cameras)[None]


def terms(cameras, kind="both", seed=0):
    """The two terms of a module whose last layers are not zero."""
    torch.manual_seed(seed)
    module = Pose(PoseConfig(kind=kind, hidden=8)).extra(network())
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    with torch.no_grad():
        return module(batch(cameras), height=4, width=4)


def test_angles_by_hand():
    rig = orbit([270.0, 300.0], [10.0, -20.0], [2.7, 5.4], [1.07225355, 2.1445071], SIZE)
    features = angle_features(batch(rig))[0]
    assert features.shape == (2, FEATURES)
    first, other = features.tolist()
    sin, cos = math.sin, math.cos
    ten, twenty, thirty = (math.radians(angle) for angle in (10, 20, 30))
    own = [sin(ten), cos(ten), 0.0, 0.0]
    np.testing.assert_allclose(first, [0.0] * TURNS + [1.0] * TURNS + own * 2, atol=1e-5)
    turns = [sin(k * thirty) for k in (1, 2, 3, 4)] + [cos(k * thirty) for k in (1, 2, 3, 4)]
    far = [-sin(twenty), cos(twenty), math.log(2), math.log(2)]
    np.testing.assert_allclose(other, turns + far + own, atol=1e-5)


def test_rays_agree_with_the_projection():
    # View 0 stands in front, so that the world is not turned.
    rig = make_rig((270.0, 200.0), (0.0, 30.0))
    rays = pluecker_rays(batch(rig), height=SIZE, width=SIZE)[0].numpy()
    pixels = pixel_grid(SIZE, SIZE).reshape(-1, 2)
    for view in range(2):
        directions = ray_directions(pixels, rig.c2w[view], rig.fxfycxcy[view])
        moments = np.cross(rig.centers[view] / 2.7, directions)
        expected = np.concatenate([directions, moments], axis=1).T.reshape(6, SIZE, SIZE)
        np.testing.assert_allclose(rays[view], expected, atol=1e-5)


def test_coarse_rays_pass_through_the_middle_of_their_cells():
    rig = make_rig((270.0, 200.0), (0.0, 30.0))
    coarse = pluecker_rays(batch(rig), height=4, width=4)[0].numpy()
    # A cell is 2 x 2 pixels; its middle is the corner that they share.
    pixels = 2.0 * pixel_grid(4, 4).reshape(-1, 2)
    directions = ray_directions(pixels, rig.c2w[1], rig.fxfycxcy[1])
    np.testing.assert_allclose(coarse[1, :3].reshape(3, -1).T, directions, atol=1e-5)


def test_autocast_rounds_no_ray():
    module = Pose(PoseConfig(kind="pluecker", hidden=8)).extra(network())
    seen = []
    module.rays.layers[0].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            module(batch(make_rig()), height=4, width=4)
    assert torch.equal(*seen)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("turn", [35.0, 180.0, -100.0])
def test_the_azimuth_of_the_world_has_no_say(kind, turn):
    for one, other in zip(terms(make_rig(), kind), terms(make_rig(turn=turn), kind), strict=True):
        if one is None:
            assert other is None
        else:
            torch.testing.assert_close(other, one, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "other",
    [
        make_rig((270.0, 200.0, 46.0)),
        make_rig((270.0, 200.0, -45.0)),  # the other side
        make_rig(elevations=(10.0, 30.0, 5.0)),
        make_rig(elevations=(20.0, 30.0, -5.0)),
    ],
)
def test_every_other_change_of_a_rig_tells(kind, other):
    for one, two in zip(terms(make_rig(), kind), terms(other, kind), strict=True):
        if one is not None:
            assert (one - two).abs().max() > 1e-3


def test_distance_and_focal_length_tell():
    near = orbit([270.0, 200.0], [0.0, 0.0], [2.7, 2.7], [1.07, 1.07], SIZE)
    far = orbit([270.0, 200.0], [0.0, 0.0], [2.7, 3.7], [1.07, 1.07], SIZE)
    tele = orbit([270.0, 200.0], [0.0, 0.0], [2.7, 2.7], [1.07, 1.6], SIZE)
    for other in (far, tele):
        for one, two in zip(terms(near), terms(other), strict=True):
            size = one.shape[0] // 2
            torch.testing.assert_close(one[:size], two[:size])
            assert (one[size:] - two[size:]).abs().max() > 1e-3


def test_the_slots_are_told_apart():
    features = angle_features(batch(facelift_slots(SIZE)))[0]
    apart = torch.cdist(features, features) + 10 * torch.eye(6)
    assert apart.min() > 0.5


def roll(angle_deg):
    angle = math.radians(angle_deg)
    change = np.eye(4)
    change[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    return change


def turned_in_place(cameras, view, change):
    c2w = cameras.c2w.copy()
    c2w[view] = c2w[view] @ change
    return Cameras(c2w, cameras.fxfycxcy, cameras.height, cameras.width)


def test_angles_refuse_cameras_that_they_cannot_describe():
    rig = make_rig()
    terms(turned_in_place(rig, 1, roll(4.0)), "angles")
    aside = np.eye(4)
    aside[0, 0], aside[0, 2] = math.cos(0.2), math.sin(0.2)
    aside[2, 0], aside[2, 2] = -math.sin(0.2), math.cos(0.2)
    for change in (roll(8.0), roll(180.0), aside):
        odd = turned_in_place(rig, 1, change)
        with pytest.raises(DataError, match=r"look at the subject upright.* as view 1\. Normalise"):
            terms(odd, "angles")
        assert torch.isfinite(terms(odd, "pluecker")[0]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_view_0_without_azimuth_is_refused(kind):
    above = np.diag([1.0, -1.0, -1.0, 1.0])
    above[2, 3] = 2.7
    rig = make_rig()
    c2w = np.concatenate([above[None], rig.c2w[1:]])
    odd = Cameras(c2w, rig.fxfycxcy, rig.height, rig.width)
    with pytest.raises(DataError, match=r"cameras: expected .*(view 0 beside|as view 0)"):
        terms(odd, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_module_adds_zero(kind):
    module = Pose(PoseConfig(kind=kind, hidden=8)).extra(network())
    made = module(batch(make_rig()), height=4, width=4)
    assert [term is None for term in made] == [kind == "angles", kind == "pluecker"]
    assert all(term is None or not term.any() for term in made)
    shapes = [term if term is None else tuple(term.shape) for term in made]
    assert shapes == [
        None if kind == "angles" else (3, 16, 4, 4),
        None if kind == "pluecker" else (3, 64),
    ]


@pytest.mark.parametrize(
    ("targets", "count"),
    [
        ("attention", 2 * 4 * 4),
        ("multiview", 4 * 4),
        ("cross", 4 * 4),
        ("time", 8),
        (("cross", "time"), 4 * 4 + 8),
        ("mid_block.*.attn2.to_k", 1),
    ],
)
def test_targets(targets, count):
    # Four attending blocks: one down, the middle, two up; eight residual blocks take the time in.
    config = Pose(PoseConfig(targets=targets, r=3)).peft_config(network())
    assert len(config.target_modules) == count
    assert config.r == 3


def test_targets_and_bases_that_do_not_fit():
    module = network()
    assert Pose(PoseConfig(targets="none")).peft_config(module) is None
    with pytest.raises(AdapterError, match=r"got 'atention'. Did you mean 'attention'"):
        Pose(PoseConfig(targets="atention")).peft_config(module)
    for call in (Pose(PoseConfig()).peft_config, Pose(PoseConfig()).extra):
        with pytest.raises(AdapterError, match=r"expected a base that makes views .*, got Linear"):
            call(torch.nn.Linear(1, 1))
    with pytest.raises(ValidationError, match="'angles', 'pluecker' or 'both'"):
        PoseConfig(kind="plucker")


def test_the_recipe_is_the_section_of_a_configuration():
    config = PoseConfig(kind="both", prompts="neutral", targets=("cross",))
    recipe = dict(Pose(config).extra(network()).recipe)
    assert recipe.pop("use") == "pose_mvdiffusion.pose"
    assert PoseConfig.model_validate(recipe) == config


@pytest.mark.parametrize("kind", ["angles", "pluecker"])
def test_it_learns_what_another_one_knows(kind):
    """Two objects differ in nothing but the camera of view 1."""
    rigs = [to_items(make_rig((270.0, azimuth), (0.0, 0.0))) for azimuth in (250.0, 290.0)]
    given = {
        name: value if value.dim() == 0 else value.repeat(2, *[1] * (value.dim() - 1))
        for name, value in inputs(views=2).items()
    }
    base = make_views_base()
    base.module.num_views = 2
    teacher = attach(base, make_pose(kind), seed=1)
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.normal_(std=0.5, generator=torch.Generator().manual_seed(parameter.numel()))
        wanted = base.module(**given, cameras=join_cameras(*rigs)).sample
    teacher.remove()
    pupil = attach(base, make_pose(kind), seed=0)
    optimizer = torch.optim.AdamW(pupil.parameters(), lr=0.03)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        made = base.module(**given, cameras=join_cameras(*rigs)).sample
        loss = (made - wanted).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    with torch.no_grad():
        swapped = base.module(**given, cameras=join_cameras(*rigs[::-1])).sample
    assert losses[-1] < 0.5 * losses[0]
    assert float((swapped - wanted).square().mean()) > 1.2 * losses[-1]


def test_listing_needs_no_torch():
    code = (
        "import sys; from mfl_adapt_pose_mvdiffusion import register_components;"
        "register_components(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
    (spec,) = register_components()
    assert (spec.name, spec.build) == ("pose", "mfl_adapt_pose_mvdiffusion.pose:Pose")


def test_it_runs_through_the_network():
    base = make_views_base()
    bare = output(base)
    adapter = attach(base, Pose(PoseConfig(kind="both", hidden=8)), seed=0)
    base.module.num_views = 3
    made = base.module(**inputs(), cameras=to_items(make_rig())).sample
    made.square().mean().backward()
    zero = adapter.extra.angles.layers[-1].weight
    assert torch.equal(made, bare)
    assert zero.grad.abs().max() > 0
