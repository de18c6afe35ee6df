"""The error with which a guard stops a run."""

from __future__ import annotations

from pathlib import Path

from mfl_adapt.errors import TrainingError
from mfl_adapt.plugin import Finding


class GuardError(TrainingError):
    """A run that cannot go on, with the finding that says why.

    Attributes:
        finding: What a guard found.
        step: From 1.
    """

    def __init__(self, finding: Finding, step: int, evidence: Path | None = None) -> None:
        """Put code, place, step, rule, value and remedy into one line.

        Args:
            finding: What a guard found.
            step: From 1.
            evidence: Where numbers and a picture were written; None if nothing was.
        """
        self.finding, self.step = finding, step
        seen = "" if evidence is None else f" What it saw is in {evidence}."
        super().__init__(
            f"{finding.where}: {finding.code}: expected {finding.expected} at step {step}, got "
            f"{finding.value}. {finding.remedy}{seen}"
        )
