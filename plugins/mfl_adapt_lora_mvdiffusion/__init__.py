"""Low-rank adapters and their kin for the UNet of multi-view diffusion."""

from mfl_adapt.plugin import AdapterSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``lora``."""
    from .config import LoraConfig

    return [
        AdapterSpec(
            name="lora",
            summary="LoRA, DoRA, OFT, LoKr or IA3 on attention and conditions of the UNet",
            config=LoraConfig,
            build="mfl_adapt_lora_mvdiffusion.lora:Lora",
        )
    ]
