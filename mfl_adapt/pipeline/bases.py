"""Frozen bases by name, and what they assume about pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

from mfl_adapt.chain import contract_for
from mfl_adapt.config import RunConfig
from mfl_adapt.errors import ConfigError, PluginError
from mfl_adapt.pipeline.sections import required
from mfl_adapt.plugin import Base, BaseSpec, Reconstructor
from mfl_adapt.plugin.registry import PluginHost, Resolved, load_plugins
from mfl_adapt.types import RigContract

if TYPE_CHECKING:
    from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion

DEFAULT_BASE = "facelift.gslrm"
"""Base that data are prepared for where a configuration names none."""


Kind = Literal["gaussians", "views"]
"""What a base makes of pictures."""

_KINDS: dict[Kind, str] = {"gaussians": "Gaussians", "views": "views"}


def open_for_training(config: RunConfig, host: PluginHost) -> Base:
    """Build the base that a configuration names: a reconstructor or a maker of views."""
    if makes(config, host) == "views":
        return cast("Base", open_view_maker(config, host))  # its module is a narrower type
    return open_reconstructor(config, host)


def open_base(config: RunConfig, host: PluginHost) -> Base:
    """Build the frozen base that a configuration names."""
    base = required(config.base, "base", "base.id=facelift.tiny")
    built: Base = host.build(BaseSpec, base.id, base.settings, where="base")
    return built


def open_reconstructor(config: RunConfig, host: PluginHost) -> Reconstructor:
    """Build the base that a configuration names, which must make Gaussians.

    Raises:
        ConfigError: If it makes something else; no weights are read to find out.
        PluginError: If its plugin says so and it does not.
    """
    found = _base_that_makes("gaussians", config, host)
    base = open_base(config, host)
    if not isinstance(base, Reconstructor):
        raise PluginError(
            f"base: expected {found.name} of {found.distribution} to have reconstruct(rgb, "
            f"cameras), got {type(base).__name__} without it. Tell the plugin's author."
        )
    return base


def open_view_maker(config: RunConfig, host: PluginHost) -> FrozenMVDiffusion:
    """Build the base that a configuration names, which must make views of one picture.

    Raises:
        ConfigError: If it makes something else; no weights are read to find out.
        PluginError: If its plugin says so and it does not.
    """
    from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion

    found = _base_that_makes("views", config, host)
    base = open_base(config, host)
    if not isinstance(base, FrozenMVDiffusion):
        raise PluginError(
            f"base: expected {found.name} of {found.distribution} to be a FrozenMVDiffusion, got "
            f"{type(base).__name__}. Tell the plugin's author."
        )
    return base


def makes(config: RunConfig, host: PluginHost) -> Kind:
    """Return what the base makes of pictures, as its plugin says; no weights are read."""
    named = required(config.base, "base", "base.id=facelift.tiny")
    return host.component(BaseSpec, named.id, where="base").spec.makes


def _base_that_makes(kind: Kind, config: RunConfig, host: PluginHost) -> Resolved[BaseSpec]:
    """Look up the base that a configuration names.

    Raises:
        ConfigError: If it makes something else.
    """
    named = required(config.base, "base", "base.id=facelift.tiny")
    found = host.component(BaseSpec, named.id, where="base")
    if found.spec.makes != kind:
        known = [one.name for one in host.components(BaseSpec) if one.spec.makes == kind]
        raise ConfigError(
            f"base: expected a base that makes {_KINDS[kind]}, got {found.name}, which makes "
            f"{_KINDS[found.spec.makes]}. Name one of "
            f"{', '.join(known) or 'a plugin that offers one'}."
        )
    return found


def load_base(id: str, **settings: Any) -> Base:
    """Load a frozen base by its name.

    Args:
        id: ``plugin.component``, for instance ``facelift.tiny``.
        **settings: The component's own, for instance ``checkpoint`` and ``config``.

    Returns:
        The base, frozen and in evaluation mode.

    Raises:
        PluginError: If no installed plugin offers it.
        ConfigError: If the settings are not valid.
        CheckpointError: If the weights cannot be used.
    """
    base: Base = load_plugins([id.partition(".")[0]]).build(BaseSpec, id, settings, where=id)
    return base


def contract_of(config: RunConfig, host: PluginHost) -> RigContract:
    """Return what the base's plugin says about pictures and cameras; reads no weights."""
    base = required(config.base, "base", "base.id=facelift.tiny")
    return host.component(BaseSpec, base.id, where="base").spec.contract


def data_contract(config: RunConfig, host: PluginHost) -> RigContract:
    """Return the contract to prepare data for, with ``data.size``; needs no base to be named."""
    if config.base is None:
        found = host.component(BaseSpec, DEFAULT_BASE, where="base").spec.contract
        return contract_for(config, found)
    return contract_for(config, contract_of(config, host))
