"""Put an adapter on a frozen base."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftConfig, inject_adapter_in_model
from torch import nn

from mfl_adapt.adapter.attached import AttachedAdapter
from mfl_adapt.adapter.beside import check_room, check_unmerged
from mfl_adapt.adapter.extra import ExtraBuilder, extra_builder, installed_extra
from mfl_adapt.adapter.frozen import adapter_parameters, check_frozen, freeze_base
from mfl_adapt.adapter.harmless import check_harmless
from mfl_adapt.adapter.initialisers import check_initialiser
from mfl_adapt.adapter.layers import own_layers, take_out, without_configs
from mfl_adapt.adapter.stack import find_stack, get_adapters, stack_of
from mfl_adapt.errors import AdapterError
from mfl_adapt.plugin import AdapterMethod, Base

logger = logging.getLogger(__name__)


def attach(
    base: Base, method: AdapterMethod, *, name: str | None = None, seed: int
) -> AttachedAdapter:
    """Put a fresh adapter on a base and freeze everything else.

    A fresh adapter changes nothing: its output is that of the base with the adapters that it has
    already, which act on at their strengths and are frozen.

    Args:
        base: Base whose network is changed in place.
        method: What an ``AdapterSpec`` built.
        name: What to call the adapter; None is ``default``, then ``default_2`` and so on.
        seed: Decides the first weights; the global random state stays as it is.

    Returns:
        The adapter, ready for training: exactly its own parameters get gradients.

    Raises:
        AdapterError: If the method does not fit the network, or the base's other adapters.
    """
    check_unmerged(base)
    # A method looks for its targets among the base's own layers, not among those of peft.
    with own_layers(base.module), _without_extra(base.module):
        config = method.peft_config(base.module)
    adapter = inject(base, config, name=name, seed=seed, extra=extra_builder(method))
    freeze_base(base.module, train_adapter=adapter.name)
    check_frozen(base.module, train_adapter=adapter.name)
    logger.debug(
        "adapter %s: %d parameters on %d layers of %s",
        adapter.name,
        adapter.num_parameters(),
        len(adapter.layers),
        base.id,
    )
    return adapter


def inject(
    base: Base,
    config: PeftConfig | None,
    *,
    name: str | None,
    seed: int,
    extra: ExtraBuilder | None = None,
) -> AttachedAdapter:
    """Put peft's layers, and an adapter's own network, into a base's network.

    Adapters that are there already stay as they are, at their strengths.

    Args:
        base: Base whose network is changed in place.
        config: peft's settings; peft may shorten the list of target modules in it. None leaves
            the layers as they are.
        name: What to call the adapter; None is ``default``, then ``default_2`` and so on.
        seed: Decides the first weights.
        extra: Builds the adapter's own network; None if it has none.

    Returns:
        The adapter; neither its weights nor the base's get gradients until ``freeze_base`` says so.

    Raises:
        AdapterError: If the name is no name or taken, the settings do not fit the network or its
            other adapters, or there is nothing to put in; the network is as before.
    """
    name = free_name(base) if name is None else name
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
        raise AdapterError(
            f"adapter name: expected letters, digits, '-' and '_', got {name!r}. Rename it."
        )
    if config is None and extra is None:
        raise AdapterError(
            f"adapter {name}: expected a method that changes layers or adds a network, got one "
            "that does neither. Check the adapter's settings."
        )
    if config is not None:
        check_harmless(config, base.id)
        check_initialiser(config, base.id)
    check_room(base, config, name, has_extra=extra is not None)
    others = {id(parameter) for parameter in adapter_parameters(base.module).values()}
    flags = [(parameter, parameter.requires_grad) for parameter in base.module.parameters()]
    try:
        built = _put_in(base, config, name, seed, extra)
    except AdapterError:
        _restore(base, flags)
        raise
    adapter = AttachedAdapter(base, config, name=name, seed=seed, extra=built)
    stack_of(base.module).adapters[name] = adapter
    for parameter in adapter.parameters():
        # Small updates are lost in half precision, whatever the base is kept in.
        parameter.data = parameter.data.float()
        parameter.requires_grad_(False)
    _restore(base, [(one, flag and id(one) in others) for one, flag in flags])
    return adapter


def free_name(base: Base) -> str:
    """Return the name of an adapter that was given none."""
    taken, number = get_adapters(base), 1
    name = "default"
    while name in taken:
        number += 1
        name = f"default_{number}"
    return name


def _put_in(
    base: Base, config: PeftConfig | None, name: str, seed: int, extra: ExtraBuilder | None
) -> Any:
    """Build both parts of an adapter; return its own network, or None.

    Raises:
        AdapterError: If one does not fit; neither is there.
    """
    with torch.random.fork_rng(devices=[]):
        # Weights are drawn on the CPU and moved afterwards. Each part starts from the seed, so
        # that peft's weights are the same with and without a network beside them.
        torch.random.default_generator.manual_seed(seed)
        built = None if extra is None else extra(base.module)
        torch.random.default_generator.manual_seed(seed)
        if config is not None:
            with _without_extra(base.module):
                _inject_layers(base, config, name)
    if built is not None:
        _install(base, built, name)
    return built


def _restore(base: Base, flags: list[tuple[nn.Parameter, bool]]) -> None:
    """Bring what peft and a new network changed beside themselves back to what it was."""
    for parameter, flag in flags:
        parameter.requires_grad_(flag)
    # New layers start in training mode, which would switch dropout on in a base that is not.
    base.module.train(base.module.training)
    stack = find_stack(base.module)
    if stack is not None:
        stack.sync(base.module)


@contextmanager
def _without_extra(module: nn.Module) -> Iterator[None]:
    """Take another adapter's own network away meanwhile: its layers are no targets."""
    extra = installed_extra(module)
    if extra is not None:
        extra.uninstall(module)
    try:
        yield
    finally:
        if extra is not None:
            extra.install(module)


def _inject_layers(base: Base, config: PeftConfig, name: str) -> None:
    """Let peft change layers.

    Raises:
        AdapterError: If the settings do not fit; the network is as before.
    """
    try:
        with without_configs(base.module):
            inject_adapter_in_model(config, base.module, adapter_name=name)
    except (ValueError, TypeError) as error:
        take_out(base.module, name)
        reason = " ".join(str(error).split()).rstrip(".")
        raise AdapterError(
            f"{base.id}: expected settings that peft can apply, got: {reason}. "
            "Check the adapter's targets."
        ) from error


def _install(base: Base, extra: Any, name: str) -> None:
    """Put an adapter's own network in, where the base's weights are.

    Raises:
        AdapterError: If there is no place for it; peft's layers are gone again.
    """
    try:
        extra.to(next(base.module.parameters()).device).install(base.module)
    except AdapterError:
        take_out(base.module, name)
        raise
    if installed_extra(base.module) is not extra:
        take_out(base.module, name)
        raise AdapterError(
            f"{extra.recipe['use']}: expected install() to make it a child of the base's network, "
            "got a network without it. Tell the plugin's author."
        )
