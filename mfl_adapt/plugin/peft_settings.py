"""Turns settings of a method into peft's, where the network can take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mfl_adapt.errors import AdapterError
from mfl_adapt.plugin.methods import MethodSettings
from mfl_adapt.plugin.targets import by_layer, match_layers

if TYPE_CHECKING:
    import peft
    from torch import nn


def build_peft_config(
    settings: MethodSettings, module: nn.Module, layers: Sequence[str], *, where: str
) -> peft.PeftConfig:
    """Return peft's settings for some layers.

    Args:
        settings: The method and what belongs to it.
        module: Network of the base, not yet adapted.
        layers: Full names of the layers, sorted; peft would also take endings and guess.
        where: The component, for messages.

    Raises:
        AdapterError: If a layer is none that the method can change exactly, or a pattern matches
            none of the layers.
    """
    if settings.method == "oft":
        return _oft(settings, module, layers, where)
    if settings.method == "lokr":
        return _lokr(settings, layers, where)
    if settings.method == "ia3":
        return _ia3(settings, layers, where)
    return _lora(settings, module, layers, where)


def _lora(
    settings: MethodSettings, module: nn.Module, layers: Sequence[str], where: str
) -> peft.PeftConfig:
    """LoRA, and DoRA, which peft takes for a variant of it.

    Raises:
        AdapterError: If first weights are asked for that peft has for linear layers alone.
    """
    import peft

    if settings.init == "orthogonal":
        for name in layers:
            if _kernel(module, name) is not None:
                raise AdapterError(
                    f"{where}: expected linear layers for init orthogonal, got the convolution "
                    f"{name}. Leave it out of targets, or use init gaussian."
                )
    return peft.LoraConfig(
        **_ranks(settings, layers, where),
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        use_rslora=settings.use_rslora,
        use_dora=settings.method == "dora",
        init_lora_weights=True if settings.init == "default" else settings.init,
        target_modules=list(layers),
    )


def _lokr(settings: MethodSettings, layers: Sequence[str], where: str) -> peft.PeftConfig:
    import peft

    return peft.LoKrConfig(
        **_ranks(settings, layers, where),
        alpha=settings.lora_alpha,
        decompose_factor=settings.decompose_factor,
        rank_dropout=settings.rank_dropout,
        module_dropout=settings.module_dropout,
        init_weights=True if settings.init == "default" else settings.init,
        target_modules=list(layers),
    )


def _ranks(settings: MethodSettings, layers: Sequence[str], where: str) -> dict[str, Any]:
    """Settings that LoRA and LoKr share; patterns become full names, of which peft guesses none."""
    return {"r": settings.r} | {
        setting: by_layer(patterns or {}, layers, where=where, setting=setting)
        for setting, patterns in (
            ("rank_pattern", settings.rank_pattern),
            ("alpha_pattern", settings.alpha_pattern),
        )
    }


def _oft(
    settings: MethodSettings, module: nn.Module, layers: Sequence[str], where: str
) -> peft.PeftConfig:
    """Rotations of the inputs.

    Raises:
        AdapterError: If a layer is a convolution that looks at neighbours, or its inputs do not
            fall into whole blocks.
    """
    import peft

    size = settings.oft_block_size or 0
    for name in layers:
        if _kernel(module, name) not in {None, (1, 1)}:
            # peft rotates patches of the picture and adds them up where they overlap, which even
            # a rotation by nothing does not survive.
            raise AdapterError(
                f"{where}: expected layers that look at one place for method oft, got the "
                f"convolution {name}. Leave it out of targets, or use method lora."
            )
        inputs = module.get_parameter(f"{name}.weight").shape[1]
        if inputs % size:
            # peft would choose another size, and only warn.
            raise AdapterError(
                f"{where}: expected oft_block_size to divide the inputs of every layer, got {size} "
                f"and {inputs} inputs of {name}. Use {_divisor(inputs, size)}, or leave it out of "
                "targets."
            )
    return peft.OFTConfig(
        oft_block_size=size,
        use_cayley_neumann=settings.use_cayley_neumann,
        target_modules=list(layers),
    )


def _ia3(settings: MethodSettings, layers: Sequence[str], where: str) -> peft.PeftConfig:
    import peft

    patterns, inputs = settings.feedforward_modules, []
    if patterns:
        inputs = match_layers(
            layers,
            patterns,
            where=where,
            setting="feedforward_modules",
            among="a layer that the adapter takes",
        )
    return peft.IA3Config(target_modules=list(layers), feedforward_modules=inputs)


def _kernel(module: nn.Module, name: str) -> tuple[int, ...] | None:
    """Size of a convolution's kernel; None for a linear layer."""
    shape = module.get_parameter(f"{name}.weight").shape
    return tuple(shape[2:]) if len(shape) > 2 else None


def _divisor(number: int, limit: int) -> int:
    """Greatest divisor that is no greater than a limit."""
    return max(one for one in range(1, limit + 1) if number % one == 0)
