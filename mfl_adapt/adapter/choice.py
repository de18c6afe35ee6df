"""Which adapters are used and how strongly, as a user names them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mfl_adapt.errors import AdapterError, RangeError

if TYPE_CHECKING:
    from mfl_adapt.adapter.attached import AttachedAdapter
    from mfl_adapt.plugin import Base
    from mfl_adapt.plugin.registry import PluginHost


@dataclass(frozen=True, slots=True)
class AdapterChoice:
    """An adapter folder and the strength at which it is used.

    Attributes:
        folder: Adapter folder.
        strength: How much of it is added; 0 leaves it in its place, switched off.
    """

    folder: Path
    strength: float = 1.0

    @classmethod
    def of(cls, named: AdapterChoice | Path) -> AdapterChoice:
        """Return a choice; a folder alone is used as a whole."""
        return named if isinstance(named, AdapterChoice) else cls(named)


def read_choice(text: str) -> AdapterChoice:
    """Read ``FOLDER`` or ``FOLDER@STRENGTH``.

    What follows the last ``@`` is a strength, unless the whole text is a path that exists, or the
    ``@`` stands before a further folder of the path.

    Args:
        text: For instance ``runs/mouse/adapter@0.5``.

    Returns:
        The choice; strength 1 where none is given.

    Raises:
        RangeError: If the strength is no finite number of at least 0.
    """
    folder, sign, strength = text.rpartition("@")
    in_name = any(mark and mark in strength for mark in (os.sep, os.altsep))
    if not sign or in_name or Path(text).exists():
        return AdapterChoice(Path(text))
    try:
        value = float(strength)
    except ValueError:
        value = float("nan")
    if not folder or not 0 <= value < float("inf"):
        raise RangeError(
            f"--adapter {text}: expected FOLDER or FOLDER@STRENGTH with a finite strength of at "
            f"least 0, got strength {strength!r}{'' if folder else ' of no folder'}. No folder of "
            "that whole name exists; write e.g. FOLDER@0.5."
        )
    return AdapterChoice(Path(folder), value)


def load_several(
    base: Base, choices: Sequence[AdapterChoice | Path], host: PluginHost | None = None
) -> tuple[AttachedAdapter, ...]:
    """Put adapters on a base, one beside the other; all of them or none.

    Args:
        base: Base whose network is changed in place.
        choices: Adapter folders and their strengths.
        host: The run's plugins, for adapters with a network of their own.

    Returns:
        The adapters, in order.

    Raises:
        AdapterError: If one is refused; the base is as before.
    """
    from mfl_adapt.adapter.load import load  # only here, so that choices are read without torch

    adapters: list[AttachedAdapter] = []
    with ExitStack() as undo:
        for choice in map(AdapterChoice.of, choices):
            try:
                adapter = load(base, choice.folder, strength=choice.strength, host=host)
            except AdapterError as error:
                where = str(choice.folder)
                if where in str(error):
                    raise
                # Which of the several it is.
                raise AdapterError(f"{where}: {error}") from error
            undo.callback(adapter.remove)
            adapters.append(adapter)
        undo.pop_all()
    return tuple(adapters)
