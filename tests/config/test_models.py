import re

import pytest
from helpers import ROOT
from pydantic import BaseModel, ValidationError

from mfl_adapt.config import RunConfig
from mfl_adapt.config.models import (
    COMPONENT_KEYS,
    SLOT_WORDS,
    ComponentSection,
    Data,
    Diffusion,
    Evaluate,
    Section,
    Split,
    Train,
)
from mfl_adapt.plugin.validation import SLOTS


def models(root):
    yield root
    for model in root.__subclasses__():
        yield from models(model)


ALL = sorted(models(Section), key=lambda model: model.__name__)


@pytest.mark.parametrize("model", ALL)
def test_every_key_is_described(model: type[BaseModel]):
    for name, field in model.model_fields.items():
        assert field.description, f"{model.__name__}.{name} lacks a description"
        assert field.description.endswith(".") or "(" in field.description


@pytest.mark.parametrize("model", ALL)
def test_sections_are_frozen_and_only_component_sections_open(model):
    assert model.model_config["frozen"]
    extra = "allow" if issubclass(model, ComponentSection) else "forbid"
    assert model.model_config["extra"] == extra


def test_configuration_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        RunConfig().seed = 3


def test_slots_are_those_of_the_plugin_room():
    # A plugin with one base cannot claim two sections, so views_base is always named.
    assert set(COMPONENT_KEYS) - set(SLOT_WORDS) == {("views_base",)}
    assert set(SLOT_WORDS) < set(COMPONENT_KEYS)
    assert set(SLOT_WORDS.values()) <= set(SLOTS.values())


def test_schema_describes_the_example_of_the_design():
    properties = RunConfig.model_json_schema()["properties"]
    assert set(properties) == {
        "extends",
        "name",
        "seed",
        "base",
        "views_base",
        "plugins",
        "data",
        "losses",
        "adapter",
        "train",
        "diffusion",
        "evaluate",
        "output",
    }


def leaves(model, prefix=""):
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and inner in {Data, Diffusion, Evaluate, Split, Train}:
            yield from leaves(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_every_key_is_read_by_somebody():
    rooms = [path for path in (ROOT / "mfl_adapt").rglob("*.py") if path.parent.name != "config"]
    code = "\n".join(path.read_text(encoding="utf-8") for path in rooms)
    keys = [key for key in leaves(RunConfig) if key != "extends"]  # used up while loading
    assert len(keys) > 25
    unread = [key for key in keys if not re.search(rf"\.{key.split('.')[-1]}\b", code)]
    assert unread == []
