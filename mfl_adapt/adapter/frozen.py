"""Which weights are the base's and which the adapter's, and proof that the first stand still.

Names of base weights are those of the network without an adapter: peft's ``base_layer`` is left
out and an adapter's own network is passed over, so that one digest fits the network before, with
and after an adapter.
"""

from collections.abc import Iterator

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from mfl_adapt.adapter.digest import digest_tensors
from mfl_adapt.adapter.layers import adapter_layers, layer_parameters
from mfl_adapt.adapter.stack import find_stack
from mfl_adapt.errors import AdapterError, did_you_mean
from mfl_adapt.plugin import ExtraModule


def base_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and saved buffers of the base, by their names without an adapter.

    Args:
        module: Network, adapted or not.

    Returns:
        The live tensors, detached.
    """
    return {name: tensor.detach() for name, tensor in _walk_base(module, "")}


def base_digest(module: nn.Module) -> str:
    """SHA-256 over all weights of the base; equal before and after an honest training.

    Args:
        module: Network, adapted or not. A merged adapter changes the digest, as it should.

    Returns:
        64 hexadecimal digits.
    """
    return digest_tensors(base_tensors(module))


def adapter_parameters(module: nn.Module, name: str | None = None) -> dict[str, nn.Parameter]:
    """All parameters that the base does not have, by their full names, in the network's order.

    Args:
        module: Adapted network.
        name: Only those of this adapter; None means those of all.

    Returns:
        Empty if there is no adapter, or none of that name.
    """
    if name is not None:
        own = _own_parameters(module, name)
        return {path: one for path, one in module.named_parameters() if id(one) in own}
    base = {id(tensor) for _, tensor in _walk_base(module, "")}
    return {path: one for path, one in module.named_parameters() if id(one) not in base}


def freeze_base(module: nn.Module, *, train_adapter: bool | str) -> None:
    """Stop the gradients of the base, and of the adapters that are not to be trained.

    Args:
        module: Adapted network.
        train_adapter: Whether the adapters' own parameters get gradients; a name trains that one
            alone.

    Raises:
        AdapterError: If no adapter has that name.
    """
    trained = _trained_names(module, train_adapter)
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name in trained)
        if name not in trained:
            parameter.grad = None


def check_frozen(module: nn.Module, *, train_adapter: bool | str) -> None:
    """Raise unless exactly the adapter is trained and all other weights hold no gradients.

    Args:
        module: Adapted network.
        train_adapter: Whether the adapters' own parameters should get gradients; a name means
            those of that one alone.

    Raises:
        AdapterError: If a weight is trained that should not be, or the other way round.
    """
    wanted = _trained_names(module, train_adapter)
    trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    if trained != wanted:
        name = min(trained ^ wanted)
        state = "trained" if name in trained else "frozen"
        raise AdapterError(
            f"{name}: expected {len(wanted)} trained tensors, all of the adapter, got "
            f"{len(trained)} with this one {state}. Leave requires_grad to attach() and load()."
        )
    for name, parameter in module.named_parameters():
        if name not in wanted and parameter.grad is not None:
            raise AdapterError(
                f"{name}: expected no gradient on a frozen weight, got one of norm "
                f"{parameter.grad.norm():.3g}. Attach the adapter before the first backward pass."
            )


def _trained_names(module: nn.Module, train_adapter: bool | str) -> set[str]:
    """Full names of the parameters that are to be trained.

    Raises:
        AdapterError: If no adapter has the given name.
    """
    if train_adapter is False:
        return set()
    if train_adapter is True:
        return set(adapter_parameters(module))
    names = set(adapter_parameters(module, train_adapter))
    if not names:
        stack = find_stack(module)
        known = [] if stack is None else list(stack.adapters)
        raise AdapterError(
            f"train_adapter: expected the name of an adapter with parameters, got "
            f"{train_adapter!r}. {did_you_mean(train_adapter, known) if known else 'Attach one.'}"
        )
    return names


def _own_parameters(module: nn.Module, name: str) -> set[int]:
    """Identities of the parameters of one adapter, its own network's among them."""
    own = [
        parameter
        for layer in adapter_layers(module, name).values()
        for parameter in layer_parameters(layer, name)
    ]
    stack = find_stack(module)
    adapter = None if stack is None else stack.adapters.get(name)
    if adapter is not None and adapter.extra is not None:
        own += adapter.extra.parameters()
    return {id(parameter) for parameter in own}


def _walk_base(module: nn.Module, prefix: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(module, BaseTunerLayer):
        yield from _walk_base(module.get_base_layer(), prefix)
        return
    for name, parameter in module.named_parameters(recurse=False):
        yield prefix + name, parameter
    for name, buffer in module.named_buffers(recurse=False):
        # A buffer that is not saved is a cache, which a forward pass may fill.
        if name not in module._non_persistent_buffers_set:
            yield prefix + name, buffer
    for name, child in module.named_children():
        if isinstance(child, ExtraModule):
            continue
        yield from _walk_base(child, f"{prefix}{name}.")
