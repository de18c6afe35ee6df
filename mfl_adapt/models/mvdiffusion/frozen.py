"""The frozen MVDiffusion base: what adapters are attached to and what ``generate`` runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mfl_adapt.cameras import orbit
from mfl_adapt.checks import check_range
from mfl_adapt.errors import CheckpointError, ConfigError, ShapeError
from mfl_adapt.models.checkpoint import fingerprint
from mfl_adapt.models.mvdiffusion.conditioning import (
    Conditions,
    build_class_labels,
    embed_pictures,
    encode_condition,
    to_signed,
)
from mfl_adapt.models.mvdiffusion.config import VIEW_NAMES, build_contract
from mfl_adapt.models.mvdiffusion.encoding import Encoded, encode_example
from mfl_adapt.models.mvdiffusion.folder import load_parts
from mfl_adapt.models.mvdiffusion.parts import Parts
from mfl_adapt.models.mvdiffusion.pictures import Pictures, find_unique, is_picture, to_items
from mfl_adapt.models.mvdiffusion.pose import (
    PoseModule,
    PromptChoice,
    find_pose,
    flatten_cameras,
    pick_prompts,
)
from mfl_adapt.models.mvdiffusion.prompts import (
    TOKENS,
    check_prompt_embeds,
    encode_prompts,
    read_prompt_embeds,
    view_prompts,
)
from mfl_adapt.models.mvdiffusion.sampling import (
    Draws,
    GeneratedViews,
    NoiseSource,
    Progress,
    decode_latents,
    sample_latents,
)
from mfl_adapt.models.probing import probing, ramp

if TYPE_CHECKING:
    from mfl_adapt.types import Bytes, Cameras

_PROBED_VIEWS, _PROBED_LATENTS = 2, 8
"""Views of the probe and side of their latents: a published UNet halves the side three times."""

_PATTERNS = {
    "reference": "a view sees the first one and itself",
    "dense": "a view sees all views",
    "self": "a view sees itself alone",
}


class FrozenMVDiffusion:
    """A multi-view diffusion model with fixed weights, in evaluation mode.

    Attributes:
        id: Name that the user types, ``facelift.mvdiffusion``.
        parts: All networks and schedules.
        module: The UNet. Adapters are put into it; its own weights take no gradient.
        contract: Picture size, and where its views stand.
        sha256: Over the files that decide a sample.
        fingerprint: Of the UNet's architecture.
        dtype: What the networks were loaded in, and noise is drawn in.
    """

    def __init__(self, parts: Parts, *, id: str, prompts: Tensor | None = None) -> None:
        """Freeze a model.

        Args:
            parts: With their weights and without adapters.
            id: Name that the user types.
            prompts: One row per view, [V, tokens, D]; None lets the text tower make the published
                ones when they are asked for.

        Raises:
            ShapeError: If the prompts do not fit the model.
            RangeError: If a number in them is not finite.
        """
        self.id = id
        self.parts = parts
        if prompts is not None:
            check_prompt_embeds(prompts, parts.unet.config.cross_attention_dim)
        self._prompts = prompts
        for network in parts.networks():
            network.eval().requires_grad_(requires_grad=False)
        self.module = parts.unet
        self.dtype: torch.dtype = parts.unet.dtype
        self.contract = build_contract(parts.size, parts.vae_factor, parts.unet.num_views)
        self.sha256 = parts.sha256()
        self.fingerprint = fingerprint(parts.unet, parts.unet.architecture())

    @property
    def num_views(self) -> int:
        """Views per object that the model was trained with, V."""
        return self.parts.unet.settings.num_views

    @property
    def size(self) -> int:
        """Side of its pictures in pixels."""
        return self.contract.size

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.module.parameters()).device

    @property
    def prompt_embeds(self) -> Tensor:
        """The rows that tell its views apart, [V, tokens, D]: those given, or the published ones.

        Raises:
            CheckpointError: If none were given and the model was loaded without its text tower.
            ConfigError: If none were given and its views are not the six published ones.
        """
        if self._prompts is None:
            if self.num_views != len(VIEW_NAMES):
                raise ConfigError(
                    f"{self.id}: expected prompt embeddings for its {self.num_views} views, got "
                    f"none; the published ones are for {len(VIEW_NAMES)}. Make them with "
                    "`mfl-adapt prompts make` and set base.prompts."
                )
            self._prompts = self.encode_prompts(view_prompts())
        return self._prompts

    def prompts_for(self, cameras: Cameras, choice: PromptChoice | None = None) -> Tensor:
        """Return one prompt row per view of a rig that need not be the six slots.

        Args:
            cameras: [V] or [B, V], world +z up, subject at the origin. Each rig is turned about
                +z until its view 0 stands at slot 0, so that its world has no say.
            choice: ``nearest`` takes the row of the slot nearest to the view, so that slots keep
                theirs; ``neutral`` the mean of all rows for every view. None is what the pose
                adapter was trained with, and ``nearest`` without one.

        Returns:
            [V, tokens, D] or [B * V, tokens, D].

        Raises:
            DataError: If the base has no slots, or view 0 is straight above or below the subject.
            ShapeError: If the cameras have other axes.
            RangeError: If a camera centre is not finite.
            CheckpointError: If there are no prompts, and no text tower to make them with.
            ConfigError: If there are none for its views.
        """
        if choice is None:
            pose: PoseModule | None = self.module.pose
            choice = "nearest" if pose is None else pose.prompts
        return pick_prompts(cameras, self.prompt_embeds, self.contract.slots_deg, choice)

    def to(self, device: torch.device | str) -> FrozenMVDiffusion:
        """Move all networks and return self."""
        for network in self.parts.networks():
            network.to(device)
        return self

    def describe(self) -> dict[str, str]:
        """Return what only this kind of base has to say."""
        parts = {
            "UNet": self.parts.unet,
            "VAE": self.parts.vae,
            "image encoder": self.parts.image_encoder,
            "text encoder": self.parts.text_encoder,
        }
        counts = [
            f"{name} {sum(one.numel() for one in part.parameters()):,}"
            for name, part in parts.items()
            if part is not None
        ]
        return {
            "parts": "; ".join(counts),
            "views": f"{self.num_views} per picture",
            "pattern": f"{self.module.pattern} ({_PATTERNS[self.module.pattern]})",
            "prompts": f"[{self.num_views}, {TOKENS}, {self.module.config.cross_attention_dim}]",
        }

    def probe(self) -> Tensor:
        """Return what the UNet predicts for two fixed views of 8 x 8 latents, as a vector.

        One call of the UNet at the middle of the noise schedule. Prompt and picture embeddings
        are fixed numbers too, so that neither the text tower nor the prompts of a configuration
        have a say. With a pose adapter the two views have cameras.

        Returns:
            [N], float32, on the CPU.
        """
        unet, views, side = self.module, _PROBED_VIEWS, _PROBED_LATENTS
        options = unet.config
        given = {
            "sample": ramp(views, options.in_channels, side, side),
            "encoder_hidden_states": ramp(views, TOKENS, options.cross_attention_dim),
            "class_labels": ramp(views, options.projection_class_embeddings_input_dim),
        }
        # About as large as noise and CLIP's embeddings are.
        given = {name: (4 * one - 2).to(self.device, unet.dtype) for name, one in given.items()}
        cameras = None
        if unet.pose is not None:
            ones = np.ones(views)
            rig = orbit(
                (270.0, 0.0),
                (0.0, 20.0),
                self.contract.distance * ones,
                self.contract.focal_ratio * ones,
                self.size,
            )
            cameras = flatten_cameras(rig, views, views, self.device)
        with probing(unet), unet.viewing(views):
            made = unet(timestep=torch.tensor(500, device=self.device), cameras=cameras, **given)
        return made.sample.flatten().float().cpu()

    def generate(
        self,
        pictures: Pictures,
        prompt_embeds: Tensor,
        *,
        steps: int = 50,
        guidance: float = 3.0,
        eta: float = 1.0,
        noise_level: int = 0,
        seed: int | torch.Generator = 4,
        num_views: int | None = None,
        cameras: Cameras | None = None,
        draws: Draws | None = None,
        views_at_once: int | None = None,
        progress: Progress | None = None,
    ) -> GeneratedViews:
        """Make the views that the prompts ask for; the defaults are those of published results.

        Every call starts from its own seed, so that a result does not depend on what was made
        before.

        Args:
            pictures: One opaque RGB picture of the contract's size, on its background, for all
                views; or one per row of the prompts, view after view; or those as a tensor
                [N, 3, H, W] in [0, 1].
            prompt_embeds: One row per view and object, [N, tokens, D].
            steps: Denoising steps.
            guidance: Factor on what the picture changes; 1 switches guidance off.
            eta: Share of fresh noise in each step, 0 to 1.
            noise_level: Of the noise on the image embedding, 0 to 999.
            seed: Of a CPU generator; or a generator, which is used from where it stands.
            num_views: Views per object, which decides who sees whom. None is the number of rows
                for one picture and the model's own number for several.
            cameras: Where the views stand, for a base with a pose adapter: [V] or [B, V], view 0
                that of the picture; ``prompts_for`` gives the prompts that go with them.
            draws: Noise to use instead of drawing.
            views_at_once: Views that go through the network together, beside view 0. Fewer need
                less memory and more time; the result is the same.
            progress: Called after every step with index, timestep and latents.

        Raises:
            ShapeError: If pictures, prompts, views, cameras or noise do not fit each other.
            DataError: If a picture is not opaque 8-bit RGB.
            RangeError: If a setting leaves its range or a number is not finite.
            AdapterError: If there are cameras and no pose adapter, or the other way round.
            ConfigError: If views cannot be made apart because all see all.
            BackendError: If something has replaced the processors that mix views.
        """
        draws = draws or Draws()
        find_pose(self.module, cameras)
        check_prompt_embeds(prompt_embeds, self.module.config.cross_attention_dim)
        items = to_items(pictures, prompt_embeds.shape[0], self.size)
        views = num_views
        if views is None:
            views = len(items) if is_picture(pictures) else self.num_views
        check_range("num_views", views, 1, len(items), hint="Give one row per view.")
        if len(items) % views:
            raise ShapeError(
                f"prompt_embeds: expected whole objects of {views} views, got {len(items)} rows. "
                "Give one row per view of every object, or another num_views."
            )
        noise = NoiseSource(to_generator(seed), self.device, self.dtype)
        conditions = self.build_conditions(
            items, prompt_embeds, noise, views, noise_level=noise_level, drawn=draws.embeds
        )
        if cameras is not None:
            flat = flatten_cameras(cameras, len(items), views, self.device)
            conditions = replace(conditions, cameras=flat)
        with self.module.viewing(views):
            latents = sample_latents(
                self.module,
                self.parts.scheduler,
                conditions,
                noise,
                steps=steps,
                guidance=guidance,
                eta=eta,
                draws=draws,
                views_at_once=views_at_once,
                progress=progress,
            )
        return GeneratedViews(decode_latents(latents, self.parts.vae, views_at_once), latents)

    def build_conditions(
        self,
        items: Sequence[Bytes],
        prompt_embeds: Tensor,
        noise: NoiseSource,
        num_views: int,
        *,
        noise_level: int = 0,
        drawn: Tensor | None = None,
    ) -> Conditions:
        """Encode one 8-bit picture per item; the noise on embeddings is the first draw.

        Raises:
            ShapeError: If the given noise does not fit.
            RangeError: If the noise level leaves its range.
        """
        parts = self.parts
        unique, places = find_unique(items)
        embeds = embed_pictures(unique, parts.feature_extractor, parts.image_encoder)[places]
        latents = encode_condition(to_signed(unique), parts.vae)[places]
        embeds = embeds.to(self.dtype)
        fresh = noise.draw(drawn, tuple(embeds.shape), "draws.embeds")
        labels = build_class_labels(embeds, fresh, noise_level, parts.noising, parts.normalizer)
        prompts = prompt_embeds.to(self.device, self.dtype)
        return Conditions(labels, latents.to(self.dtype), prompts, num_views)

    def encode(self, imgs_in: Tensor, imgs_out: Tensor) -> Encoded:
        """Run the frozen networks on training pictures; see ``encode_example``."""
        return encode_example(imgs_in, imgs_out, self.parts)

    def encode_prompts(self, prompts: Sequence[str]) -> Tensor:
        """Return prompt embeddings [V, 77, D] from the model's own text tower.

        Raises:
            CheckpointError: If the model was loaded without it.
            ConfigError: If there is no prompt.
        """
        if self.parts.text_encoder is None or self.parts.tokenizer is None:
            raise CheckpointError(
                f"{self.id}: expected a text tower, got a model that was loaded without one. "
                "Load it with text=True."
            )
        return encode_prompts(prompts, self.parts.tokenizer, self.parts.text_encoder)


def load_mvdiffusion(
    folder: Path,
    *,
    id: str,
    dtype: torch.dtype = torch.float32,
    text: bool = True,
    expected_sha256: str | None = None,
    prompts: Path | None = None,
) -> FrozenMVDiffusion:
    """Load a published directory.

    Args:
        folder: Holds ``unet/``, ``vae/`` and the others.
        id: Name that the user types.
        dtype: float32, float16 or bfloat16, for all networks.
        text: Load the text tower too, which only new prompts need.
        expected_sha256: Refuse any other model.
        prompts: File of prompt embeddings, .pt or .safetensors; None makes the published ones.

    Raises:
        CheckpointError: If a sub-folder or file is missing or damaged, weights do not fit or
            are not finite, parts do not fit each other, or the model is another one.
        ShapeError: If the prompt embeddings do not fit the model.
        RangeError: If a number in them is not finite.
    """
    parts = load_parts(folder, dtype=dtype, text=text)
    width = parts.unet.config.cross_attention_dim
    embeds = None if prompts is None else read_prompt_embeds(prompts, width)
    base = FrozenMVDiffusion(parts, id=id, prompts=embeds)
    if expected_sha256 is not None and base.sha256 != expected_sha256.lower():
        raise CheckpointError(
            f"{folder}: expected the model with SHA-256 {expected_sha256}, got {base.sha256}. "
            "Fetch it again, or name the folder that was meant."
        )
    return base


def to_generator(seed: int | torch.Generator) -> torch.Generator:
    """Return a fresh CPU generator for a number, and a generator as it is."""
    return seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
