"""Whether records are as ``mfl_adapt.types`` describes them, and hashes to compare them by."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.plugin.testing.outcome import fail, require
from mfl_adapt.types import Sample, View

if TYPE_CHECKING:
    from mfl_adapt.types import Provenance

_RIGID = 1e-6


def check_sample(where: str, sample: object) -> Sample:
    """End the rule unless this is a sample whose views have the right types, shapes and ranges."""
    if not isinstance(sample, Sample):
        fail(where, expected="a Sample", got=type(sample).__name__, remedy="Use begin_sample.")
    where = f"{where}, sample {sample.id}"
    require(
        bool(sample.id) and isinstance(sample.views, tuple) and len(sample.views) > 0,
        where,
        expected="a name and a tuple of at least one view",
        got=f"{sample.id!r} with {sample.views!r:.40}",
        remedy="Leave samples out that show nothing.",
    )
    names = [view.name for view in sample.views]
    require(
        len(set(names)) == len(names),
        where,
        expected="views of different names",
        got=names,
        remedy="Name each view after its camera.",
    )
    for view in sample.views:
        _check_picture(f"{where}, view {view.name}", view)
        _check_camera(f"{where}, view {view.name}", view)
    return sample


def _check_picture(where: str, view: View) -> None:
    rgb, mask = view.rgb, view.mask
    require(
        _is_array(rgb, ("uint8", "uint16")) and rgb.shape[2:] == (3,) and rgb.size > 0,
        f"{where}: rgb",
        expected="[H, W, 3] of uint8, or of uint16",
        got=_describe(rgb),
        remedy="Channels come last; colours are whole numbers from 0 to 255.",
    )
    if mask is None:
        return
    require(
        _is_array(mask, ("uint8",)) and mask.shape == rgb.shape[:2],
        f"{where}: mask",
        expected=f"{list(rgb.shape[:2])} of uint8, 255 inside",
        got=_describe(mask),
        remedy="A mask has one number per pixel of its picture; multiply booleans by 255.",
    )
    require(
        not mask.any() or int(mask.max()) > 1,
        f"{where}: mask",
        expected="opacity from 0 to 255, 255 inside",
        got="0 and 1",
        remedy="Multiply it by 255.",
    )


def _check_camera(where: str, view: View) -> None:
    for name, array, shape in (("c2w", view.c2w, (4, 4)), ("fxfycxcy", view.fxfycxcy, (4,))):
        require(
            _is_array(array, ("float64",))
            and array.shape == shape
            and bool(np.isfinite(array).all()),
            f"{where}: {name}",
            expected=f"{list(shape)} finite numbers of float64",
            got=_describe(array),
            remedy="Keep geometry in double precision.",
        )
    require(
        bool((view.fxfycxcy[:2] > 0).all()),
        f"{where}: fxfycxcy",
        expected="positive focal lengths",
        got=view.fxfycxcy[:2].tolist(),
        remedy="A mirrored picture has no camera.",
    )
    rotation = view.c2w[:3, :3]
    error = max(
        float(np.abs(rotation.T @ rotation - np.eye(3)).max()),
        abs(float(np.linalg.det(rotation)) - 1.0),
        float(np.abs(view.c2w[3] - [0, 0, 0, 1]).max()),
    )
    require(
        error < _RIGID,
        f"{where}: c2w",
        expected="a rotation with det +1 and a translation",
        got=f"rows that are off by {error:.2g}",
        remedy="Scale belongs into the translation; an axis that is mirrored must be turned.",
    )


def _is_array(value: Any, kinds: tuple[str, ...]) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.name in kinds


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray):
        finite = value.dtype.kind not in "fc" or bool(np.isfinite(value).all())
        return f"{list(value.shape)} {value.dtype}{'' if finite else ', not all finite'}"
    return type(value).__name__


def fingerprint(sample: Sample) -> str:
    """Hash everything a sample holds, its history and labels included."""
    from mfl_adapt.images.digest import digest_views

    rest = [sample.id, sample.session, sample.animal, sample.time_s]
    history = [_plain(step) for step in sample.provenance]
    text = json.dumps([rest, history], sort_keys=True, default=repr)
    return hashlib.sha256((digest_views(sample.views) + text).encode()).hexdigest()


def _plain(step: Provenance) -> list[Any]:
    return [
        step.step,
        dict(step.params),
        step.digest,
        step.pixel_maps,
        repr(step.world),
        step.order,
        repr(step.raw_cameras),
        step.exact,
    ]


def tensors_digest(*tensors: Any) -> str:
    """Hash the values of torch tensors, NaN included."""
    digest = hashlib.sha256()
    for tensor in tensors:
        array = tensor.detach().cpu().contiguous()
        digest.update(f"{array.dtype} {tuple(array.shape)}".encode())
        digest.update(array.view(-1).numpy().tobytes() if array.numel() else b"")
    return digest.hexdigest()
