"""Which keys of a configuration change no weight of what a run makes."""

from __future__ import annotations

from collections.abc import Collection

IDLE_KEYS = (
    *("name", "output", "evaluate", "views_base", "plugins"),
    *("data.cache", "data.reader.workers", "data.reader.cache"),
    *(f"train.{key}" for key in ("device", "backend", "log_every", "sample_every", "save_every")),
    *(f"train.{key}" for key in ("keep", "validate_every", "validate_samples", "resume")),
    *(f"train.{key}" for key in ("guards", "force")),
)
"""Names, places, what is watched, shown and kept; each stands for all keys below it. Plugins count
where the sections name their components. Device and rasterizer move the last digits."""

LOCATIONS = ("data.path", "base.checkpoint", "base.config", "base.folder")
"""Where data and weights lie. What lies there is known by its hash, which counts instead."""


def is_below(key: str, keys: Collection[str]) -> bool:
    """Whether a dotted key is one of these, or lies below one of them."""
    return any(key == one or key.startswith(f"{one}.") for one in keys)
