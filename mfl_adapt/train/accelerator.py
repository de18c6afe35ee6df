"""Where a run computes, and in which number format."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs

from mfl_adapt.errors import TrainingError

MIXED_PRECISION = {"bf16": "bf16", "fp16": "fp16", "fp32": "no"}
MEETING = timedelta(minutes=10)
"""How long processes wait at the start until all of them are there."""


def build_accelerator(device: str, precision: str) -> Accelerator:
    """Choose device and autocast, and meet the other processes, if several were started.

    Args:
        device: ``auto`` takes CUDA where there is one, ``cpu``, or ``cuda``.
        precision: ``bf16``, ``fp16`` or ``fp32``, of the frozen model's arithmetic; geometry,
            rendering and losses are float32 in any case.

    Raises:
        TrainingError: If the device or the format is not to be had here, or the other processes
            are not to be met.
    """
    check_device(device)
    on_cpu = device == "cpu" or not torch.cuda.is_available()
    if on_cpu and precision == "fp16":
        raise TrainingError(
            "train.precision: expected bf16 or fp32 on the CPU, got fp16. "
            "Use --set train.precision=bf16."
        )
    # The library keeps one state for the whole process and refuses a second run that differs.
    AcceleratorState._reset_state(reset_partial_state=True)
    if not on_cpu:
        check_gpus(int(os.environ.get("LOCAL_RANK", 0)) + 1, torch.cuda.device_count())
    started = "LOCAL_RANK" in os.environ or (on_cpu and int(os.environ.get("WORLD_SIZE", 1)) > 1)
    if not started:
        return Accelerator(mixed_precision=MIXED_PRECISION[precision], cpu=on_cpu)
    # Named also for GPUs: see ``Group``.
    meeting = InitProcessGroupKwargs(backend="gloo", timeout=MEETING)
    try:
        return Accelerator(
            mixed_precision=MIXED_PRECISION[precision], cpu=on_cpu, kwargs_handlers=[meeting]
        )
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"train: expected to meet the other processes at {os.environ.get('MASTER_ADDR')}:"
            f"{os.environ.get('MASTER_PORT')}, got {error}. Choose another port, and see that all "
            "processes were started."
        ) from error


def check_device(device: str) -> None:
    """Raise if CUDA is asked for where there is none.

    Raises:
        TrainingError: Saying so.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            "train.device: expected a CUDA device, got none on this machine. "
            "Use --set train.device=cpu, or install a CUDA build of torch."
        )


def check_gpus(processes: int, devices: int) -> None:
    """Raise unless each process of this machine can have a GPU of its own.

    Raises:
        TrainingError: If there are fewer.
    """
    if devices < processes:
        raise TrainingError(
            f"train.device: expected a GPU for each of {processes} processes, got {devices}. Start "
            "fewer processes, or use --set train.device=cpu."
        )
