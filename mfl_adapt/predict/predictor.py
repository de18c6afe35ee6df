"""One picture to Gaussians, with everything in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mfl_adapt.errors import ConfigError, PluginError
from mfl_adapt.models.gslrm.filters import DEMO, EXPORT, SCRIPT, FilterSettings, kept_indices
from mfl_adapt.plugin import Reconstructor
from mfl_adapt.predict.views import ViewsBase, slot_cameras, slot_conditions, slot_names
from mfl_adapt.types import Cameras, Gaussians

if TYPE_CHECKING:
    from mfl_adapt.adapter import AttachedAdapter
    from mfl_adapt.predict.framed import Framed
    from mfl_adapt.types import Bytes

Report = Callable[[str, int, int], None]
"""Called with the name of a stage, steps done and steps in all."""

FILTERS: Mapping[str, FilterSettings | None] = {
    "script": SCRIPT,
    "demo": DEMO,
    "export": EXPORT,
    "opacity": FilterSettings(opacity=SCRIPT.opacity),
    "none": None,
}
"""FaceLift's own thresholds by the program that has them; its opacity threshold alone; none."""

# The boxes and sizes of FaceLift's filters belong to its published model. On the small model's
# procedural heads, which are larger, they cost 7 dB; the opacity alone costs 0.05 dB.
_SCRIPT_BASE = "facelift.gslrm"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictSettings:
    """What decides a prediction besides picture and weights.

    Attributes:
        steps: Denoising steps.
        guidance: Factor on what the picture changes; 1 switches guidance off.
        seed: Of the noise; every picture starts from it.
        views: Slots that feed the reconstructor; None is all of them, although the small model is
            used to four: on true views of 24 procedural heads it then draws held-out views at
            25.9 dB on the subject and 26.4 dB on the whole picture, with slots 0, 2, 3, 4 at 24.7
            and 27.2 dB.
        filter: Which Gaussians are kept, a key of ``FILTERS``; ``auto`` is FaceLift's script for
            its published model and the opacity alone for others.
        views_at_once: Views that go through the views base together; None is all.
    """

    steps: int = 50
    guidance: float = 3.0
    seed: int = 4
    views: tuple[int, ...] | None = None
    filter: str = "auto"
    views_at_once: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Reconstruction:
    """Gaussians and the views they come from.

    Attributes:
        names: Of the views that fed the reconstructor.
        rgb: Those views, [1, V, 3, H, W] float32 in [0, 1].
        cameras: Their cameras, c2w [1, V, 4, 4].
        gaussians: Those that the filter kept, [1, N, ...].
        kept: Their indices among all, int64.
        total: How many there were.
        seconds: Of each stage.
    """

    names: tuple[str, ...]
    rgb: Tensor
    cameras: Cameras
    gaussians: Gaussians
    kept: Tensor
    total: int
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What one picture became.

    Attributes:
        framed: The picture as the views base took it.
        names: Of all slots.
        views: All views that were made, [V, H, W, 3] uint8, in slot order.
        cameras: Of all slots, c2w [V, 4, 4].
        reconstruction: Gaussians, and the views that were used.
    """

    framed: Framed
    names: tuple[str, ...]
    views: Bytes
    cameras: Cameras
    reconstruction: Reconstruction


class Predictor:
    """A views base and a reconstructor with their adapters, for any number of pictures.

    Attributes:
        views_base: Turns a picture into views.
        base: Turns views into Gaussians.
        adapters: In the two, by the id of their base.
        settings: What decides a prediction.
    """

    def __init__(
        self,
        views_base: ViewsBase,
        base: Reconstructor,
        *,
        settings: PredictSettings | None = None,
        adapters: Mapping[str, Sequence[AttachedAdapter]] | None = None,
    ) -> None:
        """Hold the models and the settings together.

        Raises:
            ConfigError: If the views base does not say where its views stand, or a view is
                asked for that it does not make.
        """
        self.views_base = views_base
        self.base = base
        self.settings = settings or PredictSettings()
        self.adapters = {base: tuple(several) for base, several in (adapters or {}).items()}
        self.slots = slot_names(views_base.contract.slots_deg)
        slot_cameras(views_base.contract, base.contract.size)
        _check_views(self.settings.views, len(self.slots))

    def predict(self, framed: Framed, *, report: Report | None = None) -> Prediction:
        """Make views of a framed picture, and Gaussians of the views.

        Args:
            framed: The picture, of the views base's size.
            report: Told about every denoising step.

        Raises:
            MflAdaptError: If the picture or a setting does not fit the bases.
        """
        started = time.perf_counter()
        views = self._make_views(framed.rgb, report)
        seconds = {"views": time.perf_counter() - started}
        cameras = slot_cameras(self.views_base.contract, self.base.contract.size)
        pictures = resize_views(views, self.base.contract.size)
        chosen = list(self.settings.views or range(len(self.slots)))
        # Bytes, not the floats before them: the files then give the same Gaussians again.
        rgb = torch.from_numpy(pictures[chosen]).permute(0, 3, 1, 2).float().div(255)[None]
        reconstruction = reconstruct(
            self.base,
            rgb,
            cameras[chosen],
            names=[self.slots[slot] for slot in chosen],
            filter=self.settings.filter,
            seconds=seconds,
        )
        return Prediction(framed, self.slots, pictures, cameras, reconstruction)

    def _make_views(self, rgb: Bytes, report: Report | None) -> Bytes:
        """Return one view per slot, [V, H, W, 3] uint8.

        Raises:
            PluginError: If the base makes another number of views.
        """
        settings = self.settings

        def progress(index: int, timestep: int, latents: Tensor) -> None:
            if report is not None:
                report("views", index + 1, settings.steps)

        prompts, posed = slot_conditions(self.views_base)
        made = self.views_base.generate(
            rgb,
            prompts,
            steps=settings.steps,
            guidance=settings.guidance,
            seed=settings.seed,
            views_at_once=settings.views_at_once,
            progress=progress,
            **posed,
        )
        views: Bytes = made.to_bytes().cpu().numpy()
        if len(views) != len(self.slots):
            raise PluginError(
                f"{self.views_base.id}: expected {len(self.slots)} views, one per slot, got "
                f"{len(views)}. Tell the plugin's author."
            )
        return views


def reconstruct(
    base: Reconstructor,
    rgb: Tensor,
    cameras: Cameras,
    *,
    names: Sequence[str],
    filter: str = "auto",
    seconds: Mapping[str, float] | None = None,
) -> Reconstruction:
    """Turn calibrated views into Gaussians, and drop what shows nothing.

    Args:
        base: Makes the Gaussians.
        rgb: [1, V, 3, H, W] in [0, 1], on the contract's background.
        cameras: [V], or [1, V].
        names: Of the views.
        filter: A key of ``FILTERS``, or ``auto``.
        seconds: Of the stages before.

    Raises:
        ConfigError: If the filter is unknown.
        MflAdaptError: If views and cameras do not fit the base.
    """
    started = time.perf_counter()
    cameras = cameras if len(cameras.shape) == 2 else cameras[None]
    settings = choose_filter(filter, base.id)
    with torch.no_grad():
        every = base.reconstruct(rgb, cameras)
        total = every.means.shape[1]
        kept = torch.arange(total) if settings is None else kept_indices(every, settings).cpu()
        gaussians = every if settings is None else pick(every, kept)
    taken = {**(seconds or {}), "gaussians": time.perf_counter() - started}
    return Reconstruction(tuple(names), rgb, cameras, gaussians, kept, total, taken)


def choose_filter(name: str, base_id: str) -> FilterSettings | None:
    """Return the thresholds of a name.

    Raises:
        ConfigError: If there is no such name.
    """
    if name == "auto":
        name = "script" if base_id == _SCRIPT_BASE else "opacity"
    if name not in FILTERS:
        raise ConfigError(
            f"--filter: expected one of auto, {', '.join(FILTERS)}, got {name!r}. Choose one."
        )
    return FILTERS[name]


def pick(gaussians: Gaussians, indices: Tensor) -> Gaussians:
    """Return some Gaussians of the first scene."""
    fields: list[Any] = [
        getattr(gaussians, name)[:1, indices.to(gaussians.means.device)]
        for name in ("means", "quats", "scales", "opacities", "sh")
    ]
    return Gaussians(*fields)


def resize_views(views: Bytes, size: int) -> Bytes:
    """Bring opaque views to another size as FaceLift's data set does, [V, size, size, 3] uint8."""
    import numpy as np
    from PIL import Image

    if views.shape[1:3] == (size, size):
        return views
    resized = [
        np.asarray(Image.fromarray(one).resize((size, size), Image.Resampling.LANCZOS))
        for one in views
    ]
    return np.stack(resized)


def _check_views(views: tuple[int, ...] | None, slots: int) -> None:
    """Hold the chosen slots to those that there are.

    Raises:
        ConfigError: If one does not exist or is named twice, or none is.
    """
    if views is None:
        return
    if not views or len(set(views)) < len(views) or not all(0 <= one < slots for one in views):
        raise ConfigError(
            f"--views: expected all, or different slots from 0 to {slots - 1} such as 0,2,3,4, got "
            f"{','.join(map(str, views)) or 'none'}."
        )
