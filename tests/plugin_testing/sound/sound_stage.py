"""A crop by a fixed margin: a preprocessor that breaks no rule."""

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.plugin import ComponentConfig, PreprocessorSpec, hookimpl

MFL_API = 1
STEP = "sound_stage.crop"


class CropConfig(ComponentConfig):
    """Settings of ``crop``."""

    margin: int = 6


class Crop:
    def __init__(self, config):
        self.margin = config.margin

    def __call__(self, sample):
        from mfl_adapt.images import warp_sample

        margin = self.margin
        for view in sample.views:
            if view.mask is None:
                raise DataError(
                    f"sample {sample.id}, view {view.name}: expected a mask, got none. Add "
                    "preprocess.auto_mask before."
                )
            least_seen = view.mask.max()
        sizes = [(view.height - 2 * margin, view.width - 2 * margin) for view in sample.views]
        shift = np.array([[1.0, 0.0, -margin], [0.0, 1.0, -margin], [0.0, 0.0, 1.0]])
        maps = [shift] * len(sizes)
        params = {"margin": self.margin, "least_seen": int(least_seen)}
        return warp_sample(sample, step=STEP, params=params, pixel_maps=maps, sizes=sizes)


@hookimpl
def register_components():
    return [
        PreprocessorSpec(
            name="crop", summary="Cuts a margin off", config=CropConfig, build="sound_stage:Crop"
        )
    ]
