"""Injuries of a machine: what it is measured to be, under the command that measures it.

``injure`` takes pytest's ``monkeypatch`` and an empty folder. It changes what the operating system,
torch or a compiler answers; nothing is put into the doctor itself.
"""

import shutil
import stat
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from injury import Injury, named

from mfl_adapt.doctor import machine
from mfl_adapt.errors import BackendError

GIB = 2**30
Usage = namedtuple("Usage", "total used free")
Gpu = namedtuple("Gpu", "name total_memory")


def make_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine is, let it be one without faults."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    monkeypatch.setattr(machine, "count_cores", lambda: 64)
    set_memory(monkeypatch, 16)
    set_disk(monkeypatch, 100)


def set_memory(monkeypatch: pytest.MonkeyPatch, free_gib: float) -> None:
    """What the operating system says is free."""
    free = {"memory_bytes": 64 * GIB, "memory_free_bytes": int(free_gib * GIB)}
    monkeypatch.setattr(machine, "_memory", lambda: free)


def set_disk(monkeypatch: pytest.MonkeyPatch, free_gib: float) -> None:
    """The same for the disk."""
    usage = Usage(1000 * GIB, 0, int(free_gib * GIB))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)


def little_memory(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Another program has it all."""
    set_memory(monkeypatch, 3)


def little_disk(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Two gigabytes are left."""
    set_disk(monkeypatch, 2)


def full_disk(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A quarter of one is."""
    set_disk(monkeypatch, 0.25)


def no_kernels(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Numba does not load."""

    def broken(*_, **__):
        raise BackendError("render: expected numba, got none. Install it.")

    monkeypatch.setattr("mfl_adapt.render.render", broken)


def drawn_elsewhere(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A rasterizer of another version takes its arguments in another order."""
    from mfl_adapt.render import render

    def move(gaussians, cameras, **settings):
        gaussians.means.add_(0.5)
        return render(gaussians, cameras, **settings)

    monkeypatch.setattr("mfl_adapt.render.render", move)


def draw_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say that a splat was drawn."""
    drawn = {"error": "", "seconds": 0.002, "first_seconds": 1.4}
    monkeypatch.setattr(machine, "draw_one_splat", lambda backend, device: drawn)


def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch of CUDA 12.8 see a GPU, on which gsplat draws."""
    draw_at_once(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda at: Gpu("GPU", 24 * GIB))
    monkeypatch.setattr(torch.version, "cuda", "12.8")


def set_compiler(monkeypatch: pytest.MonkeyPatch, folder: Path, version: str) -> None:
    """A compiler that says its version."""
    program = folder / "bin" / "nvcc"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho 'Cuda compilation tools, release {version}, V{version}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CUDA_HOME", str(folder))


def older_compiler(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The machine's compiler is of CUDA 11."""
    with_gpu(monkeypatch)
    set_compiler(monkeypatch, folder, "11.8")


def many_threads(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A container with fewer cores than the machine, of which torch knows nothing."""
    monkeypatch.setattr(machine, "count_cores", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)


def spinning(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Threads that burn a core while they wait."""
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")


def unwritable_cache(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A file where the folder of kernels should be; those in use were read before."""
    draw_at_once(monkeypatch)
    (folder / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder / "file"))


MACHINES = (
    Injury(
        code="MFL040",
        severity="warning",
        value="^3.0 GiB free$",
        injure=little_memory,
        failures=(40,),
    ),
    Injury(
        code="MFL055", severity="warning", value="^2.00 GiB", injure=little_disk, failures=(55,)
    ),
    Injury(code="MFL055", severity="law", value="^0.25 GiB", injure=full_disk, failures=(55,)),
    Injury(
        code="MFL057",
        severity="law",
        value="^BackendError: render: expected numba",
        where="^backend cpu$",
        injure=no_kernels,
        failures=(57,),
    ),
    Injury(
        code="MFL057",
        severity="law",
        value=r"^an opacity of 0\.\d+ in the middle",
        injure=drawn_elsewhere,
        failures=(57,),
    ),
    Injury(
        code="MFL070",
        severity="warning",
        value="^11.8$",
        where="^nvcc$",
        injure=older_compiler,
        failures=(57,),
    ),
    Injury(
        code="MFL072",
        severity="warning",
        value="^64 threads$",
        where="^OMP_NUM_THREADS$",
        injure=many_threads,
    ),
    Injury(
        code="MFL072",
        severity="warning",
        value="^ACTIVE$",
        where="^OMP_WAIT_POLICY$",
        injure=spinning,
    ),
    Injury(code="MFL073", severity="warning", value="^not writable$", injure=unwritable_cache),
)


def gpu_and_its_compiler(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """No injury: a GPU, a compiler of torch's CUDA, and kernels that draw."""
    with_gpu(monkeypatch)
    set_compiler(monkeypatch, folder, "12.6")


SOUND = (named("as_it_is", lambda monkeypatch, folder: None), gpu_and_its_compiler)
"""Machines in which there is nothing to find."""
