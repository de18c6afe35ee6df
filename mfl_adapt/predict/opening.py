"""From a configuration to loaded models."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from mfl_adapt.config import validate_components
from mfl_adapt.config.models import BaseChoice
from mfl_adapt.errors import BackendError, ConfigError, PluginError
from mfl_adapt.pipeline import open_reconstructor
from mfl_adapt.plugin import BaseSpec, Reconstructor
from mfl_adapt.predict.adapters import load_adapters
from mfl_adapt.predict.predictor import Predictor, PredictSettings, choose_filter
from mfl_adapt.predict.views import ViewsBase

if TYPE_CHECKING:
    from mfl_adapt.adapter import AdapterChoice, AttachedAdapter
    from mfl_adapt.config import LoadedConfig, RunConfig
    from mfl_adapt.plugin.registry import PluginHost

log = logging.getLogger(__name__)

DEFAULT_BASE = "facelift.tiny"
DEFAULT_VIEWS_BASE = "facelift.tiny_views"
"""What a fresh install has the weights of."""

Device = Literal["auto", "cpu", "cuda"]


def open_predictor(
    loaded: LoadedConfig,
    host: PluginHost,
    *,
    settings: PredictSettings,
    adapters: Sequence[AdapterChoice | Path] = (),
    device: Device = "auto",
) -> Predictor:
    """Load both bases and put the adapters on them.

    Args:
        loaded: ``views_base`` and ``base`` count; the two small models where it names none.
        host: The active plugins.
        settings: What decides a prediction.
        adapters: Adapter folders in any order, with strengths; each finds its base.
        device: ``auto`` takes CUDA where there is one.

    Raises:
        MflAdaptError: If configuration, weights or an adapter cannot be used.
    """
    validate_components(loaded, host)
    config = _sort_bases(loaded, host)
    choose_filter(settings.filter, (config.base or BaseChoice(id=DEFAULT_BASE)).id)
    place = choose_device(device)
    views_base = _open_views_base(config, host, place)
    base = open_gaussian_base(config, host, place)
    attached = load_adapters(adapters, [views_base, base], host)
    return Predictor(views_base, base, settings=settings, adapters=attached)


def open_views(
    loaded: LoadedConfig,
    host: PluginHost,
    *,
    adapters: Sequence[AdapterChoice | Path] = (),
    device: Device = "auto",
) -> tuple[ViewsBase, tuple[AttachedAdapter, ...]]:
    """Load the base that makes views alone, and put its adapters on it.

    Args:
        loaded: ``views_base`` counts; the small model where it names none.
        host: The active plugins.
        adapters: Adapter folders, with strengths.
        device: ``auto`` takes CUDA where there is one.

    Raises:
        MflAdaptError: If configuration, weights or an adapter cannot be used.
    """
    validate_components(loaded, host)
    base = _open_views_base(_sort_bases(loaded, host), host, choose_device(device))
    return base, load_adapters(adapters, [base], host).get(base.id, ())


def _sort_bases(loaded: LoadedConfig, host: PluginHost) -> RunConfig:
    """Move a base that makes views, and that only ``--plugins`` put under ``base``, to its place.

    Which of the two sections a plugin's base belongs to is not known where plugins claim slots.

    Raises:
        ConfigError: If another views base is named, so that the plugin would do nothing.
    """
    config = loaded.config
    claimed = config.base is not None and loaded.merged.origin(("base", "id")).kind == "--plugins"
    if config.base is None or not claimed:
        return config
    if host.component(BaseSpec, config.base.id, where="base").spec.makes != "views":
        return config
    if config.views_base is not None and config.views_base.id != config.base.id:
        raise ConfigError(
            f"--plugins: expected a plugin that this run uses, got one whose base {config.base.id} "
            f"is not used, as views_base is {config.views_base.id}. Add --views-base "
            f"{config.base.id}."
        )
    views_base = config.views_base or config.base
    return config.model_copy(update={"base": None, "views_base": views_base})


def open_gaussian_base(config: RunConfig, host: PluginHost, place: torch.device) -> Reconstructor:
    """Load the reconstructor, the small one where none is named."""
    named = config.base or BaseChoice(id=DEFAULT_BASE)
    base = open_reconstructor(config.model_copy(update={"base": named}), host)
    base.module.to(place)
    return base


def _open_views_base(config: RunConfig, host: PluginHost, place: torch.device) -> ViewsBase:
    """Load the base that makes views.

    Raises:
        ConfigError: If the one that is named makes something else.
        PluginError: If its plugin says so and it does not.
    """
    named = config.views_base or BaseChoice(id=DEFAULT_VIEWS_BASE)
    found = host.component(BaseSpec, named.id, where="views_base")
    if found.spec.makes != "views":
        known = [one.name for one in host.components(BaseSpec) if one.spec.makes == "views"]
        raise ConfigError(
            f"views_base: expected a base that makes views, got {found.name}, which makes "
            f"{found.spec.makes}. Name one of {', '.join(known) or 'a plugin that offers one'}."
        )
    base: Any = host.build(BaseSpec, named.id, named.settings, where="views_base")
    if not isinstance(base, ViewsBase):
        raise PluginError(
            f"views_base: expected {found.name} of {found.distribution} to have "
            f"generate(pictures, prompt_embeds) and prompt_embeds, got {type(base).__name__} "
            "without them. Tell the plugin's author."
        )
    moved = getattr(base, "to", base.module.to)
    moved(place)
    return base


def choose_device(name: Device) -> torch.device:
    """Return where to compute.

    Raises:
        BackendError: If CUDA is asked for and there is none.
    """
    has_cuda = torch.cuda.is_available()
    if name == "cuda" and not has_cuda:
        raise BackendError(
            "--device: expected a CUDA device, got none on this machine. Use --device cpu, or "
            "install a CUDA build of torch."
        )
    chosen = "cuda" if name != "cpu" and has_cuda else "cpu"
    if name == "auto":
        log.debug("device: %s", chosen)
    return torch.device(chosen)
