"""Diffusers' stock UNet with views that see one another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diffusers import UNet2DConditionModel
from torch import Tensor

from mfl_adapt.errors import RangeError
from mfl_adapt.models.mvdiffusion.attention import (
    ViewAttention,
    ViewLayout,
    attn1_layers,
    check_processors,
)
from mfl_adapt.models.mvdiffusion.config import Pattern, UNetSettings
from mfl_adapt.models.mvdiffusion.options import known_options
from mfl_adapt.models.mvdiffusion.pose import adding_pose
from mfl_adapt.types import Cameras

# What decides the computation beside the tensors. Neither the picture size nor the number of
# views is here: the same weights serve any of them.
_ARCHITECTURE = (
    "act_fn",
    "attention_head_dim",
    "block_out_channels",
    "center_input_sample",
    "class_embeddings_concat",
    "down_block_types",
    "downsample_padding",
    "flip_sin_to_cos",
    "freq_shift",
    "layers_per_block",
    "mid_block_scale_factor",
    "mid_block_type",
    "norm_eps",
    "norm_num_groups",
    "resnet_out_scale_factor",
    "resnet_time_scale_shift",
    "transformer_layers_per_block",
    "up_block_types",
    "use_linear_projection",
)


class MVUNet(UNet2DConditionModel):
    """A UNet over the views of objects; names and shapes of its weights are diffusers' own.

    Attributes:
        settings: The configuration it was built from.
        layout: Views per object and attention pattern.
        pose: Module of an adapter that tells it where its views stand; None for none.
    """

    pose: Any

    def __init__(self, settings: UNetSettings, *, where: str = "unet/config.json") -> None:
        """Build the network with fresh weights.

        Args:
            settings: Its configuration.
            where: Name of the configuration file, for the log.
        """
        super().__init__(**known_options(UNet2DConditionModel, settings.options, where))
        self.settings = settings
        self.layout = ViewLayout(settings.num_views, settings.pattern)
        self.register_module("pose", None)
        self.install_views()

    @property
    def num_views(self) -> int:
        """Views per object, V; may be set, since no weight depends on it."""
        return self.layout.num_views

    @num_views.setter
    def num_views(self, value: int) -> None:
        if value < 1:
            raise RangeError(f"num_views: expected at least 1, got {value}. Give a view count.")
        self.layout.num_views = value

    @property
    def pattern(self) -> Pattern:
        """Which views a view attends to."""
        return self.layout.pattern

    def install_views(self) -> None:
        """Put the processor that mixes views on every self-attention."""
        for _, layer in attn1_layers(self):
            layer.set_processor(ViewAttention(self.layout))

    @contextmanager
    def viewing(self, num_views: int) -> Iterator[None]:
        """Take batches of another number of views for a while.

        Not for training: gradient checkpointing runs parts of the network again later on.
        """
        before = self.num_views
        self.num_views = num_views
        try:
            yield
        finally:
            self.num_views = before

    def architecture(self) -> dict[str, Any]:
        """Return the options that shape the computation, as plain JSON values."""
        options = {name: self.config[name] for name in _ARCHITECTURE}
        return {**options, "pattern": self.pattern}

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor | float,
        encoder_hidden_states: Tensor,
        class_labels: Tensor | None = None,
        *,
        cameras: Cameras | None = None,
        **options: Any,
    ) -> Any:
        """Predict; see diffusers for ``options`` and the result.

        Args:
            sample: Noisy latents and latents of the input picture, [N, 8, h, w].
            timestep: One for all, or [N].
            encoder_hidden_states: Prompt embeddings, [N, tokens, D].
            class_labels: Image embedding and noise level, [N, 2P].
            cameras: One per item, [N], float32; exactly where there is a pose module.
            options: Passed on to diffusers.

        Raises:
            ShapeError: If N is no multiple of the number of views, or of the cameras.
            AdapterError: If there are cameras and no pose module, or the other way round.
            BackendError: If something has replaced the processors that mix views.
        """
        self.layout.check(sample.shape[0], "unet: sample")
        check_processors(self, self.layout)
        with adding_pose(self, cameras, sample):
            return super().forward(
                sample, timestep, encoder_hidden_states, class_labels=class_labels, **options
            )
