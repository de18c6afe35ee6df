"""From a framed picture to Gaussians: slots, order, filters, seeds."""

import numpy as np
import pytest
import torch
from stand_ins import COLOURS, GaussiansStandIn, ViewsStandIn, ball

from mfl_adapt.cameras import facelift_ring
from mfl_adapt.errors import ConfigError, PluginError
from mfl_adapt.images import composite
from mfl_adapt.metrics import foreground_psnr
from mfl_adapt.models.gslrm.config import TINY
from mfl_adapt.models.gslrm.filters import EXPORT, SCRIPT
from mfl_adapt.models.gslrm.frozen import load_shipped
from mfl_adapt.models.mvdiffusion.config import TINY_CONTRACT
from mfl_adapt.predict.framed import Framed
from mfl_adapt.predict.predictor import FILTERS, Predictor, PredictSettings, choose_filter
from mfl_adapt.predict.views import ViewsBase, slot_cameras, slot_names
from mfl_adapt.render import render
from mfl_adapt.synth import make_scene, render_sample, render_scene, scene_seed
from mfl_adapt.types import Cameras

SLOTS_DEG = (270.0, 225.0, 180.0, 90.0, 0.0, 315.0)
# A mirrored model would make the right side where the left one belongs.
MIRRORED = [0, 5, 4, 3, 2, 1]


def framed():
    rgb, mask = ball(64, 64, center=(32.0, 32.0))
    return Framed(rgb, rgb, mask, np.eye(3), "as it is")


def over_white(view):
    return np.rint(composite(view.rgb, view.mask, 1.0) * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def head():
    """True views of a head from the slots, and from a ring that is not among them."""
    sample = render_sample("heads", 3, "validation", rig="slots", size=64)
    views = np.stack([over_white(view) for view in sample.views])
    ring = facelift_ring(3, 10.0, size=64, phase_deg=20.0)
    pictures = render_scene(make_scene("heads", scene_seed("validation", 3)), ring)
    truth = [one.rgb * one.alpha[..., None] + 1 - one.alpha[..., None] for one in pictures]
    to_tensor = lambda each: torch.from_numpy(np.stack(each)).float()[None]  # noqa: E731
    rgb = to_tensor(truth).permute(0, 1, 4, 2, 3)
    masks = to_tensor([one.alpha[None] for one in pictures])
    return views, Cameras(ring.c2w[None], ring.fxfycxcy[None], 64, 64), rgb, masks


def likeness(views, head):
    """Foreground PSNR in dB of what the small model makes of views, from cameras it never had."""
    _, cameras, truth, masks = head
    predictor = Predictor(ViewsStandIn(views), load_shipped("facelift_tiny", id="facelift.tiny"))
    made = predictor.predict(framed())
    with torch.no_grad():
        drawn = render(made.reconstruction.gaussians, cameras, depth=False).rgb
    return float(foreground_psnr(drawn, truth, masks).mean())


def test_slots_stand_where_their_views_were_seen_and_a_mirrored_order_does_not(head):
    views = head[0]
    right, mirrored = likeness(views, head), likeness(views[MIRRORED], head)
    assert right > 20
    assert right - mirrored > 5


def test_cameras_stand_at_the_slots_azimuths():
    cameras = slot_cameras(TINY_CONTRACT, 64)
    azimuths = np.degrees(np.arctan2(cameras.centers[:, 1], cameras.centers[:, 0])) % 360
    assert azimuths == pytest.approx(SLOTS_DEG, abs=1e-9)
    assert cameras.centers[:, 2] == pytest.approx(0, abs=1e-12)
    assert np.linalg.norm(cameras.centers, axis=1) == pytest.approx(2.7)
    # Half of 64 px over the tangent of half of 50 degrees.
    assert cameras.fxfycxcy == pytest.approx(np.tile([68.6242, 68.6242, 32, 32], (6, 1)), abs=1e-3)


def test_the_subjects_right_is_seen_from_minus_x():
    # The subject faces -y with z up, so its right hand points to -x.
    names = slot_names(SLOTS_DEG)
    centers = dict(zip(names, slot_cameras(TINY_CONTRACT, 64).centers, strict=True))
    assert centers["right"] == pytest.approx([-2.7, 0, 0], abs=1e-9)
    assert centers["left"] == pytest.approx([2.7, 0, 0], abs=1e-9)
    assert centers["front"] == pytest.approx([0, -2.7, 0], abs=1e-9)
    assert centers["front_right"][0] < 0
    assert slot_names((30.0, 450.0)) == ("azimuth_30", "back")


def test_every_view_meets_its_own_camera():
    views_base, base = ViewsStandIn(), GaussiansStandIn()
    made = Predictor(views_base, base).predict(framed())
    rgb, cameras = base.seen[0]
    middles = (rgb[0, :, :, 32, 32] * 255).round().int().tolist()
    assert [tuple(one) for one in middles] == list(COLOURS)
    centers = np.asarray(cameras.c2w)[0, :, :3, 3]
    azimuths = np.degrees(np.arctan2(centers[:, 1], centers[:, 0])) % 360
    assert azimuths == pytest.approx(SLOTS_DEG, abs=1e-4)
    assert made.names[2] == "right"
    assert np.array_equal(made.views, views_base.views)


def test_chosen_slots_take_their_cameras_along():
    base = GaussiansStandIn()
    settings = PredictSettings(views=(0, 4, 3))
    made = Predictor(ViewsStandIn(), base, settings=settings).predict(framed())
    rgb, cameras = base.seen[0]
    middles = (rgb[0, :, :, 32, 32] * 255).round().int().tolist()
    assert [tuple(one) for one in middles] == [COLOURS[0], COLOURS[4], COLOURS[3]]
    assert np.asarray(cameras.c2w)[0, 1, :3, 3] == pytest.approx([2.7, 0, 0], abs=1e-6)
    assert made.reconstruction.names == ("front", "left", "back")
    assert len(made.views) == 6


@pytest.mark.parametrize("views", [(), (0, 0), (6,), (-1,)])
def test_slots_that_do_not_exist(views):
    with pytest.raises(ConfigError, match="--views: expected all, or different slots from 0 to 5"):
        Predictor(ViewsStandIn(), GaussiansStandIn(), settings=PredictSettings(views=views))


def test_settings_reach_the_views_base_and_steps_are_reported():
    views_base, told = ViewsStandIn(), []
    settings = PredictSettings(steps=3, guidance=1.5, seed=9, views_at_once=2)
    predictor = Predictor(views_base, GaussiansStandIn(), settings=settings)
    predictor.predict(framed(), report=lambda *step: told.append(step))
    picture, given = views_base.seen[0]
    assert np.array_equal(picture, framed().rgb)
    assert {name: given[name] for name in ("steps", "guidance", "seed", "views_at_once")} == {
        "steps": 3, "guidance": 1.5, "seed": 9, "views_at_once": 2,
    }  # fmt: skip
    assert told == [("views", 1, 3), ("views", 2, 3), ("views", 3, 3)]


def test_a_pose_adapter_is_told_the_slots_cameras():
    class Posed(ViewsStandIn):
        def prompts_for(self, cameras):
            return torch.full((len(cameras), 77, 4), 7.0)

        def generate(self, pictures, prompt_embeds, **settings):
            assert (prompt_embeds == 7).all()
            return super().generate(pictures, prompt_embeds, **settings)

    views_base = Posed()
    views_base.module.pose = torch.nn.Identity()
    Predictor(views_base, GaussiansStandIn()).predict(framed())
    cameras = views_base.seen[0][1]["cameras"]
    assert cameras.centers[4] == pytest.approx([2.7, 0, 0], abs=1e-9)
    assert cameras.width == 64


def test_transparent_gaussians_go_and_their_indices_are_known():
    made = Predictor(ViewsStandIn(), GaussiansStandIn()).predict(framed()).reconstruction
    assert made.kept.tolist() == [0, 2, 4, 6, 8, 10]
    assert made.total == 12
    assert made.gaussians.means.shape == (1, 6, 3)
    assert (made.gaussians.opacities == 0.9).all()


def test_no_filter_keeps_all():
    settings = PredictSettings(filter="none")
    made = Predictor(ViewsStandIn(), GaussiansStandIn(), settings=settings).predict(framed())
    assert made.reconstruction.kept.tolist() == list(range(12))


def test_filters_by_name():
    assert choose_filter("auto", "facelift.gslrm") == SCRIPT
    assert choose_filter("auto", "facelift.tiny") == FILTERS["opacity"]
    assert choose_filter("export", "facelift.tiny") == EXPORT
    with pytest.raises(ConfigError, match="--filter: expected one of auto, script"):
        choose_filter("strict", "facelift.tiny")


def test_views_of_another_size_are_resized_for_the_reconstructor():
    base = GaussiansStandIn()
    base.contract = TINY.model_copy(update={"image_size": 128}).contract()
    made = Predictor(ViewsStandIn(), base).predict(framed())
    rgb, cameras = base.seen[0]
    assert rgb.shape[-2:] == (128, 128)
    assert made.cameras.fxfycxcy[0] == pytest.approx([137.248, 137.248, 64, 64], abs=1e-3)
    assert (cameras.height, cameras.width) == (128, 128)


def test_a_base_that_makes_too_few_views():
    views_base = ViewsStandIn(ViewsStandIn().views[:4])
    with pytest.raises(PluginError, match="expected 6 views, one per slot, got 4"):
        Predictor(views_base, GaussiansStandIn()).predict(framed())


def test_a_base_without_slots():
    views_base = ViewsStandIn()
    views_base.contract = TINY.contract()
    with pytest.raises(ConfigError, match="says where its views stand"):
        Predictor(views_base, GaussiansStandIn())


def test_a_diffusion_model_fits_and_a_seed_repeats_its_views():
    from mfl_adapt.models.mvdiffusion.fresh import build_fresh
    from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion

    views_base = FrozenMVDiffusion(build_fresh(), id="fresh.views")
    assert isinstance(views_base, ViewsBase)
    assert isinstance(ViewsStandIn(), ViewsBase)

    def views(seed):
        settings = PredictSettings(steps=2, seed=seed)
        return Predictor(views_base, GaussiansStandIn(), settings=settings).predict(framed()).views

    first = views(1)
    assert first.shape == (6, 64, 64, 3)
    assert np.array_equal(views(1), first)
    assert not np.array_equal(views(2), first)
