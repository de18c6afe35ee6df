"""A masked loss that breaks no rule."""

from mfl_adapt.plugin import ComponentConfig, LossSpec, hookimpl

MFL_API = 1


class MaskedL1Config(ComponentConfig):
    """``masked_l1`` has nothing to set."""


class MaskedL1:
    reach_px = 0

    def __init__(self, config):
        self.config = config

    def __call__(self, pred, target, mask, context):
        from mfl_adapt.metrics import check_pictures

        check_pictures("masked_l1", pred, target, mask)
        error = (pred - target).masked_fill(mask == 0, 0).abs() * mask
        total = mask.sum(dim=(2, 3, 4)).clamp_min(1)
        return error.sum(dim=(2, 3, 4)) / total


@hookimpl
def register_components():
    return [
        LossSpec(
            name="masked_l1",
            summary="Mean absolute error in the mask",
            config=MaskedL1Config,
            build="sound_loss:MaskedL1",
        )
    ]
