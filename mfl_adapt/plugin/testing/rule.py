"""A rule, and the component that it looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mfl_adapt.errors import MflAdaptError, PluginError
from mfl_adapt.plugin.discovery import isolated
from mfl_adapt.plugin.manager import Plugin
from mfl_adapt.plugin.specs import ReaderSpec, Spec
from mfl_adapt.plugin.testing.outcome import fail, leave_unchecked
from mfl_adapt.plugin.testing.worker import Worker

if TYPE_CHECKING:
    from mfl_adapt.plugin.registry import PluginHost


class Rule(NamedTuple):
    """Something that components of a slot promise.

    Attributes:
        name: Stable name: a letter for the slot, a number, and a word or two.
        slots: Types of records whose components it looks at; none means the plugin as a whole.
        says: What holds where it passes, in one sentence.
        check: Looks at a component and ends early where the rule is broken; returns a note.
        needs: Rules that must have passed before, lest one fault be reported under many names.
    """

    name: str
    slots: tuple[type[Spec], ...]
    says: str
    check: Callable[[Case], str | None]
    needs: tuple[str, ...] = ()


class Attempt(NamedTuple):
    """What came of calling a plugin.

    Attributes:
        value: What it returned.
        error: What it raised; None if it returned.
    """

    value: Any
    error: BaseException | None


@dataclass(eq=False)
class Case:
    """A component under test, or the plugin as a whole.

    Attributes:
        plugin: The plugin as it was found.
        host: The plugin alone, active; None where it could not be loaded.
        spec: Record of the component; None for the plugin as a whole.
        settings: Settings that the author gave for this component.
        data: Example data that the author gave.
        worker: A process of its own for the plugin; all its components share it.
        memory: What rules of this component share, so that a dataset is read once.
    """

    plugin: Plugin
    worker: Worker
    host: PluginHost | None = None
    spec: Spec | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: Path | None = None
    memory: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Full name, ``plugin.component``, or the plugin's."""
        return f"{self.plugin.name}.{self.spec.name}" if self.spec else self.plugin.name

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        """Return what ``make`` made the first time."""
        if key not in self.memory:
            self.memory[key] = make()
        return self.memory[key]

    def attempt(self, action: str, call: Callable[[], Any]) -> Attempt:
        """Call code of the plugin that may refuse."""
        try:
            with isolated(self.plugin.source, action):
                return Attempt(call(), None)
        except PluginError as error:
            return Attempt(None, error.__cause__ or error)

    def call(self, action: str, call: Callable[[], Any]) -> Any:
        """Call code of the plugin that has no reason to refuse; a refusal breaks the rule."""
        found = self.attempt(action, call)
        if found.error is not None:
            fail(
                self.name,
                expected=f"{action} to work",
                got=describe_error(found.error),
                remedy="Run it on its own to see where that comes from.",
            )
        return found.value

    def all_settings(self, **changes: Any) -> dict[str, Any]:
        """Return the author's settings, with the data of a reader."""
        settings = dict(self.settings)
        if isinstance(self.spec, ReaderSpec) and self.spec.needs_path and self.data is not None:
            settings["path"] = self.data
        return settings | changes

    def build(self, **changes: Any) -> Any:
        """Build the component anew; for use inside ``attempt`` and ``call``."""
        assert self.host is not None
        assert self.spec is not None
        return self.host.build(type(self.spec), self.name, self.all_settings(**changes))

    def built(self) -> Any:
        """Return the component, built once; a rule ends here if it cannot be."""
        self.demand_settings()
        return self.once("built", lambda: self.call("building it", self.build))

    def demand_settings(self) -> None:
        """End a rule where data or settings are missing that only the author can give."""
        assert self.spec is not None
        if isinstance(self.spec, ReaderSpec) and self.spec.needs_path and self.data is None:
            leave_unchecked("needs example data: give data=PATH (--data PATH)")
        missing = [
            name
            for name, info in self.spec.config.model_fields.items()
            if info.is_required() and (info.alias or name) not in self.all_settings()
        ]
        if missing:
            leave_unchecked(
                f"needs settings without a default ({', '.join(missing)}): give "
                f"settings={{{self.spec.name!r}: ...}} (--set {self.spec.name}.{missing[0]}=VALUE)"
            )


def describe_error(error: BaseException) -> str:
    """Name an error's type and its message in one line; ours by the message alone."""
    text = " ".join(str(error).split())
    return text if isinstance(error, MflAdaptError) else f"{type(error).__name__}: {text}"


def check_refusal(
    case: Case, action: str, error: BaseException, *, place: str = "", form: bool = True
) -> None:
    """End a rule unless an error is one that a user can act on.

    Args:
        case: The component.
        action: What was tried, for the message (``reading an empty folder``).
        error: What it raised.
        place: Text that the message must hold, so that the user finds the culprit.
        form: Whether the plugin words the message, and not the core.
    """
    where = f"{case.name}, {action}"
    wanted = "one line '<where>: expected <rule>, got <value>. <what to do>'"
    if not isinstance(error, MflAdaptError):
        fail(
            where,
            expected="an error of mfl_adapt.errors",
            got=describe_error(error),
            remedy="Catch it where the input is read, and raise DataError from it.",
        )
    text = str(error)
    fits = "\n" not in text and (not form or (": " in text and "expected" in text))
    if not fits or (place and place not in text):
        fail(
            where,
            expected=f"{wanted} that names {place}" if place else wanted,
            got=repr(text),
            remedy="Name the file or the value, the rule and the way out.",
        )
