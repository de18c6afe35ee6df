"""Put an adapter on a frozen base."""

import logging
import re

import torch
from peft import PeftConfig, inject_adapter_in_model

from mfl_adapt.adapter.attached import AttachedAdapter
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
    adapter = inject(base, method.peft_config(base.module), name=name, seed=seed)
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


def inject(base: Base, config: PeftConfig, *, name: str, seed: int) -> AttachedAdapter:
    """Put peft's layers into a base's network.

    Args:
        base: Base whose network is changed in place.
        config: peft's settings; peft may shorten the list of target modules in it.
        name: peft's name of the adapter.
        seed: Decides the first weights.

    Returns:
        The adapter; which parameters get gradients is left to ``freeze_base``.

    Raises:
        AdapterError: If the name is no name, the base has an adapter, or the settings do not fit.
    """
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
        raise AdapterError(
            f"adapter name: expected letters, digits, '-' and '_', got {name!r}. Rename it."
        )
    if adapter_layers(base.module):
        raise AdapterError(
            f"{base.id}: expected a base without an adapter, got one that has one. "
            "Call its remove() first, or load the base anew."
        )
    with torch.random.fork_rng(devices=[]):
        # peft draws on the CPU and moves the weights afterwards.
        torch.random.default_generator.manual_seed(seed)
        try:
            inject_adapter_in_model(config, base.module, adapter_name=name)
        except (ValueError, TypeError) as error:
            remove_layers(base.module)
            reason = " ".join(str(error).split()).rstrip(".")
            raise AdapterError(
                f"{base.id}: expected settings that peft can apply, got: {reason}. "
                "Check the adapter's targets."
            ) from error
    for parameter in adapter_parameters(base.module).values():
        # Small updates are lost in half precision, whatever the base is kept in.
        parameter.data = parameter.data.float()
    # New layers start in training mode, which would switch dropout on in a base that is not.
    base.module.train(base.module.training)
    return AttachedAdapter(base, config, name=name, seed=seed)
