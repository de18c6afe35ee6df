"""A fingerprint of named tensors that does not depend on how a file arranges them."""

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def digest_tensors(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over name, dtype, shape and bytes of every tensor, sorted by name.

    Each tensor enters as the line ``name dtype [sizes]``, a newline, and its values in row-major
    order, little-endian; the dtype is torch's word without ``torch.``.

    Args:
        tensors: Tensors by name, on any device.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        dtype = str(tensor.dtype).removeprefix("torch.")
        digest.update(f"{name} {dtype} {list(tensor.shape)}\n".encode())
        digest.update(to_bytes(tensor))
    return digest.hexdigest()


def to_bytes(tensor: Tensor) -> bytes:
    """Values of a tensor in row-major order, as they lie in memory."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()
