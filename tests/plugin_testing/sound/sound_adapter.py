"""LoRA on the attention of a small GS-LRM: an adapter method that breaks no rule."""

from mfl_adapt.errors import AdapterError
from mfl_adapt.plugin import AdapterSpec, ComponentConfig, hookimpl

MFL_API = 1


class QkvConfig(ComponentConfig):
    """Settings of ``qkv``."""

    r: int = 2


class Qkv:
    def __init__(self, config):
        self.r = config.r

    def peft_config(self, module):
        import peft

        layers = [name for name, _ in module.named_modules() if name.endswith("to_qkv")]
        if not layers:
            raise AdapterError(
                "sound_adapter.qkv: expected layers called to_qkv, got none. Use another base."
            )
        return peft.LoraConfig(r=self.r, target_modules=layers, init_lora_weights=True)


@hookimpl
def register_components():
    return [
        AdapterSpec(
            name="qkv", summary="LoRA on attention", config=QkvConfig, build="sound_adapter:Qkv"
        )
    ]
