"""Describes plugins as plain data, for lists and for JSON."""

from typing import Any

from pydantic.fields import FieldInfo

from mfl_adapt.plugin.docstrings import read_attributes
from mfl_adapt.plugin.manager import Plugin
from mfl_adapt.plugin.specs import LossSpec, Spec
from mfl_adapt.plugin.type_names import name_type
from mfl_adapt.plugin.validation import slot_of


def describe_plugin(plugin: Plugin) -> dict[str, Any]:
    """Return name, state, supplier and components of a plugin as JSON values."""
    return {
        "name": plugin.name,
        "state": plugin.state,
        "reason": plugin.reason,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "hooks": list(plugin.hooks),
        "components": [describe_component(spec) for spec in plugin.components],
    }


def describe_component(spec: Spec) -> dict[str, Any]:
    """Return slot, name, summary and settings of a component as JSON values."""
    said = read_attributes(spec.config)
    fields = spec.config.model_fields
    settings = [_describe_setting(name, info, said.get(name, "")) for name, info in fields.items()]
    described = {
        "slot": slot_of(spec),
        "name": spec.name,
        "summary": spec.summary,
        "settings": settings,
    }
    if isinstance(spec, LossSpec) and spec.caution:
        described["caution"] = spec.caution
    return described


def _describe_setting(name: str, info: FieldInfo, said: str) -> dict[str, Any]:
    default = "computed" if info.default_factory else repr(info.default)
    return {
        "name": name,
        "type": name_type(info.annotation, info.metadata),
        "default": "required" if info.is_required() else default,
        "description": info.description or said,
    }
