"""Rules about a plugin as a whole: that it loads, cheaply, and offers sound records."""

from __future__ import annotations

from types import ModuleType

from mfl_adapt.errors import PluginError
from mfl_adapt.plugin.discovery import import_plugin
from mfl_adapt.plugin.hookspecs import MFL_API
from mfl_adapt.plugin.manager import collect, new_manager
from mfl_adapt.plugin.specs import CheckSpec
from mfl_adapt.plugin.testing.outcome import fail, leave_unchecked, require
from mfl_adapt.plugin.testing.rule import Case, Rule, describe_error
from mfl_adapt.plugin.testing.worker import HEAVY
from mfl_adapt.plugin.validation import check_handshake, check_hooks


def _module(case: Case) -> ModuleType:
    """The plugin's module, as it was loaded: a file that runs again makes other classes."""
    return case.plugin.module or import_plugin(case.plugin.source)


def check_import(case: Case) -> None:
    """The plugin's module imports."""
    try:
        _module(case)
    except PluginError as error:
        fail(
            case.name,
            expected="a module that imports",
            got=describe_error(error.__cause__ or error),
            remedy="Import what may be missing in the function that uses it.",
        )


def check_api(case: Case) -> None:
    """The module states the plugin interface that it was written for."""
    reason = check_handshake(_module(case))
    if reason:
        fail(
            f"{case.name}: MFL_API",
            expected=f"MFL_API = {MFL_API}",
            got=reason.removesuffix("."),
            remedy="Write it beside the hooks.",
        )


def check_hook_names(case: Case) -> None:
    """Every hook exists and takes its parameters without defaults, which pluggy never fills."""
    module, manager = _module(case), new_manager()
    try:
        manager.register(module, case.plugin.name)
        check_hooks(manager, module)
    except (PluginError, ValueError) as error:
        fail(
            f"{case.name}: hooks",
            expected="hooks that exist, without defaulted parameters",
            got=describe_error(error),
            remedy="Compare them with mfl_adapt.plugin.hookspecs.",
        )


def check_records(case: Case) -> str:
    """``register_components`` returns sound records, whose codes nobody else uses."""
    require(
        case.plugin.state == "active",
        f"{case.name}: register_components",
        expected="records that keep the rules of their slots",
        got=case.plugin.reason,
        remedy="Mend the record.",
    )
    own = {spec.code: spec.name for spec in case.plugin.components if isinstance(spec, CheckSpec)}
    for other in collect([], all_available=True) if own else ():
        if other.name == case.plugin.name:
            continue
        for spec in other.components:
            if isinstance(spec, CheckSpec) and spec.code in own:
                fail(
                    f"{case.name}.{own[spec.code]}: code",
                    expected="a code that no other plugin uses",
                    got=f"{spec.code}, which is {other.name}.{spec.name}'s",
                    remedy="Take letters of your own, such as the plugin's name.",
                )
    return ", ".join(spec.name for spec in case.plugin.components)


def check_light(case: Case) -> str:
    """Listing the plugin imports nothing heavy; its time is told, not judged."""
    found = case.worker.listing
    if "error" in found:
        leave_unchecked(f"a fresh process could not list it: {found['error']}")
    require(
        not found["heavy"],
        f"{case.name}: listing it",
        expected=f"none of {', '.join(HEAVY)} imported",
        got=", ".join(found["heavy"]),
        remedy="Import it in the module that build names, or inside a function.",
    )
    return f"listed in {found['seconds']:.2f} s"


RULES = (
    Rule("P01-import", (), "Its module imports", check_import),
    Rule("P02-api", (), "It states the interface it was written for", check_api, ("P01-import",)),
    Rule(
        "P03-hooks",
        (),
        "Its hooks exist and have no defaulted parameters",
        check_hook_names,
        ("P02-api",),
    ),
    Rule(
        "P04-records",
        (),
        "Its records keep the rules of their slots, and codes of checks are its own",
        check_records,
        ("P03-hooks",),
    ),
    Rule(
        "P05-light",
        (),
        "Listing it imports neither torch nor OpenCV; measured in a fresh process",
        check_light,
        ("P04-records",),
    ),
)
