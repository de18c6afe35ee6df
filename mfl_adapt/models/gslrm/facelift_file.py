"""FaceLift's configuration file: a nested mapping in YAML or JSON that is not ours.

Only the keys that describe the network are read; unknown ones are left alone, because most of
the file is about training and data. Nothing here knows ``GSLRMConfig``: the functions turn the
mapping into its fields and back.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from mfl_adapt.errors import ConfigError

Plucker = Literal["custom", "augmented", "standard"]

# Our field -> where FaceLift keeps it. ``plucker``, ``clamp_positions`` and ``depth_range`` are
# each made of several keys and have functions of their own.
KEYS = {
    "image_size": "model.image_tokenizer.image_size",
    "patch_size": "model.image_tokenizer.patch_size",
    "d": "model.transformer.d",
    "d_head": "model.transformer.d_head",
    "n_layer": "model.transformer.n_layer",
    "n_gaussians": "model.gaussians.n_gaussians",
    "sh_degree": "model.gaussians.sh_degree",
    "scaling_modifier": "model.gaussians.scaling_modifier",
    "add_refsrc_marker": "model.add_refsrc_marker",
    "hard_pixelalign": "model.hard_pixelalign",
    "depth_preact_bias": "model.depth_preact_bias",
    "depth_reference_origin": "model.depth_reference_origin",
}
IN_CHANNELS = "model.image_tokenizer.in_channels"

_UPSAMPLING = "model.gaussians.upsampler.upsample_factor"
# A file without these does not say which network it means; the others are options.
_REQUIRED = (
    "patch_size",
    "d",
    "d_head",
    "n_layer",
    "n_gaussians",
    "sh_degree",
    "hard_pixelalign",
)


def read_mapping(path: Path) -> Mapping[str, Any]:
    """Parse a file: JSON if it ends in ``.json``, else YAML 1.2.

    Raises:
        ConfigError: If it cannot be read or parsed, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: expected a readable file: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path}: expected text in UTF-8, got other bytes. Is this the checkpoint?"
        ) from error
    mapping = _parse_json(path, text) if path.suffix == ".json" else _parse_yaml(path, text)
    if not isinstance(mapping, Mapping):
        raise ConfigError(
            f"{path}: expected a mapping with a 'model' entry, got {type(mapping).__name__}."
        )
    return mapping


def to_fields(mapping: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the fields of ``GSLRMConfig`` that a mapping states; types are not checked yet.

    Args:
        mapping: The parsed file.
        where: Name of the file, for messages.

    Raises:
        ConfigError: If there is no ``model`` entry, a required key is missing, or the network
            meant upsamples its Gaussians, which no published one does.
    """
    if not isinstance(mapping.get("model"), Mapping):
        raise ConfigError(
            f"{where}: expected a mapping under 'model', got {mapping.get('model')!r}. "
            "Name FaceLift's own configuration file."
        )
    factor = look_up(mapping, _UPSAMPLING, where)
    if factor is not None and factor != 1:
        raise ConfigError(
            f"{where}: expected {_UPSAMPLING} 1, the only one supported, got {factor!r}."
        )
    found = {field: look_up(mapping, key, where) for field, key in KEYS.items()}
    for field in _REQUIRED:
        if found[field] is None:
            raise ConfigError(f"{where}: expected the key {KEYS[field]}, which is missing.")
    return {
        **{field: value for field, value in found.items() if value is not None},
        "plucker": _plucker(mapping, where),
        # FaceLift clamps only if no `inference` entry is filled, and all its own files fill it.
        "clamp_positions": _flag(mapping, "model.clip_xyz", where) and not mapping.get("inference"),
        "depth_range": _depth_range(mapping, where),
    }


def to_mapping(fields: Mapping[str, Any], in_channels: int) -> dict[str, Any]:
    """Return the mapping whose fields are these; the inverse of ``to_fields``."""
    mapping: dict[str, Any] = {}
    for field, key in KEYS.items():
        if fields[field] is not None:
            _put(mapping, key, fields[field])
    _put(mapping, IN_CHANNELS, in_channels)
    _put(mapping, "model.use_custom_plucker", fields["plucker"] == "custom")
    _put(mapping, "model.use_aug_plucker", fields["plucker"] == "augmented")
    _put(mapping, "model.clip_xyz", fields["clamp_positions"])
    if fields["depth_range"] is not None:
        near, far = fields["depth_range"]
        _put(mapping, "model.depth_min", near)
        _put(mapping, "model.depth_max", far)
    return mapping


def look_up(mapping: Mapping[str, Any], key: str, where: str) -> Any:
    """Return the value of a dotted key; None where it, or a mapping on the way, is absent.

    Raises:
        ConfigError: If something on the way is not a mapping.
    """
    value: Any = mapping
    parts = key.split(".")
    for depth, part in enumerate(parts):
        if value is None:
            return None
        if not isinstance(value, Mapping):
            above = ".".join(parts[:depth])
            raise ConfigError(f"{where}: expected a mapping at {above}, got {value!r}.")
        value = value.get(part)
    return value


def _put(mapping: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key, making the mappings on the way."""
    *parents, last = key.split(".")
    for part in parents:
        mapping = mapping.setdefault(part, {})
    mapping[last] = value


def _flag(mapping: Mapping[str, Any], key: str, where: str) -> bool:
    """Return a switch; absent is off.

    Raises:
        ConfigError: If it is anything but true or false.
    """
    value = look_up(mapping, key, where)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise ConfigError(f"{where}: expected {key} true or false, got {value!r}.")
    return value


def _plucker(mapping: Mapping[str, Any], where: str) -> Plucker:
    """The custom flag wins over the augmented one."""
    if _flag(mapping, "model.use_custom_plucker", where):
        return "custom"
    return "augmented" if _flag(mapping, "model.use_aug_plucker", where) else "standard"


def _depth_range(mapping: Mapping[str, Any], where: str) -> tuple[float, float] | None:
    """Return the range; None unless both of its ends are positive, FaceLift's way to say so.

    Raises:
        ConfigError: If an end is not a number.
    """
    ends = []
    for key in ("model.depth_min", "model.depth_max"):
        end = look_up(mapping, key, where)
        if end is not None and (isinstance(end, bool) or not isinstance(end, int | float)):
            raise ConfigError(f"{where}: expected {key} to be a number, got {end!r}.")
        ends.append(-1.0 if end is None else float(end))
    near, far = ends
    return (near, far) if near > 0 and far > 0 else None


def _parse_json(path: Path, text: str) -> Any:
    """Parse JSON.

    Raises:
        ConfigError: If it is not JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}: expected JSON: {error.msg}.") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: expected JSON: {error}.") from error


def _parse_yaml(path: Path, text: str) -> Any:
    """Parse YAML 1.2.

    Raises:
        ConfigError: If it is not YAML.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    from mfl_adapt.config.yaml_file import PARSER_FAULTS, check_structure

    try:
        check_structure(text, str(path))
        return YAML(typ="safe", pure=True).load(text)
    except ConfigError:
        raise
    except MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{path}{line}: expected YAML: {error.problem}.") from error
    except (YAMLError, *PARSER_FAULTS) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: expected YAML: {reason}.") from error
