"""Pickles of numpy arrays and plain containers, and of nothing else.

A pickle is a program. What it may call is replaced here by stand-ins that only note shapes, types
and bytes, so neither a foreign function nor numpy's own restoring code ever runs on what a file
says.
"""

import io
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from mfl_adapt.errors import DataError

# Letters of numpy's codes for plain numbers and booleans.
_KINDS = "biuf"


class _DType:
    """Stands in for ``numpy.dtype``."""

    def __init__(self, code: str, *_: Any) -> None:
        self.dtype = np.dtype(_text(code))
        if self.dtype.kind not in _KINDS:
            raise ValueError(f"an array of {self.dtype}")

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
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): dict,
}
# numpy 2 renamed the module that numpy 1 pickles refer to.
for _core in ("numpy.core", "numpy._core"):
    _ALLOWED[_core + ".multiarray", "_reconstruct"] = _reconstruct
    _ALLOWED[_core + ".multiarray", "scalar"] = _scalar
    _ALLOWED[_core + ".numeric", "_frombuffer"] = _from_buffer


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
        return _filled(_Unpickler(file.read_bytes(), file).load())
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


def _filled(value: Any) -> Any:
    """The same containers with arrays in the place of their stand-ins."""
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, dict):
        return {_filled(key): _filled(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_filled(entry) for entry in value)
    return value
