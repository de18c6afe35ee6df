"""Where adapters are published: a repository of a model hub, or a folder."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mfl_adapt.errors import ConfigError

HUB = "hub:"
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?"
_REVISION = r"[A-Za-z0-9][A-Za-z0-9._/-]*"
MAIN = "main"


@dataclass(frozen=True, slots=True)
class HubPlace:
    """A repository of a model hub.

    Attributes:
        owner: User or organization.
        name: Of the repository.
        revision: Commit, tag or branch; None if not named.
    """

    owner: str
    name: str
    revision: str | None = None

    @property
    def repository(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"

    def __str__(self) -> str:
        """As the user types it."""
        return f"{HUB}{self.repository}" + (f"@{self.revision}" if self.revision else "")


def is_hub(place: str) -> bool:
    """Tell whether a place is on a hub."""
    return place.startswith(HUB)


def read_hub_place(text: str) -> HubPlace:
    """Read ``hub:OWNER/NAME`` or ``hub:OWNER/NAME@REVISION``.

    Raises:
        ConfigError: If it is something else.
    """
    found = re.fullmatch(rf"hub:({_PART})/({_PART})(?:@({_REVISION}))?", text)
    if found is None or any(bad in text for bad in ("..", "--", "//")):
        raise ConfigError(
            f"{text}: expected hub:OWNER/NAME or hub:OWNER/NAME@REVISION. Mend the name."
        )
    return HubPlace(*found.groups())
