"""Pickles of numpy arrays and plain containers, and of nothing else.

A pickle is a program. What it may call is replaced here by stand-ins that only note shapes, types
and bytes, so neither a foreign function nor numpy's own restoring code ever runs on what a file
says.
"""

import io
import math
import pickle
import pickletools
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mfl_adapt.errors import DataError
from mfl_adapt.files import read_bounded

LARGEST_FILE = 2**26
"""In bytes; a calibration takes about a thousand per camera."""
# numpy's codes for plain numbers and booleans; it would evaluate others, such as "(2,3)f8,O".
_CODE = re.compile(r"[<>|=]?([biuf][1-9][0-9]?|\?)")
# More are no calibration: Python reserves room for all places of the memo up to the highest.
_MOST_PLACES = 10**6
_MOST_VALUES = 10**5


class _Function(NamedTuple):
    """A stand-in that a pickle can call and, unlike a function, not change."""

    run: Callable[..., Any]

    def __call__(self, *arguments: Any) -> Any:
        """Call it."""
        return self.run(*arguments)


class _DType:
    """Stands in for ``numpy.dtype``."""

    def __init__(self, code: str, *_: Any) -> None:
        if not _CODE.fullmatch(_text(code)):
            raise ValueError(f"an array of {_text(code)[:20]!r}")
        self.dtype = np.dtype(_text(code))

    def __setstate__(self, state: Any) -> None:
        order = _text(state[1])
        if order in {"<", ">"}:
            self.dtype = np.dtype(order + self.dtype.str[1:])


class _Array:
    """Stands in for ``numpy.ndarray``."""

    value: Any = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.value = _to_array(data, dtype, shape, "F" if fortran else "C")


def _reconstruct(*_: Any) -> _Array:
    """Stands in for the empty array that numpy fills afterwards."""
    return _Array()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    """Stands in for numpy's arrays of pickle protocol 5."""
    array = _Array()
    array.value = _to_array(data, dtype, shape, order)
    return array


def _scalar(dtype: Any, data: Any) -> Any:
    """Stands in for numpy's single numbers."""
    return _to_array(data, dtype, (), "C").item()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """Stands in for the way in which protocols 0 to 2 spell bytes.

    Raises:
        ValueError: If they are text in another encoding.
    """
    if encoding not in {"latin1", "latin-1"}:
        raise ValueError(f"bytes in encoding {encoding!r:.20}")
    return str(text).encode("latin1")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _Function(_encode),
    ("collections", "OrderedDict"): dict,
}
# numpy 2 renamed the module that numpy 1 pickles refer to.
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[_core + ".multiarray", "_reconstruct"] = _Function(_reconstruct)
    _ALLOWED[_core + ".multiarray", "scalar"] = _Function(_scalar)
    _ALLOWED[_core + ".numeric", "_frombuffer"] = _Function(_from_buffer)


class _Unpickler(pickle.Unpickler):
    """Knows nothing but the stand-ins."""

    def __init__(self, data: bytes, file: Path) -> None:
        # latin1 is how Python 2's byte strings, and numpy arrays in them, come through unchanged.
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._file = file

    def find_class(self, module: str, name: str) -> Any:
        """Return a stand-in.

        Raises:
            DataError: If there is none.
        """
        if (module, name) not in _ALLOWED:
            raise DataError(
                f"{self._file}: expected numpy arrays and plain containers, got a pickle that asks "
                f"for {f'{module}.{name}'!r:.80}. Nothing of it was run; get the calibration from "
                f"a source you trust."
            )
        return _ALLOWED[module, name]


def load_arrays(file: Path) -> Any:
    """Read a pickle of numbers, strings, lists, tuples, dicts and numpy arrays of numbers.

    Args:
        file: The pickle, of any protocol, written by Python 2 or 3 and numpy 1 or 2.

    Returns:
        What it holds; numpy's single numbers come as Python's.

    Raises:
        DataError: If the file is missing, damaged, or asks for anything else.
    """
    try:
        data = read_bounded(file, LARGEST_FILE)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # about texts with escapes that mean nothing
            _check_instructions(data)
            return _Filler().fill(_Unpickler(data, file).load())
    except OSError as error:
        raise DataError(
            f"{file}: expected a calibration, got {error.strerror or error}. Check the folder."
        ) from error
    except DataError:
        raise
    except (
        pickle.UnpicklingError,
        ArithmeticError,
        AttributeError,
        EOFError,
        LookupError,
        MemoryError,
        RecursionError,
        TypeError,
        ValueError,
        Warning,
    ) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"{file}: expected a pickle of numpy arrays and plain containers, got {reason[:120]}. "
            f"Write it again as a list of dicts with R, T and K."
        ) from error


def _text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _to_array(data: Any, dtype: Any, shape: Any, order: Any) -> Any:
    """An array of its own from raw bytes.

    Raises:
        ValueError: If the bytes do not fill the shape.
    """
    data = data.encode("latin1") if isinstance(data, str) else bytes(memoryview(data))
    shape = tuple(int(side) for side in shape)
    if min(shape, default=0) < 0 or len(data) != math.prod(shape) * dtype.dtype.itemsize:
        raise ValueError(f"{len(data)} bytes for an array of shape {list(shape)}")
    return np.frombuffer(data, dtype.dtype).reshape(shape, order=order).copy()


def _check_instructions(data: bytes) -> None:
    """Walk through a pickle without running it.

    Raises:
        ValueError: If it is none, or is followed by anything, or an instruction asks for more
            memory than its own bytes could fill.
    """
    for code, argument, place in pickletools.genops(data):
        places = int(argument or 0) if "PUT" in code.name else 0
        if not 0 <= places <= _MOST_PLACES:
            raise ValueError(f"a note at place {places}")
        if code.name == "STOP" and place != len(data) - 1:
            raise ValueError("more bytes after its end")


class _Filler:
    """Makes the same containers with arrays in the place of their stand-ins."""

    def __init__(self) -> None:
        self._values = 0

    def fill(self, value: Any) -> Any:
        """Return a copy.

        Raises:
            ValueError: If there are too many values; a list may hold another one many times.
        """
        self._values += 1
        if self._values > _MOST_VALUES:
            raise ValueError(f"more than {_MOST_VALUES} values")
        if isinstance(value, _Array):
            return value.value
        if isinstance(value, dict):
            return {self.fill(key): self.fill(entry) for key, entry in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.fill(entry) for entry in value)
        return value
