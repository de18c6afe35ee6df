"""The machine: what is measured of it, and each thing that can be wrong with one."""

import os
import stat

import pytest
from injured_machines import MACHINES, make_sound
from injured_machines import SOUND as SOUND_MACHINES
from injury import check_injury
from typer.testing import CliRunner
from visits import codes, visit

from mfl_adapt.cli.app import app
from mfl_adapt.doctor import build_checks, examine, machine
from mfl_adapt.errors import BackendError
from mfl_adapt.plugin import Facts
from mfl_adapt.plugin.registry import load_plugins

GIB = 2**30
DRAWN = {"error": "", "seconds": 0.002, "first_seconds": 1.4}
SOUND = {
    "torch_cuda": "12.8",
    "nvcc": "12.6",
    "gpus": [{"name": "GPU", "memory_bytes": 24 * GIB}],
    "cores": 8,
    "threads": 8,
    "wait_policy": "PASSIVE",
    "memory_bytes": 64 * GIB,
    "memory_free_bytes": 32 * GIB,
    "disk": {"path": "runs", "free_bytes": 100 * GIB},
    "kernel_cache": {"path": "cache", "writable": True},
    "renders": {"cpu": DRAWN, "gsplat": DRAWN},
}


@pytest.fixture(scope="module")
def checks():
    return build_checks(load_plugins(["facelift_checks"]))


def found(checks, **changes):
    report = examine(checks, [Facts(machine=SOUND | changes)])
    return [(one.code, one.severity, one.where, one.value) for one in report.findings]


def test_a_sound_machine_is_clean(checks):
    assert found(checks) == []
    # A machine without a GPU compiles nothing, and whatever could not be told is not judged.
    assert found(checks, gpus=[], nvcc=None, renders={"cpu": DRAWN}) == []
    assert examine(checks, [Facts(machine={})]).findings == ()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"memory_free_bytes": 3 * GIB}, ("MFL040", "warning", "memory", "3.0 GiB free")),
        (
            {"disk": {"path": "runs", "free_bytes": 2 * GIB}},
            ("MFL055", "warning", "runs", "2.00 GiB free"),
        ),
        (
            {"disk": {"path": "runs", "free_bytes": GIB // 4}},
            ("MFL055", "law", "runs", "0.25 GiB free"),
        ),
        (
            {"renders": {"cpu": {"error": "BackendError: no numba"}}},
            ("MFL057", "law", "backend cpu", "BackendError: no numba"),
        ),
        (
            {"renders": {"cpu": DRAWN, "gsplat": {"error": "no kernels"}}, "nvcc": "12.1"},
            ("MFL057", "law", "backend gsplat", "no kernels"),
        ),
        ({"nvcc": "11.8"}, ("MFL070", "warning", "nvcc", "11.8")),
        (
            {"nvcc": None, "renders": {"cpu": DRAWN}},
            ("MFL070", "warning", "nvcc", "none on the PATH"),
        ),
        ({"threads": 16}, ("MFL072", "warning", "OMP_NUM_THREADS", "16 threads")),
        ({"wait_policy": "ACTIVE"}, ("MFL072", "warning", "OMP_WAIT_POLICY", "ACTIVE")),
        (
            {"kernel_cache": {"path": "cache", "writable": False}},
            ("MFL073", "warning", "cache", "not writable"),
        ),
    ],
)
def test_each_thing_that_can_be_wrong(checks, changes, expected):
    assert found(checks, **changes) == [expected]


@pytest.mark.parametrize("make", SOUND_MACHINES, ids=lambda make: make.__name__)
def test_a_machine_without_faults_has_no_finding(tmp_path, monkeypatch, make):
    make_sound(monkeypatch)
    make(monkeypatch, tmp_path)
    status, content = visit("machine")
    assert (status, content["findings"]) == (0, [])


@pytest.mark.parametrize("injury", MACHINES, ids=str)
def test_the_command_names_what_is_wrong_with_a_machine(tmp_path, monkeypatch, injury):
    make_sound(monkeypatch)
    injury.injure(monkeypatch, tmp_path)
    status, content = visit("machine")
    check_injury(injury, content["findings"])
    assert status == (1 if injury.severity == "law" else 0)
    assert content["begin_with"] == [injury.code]


def test_kernels_that_are_compiled_already_need_no_compiler(checks):
    assert found(checks, nvcc=None) == []


def test_the_command_measures_this_machine(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    status, content = visit("machine")
    assert content["kind"] == "machine"
    assert status == (1 if "law" in codes(content).values() else 0)
    assert "MFL057" not in codes(content)
    facts = content["facts"]
    assert facts["draw cpu"].startswith("one splat in ")
    assert facts["disk"].endswith("GiB free at runs")
    assert {"memory", "gpu", "nvcc", "kernels", "python", "processor"} <= set(facts)
    assert "draw gsplat" in facts


def test_people_get_lines(monkeypatch):
    monkeypatch.setattr(machine, "measure_machine", lambda output: _measured())
    monkeypatch.setattr("mfl_adapt.doctor.folders.measure_machine", lambda output: _measured())
    result = CliRunner().invoke(app, ["doctor", "machine"])
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["machine", "machine"]
    assert "memory          2.0 of 64.0 GiB free" in lines
    assert "draw gsplat     not tried, as there is no GPU (gsplat 1.5.3)" in lines
    assert lines[-1] == (
        "Begin with MFL055; mfl-adapt doctor --explain MFL055 or docs/checks.md#mfl055 says why."
    )
    laws = [line for line in lines if line.startswith("law")]
    assert laws == ["law     MFL055  a full disk"]
    assert "warning MFL040  little memory" in lines


def _measured():
    without_gpu = {"gpus": [], "torch_cuda": None, "nvcc": None, "renders": {"cpu": DRAWN}}
    full = {"disk": {"path": "runs", "free_bytes": 0}, "memory_free_bytes": 2 * GIB}
    words = {"python": "3.11.7", "torch": "2.13.0", "gsplat": "1.5.3"}
    return SOUND | without_gpu | full | words


def test_a_splat_that_is_not_where_it_should_be(monkeypatch):
    drawn = machine.draw_one_splat("cpu", "cpu")
    assert drawn["error"] == ""
    assert drawn["seconds"] > 0

    def nowhere(*_, **__):
        raise BackendError("render: expected numba, got none. Install it.")

    monkeypatch.setattr("mfl_adapt.render.render", nowhere)
    failed = machine.draw_one_splat("cpu", "cpu")
    assert failed["error"] == "BackendError: render: expected numba, got none. Install it."


def test_the_middle_of_the_splat_is_worked_by_hand(monkeypatch):
    from mfl_adapt.render import render

    def dim(gaussians, cameras, **settings):
        gaussians.opacities.mul_(0.5)
        return render(gaussians, cameras, **settings)

    monkeypatch.setattr("mfl_adapt.render.render", dim)
    assert machine.draw_one_splat("cpu", "cpu")["error"] == (
        "an opacity of 0.450 in the middle and 0.000 in the corner"
    )


def test_the_compiler_of_cuda_home_goes_first(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "nvcc"
    program.parent.mkdir()
    text = "Cuda compilation tools, release 11.8, V11.8.89"
    program.write_text(f"#!/bin/sh\necho 'nvcc: NVIDIA'\necho '{text}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert machine.find_nvcc() == "11.8"
    program.write_text("#!/bin/sh\nexit 1\n")
    assert machine.find_nvcc() is None
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "gone"))
    assert machine.find_nvcc() is None


def test_where_kernels_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "new" / "cache"))
    assert machine.find_kernel_cache() == {
        "path": str(tmp_path / "new" / "cache"),
        "writable": True,
    }
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(file))
    assert machine.find_kernel_cache()["writable"] is False


def test_a_disk_is_measured_where_the_folder_would_be(tmp_path):
    found = machine.measure_disk(tmp_path / "not" / "yet")
    assert found["free_bytes"] > 0
    assert found["path"] == str(tmp_path / "not" / "yet")


def test_cores_are_those_of_this_process():
    assert 1 <= machine.count_cores() <= (os.cpu_count() or 1)
