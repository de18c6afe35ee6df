"""The hooks that a plugin may implement. This file holds names and documentation only.

No hook takes an argument that has a default: pluggy passes arguments by name and leaves out those
that an implementation does not ask for, so one that is added later breaks nobody.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pluggy

from mfl_adapt.plugin.specs import Spec

PROJECT = "mfl_adapt"
"""Name of the pluggy project and of the entry-point group."""

MFL_API = 1
"""The version of this interface; a plugin's module says which one it was written for."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_components() -> Iterable[Spec]:
    """Return the components that the plugin offers; each record's type is its slot.

    Called once per load, in every command that lists or validates, so it must stay cheap: import
    configuration models inside the function, and never torch, OpenCV, numba or diffusers.
    """
    raise NotImplementedError


@hookspec
def run_opening(config: Any) -> None:
    """Refuse a training run that could not end well, before anything is read or written.

    The place to look for a package, a login or a device that is needed later; it costs nothing
    yet. Raise an error of ``mfl_adapt.errors`` that says what to do.

    Args:
        config: The resolved configuration, a ``RunConfig``. To be read only.
    """


@hookspec
def run_started(run: Any) -> None:
    """Look at a training run before its first step.

    Args:
        run: The run: its folder, resolved configuration, base and adapter. To be read only.
    """


@hookspec
def step_finished(run: Any, step: int) -> None:
    """Look at a training run after an optimizer step.

    Args:
        run: The run, as in ``run_started``.
        step: Number of steps taken, from 1.
    """


@hookspec
def checkpoint_saved(run: Any, path: Path) -> None:
    """Look at a checkpoint folder that is complete on disk.

    Args:
        run: The run, as in ``run_started``.
        path: Folder of the checkpoint.
    """


@hookspec
def run_finished(run: Any) -> None:
    """Look at a training run after its last step, once its adapter is on disk.

    Args:
        run: The run, as in ``run_started``.
    """
