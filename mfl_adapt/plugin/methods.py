"""Settings of the ways in which peft changes layers: one ``method`` key, and what belongs to it.

Free of torch and peft, so that a configuration is checked without them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from mfl_adapt.errors import did_you_mean
from mfl_adapt.plugin.specs import ComponentConfig, Pace

Method = Literal["lora", "dora", "oft", "lokr", "ia3"]

_LORA = {
    "r": 16,
    "lora_alpha": 16,
    "lora_dropout": 0.0,
    "use_rslora": False,
    "rank_pattern": {},
    "alpha_pattern": {},
    "lora_plus_ratio": 1.0,
    "init": "default",
}
DEFAULTS: dict[str, dict[str, Any]] = {
    "lora": _LORA,
    "dora": _LORA,
    "oft": {"oft_block_size": 32, "use_cayley_neumann": False},
    "lokr": {
        **{key: _LORA[key] for key in ("r", "lora_alpha", "rank_pattern", "alpha_pattern")},
        "decompose_factor": -1,
        "rank_dropout": 0.0,
        "module_dropout": 0.0,
        "init": "default",
    },
    "ia3": {"feedforward_modules": ()},
}
"""What each method can be told, with the value that counts where nobody says anything."""

INITS = {
    "lora": ("default", "gaussian", "orthogonal"),
    "dora": ("default", "gaussian", "orthogonal"),
    "lokr": ("default", "lycoris"),
}
"""First weights of each method; with all of them a fresh adapter changes nothing."""

_REWRITES = "rewrites the weights of the base, which stay as they are here"
_LOOKS = "needs a pass over the data before training, which is not made here"
_REFUSED_INITS = {
    "pissa": _REWRITES,
    "olora": _REWRITES,
    "loftq": _REWRITES,
    "corda": f"{_REWRITES}, and {_LOOKS}",
    "lora_ga": f"{_REWRITES}, and {_LOOKS}",
    "eva": _LOOKS,
    "mica": "freezes half of the adapter, all of which is trained here",
    "False": "lets a fresh adapter change the output",
}


def _setting(key: str, text: str, **rules: Any) -> Any:
    """Declare a setting that only some methods have; None stands for the method's own value."""
    owners = [name for name, used in DEFAULTS.items() if key in used]
    value = DEFAULTS[owners[0]][key]
    shown = str(value).lower() if value or value == 0 else "none"
    return Field(
        default=None,
        validate_default=True,
        description=f"{text} ({', '.join(owners)}); {shown} if left out.",
        **rules,
    )


class MethodSettings(ComponentConfig):
    """How layers are changed, in peft's words; a setting of another method is an error."""

    method: Method = Field(
        default="lora",
        description=(
            "'lora' adds a low-rank matrix to each weight; 'dora' also learns the length of its "
            "rows; 'oft' rotates its inputs; 'lokr' adds a Kronecker product; 'ia3' scales its "
            "outputs."
        ),
    )
    r: int | None = _setting("r", "Rank of each update", ge=1)
    lora_alpha: int | None = _setting(
        "lora_alpha", "The update is multiplied by lora_alpha / r", ge=1
    )
    lora_dropout: float | None = _setting(
        "lora_dropout", "Share of a layer's input dropped while training", ge=0, lt=1
    )
    use_rslora: bool | None = _setting("use_rslora", "Multiply by lora_alpha / sqrt(r) instead")
    rank_pattern: dict[str, int] | None = _setting(
        "rank_pattern",
        "Another r for the layers that a pattern means, {pattern: r}, with patterns as in targets",
    )
    alpha_pattern: dict[str, int] | None = _setting(
        "alpha_pattern", "Another lora_alpha for some layers, like rank_pattern"
    )
    lora_plus_ratio: float | None = _setting(
        "lora_plus_ratio",
        "LoRA+: factor on train.lr for the second matrix of each pair, which starts at zero",
        ge=1,
    )
    oft_block_size: int | None = _setting(
        "oft_block_size", "Inputs that are rotated together; divides those of each layer", ge=2
    )
    use_cayley_neumann: bool | None = _setting(
        "use_cayley_neumann", "Approximate the rotations by a series of five terms"
    )
    decompose_factor: int | None = _setting(
        "decompose_factor",
        "Size of the smaller factor of the Kronecker product; -1 makes both about equally large",
    )
    rank_dropout: float | None = _setting(
        "rank_dropout", "Share of an update's rows dropped while training", ge=0, lt=1
    )
    module_dropout: float | None = _setting(
        "module_dropout", "Share of the layers left alone in each training step", ge=0, lt=1
    )
    feedforward_modules: tuple[str, ...] | None = _setting(
        "feedforward_modules",
        "Patterns of the targets whose inputs are scaled instead of their outputs, such as "
        "'mlp.mlp.2'",
    )
    # Last, as what it allows depends on the ranks.
    init: Literal["default", "gaussian", "orthogonal", "lycoris"] | None = _setting(
        "init", "First weights: 'gaussian' or 'orthogonal' for lora and dora, 'lycoris' for lokr"
    )

    @classmethod
    def idle_settings(cls, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the settings that say something about another method than the chosen one."""
        used = DEFAULTS.get(settings.get("method", "lora"))
        own = {key for one in DEFAULTS.values() for key in one}
        return () if used is None else tuple(key for key in settings if key in own - set(used))

    @field_validator(*sorted({key for one in DEFAULTS.values() for key in one}), mode="before")
    @classmethod
    def _belongs_to_the_method(cls, value: Any, info: ValidationInfo) -> Any:
        """Fill in the method's own value, and refuse what would be without effect.

        Raises:
            ValueError: If another method's setting has a value.
        """
        method, key = info.data.get("method"), str(info.field_name)
        if method is None:
            return value  # which is wrong itself, and named first
        if key in DEFAULTS[method]:
            return DEFAULTS[method][key] if value is None else value
        if value is None:
            return None
        owners = [name for name, used in DEFAULTS.items() if key in used]
        raise ValueError(
            f"expected nothing, as method {method} has no such setting, got {value!r}. Leave it "
            f"out or set it to null; it belongs to {', '.join(owners)}"
        )

    @field_validator("rank_pattern", "alpha_pattern")
    @classmethod
    def _patterns_give_whole_numbers(cls, value: dict[str, int] | None) -> dict[str, int] | None:
        for pattern, number in (value or {}).items():
            if number < 1:
                raise ValueError(f"expected numbers of at least 1, got {number} for {pattern!r}")
        return value

    @field_validator("decompose_factor")
    @classmethod
    def _a_factor_divides(cls, value: int | None) -> int | None:
        if value is not None and value != -1 and value < 2:
            raise ValueError(f"expected -1 or at least 2, got {value}")
        return value

    @field_validator("init", mode="before")
    @classmethod
    def _leaves_the_base_alone(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse, with the reason, what peft knows and cannot be used here.

        Raises:
            ValueError: If the method has no such first weights, or they would not be fresh.
        """
        value = "default" if value is True else value
        known = INITS.get(info.data.get("method", ""))
        if value is None or known is None or value in known:
            return value
        word = str(value).partition("_niter_")[0]
        if word in _REFUSED_INITS:
            raise ValueError(
                f"expected {' or '.join(known)}, got {value!r}, which {_REFUSED_INITS[word]}. "
                "Leave it out, or use 'orthogonal'"
            )
        raise ValueError(
            f"expected {' or '.join(known)}, got {value!r}. {did_you_mean(str(value), known)}"
        )

    @field_validator("init")
    @classmethod
    def _orthogonal_halves_ranks(cls, value: str | None, info: ValidationInfo) -> str | None:
        patterns = info.data.get("rank_pattern") or {}
        ranks = [info.data.get("r"), *patterns.values()]
        odd = [rank for rank in ranks if rank is not None and rank % 2]
        if value == "orthogonal" and odd:
            raise ValueError(f"expected even ranks for 'orthogonal', got {odd[0]}")
        return value

    def pace(self, name: str) -> Pace:
        """Return how a weight of the adapter learns, see ``PacedMethod``.

        Args:
            name: Full name of the parameter in the network.
        """
        ratio = self.lora_plus_ratio or 1.0
        # Both are factors on what the base computes, so that decay would pull the base to zero.
        is_factor = ".ia3_l." in name or ".lora_magnitude_vector." in name
        return Pace(rate=ratio if ".lora_B." in name else 1.0, decay=not is_factor)
