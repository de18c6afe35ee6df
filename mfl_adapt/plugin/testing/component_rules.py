"""Rules that hold for components of every slot."""

from __future__ import annotations

import inspect
from typing import Any

from mfl_adapt.plugin.specs import (
    AdapterMethod,
    AdapterSpec,
    Base,
    BaseSpec,
    CameraNormalizerSpec,
    Check,
    CheckSpec,
    Exporter,
    ExporterSpec,
    FrameExporter,
    Loss,
    LossSpec,
    PreprocessorSpec,
    Reader,
    ReaderSpec,
    Spec,
    Stage,
    ViewPolicy,
    ViewPolicySpec,
)
from mfl_adapt.plugin.testing.outcome import fail, leave_unchecked, require
from mfl_adapt.plugin.testing.rule import Case, Rule, check_refusal, describe_error

_PROTOCOLS: dict[type[Spec], type] = {
    BaseSpec: Base,
    AdapterSpec: AdapterMethod,
    LossSpec: Loss,
    CameraNormalizerSpec: Stage,
    PreprocessorSpec: Stage,
    ReaderSpec: Reader,
    ViewPolicySpec: ViewPolicy,
    CheckSpec: Check,
    ExporterSpec: Exporter,
}
_ALL = tuple(_PROTOCOLS)


def check_settings_survive(case: Case) -> None:
    """Settings come back unchanged from the JSON that a run folder and a passport keep."""
    case.demand_settings()
    assert case.spec is not None
    assert case.host is not None
    host, spec = case.host, case.spec
    made = case.call(
        "validating its settings", lambda: host.settings(type(spec), case.name, case.all_settings())
    )
    stored = case.attempt("writing its settings", lambda: made.model_dump(mode="json"))
    again = case.attempt("reading its settings", lambda: spec.config.model_validate(stored.value))
    error = stored.error or again.error
    if error is not None or again.value != made:
        fail(
            f"{case.name}: {spec.config.__name__}",
            expected="settings that JSON can hold and give back",
            got=describe_error(error) if error else f"{again.value!r} for {made!r}",
            remedy="Use numbers, text, paths, and lists or mappings of them.",
        )


def check_built(case: Case) -> None:
    """``build`` makes an object with the methods of its slot."""
    assert case.spec is not None
    if isinstance(case.spec, BaseSpec) and case.spec.published and not case.settings:
        leave_unchecked(f"needs weights: give settings={{{case.spec.name!r}: ...}}")
    made = case.built()
    protocol: type = next(p for kind, p in _PROTOCOLS.items() if isinstance(case.spec, kind))
    if isinstance(case.spec, ExporterSpec) and case.spec.takes == "frames":
        protocol = FrameExporter
    for name in _members(protocol):
        if not hasattr(made, name):
            fail(
                f"{case.name}: {case.spec.build}",
                expected=f"an object with {name}, as {protocol.__name__} has",
                got=type(made).__name__,
                remedy=f"See mfl_adapt.plugin.{protocol.__name__}.",
            )
        wanted, offered = getattr(protocol, name, None), getattr(type(made), name, None)
        if inspect.isfunction(wanted) and inspect.isfunction(offered):
            _check_call(case, f"{type(made).__name__}.{name}", wanted, offered)


def _members(protocol: type) -> list[str]:
    methods = [
        name
        for name, value in vars(protocol).items()
        if inspect.isfunction(value) and (not name.startswith("_") or name in _SPECIAL)
    ]
    return [*methods, *vars(protocol).get("__annotations__", {})]


_SPECIAL = {"__call__", "__len__", "__iter__", "__getitem__"}


def _check_call(case: Case, where: str, wanted: Any, offered: Any) -> None:
    """End the rule unless a method can be called with the arguments of its slot."""
    parameters = list(inspect.signature(wanted).parameters.values())
    positional = [object() for one in parameters if one.kind is not one.KEYWORD_ONLY]
    named = {one.name: object() for one in parameters if one.kind is one.KEYWORD_ONLY}
    try:
        inspect.signature(offered).bind(*positional, **named)
    except TypeError as error:
        fail(
            f"{case.name}: {where}",
            expected=f"to be callable as {inspect.signature(wanted)}",
            got=f"{inspect.signature(offered)}: {error}",
            remedy="Take the arguments of the slot.",
        )


def check_bad_settings(case: Case) -> str:
    """A key that nobody knows, and a value of a wrong kind, are errors in one line."""
    assert case.spec is not None
    assert case.host is not None
    host, spec, count = case.host, case.spec, 0
    for name, value in _spoiled(case):

        def build(key: str = name, wrong: Any = value) -> Any:
            return host.settings(type(spec), case.name, case.all_settings() | {key: wrong})

        found = case.attempt("validating settings", build)
        require(
            found.error is not None or name != _UNKNOWN,
            f"{case.name}: settings",
            expected="an unknown key to be refused",
            got="settings that took it",
            remedy="Derive them from mfl_adapt.plugin.ComponentConfig.",
        )
        if found.error is not None:
            count += 1
            check_refusal(case, f"setting {name} to {value!r}", found.error, form=False)
    return f"{count} wrong settings refused"


_UNKNOWN = "no_such_setting"


def _spoiled(case: Case) -> list[tuple[str, Any]]:
    """Keys and values that a user might type by mistake."""
    assert case.spec is not None
    names = [info.alias or name for name, info in case.spec.config.model_fields.items()]
    return [(_UNKNOWN, 1), *((name, {"?": None}) for name in names)]


RULES = (
    Rule(
        "C01-settings",
        _ALL,
        "Its settings come back unchanged from the JSON of a run folder",
        check_settings_survive,
    ),
    Rule(
        "C02-build", _ALL, "It builds, and fits its slot's Protocol", check_built, ("C01-settings",)
    ),
    Rule(
        "C03-bad-settings",
        _ALL,
        "Wrong settings are refused in one line that says what to do",
        check_bad_settings,
    ),
)
