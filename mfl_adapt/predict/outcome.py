"""What became of a batch of pictures."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mfl_adapt.errors import MflAdaptError
from mfl_adapt.predict.options import describe_folder

if TYPE_CHECKING:
    from mfl_adapt.predict.predictor import Report

log = logging.getLogger(__name__)

# With more pictures than this, a log would hold little else than their steps.
_FEW = 8


@dataclass(slots=True)
class Outcome:
    """What became of a batch.

    Attributes:
        done: Folders that were written.
        skipped: Folders that were there already.
        failed: Name and reason of what could not be predicted.
        pages: Pages that play a sequence.
    """

    done: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    pages: list[Path] = field(default_factory=list)

    def lines(self) -> list[str]:
        """What to print when all is done."""
        lines = []
        if len(self.done) + len(self.skipped) == 1 and not self.pages:
            lines += describe_folder((self.done or self.skipped)[0])
        elif self.done or self.skipped:
            folders = sorted({path.parent for path in (*self.done, *self.skipped)})
            lines += [f"{'results':<10} {folder}" for folder in folders]
        lines += [f"{'sequence':<10} {page}" for page in self.pages]
        counts = f"{len(self.done)} predicted, {len(self.skipped)} unchanged and kept"
        lines.append(f"{'done':<10} {counts}, {len(self.failed)} failed")
        lines += [f"{'failed':<10} {' '.join(reason.split())}" for _, reason in self.failed]
        return lines


@dataclass(slots=True)
class Progress:
    """Counts pictures, tells a listener, and collects what fails.

    Attributes:
        total: Pictures in all.
        report: Listener; None if nobody listens.
        outcome: Of the pictures so far.
        done: Pictures so far.
    """

    total: int
    report: Report | None
    outcome: Outcome = field(default_factory=Outcome)
    done: int = 0

    @property
    def steps(self) -> Report | None:
        """Who is told about the steps within a picture; nobody where there are many pictures."""
        return self.report if self.total <= _FEW else None

    def next(self) -> None:
        """Count one picture."""
        self.done += 1
        if self.report is not None and self.total > 1:
            self.report("pictures", self.done, self.total)

    def fail(self, name: str, error: MflAdaptError) -> None:
        """Note what could not be predicted; stop if there was nothing else to do.

        Raises:
            MflAdaptError: The error itself, if it concerns the only picture.
        """
        if self.total == 1:
            raise error
        log.error("%s", " ".join(str(error).split()))
        self.outcome.failed.append((name, str(error)))
