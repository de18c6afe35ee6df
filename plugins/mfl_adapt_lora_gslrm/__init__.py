"""Low-rank adapters for the transformer of GS-LRM."""

from mfl_adapt.plugin import AdapterSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``lora``."""
    from .config import LoraConfig

    return [
        AdapterSpec(
            name="lora",
            summary="LoRA on the attention and MLP layers of the transformer",
            config=LoraConfig,
            build="mfl_adapt_lora_gslrm.lora:Lora",
        )
    ]
