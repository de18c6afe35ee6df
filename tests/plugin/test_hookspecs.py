import inspect
import subprocess
import sys

import pytest

import mfl_adapt.plugin as api
from mfl_adapt.plugin import hookspecs, specs

HOOKS = {name: hook for name, hook in vars(hookspecs).items() if hasattr(hook, "mfl_adapt_spec")}


def test_the_hooks_are_these():
    assert set(HOOKS) == {
        "register_components",
        "run_opening",
        "run_started",
        "step_finished",
        "checkpoint_saved",
        "run_finished",
    }


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_no_hook_parameter_has_a_default(name):
    parameters = inspect.signature(HOOKS[name]).parameters.values()
    assert all(one.default is one.empty for one in parameters)


def test_authors_get_every_record_and_protocol():
    assert set(specs.__all__) <= set(api.__all__)
    assert {"hookimpl", "MFL_API"} <= set(api.__all__)
    assert api.MFL_API == 1


def test_the_interface_imports_nothing_heavy():
    heavy = ("torch", "cv2", "numba", "diffusers", "peft", "scipy")
    code = f"import sys, mfl_adapt.plugin; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_listing_every_plugin_imports_nothing_heavy():
    heavy = ("torch", "cv2", "numba", "diffusers", "peft", "scipy")
    code = (
        "import sys; from mfl_adapt.plugin.registry import load_plugins; "
        "load_plugins([], all_available=True); "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
