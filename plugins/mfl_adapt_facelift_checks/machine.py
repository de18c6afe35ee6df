"""Whether a machine can train and draw, judged from what was measured of it.

Facts come as plain data; those that could not be taken are missing and judged by nobody.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mfl_adapt.checks import is_number
from mfl_adapt.errors import ConfigError
from mfl_adapt.plugin import Facts, Finding

from .config import DiskConfig, MemoryConfig, NoConfig

_GIB = 2**30


class Memory:
    """Warning MFL040: there is memory for a step of training."""

    def __init__(self, config: MemoryConfig) -> None:
        """Take the threshold."""
        self._warn_below = config.warn_below_gib

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the memory that is free now."""
        free = _number(_machine(facts), "memory_free_bytes")
        if free is not None and free < self._warn_below * _GIB:
            yield Finding(
                code="MFL040",
                severity="warning",
                where="memory",
                value=f"{free / _GIB:.1f} GiB free",
                expected=f"at least {self._warn_below:g} GiB",
                remedy="End other programs, or use smaller steps: train.batch=1, fewer views in "
                "data.views, a smaller data.size.",
                excess=self._warn_below - free / _GIB,
            )


class Disk:
    """Law and warning MFL055: there is space for a run."""

    def __init__(self, config: DiskConfig) -> None:
        """Take the thresholds."""
        self._config = config

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the folder that runs are written to."""
        disk = _mapping(_machine(facts).get("disk"))
        free = _number(disk, "free_bytes")
        if free is not None and free < self._config.warn_below_gib * _GIB:
            broken = free < self._config.law_below_gib * _GIB
            yield Finding(
                code="MFL055",
                severity="law" if broken else "warning",
                where=str(disk.get("path", "disk")),
                value=f"{free / _GIB:.2f} GiB free",
                expected=f"at least {self._config.warn_below_gib:g} GiB, law "
                f"{self._config.law_below_gib:g} GiB",
                remedy="Delete what old runs left, or write elsewhere with --set output=FOLDER.",
                excess=self._config.warn_below_gib - free / _GIB,
            )


class Rasterizer:
    """Law MFL057: Gaussians can be drawn, and come out where they are."""

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: one splat is drawn, or not."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at what each backend made of one splat."""
        for name, drawn in _mapping(_machine(facts).get("renders")).items():
            error = str(_mapping(drawn).get("error") or "")
            if error:
                yield Finding(
                    code="MFL057",
                    severity="law",
                    where=f"backend {name}",
                    value=error[:500],
                    expected="one splat, drawn where it is",
                    remedy="Install a compiler (nvcc of torch's CUDA) and gsplat>=1.5.3,<1.6."
                    if name == "gsplat"
                    else "Install numba again, or use --set train.backend=torch.",
                    excess=1.0,
                )


class Compiler:
    """Warning MFL070: the CUDA compiler is of the version that torch was built with.

    gsplat compiles its kernels at first use. A compiler of another major version gives kernels
    that crash, or none.
    """

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: versions agree or not."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Compare both versions; on a machine without a GPU nothing is compiled."""
        machine = _machine(facts)
        wanted, found = machine.get("torch_cuda"), machine.get("nvcc")
        if not machine.get("gpus") or not wanted:
            return
        drawn = _mapping(_mapping(machine.get("renders")).get("gsplat"))
        compiled = bool(drawn) and not drawn.get("error")
        if (found is None and compiled) or _major(found) == _major(wanted):
            return
        yield Finding(
            code="MFL070",
            severity="warning",
            where="nvcc",
            value=str(found) if found else "none on the PATH",
            expected=f"{_major(wanted)}.x, as torch was built with CUDA {wanted}",
            remedy=f"Install the CUDA toolkit {wanted} and put its bin folder on the PATH, or take "
            "a torch for the toolkit that is there.",
            excess=1.0,
        )


class Threads:
    """Warning MFL072: programs that compute side by side do not wait for one another."""

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: threads are compared with cores."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the number of threads, and at how they wait."""
        machine = _machine(facts)
        threads, cores = _number(machine, "threads"), _number(machine, "cores")
        if threads and cores and threads > cores:
            yield _threads_finding(
                "OMP_NUM_THREADS",
                f"{threads:g} threads",
                f"at most {cores:g}, the cores that this process may use",
                f"Set OMP_NUM_THREADS={cores:g}; more threads than cores only wait.",
                threads / cores,
            )
        policy = machine.get("wait_policy")
        if isinstance(policy, str) and policy.lower() not in {"", "passive"}:
            yield _threads_finding(
                "OMP_WAIT_POLICY",
                policy,
                "PASSIVE",
                "Set OMP_WAIT_POLICY=PASSIVE; threads that spin while they wait cost a shared "
                "machine thirty times their share.",
                1.0,
            )


def _threads_finding(where: str, value: str, expected: str, remedy: str, excess: float) -> Finding:
    return Finding("MFL072", "warning", where, value, expected, remedy, excess)


class KernelCache:
    """Warning MFL073: kernels that were compiled once are kept."""

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: a folder can be written or not."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the folder that numba writes to."""
        cache = _mapping(_machine(facts).get("kernel_cache"))
        if cache.get("writable") is False:
            yield Finding(
                code="MFL073",
                severity="warning",
                where=str(cache.get("path")),
                value="not writable",
                expected="a folder for compiled kernels",
                remedy="Name one with the environment variable NUMBA_CACHE_DIR; else every start "
                "compiles for half a minute.",
                excess=1.0,
            )


def _machine(facts: Facts) -> Mapping[str, Any]:
    """Facts about the machine.

    Raises:
        ConfigError: If there are none.
    """
    if facts.machine is None:
        raise ConfigError("facelift_checks: expected facts about the machine, got none.")
    return facts.machine


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(found: Mapping[str, Any], key: str) -> float | None:
    value = found.get(key)
    return float(value) if is_number(value) else None


def _major(version: Any) -> str:
    return str(version).partition(".")[0] if version else ""
