"""Random inputs and targets beside one held-out view: a policy that breaks no rule."""

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.plugin import ComponentConfig, ViewPolicySpec, hookimpl
from mfl_adapt.types import ViewSplit

MFL_API = 1


class LastConfig(ComponentConfig):
    """``last`` has nothing to set."""


class Last:
    def __init__(self, config):
        self.inputs = 4

    def train(self, cameras, *, seed):
        kept = self.kept(cameras)
        generator = np.random.default_rng(seed)
        inputs = generator.choice(kept, size=self.inputs, replace=False)
        return ViewSplit(tuple(int(view) for view in inputs), tuple(kept))

    def evaluate(self, cameras):
        kept = self.kept(cameras)
        return ViewSplit(tuple(kept[: self.inputs]), (len(cameras) - 1,))

    def kept(self, cameras):
        if len(cameras) <= self.inputs:
            raise DataError(
                f"sound_policy.last: expected more than {self.inputs} views, got {len(cameras)}. "
                "Use a recording with more cameras."
            )
        return list(range(len(cameras) - 1))


@hookimpl
def register_components():
    return [
        ViewPolicySpec(
            name="last", summary="Holds out one view", config=LastConfig, build="sound_policy:Last"
        )
    ]
