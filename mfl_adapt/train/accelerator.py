"""Where a run computes, and in which number format."""

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from mfl_adapt.errors import TrainingError

MIXED_PRECISION = {"bf16": "bf16", "fp16": "fp16", "fp32": "no"}


def build_accelerator(device: str, precision: str) -> Accelerator:
    """Choose device and autocast.

    Args:
        device: ``auto`` takes CUDA where there is one, ``cpu``, or ``cuda``.
        precision: ``bf16``, ``fp16`` or ``fp32``, of the frozen model's arithmetic; geometry,
            rendering and losses are float32 in any case.

    Raises:
        TrainingError: If the device or the format is not to be had here, or several processes
            were started.
    """
    has_cuda = torch.cuda.is_available()
    if device == "cuda" and not has_cuda:
        raise TrainingError(
            "train.device: expected a CUDA device, got none on this machine. "
            "Use --set train.device=cpu, or install a CUDA build of torch."
        )
    on_cpu = device == "cpu" or not has_cuda
    if on_cpu and precision == "fp16":
        raise TrainingError(
            "train.precision: expected bf16 or fp32 on the CPU, got fp16. "
            "Use --set train.precision=bf16."
        )
    # The library keeps one state for the whole process and refuses a second run that differs.
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(mixed_precision=MIXED_PRECISION[precision], cpu=on_cpu)
    if accelerator.num_processes > 1:
        raise TrainingError(
            f"train: expected one process, got {accelerator.num_processes}. "
            "Start it with mfl-adapt train, not with a launcher of several processes."
        )
    return accelerator
