"""Makes functions and components report their calls, and otherwise be what they were."""

from __future__ import annotations

import functools
import inspect
import logging
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mfl_adapt.plugin.tracing import Source, Tracer

logger = logging.getLogger(__name__)

METHODS: dict[str, tuple[str, ...]] = {
    "base": ("reconstruct", "generate", "encode", "probe"),
    "adapter": ("peft_config", "extra"),
    "loss": ("__call__",),
    "camera normalizer": ("__call__",),
    "preprocessor": ("__call__",),
    "reader": ("__getitem__", "__iter__"),
    "view policy": ("train", "evaluate"),
    "check": ("__call__",),
    "exporter": ("__call__",),
}
"""Methods that are reported, by the word for the slot."""

_LABELS = {"__call__": "call", "__getitem__": "read", "__iter__": "read"}
_END = object()


def arguments_of(function: Callable[..., Any], *given: Any, **named: Any) -> dict[str, Any]:
    """Return arguments by the names that the function has for them, or by their position."""
    try:
        bound = inspect.signature(function).bind(*given, **named)
    except (TypeError, ValueError):  # it takes others, as it will say, or tells nothing
        return {**{str(index): value for index, value in enumerate(given)}, **named}
    return dict(bound.arguments)


def wrap_function(
    function: Callable[..., Any], tracer: Tracer, source: Source, label: str
) -> Callable[..., Any]:
    """Return a function that reports its calls and keeps all that is written on the other."""

    @functools.wraps(function)
    def reporting(*given: Any, **named: Any) -> Any:
        arguments = arguments_of(function, *given, **named)
        return tracer.call(source, label, arguments, lambda: function(*given, **named))

    return reporting


def wrap_component(built: Any, tracer: Tracer, source: Source) -> Any:
    """Let a component report the methods of its slot.

    It becomes an instance of a class derived from its own, so that it still fits its Protocol and
    finds its attributes; a copy in another process is of its own class again. What cannot be
    wrapped so is returned as it is, and the log says so.
    """
    if inspect.isroutine(built):
        return _Function(built, tracer, source)
    kind = type(built)
    body = {
        name: _reporting(getattr(kind, name), tracer, source, name)
        for name in METHODS[source.slot]
        if inspect.isfunction(getattr(kind, name, None))
    }

    original: Any = kind.__reduce_ex__

    def reduce(self: Any, protocol: Any) -> Any:
        made = original(self, protocol)
        if not isinstance(made, tuple):
            return made
        arguments = tuple(kind if one is derived else one for one in made[1])
        make = kind if made[0] is derived else made[0]
        # pickle takes no other class than the object's from the usual maker, so one more between.
        return (_made, (make, arguments), *made[2:])

    try:
        derived = types.new_class(
            kind.__name__,
            (kind,),
            exec_body=lambda space: space.update({
                "__slots__": (),
                "__module__": kind.__module__,
                "__reduce_ex__": reduce,
                **body,
            }),
        )
        object.__setattr__(built, "__class__", derived)
    except TypeError as error:
        logger.info("trace: the calls of %s are not shown: %s", source.component, error)
    return built


def _made(make: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    return make(*arguments)


def _reporting(method: Callable[..., Any], tracer: Tracer, source: Source, name: str) -> Any:
    """Derive the method of a component."""
    label = _LABELS.get(name, name)
    if name == "__iter__":
        return _reporting_items(method, tracer, source, label)

    @functools.wraps(method)
    def reporting(self: Any, *given: Any, **named: Any) -> Any:
        arguments = arguments_of(method, self, *given, **named)
        arguments.pop(next(iter(arguments)), None)  # self

        def run() -> Any:
            made = method(self, *given, **named)
            # A check may be a generator, which does its work while it is read.
            return list(made) if inspect.isgenerator(made) else made

        return tracer.call(source, label, arguments, run)

    return reporting


def _reporting_items(
    method: Callable[..., Any], tracer: Tracer, source: Source, label: str
) -> Callable[..., Iterator[Any]]:
    @functools.wraps(method)
    def reporting(self: Any) -> Iterator[Any]:
        items, index = iter(method(self)), 0
        while True:
            advance = functools.partial(next, items, _END)
            item = tracer.call(source, label, {"index": index}, advance, ends_with=_END)
            if item is _END:
                return
            yield item
            index += 1

    return reporting


class _Function:
    """A component that is a plain function, reporting its calls."""

    def __init__(self, function: Callable[..., Any], tracer: Tracer, source: Source) -> None:
        self._function = function
        self._report = wrap_function(function, tracer, source, "call")

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Call the function."""
        return self._report(*given, **named)

    def __reduce__(self) -> tuple[Any, ...]:
        """Arrive in another process as the function alone."""
        return _unwrapped, (self._function,)


def _unwrapped(function: Callable[..., Any]) -> Callable[..., Any]:
    return function
