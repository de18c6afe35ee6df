"""Low-rank adapters and their kin for the transformer of GS-LRM."""

from mfl_adapt.plugin import AdapterSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``lora``."""
    from .config import LoraConfig

    return [
        AdapterSpec(
            name="lora",
            summary="LoRA, DoRA, OFT, LoKr or IA3 on the layers of the transformer",
            config=LoraConfig,
            build="mfl_adapt_lora_gslrm.lora:Lora",
        )
    ]
