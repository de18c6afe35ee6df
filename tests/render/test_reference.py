"""The torch rasterizer: gradients in float64, and chunks that change nothing."""

import torch
from scenes import many, plain

from mfl_adapt.render import reference


def test_gradcheck_in_float64():
    scene = plain(n=4, views=1, width=5, height=4)
    scene = scene._replace(
        scales=scene.scales + 0.3,  # every pixel stays far from the alpha threshold
        opacities=0.3 + 0.3 * scene.opacities,
        fxfycxcy=torch.tensor([[5.0, 6.0, 2.6, 1.9]]).double(),
    )
    tensors = [field.requires_grad_() for field in (*scene[:6], scene.background)]

    def draw(*inputs):
        *fields, background = inputs
        return reference.rasterize(*fields, scene.fxfycxcy, 5, 4, background=background, near=0.2)

    assert torch.autograd.gradcheck(draw, tensors, eps=1e-7, atol=1e-5, rtol=1e-4)


def test_chunks_do_not_change_the_picture(monkeypatch):
    scene = many()
    *inputs, background = scene
    whole = reference.rasterize(*inputs, background=background, near=0.2)
    monkeypatch.setattr(reference, "_PAIRS_AT_ONCE", 700)
    chunked = reference.rasterize(*inputs, background=background, near=0.2)
    torch.testing.assert_close(chunked.rgb, whole.rgb, rtol=0, atol=1e-12)
    assert whole.alpha.max() > 0.999  # full pixels were dropped on the way
