"""One drawing with all its gradients, by the compiled rasterizer."""

from mfl_adapt.render import cpu


def draw(scene, boxes=None):
    """Picture, and gradients of the Gaussians and the view matrices."""
    tensors = [field.float().requires_grad_() for field in scene[:6]]
    drawn = cpu.rasterize(
        *tensors, scene.fxfycxcy.float(), scene.width, scene.height,
        background=scene.background.float(), near=0.2, boxes=boxes,
    )  # fmt: skip
    (drawn.rgb.square().sum() + drawn.depth.sum() + drawn.alpha.sum()).backward()
    return [part.detach() for part in drawn] + [tensor.grad for tensor in tensors]
