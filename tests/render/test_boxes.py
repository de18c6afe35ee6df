"""Drawing only where a box says: there the pictures and their gradients are those of the whole."""

import sys
import types

import pytest
import torch
from helpers import needs_cuda
from scenes import SCENES, many, plain

from mfl_adapt.errors import RangeError, ShapeError
from mfl_adapt.render import cpu, gsplat, reference, render
from mfl_adapt.types import Cameras, Gaussians

BOXES = {
    "in the middle": [[20, 9, 33, 24], [11, 12, 18, 13]],
    "at the edges": [[0, 0, 7, 37], [40, 30, 53, 37]],
    "one region": [[32, 0, 53, 32], [0, 32, 32, 37]],
    "one is empty": [[0, 0, 0, 0], [5, 5, 20, 20]],
    "both are empty": [[9, 9, 9, 30], [50, 20, 53, 20]],
    "everything": [[0, 0, 53, 37], [0, 0, 53, 37]],
}


def inside(boxes, height, width):
    """1 where a box is, by loops, [V, 1, H, W]."""
    picture = torch.zeros(len(boxes), 1, height, width)
    for view, (left, top, right, bottom) in enumerate(boxes.tolist()):
        for row in range(top, bottom):
            for column in range(left, right):
                picture[view, 0, row, column] = 1
    return picture


def drawn(rasterize, scene, boxes, reads, dtype=torch.float32, device="cpu"):
    """What a loss on those pixels sees, and the gradients that it gives."""
    tensors = [field.to(device, dtype).requires_grad_() for field in scene[:6]]
    background = scene.background.to(device, dtype).requires_grad_()
    made = rasterize(
        *tensors, scene.fxfycxcy.to(device, dtype), scene.width, scene.height,
        background=background, near=0.2, boxes=boxes,
    )  # fmt: skip
    picture = torch.cat([made.rgb, made.alpha, made.depth], 1)
    seen = picture.masked_fill(reads.to(device) == 0, 0)
    leaves = [*tensors, background]
    grads = torch.autograd.grad((seen.sin() * seen).sum(), leaves)
    return picture.detach(), seen.detach(), grads


@pytest.mark.parametrize("name", list(BOXES))
@pytest.mark.parametrize("build", SCENES, ids=lambda build: build.__name__)
def test_compiled_boxes_have_the_bits_of_the_whole_picture(build, name):
    scene, boxes = build(), torch.tensor(BOXES[name])
    reads = inside(boxes, scene.height, scene.width)
    _, seen, grads = drawn(cpu.rasterize, scene, None, reads)
    picture, seen_in_boxes, grads_in_boxes = drawn(cpu.rasterize, scene, boxes, reads)
    assert torch.equal(seen, seen_in_boxes)
    assert all(torch.equal(*pair) for pair in zip(grads, grads_in_boxes, strict=True))
    assert torch.isfinite(picture).all()


def test_many_gaussians_in_several_chunks_and_threads():
    scene, boxes = many(), torch.tensor([[30, 3, 69, 20], [0, 35, 64, 40]])
    reads = inside(boxes, scene.height, scene.width)
    whole = drawn(cpu.rasterize, scene, None, reads)
    before, results = torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        results.append(drawn(cpu.rasterize, scene, boxes, reads))
    torch.set_num_threads(before)
    for result in results:
        assert torch.equal(result[1], whole[1])
        assert all(torch.equal(*pair) for pair in zip(result[2], whole[2], strict=True))


@pytest.mark.parametrize("name", list(BOXES))
@pytest.mark.parametrize("build", [plain, SCENES[2], SCENES[5]], ids=lambda build: build.__name__)
def test_boxes_in_plain_torch(build, name):
    scene, boxes = build(), torch.tensor(BOXES[name])
    reads = inside(boxes, scene.height, scene.width)
    _, seen, grads = drawn(reference.rasterize, scene, None, reads, torch.float64)
    picture, seen_in_boxes, others = drawn(reference.rasterize, scene, boxes, reads, torch.float64)
    # Its sums run over the pairs of all pixels, and fewer pairs round differently.
    torch.testing.assert_close(seen_in_boxes, seen, rtol=1e-12, atol=1e-12)
    for one, other in zip(grads, others, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-9, atol=1e-10)
    outside = (reads == 0).expand_as(picture[:, :3])
    background = scene.background[:, :, None, None].expand_as(picture[:, :3])
    assert torch.equal(picture[:, :3][outside], background[outside])


@pytest.mark.parametrize("rasterize", [cpu.rasterize, reference.rasterize])
def test_nothing_is_drawn_in_empty_boxes(rasterize):
    scene, boxes = plain(), torch.zeros(2, 4, dtype=torch.int64)
    picture, _, grads = drawn(rasterize, scene, boxes, torch.ones(2, 1, 37, 53))
    background = scene.background.float()[:, :, None, None].expand(2, 3, 37, 53)
    assert torch.equal(picture[:, :3], background)
    assert not picture[:, 3:].any()
    assert not any(grad.any() for grad in grads[:6])


def test_what_no_box_touches_is_not_drawn_at_all():
    scene = plain()
    boxes = torch.tensor([[33, 2, 34, 3], [0, 0, 1, 1]])  # one region of four each
    picture, _, _ = drawn(cpu.rasterize, scene, boxes, torch.ones(2, 1, 37, 53))
    whole, _, _ = drawn(cpu.rasterize, scene, None, torch.ones(2, 1, 37, 53))
    kept = torch.zeros(2, 1, 37, 53)
    kept[0, :, :32, 32:], kept[1, :, :32, :32] = 1, 1
    assert torch.equal(picture[:, 3:], (whole * kept)[:, 3:])


def test_tiles_of_boxes():
    boxes = torch.tensor([[15, 16, 17, 17], [0, 0, 53, 37], [8, 8, 8, 20], [48, 32, 53, 37]])
    tiles = gsplat.tiles_in(boxes, 4, 3)
    pixels = inside(boxes, 48, 64).unfold(2, 16, 16).unfold(3, 16, 16)
    assert torch.equal(tiles, pixels.amax(dim=(1, 4, 5)) > 0)


def test_the_stages_of_gsplat(monkeypatch):
    scene, call = plain(n=3), {}
    views, n = 2, 3

    def fully_fused_projection(means, covars, quats, scales, viewmats, matrices, *size, **rest):
        call.update(rest, covars=covars, size=size)
        ones = torch.ones(views, n)
        return ones[..., None].int(), ones[..., None], ones, ones[..., None], None

    def isect_tiles(means2d, radii, depths, *tiles, packed, n_images):
        call.update(tiles=tiles)
        return None, torch.zeros(5), torch.arange(5)

    def isect_offset_encode(tiles, n_images, across, down):
        return torch.zeros(n_images, down, across, dtype=torch.int32)

    def rasterize_to_pixels(means2d, conics, colors, opacities, *size, masks):
        call.update(masks=masks, channels=colors.shape[-1])
        height, width = size[1], size[0]
        image = torch.full((views, height, width, colors.shape[-1]), 0.25)
        return image, torch.full((views, height, width, 1), float("nan"))

    module = types.ModuleType("gsplat")
    for function in (
        fully_fused_projection, isect_tiles, isect_offset_encode, rasterize_to_pixels,
    ):  # fmt: skip
        setattr(module, function.__name__, function)
    monkeypatch.setitem(sys.modules, "gsplat", module)
    monkeypatch.setattr(gsplat, "version", lambda _: "1.5.3")
    *inputs, background = scene
    boxes = torch.tensor([[0, 0, 16, 16], [0, 0, 0, 0]])
    made = gsplat.rasterize(*inputs, background=background, near=0.2, boxes=boxes)
    assert (call["size"], call["tiles"]) == ((53, 37), (16, 4, 3))
    assert (call["near_plane"], call["channels"]) == (0.2, 4)
    assert call["masks"].nonzero().tolist() == [[0, 0, 0]]
    # Alpha that was never written is 0, and the background stands where nothing is drawn.
    assert torch.isnan(made.alpha[0, 0, :16, :16]).all()
    assert not made.alpha[0, 0, 16:].any()
    assert not made.alpha[1].any()
    expected = 0.25 + background[1][:, None, None].expand(3, 37, 53)
    assert torch.equal(made.rgb[1], expected)
    without = gsplat.rasterize(*inputs, background=background, near=0.2, boxes=boxes, depth=False)
    assert without.depth is None


@needs_cuda
@pytest.mark.gpu
def test_boxes_on_cuda():
    scene, boxes = many(), torch.tensor([[30, 3, 69, 20], [0, 35, 64, 40]])
    reads = inside(boxes, scene.height, scene.width)
    _, seen, grads = drawn(gsplat.rasterize, scene, None, reads, device="cuda")
    settings = {"device": "cuda"}
    _, others, other_grads = drawn(gsplat.rasterize, scene, boxes.cuda(), reads, **settings)
    assert torch.equal(seen, others)
    for one, other in zip(grads, other_grads, strict=True):
        assert (one - other).norm() <= 1e-5 * one.norm()  # sums of its threads have no fixed order


def front(views=2, width=28, height=20):
    """Two scenes before cameras in a row."""
    g = torch.Generator().manual_seed(0)
    scene = Gaussians(
        means=0.4 * torch.randn(2, 40, 3, generator=g),
        quats=torch.randn(2, 40, 4, generator=g),
        scales=0.05 + 0.1 * torch.rand(2, 40, 3, generator=g),
        opacities=torch.rand(2, 40, generator=g),
        sh=torch.randn(2, 40, 1, 3, generator=g),
    )
    c2w = torch.eye(4).repeat(2, views, 1, 1)
    c2w[..., 2, 3] = -2.7
    intrinsics = torch.tensor([30.0, 30.0, width / 2, height / 2]).expand(2, views, 4)
    return scene, Cameras(c2w, intrinsics, height, width)


@pytest.mark.parametrize("backend", ["cpu", "torch"])
def test_boxes_of_several_scenes(backend):
    scene, cameras = front()
    boxes = torch.tensor([[[3, 2, 9, 9], [0, 0, 0, 0]], [[0, 0, 28, 20], [20, 10, 28, 20]]])
    whole = render(scene, cameras, backend=backend)
    part = render(scene, cameras, backend=backend, boxes=boxes.int())
    kept = inside(boxes.flatten(0, 1), 20, 28).unflatten(0, (2, 2))
    for one, other in zip(whole, part, strict=True):
        torch.testing.assert_close(one * kept, other * kept, rtol=1e-6, atol=1e-7)
    assert (part.rgb[0, 1] == 1).all()


@pytest.mark.parametrize(
    ("boxes", "error", "words"),
    [
        (torch.zeros(2, 3, 4).long(), ShapeError, r"boxes: expected \[2, 2, 4\]"),
        (torch.zeros(2, 2, 4), RangeError, "whole pixels within 20 x 28, got torch.float32"),
        (torch.tensor([0, 0, 29, 20]).expand(2, 2, 4), RangeError, "from 0 to 29"),
        (torch.tensor([5, 0, 4, 20]).expand(2, 2, 4), RangeError, "one past the last"),
        (torch.tensor([-1, 0, 4, 20]).expand(2, 2, 4), RangeError, "from -1 to 20"),
    ],
)
def test_other_boxes_are_refused(boxes, error, words):
    with pytest.raises(error, match=words):
        render(*front(), boxes=boxes)
