"""Intrinsics and lens of a frame, from its own keys and those of the whole file.

All three dialects count pixels from the upper left corner of the picture, so that the middle of
the first pixel is (0.5, 0.5): instant-ngp and nerfstudio shoot their rays through j + 0.5, and
both take COLMAP's principal point as it is. That is our convention too, and nothing is shifted.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mfl_adapt.checks import is_number
from mfl_adapt.errors import DataError, did_you_mean

# Which coefficients a model has; the order is that of our ``RawCamera.distortion``.
_BROWN = ("k1", "k2", "p1", "p2", "k3")
_FISHEYE = ("k1", "k2", "k3", "k4")
_MODELS: dict[str, tuple[str, ...]] = {
    "SIMPLE_PINHOLE": (),
    "PINHOLE": (),
    "SIMPLE_RADIAL": ("k1",),
    "RADIAL": ("k1", "k2"),
    "OPENCV": _BROWN,
    "OPENCV_FISHEYE": _FISHEYE,
}
_COEFFICIENTS = ("k1", "k2", "k3", "k4", "p1", "p2")
# nerfstudio may also write the six as one list, in this order.
_LIST_KEY = "distortion_params"


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a frame, with those of the whole file behind them.

    Attributes:
        where: File and frame, for messages.
        frame: The frame's own keys.
        shared: Keys of the whole file, which hold where the frame has none.
    """

    where: str
    frame: Mapping[str, Any]
    shared: Mapping[str, Any]

    def get(self, key: str) -> Any:
        """Value of a key, None where neither has it."""
        return self.frame.get(key, self.shared.get(key))

    def number(self, key: str) -> float | None:
        """A finite number, None where neither has it.

        Raises:
            DataError: If the value is anything else.
        """
        return _finite(f"{self.where}.{key}", self.get(key)) if self.get(key) is not None else None


@dataclass(frozen=True, slots=True)
class Lens:
    """What a frame says about its lens and sensor.

    Attributes:
        fxfycxcy: Focal lengths and principal point in pixels, centres at +0.5.
        height: Height in pixels that they refer to.
        width: Width in pixels that they refer to.
        lens: Kind of distortion.
        distortion: Its coefficients, in the order of ``RawCamera``.
    """

    fxfycxcy: tuple[float, float, float, float]
    height: int
    width: int
    lens: Literal["pinhole", "brown", "fisheye"]
    distortion: tuple[float, ...]


def read_lens(keys: Keys, picture_size: tuple[int, int]) -> Lens:
    """Intrinsics and distortion of one frame.

    The focal length is ``fl_x`` (and ``fl_y``), or follows from ``camera_angle_x``, the full
    horizontal angle of view in radians. Without ``cx`` and ``cy`` the principal point is in the
    middle; without ``w`` and ``h`` the intrinsics refer to the picture as it is.

    Args:
        keys: The frame.
        picture_size: (height, width) of the picture in pixels.

    Returns:
        The lens; ``pinhole`` where a model other than the fisheye has no coefficient but 0.

    Raises:
        DataError: If a value is no number, there is no focal length, the model is unknown, or a
            coefficient is set that its model does not have.
    """
    height, width = (_size(keys, key, picture_size[axis]) for axis, key in enumerate(("h", "w")))
    fx, fy = _focal_lengths(keys, height, width)
    cx, cy = keys.number("cx"), keys.number("cy")
    lens, distortion = _distortion(keys)
    return Lens(
        fxfycxcy=(fx, fy, width / 2 if cx is None else cx, height / 2 if cy is None else cy),
        height=height,
        width=width,
        lens=lens,
        distortion=distortion,
    )


def _size(keys: Keys, key: str, otherwise: int) -> int:
    value = keys.number(key)
    if value is None:
        return otherwise
    if value < 1 or value != int(value):
        raise DataError(
            f"{keys.where}.{key}: expected a whole number of pixels, got {value:g}. Correct it."
        )
    return int(value)


def _focal_lengths(keys: Keys, height: int, width: int) -> tuple[float, float]:
    # Focal lengths in pixels; a frame's own keys of either kind go before the file's.
    for scope in (keys.frame, keys.shared):
        own = Keys(keys.where, scope, {})
        fx = _focal_length(own, "fl_x", "camera_angle_x", width)
        fy = _focal_length(own, "fl_y", "camera_angle_y", height)
        if fx is not None:
            return fx, fx if fy is None else fy
    raise DataError(
        f"{keys.where}: expected a focal length as fl_x or camera_angle_x, got neither. Add one "
        f"to the frame or to the top of the file."
    )


def _focal_length(keys: Keys, key: str, angle_key: str, side: int) -> float | None:
    focal, angle = keys.number(key), keys.number(angle_key)
    if focal is None and angle is not None:
        if not 0 < angle < math.pi:
            raise DataError(
                f"{keys.where}.{angle_key}: expected an angle of view between 0 and pi radians, "
                f"got {angle:g}. Convert it from degrees."
            )
        focal = 0.5 * side / math.tan(0.5 * angle)
    if focal is not None and focal <= 0:
        raise DataError(f"{keys.where}.{key}: expected a positive focal length, got {focal:g}.")
    return focal


def _distortion(keys: Keys) -> tuple[Literal["pinhole", "brown", "fisheye"], tuple[float, ...]]:
    model = keys.get("camera_model")
    if model is None:  # instant-ngp names no model
        model = "OPENCV_FISHEYE" if keys.get("is_fisheye") else "OPENCV"
    if not isinstance(model, str) or model not in _MODELS:
        hint = f"Known: {', '.join(_MODELS)}."
        if isinstance(model, str) and did_you_mean(model, _MODELS).startswith("Did"):
            hint = f"{did_you_mean(model, _MODELS)} {hint}"
        raise DataError(
            f"{keys.where}.camera_model: expected a known lens model, got {model!r}. {hint}"
        )
    values = _coefficients(keys)
    for key, value in values.items():
        if value and key not in _MODELS[model]:
            used = " ".join(_MODELS[model]) or "no coefficients"
            raise DataError(
                f"{keys.where}.{key}: expected {used} with camera model {model}, got {key} = "
                f"{value:g}. Name the model that the calibration used."
            )
    # Without coefficients Brown's model is a pinhole, but the fisheye still bends every ray.
    if model == "OPENCV_FISHEYE":
        return "fisheye", tuple(values[key] for key in _FISHEYE)
    if not any(values.values()):
        return "pinhole", ()
    return "brown", tuple(values[key] for key in _BROWN)


def _coefficients(keys: Keys) -> dict[str, float]:
    listed = keys.get(_LIST_KEY)
    if listed is None:
        return {key: keys.number(key) or 0.0 for key in _COEFFICIENTS}
    where = f"{keys.where}.{_LIST_KEY}"
    if not isinstance(listed, list) or len(listed) != len(_COEFFICIENTS):
        raise DataError(f"{where}: expected six numbers k1 k2 k3 k4 p1 p2, got {listed!r:.60}.")
    return {key: _finite(where, value) for key, value in zip(_COEFFICIENTS, listed, strict=True)}


def _finite(where: str, value: Any) -> float:
    if not is_number(value):
        raise DataError(f"{where}: expected a finite number, got {value!r:.40}.")
    return float(value)
