"""What keeps an adapter off a base, and what a user may do about it at their own risk."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from mfl_adapt.adapter.effect import Effect
from mfl_adapt.adapter.passport import Mismatch, describe_base, to_json
from mfl_adapt.errors import AdapterError
from mfl_adapt.plugin import MFL_API, Base
from mfl_adapt.plugin.registry import PluginHost, load_plugins

logger = logging.getLogger(__name__)


class Forced:
    """Refuses what differs, or notes it where the user forces the adapter.

    Attributes:
        texts: What was forced, one sentence each.
    """

    def __init__(self, where: str, *, force: bool) -> None:
        """Take the adapter's name for messages, and whether it is forced."""
        self.texts: list[str] = []
        self._where, self._force = where, force

    def extend(self, mismatches: Iterable[Mismatch]) -> None:
        """Take what differs.

        Raises:
            AdapterError: If it is not forced.
        """
        for sides, remedy in mismatches:
            if not self._force:
                raise AdapterError(f"{self._where}: expected {sides}. {remedy}")
            logger.warning("%s: expected %s; ignored because of force", self._where, sides)
            self.texts.append(f"expected {sides}")

    def passport(self, passport: Mapping[str, Any], base: Base, effect: Effect) -> dict[str, Any]:
        """Return the passport of the adapter on this base: its own unless something was forced.

        A forced one names the base on which the adapter now is, and what it does there.
        """
        if not self.texts:
            return dict(passport)
        here = {
            "plugin_api": MFL_API,
            "base": describe_base(base),
            "contract": asdict(base.contract),
            "effect": effect.to_json(),
            "forced": list(dict.fromkeys([*passport.get("forced", []), *self.texts])),
        }
        return dict(passport) | to_json(here)


def find_other_supplier(passport: Mapping[str, Any], host: PluginHost | None) -> list[Mismatch]:
    """Compare who supplies the plugin that an adapter's own network needs.

    Another version of it is only logged: whether it matters, the effect of the adapter shows.

    Args:
        passport: The adapter's passport.
        host: The run's plugins; None looks at those that are installed.

    Returns:
        Both sides if they are two distributions; empty if not, or if one is a single file.
    """
    recipe = passport["adapter"].get("extra")
    use = recipe.get("use") if isinstance(recipe, dict) else None
    name = str(use).partition(".")[0]
    recorded = passport.get("plugins", {}).get(name)
    known = load_plugins([]) if host is None else host
    present = next((one for one in known.plugins() if one.name == name), None)
    if not isinstance(recorded, dict) or present is None:
        return []
    supplier, version = recorded.get("distribution"), recorded.get("version")
    if not (version and present.version):
        return []
    if supplier != present.distribution:
        sides = (
            f"the plugin {name!r} of {supplier} {version}, which the adapter was made with, got "
            f"that of {present.distribution} {present.version}"
        )
        return [Mismatch(sides, f"Install {supplier}.")]
    if version != present.version:
        logger.info("plugin %s: made with version %s, used with %s", name, version, present.version)
    return []
