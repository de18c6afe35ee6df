"""Every error that a user can cause, as one tree.

    MflAdaptError
    ├── ShapeError         (ValueError)    arrays whose shapes do not agree
    ├── RangeError         (ValueError)    a value outside the range it must keep
    ├── ConfigError        (ValueError)    a key, value or preset in a run configuration
    ├── PluginError        (RuntimeError)  a plugin that is unknown, broken or in conflict
    ├── DataError          (ValueError)    a dataset, picture or camera file
    ├── CheckpointError    (RuntimeError)  weights that are missing, misshapen or not finite
    ├── BackendError       (RuntimeError)  a rasterizer that cannot run here
    ├── AdapterError       (RuntimeError)  an adapter that does not fit or has no effect
    ├── CheckError         (RuntimeError)  a law of the rig contract that the data break
    ├── TrainingError      (RuntimeError)  a run that cannot go on
    ├── WorkerError        (RuntimeError)  a worker process or a cluster that stopped working
    ├── HubError           (RuntimeError)  a model hub that refuses, breaks off or sends other files
    └── StorageError       (OSError)       a file that could not be written

A message reads ``<where>: expected <rule>, got <value>. <what to do>``. The command line catches
``MflAdaptError`` alone and prints its message as one line; anything else is our bug and keeps
its traceback.

Every error has the code of the failure that it stops, where one of the catalogue fits; see
docs/checks.md. A class has one for all its errors, and a single error may have another.
"""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 2000
"""Characters of a message; whoever mends a file reads no more."""


class MflAdaptError(Exception):
    """Root of all errors that a user can cause and mend.

    Attributes:
        code: Of the failure that it stops (``MFL041``); empty if the catalogue has none.
    """

    code: str = ""

    def __init__(self, *args: object, code: str = "") -> None:
        """Take a message, and a code where the class has none or another one."""
        super().__init__(*args)
        if code:
            self.code = code

    def __str__(self) -> str:
        """One line of bounded length that any terminal can show.

        Messages quote names and values from files. A line break or an escape sequence in one must
        not reach the terminal, which would obey it, nor a list of thousands bury the reason.
        Lines are joined by spaces, as messages of other libraries have several.
        """
        text = " ".join(line.strip() for line in super().__str__().splitlines())
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST - 500]} ... {text[-400:]}"
        return show_plainly(text)


class ShapeError(MflAdaptError, ValueError):
    """Arrays whose shapes do not agree with the rule or with one another."""


class RangeError(MflAdaptError, ValueError):
    """A value outside the range it must keep, or one that is not finite."""


class ConfigError(MflAdaptError, ValueError):
    """A key, a value or a preset of a run configuration that cannot be used."""

    code = "MFL046"


class PluginError(MflAdaptError, RuntimeError):
    """A plugin or component that is unknown, broken, incompatible or in conflict."""

    code = "MFL047"


class DataError(MflAdaptError, ValueError):
    """A dataset, picture, mask or camera file that cannot be used."""

    code = "MFL051"


class CheckpointError(MflAdaptError, RuntimeError):
    """Weights that are missing, unexpected, misshapen or not finite."""

    code = "MFL042"


class BackendError(MflAdaptError, RuntimeError):
    """A rasterizer that was asked for and cannot run on this machine."""


class AdapterError(MflAdaptError, RuntimeError):
    """An adapter that does not fit its base, or that changes nothing."""

    code = "MFL069"


class CheckError(MflAdaptError, RuntimeError):
    """Data that break a law of the rig contract."""


class TrainingError(MflAdaptError, RuntimeError):
    """A training run that cannot go on."""


class WorkerError(MflAdaptError, RuntimeError):
    """A worker process or a cluster that cannot be reached or stopped working."""


class HubError(MflAdaptError, RuntimeError):
    """A model hub that cannot be reached, refuses, breaks off or sends something else."""


class StorageError(MflAdaptError, OSError):
    """A file or folder that could not be written whole."""


def show_plainly(text: str) -> str:
    """Return a text in which whatever is no visible character is written as Python writes it."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that names the closest known words, or lists them all.

    Args:
        name: What the user typed.
        known: What would have been accepted.

    Returns:
        ``Did you mean 'x'?`` if one is close, else ``Known: a, b, c.``; never empty.
    """
    names = sorted(set(known))
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known: {', '.join(names)}." if names else "None are known."
