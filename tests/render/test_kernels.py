"""What holds for the kernels as compiled code: the same bits however a process came by it."""

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import numba
import pytest
import torch
from drawing import draw
from scenes import plain

from mfl_adapt.render import cpu, kernels

KERNELS = (
    "project",
    "restrict",
    "count",
    "fill",
    "composite",
    "composite_grad",
    "project_grad",
)

DRAW = """
import hashlib
import sys
import numba

def njit(*function, cache=False, **options):
    if cache and sys.argv[1] == "uncached":
        raise RuntimeError("cannot cache function: no locator available")
    return compile_(*function, cache=cache, **options)

compile_, numba.njit = numba.njit, njit
from drawing import draw
from scenes import many
from mfl_adapt.render import kernels

for tensor in draw(many()):
    print(hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest())
print(sum(kernels.composite_grad.stats.cache_hits.values()))
"""


def drawn_by_a_process(cache, mode):
    """Hashes of the picture and of all gradients, and how many kernels came from the cache."""
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(cache),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path]),
    }
    done = subprocess.run(
        [sys.executable, "-c", DRAW, mode],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *hashes, hits = done.stdout.split()
    return hashes, int(hits)


@pytest.mark.slow
def test_compiled_and_cached_kernels_give_the_same_bits(tmp_path):
    cold, hits = drawn_by_a_process(tmp_path, "cached")
    assert (len(cold), hits) == (9, 0)
    warm, hits = drawn_by_a_process(tmp_path, "cached")
    assert (warm, hits) == (cold, 1)
    uncached, hits = drawn_by_a_process(tmp_path, "uncached")
    assert (uncached, hits) == (cold, 0)


@pytest.fixture
def calls(monkeypatch):
    """Arguments of each kernel in one small drawing with gradients."""
    recorded = {}
    run_tasks = cpu.run_tasks

    def record(kernel, tasks, *arguments):
        recorded[kernel.py_func.__name__] = (0, tasks, *arguments)
        run_tasks(kernel, tasks, *arguments)

    monkeypatch.setattr(cpu, "run_tasks", record)
    draw(plain(n=5), boxes=torch.tensor([[3, 2, 50, 30]] * 2))
    return recorded


@pytest.mark.parametrize(
    "name",
    [
        name if name == "composite_grad" else pytest.param(name, marks=pytest.mark.slow)
        for name in KERNELS
    ],
)
def test_a_kernel_holds_no_function_that_another_library_holds_too(name, calls, monkeypatch):
    # Only its own compiled code can be looked into, so the cache must stay out of it.
    monkeypatch.setattr(
        kernels, "njit", lambda cache=False, **options: numba.njit(cache=False, **options)
    )
    kernel = kernels._kernel(getattr(kernels, name).py_func)
    kernel.compile(tuple(numba.typeof(argument) for argument in calls[name]))
    (code,) = kernel.inspect_llvm().values()
    defined = re.findall(r"^define [^@]*@\"?([\w.<>$]+)", code, re.MULTILINE)
    own = [symbol for symbol in defined if f"{len(name)}{name}B" in symbol]
    assert len(own) == 3  # itself, and its entrances from Python and C
    assert {symbol for symbol in defined if symbol not in own} <= {"NRT_incref", "NRT_decref"}


def test_only_the_kernels_are_compiled_on_their_own():
    tree = ast.parse(inspect.getsource(kernels))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    marks = {
        node.name: [ast.unparse(mark) for mark in node.decorator_list]
        for node in functions
        if node.decorator_list
    }
    assert tuple(name for name, mark in marks.items() if mark == ["_kernel"]) == KERNELS
    inlined = [mark for name, mark in marks.items() if name not in KERNELS]
    assert all(mark in (["_inlined"], ["_inlined_strictly"], ["intrinsic"]) for mark in inlined)
    called = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert called.isdisjoint(KERNELS)


def test_the_strict_functions_get_no_licence_from_their_callers():
    @numba.njit(fastmath=True)
    def callers_depth(mean, pose):
        return kernels._depth(mean, pose)

    mean, pose = (0.1, 0.2, 0.3), (((1.0, 2.0, 3.0),) * 3 + ((4.0, 5.0, 6.0),))
    assert callers_depth(mean, pose) == kernels._depth(mean, pose)
    (code,) = callers_depth.inspect_llvm().values()
    own = code[: code.index("define", code.index("define") + 1)]  # not the entrance from Python
    assert len(re.findall(r"= f(?:add|mul) double", own)) == 6
    assert not re.search(r"= f(?:add|mul) (?:fast|reassoc)", own)
