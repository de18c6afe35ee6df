"""Types of settings in the words of a user."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from mfl_adapt.plugin.type_names import name_type


class Settings(BaseModel):
    """Fields with a range, alone and beside null."""

    count: int = Field(1, ge=1)
    share: float | None = Field(None, gt=0, le=1)
    views: tuple[Annotated[int, Field(ge=0)], ...] | Literal["all"] = "all"


@pytest.mark.parametrize(
    ("annotation", "name"),
    [
        (int, "int"),
        (str | None, "text or null"),
        (Literal["time", "order"], "'time' or 'order'"),
        (tuple[Path, ...], "list of path"),
        (tuple[float, float, float], "3 of float"),
        (tuple[int, str], "[int, text]"),
        (dict[str, Any], "mapping of text to anything"),
        (Settings, "mapping"),
        (tuple[Settings, ...] | None, "list of mapping or null"),
    ],
)
def test_name_type(annotation, name):
    assert name_type(annotation) == name


def test_ranges_are_those_of_the_field():
    fields = Settings.model_fields
    names = {key: name_type(info.annotation, info.metadata) for key, info in fields.items()}
    assert names == {
        "count": "int >= 1",
        "share": "float > 0 and <= 1 or null",
        "views": "list of int >= 0 or 'all'",
    }
