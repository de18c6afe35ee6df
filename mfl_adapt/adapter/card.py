"""The model card of an adapter: only what its passport can prove."""

from collections.abc import Mapping
from typing import Any

from mfl_adapt.adapter.passport import dump_json


def model_card(passport: Mapping[str, Any]) -> str:
    """Return ``README.md`` for an adapter folder.

    Args:
        passport: The adapter's passport.

    Returns:
        Markdown with the front matter that model hubs read.
    """
    base, adapter = passport["base"], passport["adapter"]
    rows = {
        "base": f"`{base['id']}`",
        "base file, SHA-256": f"`{base['sha256']}`",
        "base architecture": f"`{base['fingerprint']}`",
        "method": adapter["method"] or "none of peft's",
        "adapted layers": adapter["layers"],
        **({"own network": f"`{adapter['extra']['use']}`"} if "extra" in adapter else {}),
        "parameters": adapter["parameters"],
        "adapter hash": f"`{passport['adapter_hash']}`",
        "licence": passport.get(
            "licence", "not stated; that of the base applies to what it is used with"
        ),
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    metrics = passport["metrics"]
    measured = (
        f"```json\n{dump_json(metrics, indent=2)}\n```" if metrics else "No metrics were recorded."
    )
    stock = _STOCK_PART if "extra" in adapter else _STOCK
    if adapter["method"] is None:
        stock = _NO_STOCK
    return _CARD.format(base=base["id"], table=table, metrics=measured, stock=stock)


_CARD = """\
---
library_name: peft
tags:
- mfl_adapt
- gaussian-splatting
---

# Adapter for {base}

Made with mfl_adapt. It holds no weights of the base and is of no use without it.

| | |
|---|---|
{table}

## Metrics

{metrics}

## Use

```python
import mfl_adapt as mfl

base = mfl.load_base("{base}")
adapter = mfl.load_adapter(base, "path/to/this/folder")
```

Loading compares base and weights with `passport.json` and refuses what does not match. {stock}
"""

_STOCK = """The folder
is also a plain peft adapter: `PeftModel.from_pretrained(network, folder)` loads it unchecked."""
_STOCK_PART = """Part of
it is a plain peft adapter: `PeftModel.from_pretrained(network, folder)` loads the changed layers
unchecked, and leaves out the network in `extra_model.safetensors`."""
_NO_STOCK = """It
changes no layer, so that there is nothing in it for peft."""
