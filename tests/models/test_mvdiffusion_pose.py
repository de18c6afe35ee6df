"""The place of a pose module in the denoiser: what reaches it, and where its terms go."""

import copy

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from small_views import SIZE, inputs, make_rig, make_views_base, output, to_items
from torch import nn

from mfl_adapt.cameras import facelift_slots
from mfl_adapt.errors import AdapterError, DataError, RangeError, ShapeError
from mfl_adapt.models.mvdiffusion.pose import flatten_cameras, pick_prompts
from mfl_adapt.models.mvdiffusion.training import draw_step, training_step
from mfl_adapt.types import Cameras


class Terms(nn.Module):
    """Adds fixed numbers, or what a rule makes of the cameras, and keeps what it was shown."""

    def __init__(self, latents=None, embedding=None, rule=None):
        super().__init__()
        self.latents, self.embedding, self.rule = latents, embedding, rule
        self.strength, self.prompts, self.seen = 1.0, "nearest", []

    def forward(self, cameras, *, height, width):
        self.seen.append(cameras)
        if self.rule is not None:
            return None, self.rule(cameras)
        count = cameras.c2w[..., 0, 0].numel()
        latents = embedding = None
        if self.latents is not None:
            latents = self.latents[None, :, None, None].expand(count, -1, height, width)
        if self.embedding is not None:
            embedding = self.embedding[None].expand(count, -1)
        return latents, embedding


def by_camera(cameras):
    """A term that differs between views and depends on view 0."""
    centers = cameras.centers + 0.5 * cameras.centers[:, :1]
    return centers.flatten(0, 1).repeat(1, 22)[:, :64]


@pytest.fixture
def base():
    return make_views_base()


@pytest.fixture
def rig():
    return make_rig()


def picture():
    return (np.random.default_rng(0).random((SIZE, SIZE, 3)) * 255).astype(np.uint8)


def test_without_a_pose_module_it_is_diffusers_own_network(base):
    stock = UNet2DConditionModel.from_config(dict(base.module.config))
    assert base.module.state_dict().keys() == stock.state_dict().keys()
    assert base.module.pose is None


def test_a_term_on_the_latents_is_a_bias_of_the_first_layer(base, rig):
    term = torch.linspace(-1, 1, 16)
    other = copy.deepcopy(base)
    with torch.no_grad():
        other.module.conv_in.bias.add_(term)
    base.module.pose = Terms(latents=term)
    made = output(base, to_items(rig))
    torch.testing.assert_close(made, output(other), atol=1e-5, rtol=1e-5)
    assert (made - output(make_views_base())).abs().max() > 1e-2


def test_a_term_on_the_embedding_is_a_bias_of_its_last_layer(base, rig):
    term = torch.linspace(-1, 1, 64)
    other = copy.deepcopy(base)
    with torch.no_grad():
        other.module.class_embedding.linear_2.bias.add_(term)
    base.module.pose = Terms(embedding=term)
    made = output(base, to_items(rig))
    torch.testing.assert_close(made, output(other), atol=1e-5, rtol=1e-5)
    assert (made - output(make_views_base())).abs().max() > 1e-2


def test_the_module_sees_objects_and_views(base, rig):
    base.module.pose = Terms()
    output(base, to_items(rig, objects=2), objects=2)
    (seen,) = base.module.pose.seen
    assert seen.shape == (2, 3)
    assert torch.equal(seen.c2w[1], torch.as_tensor(rig.c2w).float())


def test_at_strength_0_it_is_the_base_bit_for_bit(base, rig):
    bare = output(base)
    base.module.pose = Terms(embedding=torch.full((64,), float("nan")))
    base.module.pose.strength = 0.0
    assert torch.equal(output(base), bare)
    assert torch.equal(output(base, to_items(rig)), bare)
    assert base.module.pose.seen == []


def test_nothing_of_a_call_stays_behind(base, rig):
    bare = output(base)
    base.module.pose = Terms(embedding=torch.ones(64))
    output(base, to_items(rig))
    broken = inputs() | {"encoder_hidden_states": torch.zeros(3, 77, 5)}
    with pytest.raises(RuntimeError), base.module.viewing(3):
        base.module(**broken, cameras=to_items(rig))
    base.module.pose = None
    assert torch.equal(output(base), bare)


def test_cameras_and_pose_module_go_together(base, rig):
    with pytest.raises(AdapterError, match="expected a base with a pose adapter, got one that"):
        output(base, to_items(rig))
    with pytest.raises(AdapterError, match="expected a base with a pose adapter"):
        base.generate(picture(), base.prompt_embeds[:3], steps=1, cameras=rig)
    base.module.pose = Terms()
    with pytest.raises(AdapterError, match="cameras: expected one per view, as the base has"):
        output(base)
    with pytest.raises(AdapterError, match="cameras: expected one per view, as the base has"):
        base.generate(picture(), base.prompt_embeds[:3], steps=1)
    with pytest.raises(ShapeError, match=r"unet: cameras: expected \[3, 4, 4\], got \[2, 4, 4\]"):
        output(base, to_items(rig[:2]))


@pytest.mark.parametrize("guidance", [1.0, 2.5])
def test_views_made_apart_see_their_own_cameras(base, rig, guidance):
    base.module.pose = Terms(rule=by_camera)
    settings = {"steps": 2, "guidance": guidance, "cameras": rig}
    rows = base.prompts_for(rig)
    whole = base.generate(picture(), rows, **settings).images
    apart = base.generate(picture(), rows, views_at_once=1, **settings).images
    torch.testing.assert_close(apart, whole, atol=1e-4, rtol=0)
    moved = base.generate(picture(), rows, **settings | {"cameras": rig[[0, 2, 1]]}).images
    torch.testing.assert_close(moved[0], whole[0])
    assert (moved[1:] - whole[1:]).abs().max() > 1e-3


def test_a_training_step_takes_cameras_and_a_row_per_item(base, rig):
    base.module.num_views = 3
    base.module.pose = Terms(rule=by_camera)
    pictures = torch.rand(2, 3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    encoded = base.encode(pictures[:, 0], pictures)
    own = torch.Generator().manual_seed(1)
    draws = draw_step(encoded, shared=own, own=own)
    rows = base.prompts_for(rig)

    def predict(prompts, cameras):
        with torch.no_grad():
            return training_step(encoded, prompts, draws, base.parts, cameras=cameras).pred

    both = Cameras(np.stack([rig.c2w] * 2), np.stack([rig.fxfycxcy] * 2), SIZE, SIZE)
    shared = predict(rows, rig)
    assert torch.equal(predict(rows.repeat(2, 1, 1), both), shared)
    other = base.prompt_embeds[[0, 1, 2, 3, 4, 5]]
    assert not torch.equal(predict(other, rig), shared)
    with pytest.raises(ShapeError, match=r"\[3\] for one rig or \[2, 3\] for every object, got"):
        predict(rows, rig[:2])
    with pytest.raises(ShapeError, match="expected one number of views, got 3 in the targets, 4"):
        predict(base.prompt_embeds[:4], rig)
    with pytest.raises(AdapterError, match="as the base has a pose adapter, got none"):
        predict(rows, None)


def test_gradient_checkpointing_changes_no_gradient(base, rig):
    term = nn.Parameter(torch.zeros(64))
    base.module.pose = Terms(rule=lambda cameras: by_camera(cameras) + term)
    base.module.train()
    base.module.num_views = 3
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            base.module.enable_gradient_checkpointing()
        term.grad = None
        base.module(**inputs(), cameras=to_items(rig)).sample.square().sum().backward()
        gradients.append(term.grad)
    assert gradients[0].abs().max() > 0
    torch.testing.assert_close(gradients[1], gradients[0])


def test_flat_cameras(rig):
    flat = flatten_cameras(rig, 6, 3, torch.device("cpu"))
    assert flat.shape == (6,)
    assert flat.c2w.dtype == torch.float32
    np.testing.assert_allclose(flat.c2w[4], rig.c2w[1], atol=1e-6)
    with pytest.raises(ShapeError, match=r"expected \[3\] for one rig or \[2, 3\].*got \[6\]"):
        flatten_cameras(flat, 6, 3, torch.device("cpu"))
    spoilt = Cameras(rig.c2w * np.nan, rig.fxfycxcy, SIZE, SIZE)
    with pytest.raises(RangeError, match=r"cameras.c2w: expected finite numbers"):
        flatten_cameras(spoilt, 3, 3, torch.device("cpu"))


@pytest.mark.parametrize("turn", [0.0, 100.0, -33.0])
def test_slots_keep_their_rows_however_the_world_is_turned(base, turn):
    slots = facelift_slots(SIZE)
    angle = np.radians(turn)
    world = np.eye(4)
    world[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    turned = Cameras(world @ slots.c2w, slots.fxfycxcy, SIZE, SIZE)
    assert torch.equal(base.prompts_for(turned), base.prompt_embeds)


def test_each_view_gets_the_row_of_its_nearest_slot(base):
    # From view 0: 50 degrees towards +x is nearest to front-left, 100 the other way to right.
    rig = make_rig((10.0, 60.0, 270.0), (20.0, 40.0, 0.0))
    slots = base.prompt_embeds
    assert torch.equal(base.prompts_for(rig), slots[[0, 5, 2]])
    objects = Cameras(np.stack([rig.c2w, rig.c2w]), np.stack([rig.fxfycxcy] * 2), SIZE, SIZE)
    assert torch.equal(base.prompts_for(objects), slots[[0, 5, 2, 0, 5, 2]])


def test_neutral_rows_are_the_mean(base, rig):
    rows = base.prompts_for(rig, "neutral")
    torch.testing.assert_close(rows, base.prompt_embeds.mean(dim=0, keepdim=True).expand(3, -1, -1))
    base.module.pose = Terms()
    base.module.pose.prompts = "neutral"
    assert torch.equal(base.prompts_for(rig), rows)


def test_rigs_without_prompts(base):
    above = Cameras(np.eye(4)[None], np.ones((1, 4)), SIZE, SIZE)
    above.c2w[0, 2, 3] = 2.7
    with pytest.raises(DataError, match="straight above or below"):
        base.prompts_for(above)
    with pytest.raises(DataError, match="expected a base whose 6 views have slots, got 0 slots"):
        pick_prompts(make_rig(), base.prompt_embeds, (), "nearest")
    with pytest.raises(ShapeError, match=r"cameras: expected \[V\] or \[B, V\], got \[\]"):
        base.prompts_for(make_rig()[0])
