"""Facts about the machine: what is there, and what one splat drawn on it looks like."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfl_adapt.errors import MflAdaptError

if TYPE_CHECKING:
    from mfl_adapt.render import Backend

_GIB = 2**30
_SIZE = 33
"""Odd, so that a pixel is the middle of the picture."""


def measure_machine(output: Path) -> dict[str, Any]:
    """Take all facts; what cannot be told is None.

    Args:
        output: Where runs are to be written; it need not exist.

    Returns:
        Plain values. ``renders`` has seconds for the first and the second drawing of one splat by
        backend, and an error where it failed.
    """
    import torch

    has_gpu = torch.cuda.is_available()
    gpus = [_describe_gpu(index) for index in range(torch.cuda.device_count())] if has_gpu else []
    backends: dict[Backend, str] = {"cpu": "cpu"}
    if has_gpu:
        backends["gsplat"] = "cuda"
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "torch": torch.__version__,
        "torch_cuda": torch.version.cuda,
        "nvcc": find_nvcc(),
        "gsplat": _version("gsplat"),
        "gpus": gpus,
        "cores": count_cores(),
        "threads": torch.get_num_threads(),
        "wait_policy": os.environ.get("OMP_WAIT_POLICY", ""),
        **_memory(),
        "disk": measure_disk(output),
        "kernel_cache": find_kernel_cache(),
        "renders": {name: draw_one_splat(name, device) for name, device in backends.items()},
    }


def list_machine(found: Mapping[str, Any]) -> dict[str, str]:
    """Word the facts for people, by name in the order to print them."""
    total, free = found["memory_bytes"], found["memory_free_bytes"]
    memory = f"{free / _GIB:.1f} of {total / _GIB:.1f} GiB free" if total and free else "unknown"
    gpus = [f"{one['name']}, {one['memory_bytes'] / _GIB:.0f} GiB" for one in found["gpus"]]
    built = f"CUDA {found['torch_cuda']}" if found["torch_cuda"] else "without CUDA"
    facts = {
        "python": f"{found['python']}, torch {found['torch']} ({built})",
        "processor": f"{found['cores']} cores, {found['threads']} threads, wait policy "
        f"{found['wait_policy'] or 'not set'}",
        "memory": memory,
        "disk": f"{found['disk']['free_bytes'] / _GIB:.1f} GiB free at {found['disk']['path']}",
        "gpu": "; ".join(gpus) or "none: training and drawing run on the processor",
        "nvcc": found["nvcc"] or "none",
        "kernels": str(found["kernel_cache"]["path"]),
    }
    for name, drawn in found["renders"].items():
        facts[f"draw {name}"] = drawn["error"] or (
            f"one splat in {drawn['seconds']:.3f} s, the first time {drawn['first_seconds']:.1f} s"
        )
    if "gsplat" not in found["renders"]:
        facts["draw gsplat"] = f"not tried, as there is no GPU (gsplat {found['gsplat'] or 'none'})"
    return facts


def draw_one_splat(backend: Backend, device: str) -> dict[str, Any]:
    """Draw a grey splat in the middle of a small picture, twice, and look at it."""
    found: dict[str, Any] = {"error": "", "seconds": None, "first_seconds": None}
    try:
        begin = time.perf_counter()
        problem = _draw(backend, device)
        middle = time.perf_counter()
        problem = problem or _draw(backend, device)
    except (MflAdaptError, ImportError, OSError, RuntimeError) as error:
        lines = str(error).strip().splitlines() or [""]
        return found | {"error": f"{type(error).__name__}: {lines[-1][:300]}"}
    times = {"first_seconds": middle - begin, "seconds": time.perf_counter() - middle}
    return found | times | {"error": problem}


def _draw(backend: Backend, device: str) -> str:
    """Draw it once; empty, or what is wrong with the picture."""
    import torch

    from mfl_adapt.render import render
    from mfl_adapt.types import Cameras, Gaussians

    gaussians = Gaussians(
        means=torch.zeros(1, 1, 3, device=device),
        quats=torch.tensor([[[1.0, 0.0, 0.0, 0.0]]], device=device),
        scales=torch.full((1, 1, 3), 0.1, device=device),
        opacities=torch.full((1, 1), 0.9, device=device),
        sh=torch.zeros(1, 1, 1, 3, device=device),
    )
    c2w = torch.eye(4).expand(1, 1, 4, 4).clone()
    c2w[..., 2, 3] = -2.7
    intrinsics = torch.tensor([[[35.0, 35.0, _SIZE / 2, _SIZE / 2]]])
    cameras = Cameras(c2w, intrinsics, height=_SIZE, width=_SIZE)
    drawn = render(gaussians, cameras, background=1.0, backend=backend, depth=False)
    alpha = drawn.alpha[0, 0, 0].cpu()
    middle, corner = float(alpha[_SIZE // 2, _SIZE // 2]), float(alpha[0, 0])
    # Grey behind an opacity of 0.9; the corner is five standard deviations away.
    if abs(middle - 0.9) < 1e-3 and corner < 1e-3:
        return ""
    return f"an opacity of {middle:.3f} in the middle and {corner:.3f} in the corner"


def find_nvcc() -> str | None:
    """Version of the CUDA compiler that would be used, such as ``12.8``; None without one."""
    home = os.environ.get("CUDA_HOME")
    program = str(Path(home) / "bin" / "nvcc") if home else shutil.which("nvcc")
    if not program:
        return None
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"release (\d+\.\d+)", done.stdout)
    return found[1] if found else None


def count_cores() -> int:
    """Cores that this process may use: its affinity, and the quota of its container."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
        return max(1, min(cores, round(int(quota) / int(period))))
    except (OSError, ValueError, ZeroDivisionError):  # no container, or no quota
        return cores


def measure_disk(folder: Path) -> dict[str, Any]:
    """Free space where a folder is, or would be."""
    there = folder.expanduser().absolute()
    while not there.exists():
        there = there.parent
    return {"path": str(folder), "free_bytes": shutil.disk_usage(there).free}


def find_kernel_cache() -> dict[str, Any]:
    """Where numba keeps kernels, and whether it can write there."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    package = Path(__file__).resolve().parents[1] / "render"
    # Beside the source where that can be written, else below the user's home, as numba does.
    places = [Path(named)] if named else [package / "__pycache__", Path("~/.cache/numba")]
    for place in (one.expanduser() for one in places):
        if _is_writable(place):
            return {"path": str(place), "writable": True}
    return {"path": str(places[-1]), "writable": False}


def _is_writable(folder: Path) -> bool:
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            return True
    except OSError:
        return False


def _memory() -> dict[str, int | None]:
    """Memory of the machine and what is free of it, within the limit of a container."""
    total, free = _from_system()
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="utf-8"))
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # no container, or no limit
        return {"memory_bytes": total, "memory_free_bytes": free}
    left = max(0, limit - used)
    return {
        "memory_bytes": limit if total is None else min(limit, total),
        "memory_free_bytes": left if free is None else min(left, free),
    }


def _from_system() -> tuple[int | None, int | None]:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        values = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
        return values["MemTotal"], values["MemAvailable"]
    except (OSError, ValueError, IndexError, KeyError):  # not Linux
        return None, None


def _describe_gpu(index: int) -> dict[str, Any]:
    import torch

    facts = torch.cuda.get_device_properties(index)
    return {"name": facts.name, "memory_bytes": facts.total_memory}


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
