"""Explains one code in the terminal, whichever plugin it is of."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mfl_adapt.doctor.page import GuardRow, Section, list_sections
from mfl_adapt.errors import ConfigError, did_you_mean
from mfl_adapt.plugin import CheckSpec
from mfl_adapt.plugin.registry import PluginHost, load_plugins


def explain(code: str, host: PluginHost, guards: Sequence[GuardRow]) -> str:
    """Explain one code as plain text.

    Installed plugins that are not active are asked too, each on its own, so that one that is broken
    keeps nobody from an answer.

    Args:
        code: In any case, ``MFL004``; a number alone is that of a code.
        host: The active plugins.
        guards: The table of guards of training.

    Raises:
        ConfigError: If there is no such code.
    """
    wanted = f"MFL{int(code):03d}" if code.isdecimal() and len(code) < 4 else code.upper()
    sections = {one.code: one for one in list_sections(host, guards)}
    if wanted not in sections:
        others = _checks_of_others(host)
        if wanted not in others:
            raise ConfigError(
                f"doctor --explain: expected a code, got {code!r}. "
                f"{did_you_mean(wanted, [*sections, *others])} Codes of a plugin in a file need "
                "--plugins ./FILE.py; mfl-adapt plugins list shows plugins that are broken."
            )
        owner = load_plugins([others[wanted]])
        sections = {one.code: one for one in list_sections(owner, guards)}
    return _plain(sections[wanted])


def _checks_of_others(host: PluginHost) -> dict[str, str]:
    """Codes of checks that installed plugins offer, with the plugin; active ones left out."""
    installed = load_plugins([], all_available=True, strict=False).plugins()
    active = {one.name for one in host.plugins() if one.state == "active"}
    return {
        spec.code: plugin.name
        for plugin in installed
        for spec in plugin.components
        if isinstance(spec, CheckSpec) and plugin.name not in active
    }


def _plain(found: Section) -> str:
    """Without the marks of Markdown."""
    plain = [line.replace("**", "").replace("`", "") for line in found.lines]
    text = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", "\n".join(plain))
    return f"{found.code}: {found.title}\n\n{text}".rstrip()
