"""What of a machine and its software can change the numbers of a run; no names, no paths."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

import mfl_adapt
from mfl_adapt.files import digest_source

PACKAGES = (
    *("mfl-adapt", "torch", "peft", "accelerate", "diffusers", "transformers"),
    *("numpy", "numba", "llvmlite", "safetensors", "gsplat"),
)


def environment() -> dict[str, Any]:
    """Return what a later reader needs to know about the machine.

    ``code`` is a digest of this package's source, as a version says little of a checkout.
    """
    return {
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
        # What torch and the compiler of the rasterizer choose their instructions by.
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "processes": dist.get_world_size() if dist.is_initialized() else 1,
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": {name: version(name) for name in PACKAGES},
        "code": digest_source(Path(mfl_adapt.__file__)),
    }
