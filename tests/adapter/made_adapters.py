"""Stored adapters of every method on the small base, for tests of what is made from adapters."""

import peft
from small_base import Method, make_base, train_a_little

from mfl_adapt.adapter import attach, read_adapter, save
from mfl_adapt.adapter.layers import adapter_layers

TARGETS = ["to_qkv", "fc", "mlp.0", "mlp.2"]
METHODS = {
    "lora": lambda **more: peft.LoraConfig(
        **{"r": 4, "lora_alpha": 8, "target_modules": TARGETS} | more
    ),
    "rslora": lambda **more: peft.LoraConfig(
        r=4,
        lora_alpha=8,
        use_rslora=True,
        rank_pattern={"to_qkv": 2},
        alpha_pattern={"mlp.0": 3},
        target_modules=TARGETS,
    ),
    "dora": lambda **more: peft.LoraConfig(r=4, use_dora=True, target_modules=TARGETS),
    "oft": lambda **more: peft.OFTConfig(oft_block_size=8, target_modules=TARGETS),
    "lokr": lambda **more: peft.LoKrConfig(r=4, alpha=4, target_modules=TARGETS),
    "ia3": lambda **more: peft.IA3Config(target_modules=TARGETS, feedforward_modules=["mlp.2"]),
}


def make_stored(folder, method="lora", *, seed=1, base=None, passport=None, **changes):
    """Train a little and save; return what is read back."""
    adapter = attach(base or make_base(), Method(METHODS[method](**changes)), seed=seed)
    train_a_little(adapter, seed=seed)
    save(adapter, folder, passport=passport or {})
    adapter.remove()
    return read_adapter(folder)


def merged_by_peft(base, adapter):
    """Merged minus base weight of every layer, by peft alone, [out, in]; leaves it merged."""
    layers = adapter_layers(base.module)
    before = {
        name: layer.get_base_layer().weight.detach().clone() for name, layer in layers.items()
    }
    adapter.merge()
    after = {name: layer.get_base_layer().weight.detach().clone() for name, layer in layers.items()}
    return {name: (after[name] - before[name]).flatten(1) for name in before}


def mark(stored, **changes):
    """Change what the passport of an adapter in memory says."""
    stored.passport.update(changes)
    return stored
