"""Build parts from configuration files that may hold keys of other programs."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import huggingface_hub.errors

from mfl_adapt.errors import CheckpointError

logger = logging.getLogger(__name__)

PartT = TypeVar("PartT")

# What constructors of diffusers and transformers raise for values they cannot use. The last one
# exists from huggingface-hub 0.34 on.
_BUILD_ERRORS = (
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    NotImplementedError,
    RuntimeError,
    getattr(huggingface_hub.errors, "StrictDataclassError", ValueError),
)


def read_json(path: Path) -> dict[str, Any]:
    """Read a mapping from a JSON file.

    Raises:
        CheckpointError: If the file is missing, unreadable or holds anything else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{path}: expected a file of the published folder, found nothing there. "
            "Fetch the whole folder."
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path}: expected a readable file: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: expected JSON, got a damaged file ({error}). Download it again."
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: expected keys and values, got {type(content).__name__}.")
    return content


def known_options(
    part: Callable[..., Any], options: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """Keep the options that a constructor knows; the others are logged.

    Published files carry bookkeeping of the programs that wrote them, which must not stop
    anybody.
    """
    names = inspect.signature(part).parameters
    unknown = sorted(key for key in options if key not in names and not key.startswith("_"))
    if unknown:
        logger.debug("%s: left out keys unknown to %s: %s", where, part.__name__, unknown)
    return {key: value for key, value in options.items() if key in names}


def build_part(make: Callable[[], PartT], path: Path) -> PartT:
    """Build a part and turn a refusal into one line that names its file.

    Args:
        make: Builds it.
        path: The file that holds its configuration.

    Raises:
        CheckpointError: If the configuration cannot be used.
    """
    try:
        return make()
    except CheckpointError:
        raise
    except _BUILD_ERRORS as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise CheckpointError(
            f"{path}: expected a configuration that builds this part, got: {reason}."
        ) from error
