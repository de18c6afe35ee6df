"""What a rule found out about a component, and how it says so."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, NoReturn

Status = Literal["passed", "failed", "not applicable", "not checked"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one rule for one component.

    Attributes:
        rule: Name of the rule (``R02-order``).
        component: ``plugin.component``, or the plugin's name for a rule about the whole plugin.
        status: ``not checked`` means that nobody knows: it is never as good as ``passed``.
        where: What was looked at; empty unless the rule failed, like the three that follow.
        expected: The rule that was broken.
        got: What came instead.
        remedy: What to do.
        note: Why it was not checked or is not applicable; a measure, where the rule passed.
    """

    rule: str
    component: str
    status: Status
    where: str = ""
    expected: str = ""
    got: str = ""
    remedy: str = ""
    note: str = ""

    @property
    def id(self) -> str:
        """Name for lists of tests (``R02-order[finch.birds]``)."""
        return f"{self.rule}[{self.component}]"

    def line(self) -> str:
        """Say it in one line, a failure as every error of ours."""
        if self.status == "failed":
            text = f"{self.where}: expected {self.expected}, got {self.got}. {self.remedy}"
        else:
            text = f"{self.status}: {self.note}" if self.note else self.status
        return " ".join(f"{self.id} {text}".split())

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return asdict(self)


class VerdictError(Exception):
    """Ends a rule before its last line; never leaves this package.

    Attributes:
        fields: Fields of the outcome besides rule and component.
    """

    def __init__(self, **fields: str) -> None:
        super().__init__(fields)
        self.fields: dict[str, Any] = fields


def fail(where: str, *, expected: str, got: object, remedy: str) -> NoReturn:
    """End a rule as failed.

    Raises:
        VerdictError: Always.
    """
    fields = {"where": where, "expected": expected, "got": str(got), "remedy": remedy}
    raise VerdictError(status="failed", **fields)


def require(condition: bool, where: str, *, expected: str, got: object, remedy: str) -> None:
    """End a rule as failed unless a condition holds."""
    if not condition:
        fail(where, expected=expected, got=got, remedy=remedy)


def leave_unchecked(reason: str) -> NoReturn:
    """End a rule that could not be tried.

    Raises:
        VerdictError: Always.
    """
    raise VerdictError(status="not checked", note=reason)


def not_applicable(reason: str) -> NoReturn:
    """End a rule that has no say about this component.

    Raises:
        VerdictError: Always.
    """
    raise VerdictError(status="not applicable", note=reason)
