"""Holds what a plugin returns against the rules of its slots, before anybody uses it."""

import inspect
import keyword
import re
from collections.abc import Iterable
from types import ModuleType
from typing import get_args, get_type_hints

import pluggy
from pydantic import BaseModel

from mfl_adapt.errors import PluginError, did_you_mean
from mfl_adapt.plugin import hookspecs
from mfl_adapt.plugin.specs import (
    AdapterSpec,
    BaseSpec,
    CameraNormalizerSpec,
    CheckSpec,
    ExporterSpec,
    LossSpec,
    PreprocessorSpec,
    ReaderSpec,
    Spec,
    ViewPolicySpec,
)
from mfl_adapt.types import RigContract

SLOTS: dict[type[Spec], str] = {
    BaseSpec: "base",
    AdapterSpec: "adapter",
    LossSpec: "loss",
    CameraNormalizerSpec: "camera normalizer",
    PreprocessorSpec: "preprocessor",
    ReaderSpec: "reader",
    ViewPolicySpec: "view policy",
    CheckSpec: "check",
    ExporterSpec: "exporter",
}
"""Every slot, by the word that messages use for it."""

# Keys that the run configuration itself reads from a component's section.
_RESERVED = {BaseSpec: ("id",), LossSpec: ("weight", "schedule")}
_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def with_article(word: str) -> str:
    """Put the right article before a slot's word."""
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def slot_of(spec: Spec) -> str:
    """Return the word for the slot of a record, for instance ``loss``.

    Raises:
        PluginError: If the record belongs to no slot.
    """
    for kind, word in SLOTS.items():
        if isinstance(spec, kind):
            return word
    kinds = ", ".join(kind.__name__ for kind in SLOTS)
    raise PluginError(f"expected a record of one of the slots ({kinds}), got {spec!r}.")


def check_handshake(module: ModuleType) -> str:
    """Return why a module does not fit this release, or an empty string if it does."""
    stated = getattr(module, "MFL_API", None)
    if stated is None:
        return f"states no MFL_API. Write MFL_API = {hookspecs.MFL_API} in {module.__name__}."
    if type(stated) is not int or stated != hookspecs.MFL_API:
        newer = type(stated) is int and stated > hookspecs.MFL_API
        remedy = "Upgrade mfl_adapt." if newer else "Install a release of the plugin that fits."
        return f"expected MFL_API {hookspecs.MFL_API} like this mfl_adapt, got {stated!r}. {remedy}"
    return ""


def check_hooks(manager: pluggy.PluginManager, plugin: ModuleType) -> None:
    """Refuse misspelt hooks and parameters with a default, which pluggy would never fill.

    Raises:
        PluginError: If a hook does not exist or one of its parameters has a default value.
    """
    for caller in manager.get_hookcallers(plugin) or []:
        implementation = getattr(plugin, caller.name)
        if not caller.has_spec():
            if _options(implementation)["optionalhook"]:
                continue
            known = (name for name in vars(hookspecs) if _is_hookspec(name))
            raise PluginError(f"unknown hook {caller.name!r}. {did_you_mean(caller.name, known)}")
        for parameter in inspect.signature(implementation).parameters.values():
            if parameter.default is not parameter.empty:
                raise PluginError(
                    f"{caller.name}: expected parameters without defaults, got "
                    f"'{parameter}'. pluggy never fills such a parameter; remove the default."
                )
    manager.check_pending()


def _options(implementation: object) -> dict[str, bool]:
    """What the author wrote into ``@hookimpl(...)``; pluggy keeps it on the function."""
    options: dict[str, bool] = getattr(implementation, f"{hookspecs.PROJECT}_impl")
    return options


def _is_hookspec(name: str) -> bool:
    return hasattr(getattr(hookspecs, name), f"{hookspecs.PROJECT}_spec")


def check_specs(returned: object) -> tuple[Spec, ...]:
    """Return a plugin's records if every one keeps the rules of its slot.

    Args:
        returned: What ``register_components`` gave back.

    Raises:
        PluginError: If it is not an iterable of records, or a record breaks a rule.
    """
    if isinstance(returned, (str, bytes, Spec)) or not isinstance(returned, Iterable):
        raise PluginError(
            f"register_components: expected a list of records, got {returned!r}. "
            "Return [] if the plugin offers none."
        )
    specs: dict[str, Spec] = {}
    for spec in returned:
        slot = slot_of(spec)
        _check_spec(spec, slot)
        if spec.name in specs:
            raise PluginError(
                f"{slot} {spec.name!r}: expected names that are unique in the plugin, got it "
                f"twice (also as {slot_of(specs[spec.name])}). Rename one."
            )
        specs[spec.name] = spec
    return tuple(specs.values())


def _check_spec(spec: Spec, slot: str) -> None:
    """Check one record: the common fields, then those of its slot.

    Raises:
        PluginError: If a field breaks its rule.
    """
    where = f"{slot} {spec.name!r}"
    if not _is_name(spec.name):
        raise PluginError(f"{where}: expected a name that is a Python identifier. Rename it.")
    if not isinstance(spec.summary, str) or not spec.summary.strip() or "\n" in spec.summary:
        raise PluginError(f"{where}: expected a summary of one line, got {spec.summary!r}.")
    _check_config(where, spec)
    _check_reference(where, "build", spec.build)
    if isinstance(spec, ReaderSpec):
        _check_reference(where, "can_read", spec.can_read)
    if isinstance(spec, BaseSpec) and spec.outline is not None:
        _check_reference(where, "outline", spec.outline)
    if isinstance(spec, BaseSpec) and not isinstance(spec.contract, RigContract):
        raise PluginError(f"{where}: expected contract RigContract, got {spec.contract!r}.")
    if isinstance(spec, LossSpec):
        _check_choice(where, spec, "on")
        _check_caution(where, spec)
    if isinstance(spec, CheckSpec):
        _check_check(where, spec)
    if isinstance(spec, ExporterSpec):
        _check_exporter(where, spec)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)


def _check_config(where: str, spec: Spec) -> None:
    """The settings model must refuse unknown keys and leave the core's own keys alone.

    Raises:
        PluginError: If it does not.
    """
    config = spec.config
    if not (isinstance(config, type) and issubclass(config, BaseModel)):
        raise PluginError(f"{where}: expected config to be a pydantic model, got {config!r}.")
    if config.model_config.get("extra") != "forbid":
        raise PluginError(
            f"{where}: expected {config.__name__} to forbid unknown keys. "
            "Derive it from mfl_adapt.plugin.ComponentConfig."
        )
    reserved = next((keys for kind, keys in _RESERVED.items() if isinstance(spec, kind)), ("use",))
    names = {one for name, info in config.model_fields.items() for one in (name, info.alias)}
    taken = [key for key in reserved if key in names]
    if taken:
        raise PluginError(
            f"{where}: expected {config.__name__} without a field {taken[0]!r}, which belongs to "
            "the run configuration. Rename the field."
        )


def _check_reference(where: str, field: str, value: object) -> None:
    if not isinstance(value, str) or not _REFERENCE.fullmatch(value):
        raise PluginError(f"{where}: expected {field} 'package.module:attribute', got {value!r}.")


def _check_choice(where: str, spec: Spec, field: str) -> None:
    """Hold a field against the words that its type allows.

    Raises:
        PluginError: If it is none of them.
    """
    known, value = get_args(get_type_hints(type(spec))[field]), getattr(spec, field)
    if value not in known:
        raise PluginError(f"{where}: expected {field} to be {' or '.join(known)}, got {value!r}.")


def _check_caution(where: str, spec: LossSpec) -> None:
    if not isinstance(spec.caution, str) or "\n" in spec.caution:
        raise PluginError(f"{where}: expected a caution of one line, got {spec.caution!r}.")


def _check_check(where: str, spec: CheckSpec) -> None:
    if not re.fullmatch(r"[A-Z][A-Z0-9_]*", str(spec.code)):
        raise PluginError(f"{where}: expected a code such as 'MFL003', got {spec.code!r}.")
    subjects = get_args(get_type_hints(CheckSpec)["subject"])
    if spec.subject not in subjects:
        raise PluginError(f"{where}: expected a subject of {subjects}, got {spec.subject!r}.")


def _check_exporter(where: str, spec: ExporterSpec) -> None:
    """Hold an exporter's own fields to their rules.

    Raises:
        PluginError: If one breaks its rule.
    """
    if not re.fullmatch(r"(\.\w+)+", str(spec.suffix)):
        raise PluginError(f"{where}: expected a suffix such as '.ply', got {spec.suffix!r}.")
    _check_choice(where, spec, "takes")
