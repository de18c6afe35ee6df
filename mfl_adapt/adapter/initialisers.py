"""First weights that peft can only give by changing the weights of the base."""

from peft import PeftConfig

from mfl_adapt.errors import AdapterError

_HARMLESS = {"gaussian", "orthogonal", "lycoris"}
"""Words for first weights that are drawn without a look at the base; so are True and False."""


def check_initialiser(config: PeftConfig, where: str) -> None:
    """Raise where putting the adapter in would change the base.

    PiSSA, OLoRA, LoftQ and CorDA move part of each weight into the adapter. An adapter trained on
    the rest would fit no base but that rest, whatever its passport says.

    Args:
        config: peft's settings, before they are applied.
        where: The base, for the message.

    Raises:
        AdapterError: If the initialiser is not one that leaves the base alone.
    """
    for setting in ("init_lora_weights", "init_weights"):
        value = getattr(config, setting, True)
        if isinstance(value, str) and value not in _HARMLESS:
            raise AdapterError(
                f"{where}: expected first weights that leave the base as it is, got {setting} "
                f"{value!r}. Use 'gaussian' or 'orthogonal', or leave it out."
            )
