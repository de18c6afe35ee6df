"""Writes what the codes mean: the page of all of them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap
from typing import Any, NamedTuple, Protocol

from mfl_adapt.doctor.codes import CODES
from mfl_adapt.doctor.failures import FAILURES, Failure
from mfl_adapt.plugin import CheckSpec
from mfl_adapt.plugin.registry import PluginHost, Resolved

COMMAND = "mfl-adapt doctor --explain all > docs/checks.md"
"""Writes the page anew."""

_SUBJECTS = {
    "config": "a configuration",
    "source": "the files of a dataset",
    "sample": "every sample",
    "dataset": "all samples together",
    "adapter": "an adapter folder",
    "run": "a run folder",
    "machine": "the machine",
}


class GuardRow(Protocol):
    """What this room knows of the guards of training, which lie above it."""

    @property
    def code(self) -> str:
        """Stable code of its findings."""
        ...

    @property
    def name(self) -> str:
        """In a few words."""
        ...

    @property
    def severity(self) -> str:
        """``law`` stops the run; ``warning`` lets it go on."""
        ...

    @property
    def summary(self) -> str:
        """What it means, as one sentence."""
        ...

    @property
    def expected(self) -> str:
        """The rule."""
        ...

    @property
    def remedy(self) -> str:
        """What to do."""
        ...

    @property
    def failures(self) -> tuple[int, ...]:
        """Numbers in the catalogue of failures."""
        ...


class Section(NamedTuple):
    """What there is to say about a code.

    Attributes:
        code: The code.
        title: What is wrong.
        lines: Markdown below the heading.
    """

    code: str
    title: str
    lines: tuple[str, ...]


def list_sections(host: PluginHost, guards: Iterable[GuardRow]) -> list[Section]:
    """Describe every code of active checks, errors and guards, sorted.

    Args:
        host: The active plugins.
        guards: The table of guards of training.
    """
    checks = {one.spec.code: one for one in host.components(CheckSpec)}
    rows = {one.code: one for one in guards}
    codes = sorted({*CODES, *checks, *rows})
    return [
        _guard_section(rows[code]) if code in rows else _section(code, checks.get(code), host)
        for code in codes
    ]


def write_page(host: PluginHost, guards: Sequence[GuardRow]) -> str:
    """Return the whole page as Markdown."""
    sections = list_sections(host, guards)
    lines = [
        *_introduction(len(sections)),
        *_failure_table(guards),
        *("", "## Codes", ""),
        *(line for one in sections for line in _with_heading(one)),
    ]
    return "\n".join(_wrapped(lines)).rstrip()


def _wrapped(lines: Iterable[str]) -> Iterator[str]:
    """Break lines of text where others of our pages are broken; tables and code stay."""
    in_code = False
    for line in lines:
        in_code ^= line.startswith("```")
        fixed = in_code or not line or line[0] in "|#<`"
        yield from [line] if fixed else wrap(line, 100, break_on_hyphens=False)


def _introduction(count: int) -> list[str]:
    return [
        f"<!-- Written from the code by: {COMMAND} -->",
        "",
        "# What the doctor looks for",
        "",
        "`mfl-adapt doctor` examines a configuration, a dataset, an adapter, a run or the machine "
        "before anything is trained. `train` examines its data and settings by itself, and its "
        f"guards watch the steps. All of them speak in codes, {count} so far, that never change:",
        "",
        "```console",
        "mfl-adapt doctor                        # the quickstart",
        "mfl-adapt doctor mice                   # a dataset folder, a sample or a list",
        "mfl-adapt doctor my.yaml --data mice    # a configuration with its data",
        "mfl-adapt doctor runs/mice/adapter      # an adapter; runs/mice is a run",
        "mfl-adapt doctor machine",
        "mfl-adapt doctor --explain MFL004       # what stands below, in the terminal",
        "```",
        "",
        "A **law** is something that cannot work: the command ends with 1, and `train` does not "
        "begin. A **warning** may be meant. **Information** is a habit of the data that the base "
        "was trained on, and needs nothing done. `--json` prints all findings for scripts. Some "
        "faults have one mending only: `--fix-dry-run` lists such, and `--fix` applies them and "
        "keeps every file that it changes as `FILE.bak`.",
        "",
        "Every code is proven by injury: tests do the damage to sound data, settings, runs, "
        "adapters and machines, and hold that it is reported under its code, and that nothing "
        "else is but what comes of it. A test fails where a code has no injury.",
        "",
        "Plugins add checks of their own with `CheckSpec`; see [plugins](plugins.md).",
        "",
    ]


def _failure_table(guards: Sequence[GuardRow]) -> list[str]:
    lines = [
        "## Failures of the field",
        "",
        "All of these happened. A code repeats the number of its failure; codes "
        "from 63 on are of second checks, and from 103 on of guards.",
        "",
        "| failure | what happened | codes | what else holds it off, or why nothing can |",
        "|---|---|---|---|",
    ]
    for failure in FAILURES:
        codes = ", ".join(f"[{code}](#{code.lower()})" for code in codes_of(failure, guards))
        lines.append(
            f"| F{failure.number} {failure.title} | {failure.happened} | {codes or '-'} | "
            f"{failure.answer} |"
        )
    return lines


def codes_of(failure: Failure, guards: Iterable[GuardRow]) -> list[str]:
    """Codes of checks and errors, then those of guards, that stop a failure."""
    return [*failure.codes, *(one.code for one in guards if failure.number in one.failures)]


def _with_heading(section: Section) -> list[str]:
    return [
        f'<a id="{section.code.lower()}"></a>',
        f"### {section.code}: {section.title}",
        "",
        *section.lines,
        "",
    ]


def _guard_section(row: GuardRow) -> Section:
    lines = (
        f"**A guard of training**; {'stops the run' if row.severity == 'law' else 'warns'}. "
        f"{row.summary}",
        "",
        f"**Rule:** {row.expected}.",
        "",
        f"**Remedy:** {row.remedy}",
    )
    return Section(row.code, row.name, lines)


def _section(code: str, check: Resolved[CheckSpec] | None, host: PluginHost) -> Section:
    words = CODES.get(code)
    lines: list[str] = []
    if check is not None:
        lines += _describe(check, host)
    if words is not None and words.error:
        lines += [f"**Without any check:** {words.error}", ""]
    if words is not None:
        lines += [f"**Remedy:** {words.remedy}", ""]
    for failure in FAILURES:
        if code in failure.codes:
            lines += [f"**F{failure.number}, {failure.title}:** {failure.happened}", ""]
    title = words.title if words else check.spec.summary if check else code
    return Section(code, title, tuple(lines[:-1] if lines and not lines[-1] else lines))


def _describe(check: Resolved[CheckSpec], host: PluginHost) -> list[str]:
    """What a check says about itself in its docstring, and its thresholds."""
    spec = check.spec
    built: Any = host.build(CheckSpec, check.name, {})
    first, *rest = inspect.cleandoc(type(built).__doc__ or spec.summary).split("\n\n")
    fixes = " With `--fix` it is mended." if hasattr(built, "fixes") else ""
    most = f", at most {spec.samples} of them" if spec.samples else ""
    looks = _SUBJECTS.get(spec.subject, spec.subject)
    lines = [f"**`{check.name}`** looks at {looks}{most}. {_flat(first)}{fixes}", ""]
    lines += [line for part in rest for line in (_flat(part), "")]
    settings = [f"`{name}` {field.default!r}" for name, field in spec.config.model_fields.items()]
    return [*lines, f"**Thresholds:** {', '.join(settings)}.", ""] if settings else lines


def _flat(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")
