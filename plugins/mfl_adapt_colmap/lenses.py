"""COLMAP's camera models in terms of OpenCV's.

COLMAP counts pixels from the upper left corner of the picture: "the upper left corner of an image
has coordinate (0, 0) and the center of the upper left most pixel has coordinate (0.5, 0.5)". That
is our convention too, and nothing is shifted.
"""

import math
from dataclasses import dataclass
from typing import Literal

from mfl_adapt.errors import DataError, did_you_mean

Kind = Literal["pinhole", "brown", "fisheye"]


@dataclass(frozen=True, slots=True)
class Model:
    """One of COLMAP's camera models.

    Attributes:
        number: Its number in binary files.
        kind: The OpenCV model that it is a case of.
        params: Names of its parameters, in their order.
    """

    number: int
    kind: Kind
    params: tuple[str, ...]


def _model(number: int, kind: Kind, params: str) -> Model:
    return Model(number, kind, tuple(params.split()))


MODELS: dict[str, Model] = {
    "SIMPLE_PINHOLE": _model(0, "pinhole", "f cx cy"),
    "PINHOLE": _model(1, "pinhole", "fx fy cx cy"),
    "SIMPLE_RADIAL": _model(2, "brown", "f cx cy k1"),
    "RADIAL": _model(3, "brown", "f cx cy k1 k2"),
    "OPENCV": _model(4, "brown", "fx fy cx cy k1 k2 p1 p2"),
    "OPENCV_FISHEYE": _model(5, "fisheye", "fx fy cx cy k1 k2 k3 k4"),
    "FULL_OPENCV": _model(6, "brown", "fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6"),
    "SIMPLE_RADIAL_FISHEYE": _model(8, "fisheye", "f cx cy k1"),
    "RADIAL_FISHEYE": _model(9, "fisheye", "f cx cy k1 k2"),
}
_ORDER: dict[Kind, tuple[str, ...]] = {
    "pinhole": (),
    "brown": ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"),
    "fisheye": ("k1", "k2", "k3", "k4"),
}


@dataclass(frozen=True, slots=True)
class ModelCamera:
    """A camera of a model, as its file has it.

    Attributes:
        where: File and record, for messages.
        id: Identifier that images refer to.
        model: Name of the camera model.
        width: Picture width in pixels.
        height: Picture height in pixels.
        params: Parameters in the model's order.
    """

    where: str
    id: int
    model: str
    width: int
    height: int
    params: tuple[float, ...]


def check_camera(camera: ModelCamera) -> None:
    """Raise unless a camera is whole and known.

    Raises:
        DataError: If the model is unknown, or a number is missing, not finite or not positive.
    """
    if camera.model not in MODELS:
        close = did_you_mean(camera.model, MODELS)
        hint = f"{close} " if close.startswith("Did") else ""
        raise DataError(
            f"{camera.where}: expected a known camera model, got {camera.model!r}. {hint}Known: "
            f"{', '.join(MODELS)}. Undistort with COLMAP's image_undistorter and read its output."
        )
    names = MODELS[camera.model].params
    if len(camera.params) != len(names):
        raise DataError(
            f"{camera.where}: expected {len(names)} parameters of {camera.model} "
            f"({' '.join(names)}), got {len(camera.params)}. Export the model again."
        )
    for name, value in zip(names, camera.params, strict=True):
        if not math.isfinite(value) or (name.startswith("f") and value <= 0):
            rule = "a positive focal length" if name.startswith("f") else "a finite number"
            raise DataError(f"{camera.where}: expected {rule} as {name}, got {value:g}.")
    if camera.width < 1 or camera.height < 1:
        raise DataError(
            f"{camera.where}: expected a width and height of at least 1 px, got {camera.width} x "
            f"{camera.height}."
        )


def to_opencv(
    camera: ModelCamera,
) -> tuple[tuple[float, float, float, float], Kind, tuple[float, ...]]:
    """Translate the parameters of a checked camera.

    Returns:
        fx fy cx cy in pixels; the kind of lens, ``pinhole`` where Brown's model has no coefficient
        but 0; and the coefficients in OpenCV's order.
    """
    model = MODELS[camera.model]
    values = dict(zip(model.params, camera.params, strict=True))
    fx, fy = values.get("fx", values.get("f", 0.0)), values.get("fy", values.get("f", 0.0))
    fxfycxcy = (fx, fy, values["cx"], values["cy"])
    coefficients = tuple(values.get(name, 0.0) for name in _ORDER[model.kind])
    if model.kind == "fisheye":  # bends every ray even where its coefficients are 0
        return fxfycxcy, "fisheye", coefficients
    if not any(coefficients):
        return fxfycxcy, "pinhole", ()
    # The rational coefficients k4 k5 k6 are left out where they are 0: OpenCV takes 4, 5 or 8.
    return fxfycxcy, "brown", coefficients if any(coefficients[5:]) else coefficients[:5]
