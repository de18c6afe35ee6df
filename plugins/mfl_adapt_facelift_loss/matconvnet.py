"""Read ``imagenet-vgg-verydeep-19.mat``: the VGG-19 that GS-LRM's authors used.

SciPy's reader of MATLAB 5 files builds arrays and nothing else: it runs no code and knows no
pickles. A file is read only once its MD5 is the expected one, as the format has no checksum and
can unpack to far more than it holds.
"""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.io import loadmat
from scipy.io.matlab import MatReadError
from torch import Tensor

from mfl_adapt.errors import CheckpointError
from mfl_adapt.models.weight_files import open_file

_MAGIC = b"MATLAB"
# Entry of `layers` that holds convolution 1, 2, ...; ReLU and pooling stand between.
_PLACES = (0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30)
_LARGEST = 2**30

# What SciPy raises for files that are cut off or hold something else.
_READ_ERRORS = (
    MatReadError,
    NotImplementedError,  # MATLAB 7.3, which is HDF5
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    zlib.error,
)


def is_matlab(path: Path) -> bool:
    """Whether a file says of itself that it is one of MATLAB.

    Raises:
        CheckpointError: If there is no such file.
    """
    with open_file(path) as file:
        return file.read(len(_MAGIC)) == _MAGIC


def read_matconvnet(path: Path, *, md5: str) -> dict[str, Tensor]:
    """Read the convolutions up to the fourteenth.

    Args:
        path: The file.
        md5: That it must have, in hexadecimal.

    Returns:
        ``conv1.weight`` [out, in, H, W], ``conv1.bias`` [out] and so on, as stored.

    Raises:
        CheckpointError: If it is another file, damaged, or holds something else.
    """
    _check_digest(path, md5)
    try:
        layers = np.ravel(loadmat(path, variable_names=["layers"])["layers"])
        tensors: dict[str, Tensor] = {}
        for number, place in enumerate(_PLACES, start=1):
            kernel, bias = _kernel_and_bias(layers[place])
            tensors[f"conv{number}.weight"] = torch.from_numpy(
                np.ascontiguousarray(np.transpose(kernel, (3, 2, 0, 1)))
            )
            tensors[f"conv{number}.bias"] = torch.from_numpy(np.ravel(bias).copy())
    except _READ_ERRORS as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise CheckpointError(
            f"{path}: expected MatConvNet's VGG-19, got something else ({reason}). Name "
            "imagenet-vgg-verydeep-19.mat."
        ) from error
    return tensors


def _kernel_and_bias(layer: Any) -> tuple[Any, Any]:
    """Kernel [H, W, in, out] and bias of a layer, a structure whose ``weights`` are two arrays."""
    kernel, bias = np.ravel(np.ravel(layer["weights"])[0])
    return kernel, bias


def _check_digest(path: Path, md5: str) -> None:
    """Refuse another file before anything of it is unpacked.

    Raises:
        CheckpointError: If it is too large or has another MD5.
    """
    with open_file(path) as file:
        size = path.stat().st_size
        if size > _LARGEST:
            raise CheckpointError(
                f"{path}: expected imagenet-vgg-verydeep-19.mat of about 548 MB, got {size} bytes."
            )
        # Recognises a file; nobody's safety hangs on MD5.
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5.lower():
        raise CheckpointError(
            f"{path}: expected the file with MD5 {md5.lower()}, got {found}. Download "
            "imagenet-vgg-verydeep-19.mat again, or set md5 if another file is meant."
        )
