"""Low-rank adapters for the UNet of multi-view diffusion."""

from mfl_adapt.plugin import AdapterSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``lora``."""
    from .config import LoraConfig

    return [
        AdapterSpec(
            name="lora",
            summary="LoRA on the attention layers of the UNet, and on what its conditions enter by",
            config=LoraConfig,
            build="mfl_adapt_lora_mvdiffusion.lora:Lora",
        )
    ]
