"""Names the type of a setting in the words that a user would type."""

import types
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

_WORDS = {str: "text", Path: "path", type(None): "null", Any: "anything"}
_SIGNS = ((Gt, "gt", ">"), (Ge, "ge", ">="), (Lt, "lt", "<"), (Le, "le", "<="))


def name_type(annotation: Any, limits: Iterable[Any] = ()) -> str:
    """Write a type in short: ``int >= 1 or null``, ``'time' or 'order'``, ``list of path``.

    Args:
        annotation: As a settings model states it.
        limits: Metadata of its field, of which ranges of numbers are shown.
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return name_type(arguments[0], (*_flatten(arguments[1:]), *limits))
    if origin is Literal:
        return " or ".join(repr(one) for one in arguments)
    if origin in (Union, types.UnionType):
        # One range may stand for all alternatives; it concerns the numbers alone.
        return " or ".join(name_type(one, limits) for one in arguments)
    if origin in (tuple, list, set, frozenset):
        return _name_sequence(arguments)
    if origin is dict:
        return f"mapping of {name_type(arguments[0])} to {name_type(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    name = str(_WORDS.get(annotation) or getattr(annotation, "__name__", annotation))
    if annotation not in (int, float):
        return name
    return f"{name} {' and '.join(_ranges(limits))}".rstrip()


def _name_sequence(arguments: tuple[Any, ...]) -> str:
    inner = [one for one in arguments if one is not Ellipsis]
    if len(set(inner)) == 1:
        number = "list" if Ellipsis in arguments or len(inner) == 1 else str(len(inner))
        return f"{number} of {name_type(inner[0])}"
    return f"[{', '.join(name_type(one) for one in inner)}]"


def _flatten(metadata: Iterable[Any]) -> Iterable[Any]:
    for one in metadata:
        if isinstance(one, FieldInfo):
            yield from one.metadata
        else:
            yield one


def _ranges(limits: Iterable[Any]) -> Iterable[str]:
    for limit in limits:
        for kind, name, sign in _SIGNS:
            if isinstance(limit, kind):
                yield f"{sign} {getattr(limit, name):.12g}"
