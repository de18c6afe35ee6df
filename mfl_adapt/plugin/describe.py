"""Describes plugins as plain data, for lists and for JSON."""

from typing import Any

from pydantic.fields import FieldInfo

from mfl_adapt.plugin.manager import Plugin
from mfl_adapt.plugin.specs import Spec
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
    settings = [_describe_setting(name, info) for name, info in spec.config.model_fields.items()]
    return {
        "slot": slot_of(spec),
        "name": spec.name,
        "summary": spec.summary,
        "settings": settings,
    }


def _describe_setting(name: str, info: FieldInfo) -> dict[str, Any]:
    annotation: Any = info.annotation
    plain = isinstance(annotation, type) and not hasattr(annotation, "__args__")
    default = "computed" if info.default_factory else repr(info.default)
    return {
        "name": name,
        "type": annotation.__name__ if plain else str(annotation).replace("typing.", ""),
        "default": "required" if info.is_required() else default,
        "description": info.description or "",
    }
