"""Put an adapter on a frozen base."""

import logging
import re
from typing import Any

import torch
from peft import PeftConfig, inject_adapter_in_model

from mfl_adapt.adapter.attached import AttachedAdapter
from mfl_adapt.adapter.extra import ExtraBuilder, extra_builder, installed_extra
from mfl_adapt.adapter.frozen import adapter_parameters, check_frozen, freeze_base
from mfl_adapt.adapter.layers import adapter_layers, remove_layers
from mfl_adapt.errors import AdapterError
from mfl_adapt.plugin import AdapterMethod, Base

logger = logging.getLogger(__name__)


def attach(
    base: Base, method: AdapterMethod, *, name: str = "default", seed: int
) -> AttachedAdapter:
    """Put a fresh adapter on a base and freeze everything else.

    A fresh adapter changes nothing: its output is that of the base.

    Args:
        base: Base whose network is changed in place.
        method: What an ``AdapterSpec`` built.
        name: peft's name of the adapter.
        seed: Decides the first weights; the global random state stays as it is.

    Returns:
        The adapter, ready for training: exactly its own parameters get gradients.

    Raises:
        AdapterError: If the base has an adapter, or the method does not fit its network.
    """
    # First, as a method would look for its targets among layers that peft has wrapped.
    _check_free(base)
    config, extra = method.peft_config(base.module), extra_builder(method)
    adapter = inject(base, config, name=name, seed=seed, extra=extra)
    freeze_base(base.module, train_adapter=True)
    check_frozen(base.module, train_adapter=True)
    logger.debug(
        "adapter %s: %d parameters on %d layers of %s",
        name,
        adapter.num_parameters(),
        len(adapter.layers),
        base.id,
    )
    return adapter


def inject(
    base: Base,
    config: PeftConfig | None,
    *,
    name: str,
    seed: int,
    extra: ExtraBuilder | None = None,
) -> AttachedAdapter:
    """Put peft's layers, and an adapter's own network, into a base's network.

    Args:
        base: Base whose network is changed in place.
        config: peft's settings; peft may shorten the list of target modules in it. None leaves
            the layers as they are.
        name: peft's name of the adapter.
        seed: Decides the first weights.
        extra: Builds the adapter's own network; None if it has none.

    Returns:
        The adapter; which parameters get gradients is left to ``freeze_base``.

    Raises:
        AdapterError: If the name is no name, the base has an adapter, the settings do not fit, or
            there is nothing to put in.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
        raise AdapterError(
            f"adapter name: expected letters, digits, '-' and '_', got {name!r}. Rename it."
        )
    if config is None and extra is None:
        raise AdapterError(
            f"adapter {name}: expected a method that changes layers or adds a network, got one "
            "that does neither. Check the adapter's settings."
        )
    _check_free(base)
    with torch.random.fork_rng(devices=[]):
        # Weights are drawn on the CPU and moved afterwards. Each part starts from the seed, so
        # that peft's weights are the same with and without a network beside them.
        torch.random.default_generator.manual_seed(seed)
        built = None if extra is None else extra(base.module)
        torch.random.default_generator.manual_seed(seed)
        if config is not None:
            _inject_layers(base, config, name)
    if built is not None:
        _install(base, built)
    for parameter in adapter_parameters(base.module).values():
        # Small updates are lost in half precision, whatever the base is kept in.
        parameter.data = parameter.data.float()
    # New layers start in training mode, which would switch dropout on in a base that is not.
    base.module.train(base.module.training)
    return AttachedAdapter(base, config, name=name, seed=seed)


def _check_free(base: Base) -> None:
    """Raise unless a base is without an adapter.

    Raises:
        AdapterError: If it has one.
    """
    if adapter_layers(base.module) or installed_extra(base.module) is not None:
        raise AdapterError(
            f"{base.id}: expected a base without an adapter, got one that has one. "
            "Call its remove() first, or load the base anew."
        )


def _inject_layers(base: Base, config: PeftConfig, name: str) -> None:
    """Let peft change layers.

    Raises:
        AdapterError: If the settings do not fit; the network is as before.
    """
    try:
        inject_adapter_in_model(config, base.module, adapter_name=name)
    except (ValueError, TypeError) as error:
        remove_layers(base.module)
        reason = " ".join(str(error).split()).rstrip(".")
        raise AdapterError(
            f"{base.id}: expected settings that peft can apply, got: {reason}. "
            "Check the adapter's targets."
        ) from error


def _install(base: Base, extra: Any) -> None:
    """Put an adapter's own network in, where the base's weights are.

    Raises:
        AdapterError: If there is no place for it; peft's layers are gone again.
    """
    try:
        extra.to(next(base.module.parameters()).device).install(base.module)
    except AdapterError:
        remove_layers(base.module)
        raise
    if installed_extra(base.module) is not extra:
        remove_layers(base.module)
        raise AdapterError(
            f"{extra.recipe['use']}: expected install() to make it a child of the base's network, "
            "got a network without it. Tell the plugin's author."
        )
