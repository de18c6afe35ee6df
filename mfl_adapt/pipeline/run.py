"""Everything that training needs, built and validated."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from mfl_adapt.config import LoadedConfig, LossSchedule, LossTerm, RunConfig
from mfl_adapt.errors import ConfigError
from mfl_adapt.pipeline.bases import makes, open_for_training
from mfl_adapt.pipeline.data import OpenData, open_data
from mfl_adapt.pipeline.files import check_files
from mfl_adapt.pipeline.sections import required
from mfl_adapt.plugin import AdapterMethod, AdapterSpec, Base, Loss, LossSpec
from mfl_adapt.plugin.registry import PluginHost

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class OpenRun:
    """Everything that training needs, built and validated.

    Attributes:
        config: The resolved configuration.
        host: The active plugins.
        base: The frozen model: a ``Reconstructor``, or a ``FrozenMVDiffusion``.
        data: The dataset.
        method: How peft extends the base.
        losses: Name, weight, loss and schedule of every term.
    """

    config: RunConfig
    host: PluginHost
    base: Base
    data: OpenData
    method: AdapterMethod
    losses: tuple[tuple[str, float, Loss, LossSchedule | None], ...]


def open_run(loaded: LoadedConfig, host: PluginHost) -> OpenRun:
    """Build all that a run needs.

    Args:
        loaded: A configuration whose component sections have been validated against ``host``.
        host: The active plugins.

    Raises:
        MflAdaptError: If a section is missing, the data cannot be used or the weights do not fit.
    """
    config = loaded.config
    adapter = required(config.adapter, "adapter", "adapter.use=lora_gslrm.lora")
    method = host.build(AdapterSpec, adapter.use, adapter.settings, where="adapter")
    check_kinds(config, host)
    check_files(loaded, host)
    losses = tuple(
        (name, term.weight, _build_loss(name, term, host), term.schedule)
        for name, term in config.losses.items()
    )
    base = open_for_training(config, host)
    return OpenRun(config, host, base, open_data(config, host, base.contract), method, losses)


def _build_loss(name: str, term: LossTerm, host: PluginHost) -> Loss:
    """Build a loss, and say what speaks against it where something does."""
    caution = host.component(LossSpec, name, where=f"losses.{name}").spec.caution
    if caution:
        log.warning("losses.%s: %s", name, caution)
    loss: Loss = host.build(LossSpec, name, term.settings, where=f"losses.{name}")
    return loss


def check_kinds(config: RunConfig, host: PluginHost) -> None:
    """Refuse losses and settings of one kind of base on the other, before weights are read.

    Raises:
        ConfigError: If there is one.
    """
    kind = makes(config, host)
    assert config.base is not None, "makes() asks for a base"
    wanted = {"gaussians": "pictures", "views": "latents"}[kind]
    for name in config.losses:
        found = host.component(LossSpec, name, where=f"losses.{name}")
        if found.spec.on != wanted:
            known = [one.name for one in host.components(LossSpec) if one.spec.on == wanted]
            raise ConfigError(
                f"losses.{name}: expected a loss on {wanted}, as {config.base.id} makes {kind}, "
                f"got one on {found.spec.on}. Use {', '.join(known) or 'another plugin'}."
            )
    if kind == "gaussians" and config.diffusion != type(config.diffusion)():
        raise ConfigError(
            f"diffusion: expected no settings, as {config.base.id} makes Gaussians, got some. "
            "Remove the section.",
            code="MFL039",
        )
