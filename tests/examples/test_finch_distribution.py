"""The example of a species package, as strangers use it: installed, trained, published, pulled.

Two fresh environments with homes of their own stand for two laboratories. Both see the packages of
the running one, so that nothing large is installed; the first has the example's wheel as well.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers import ROOT
from imports import package_of, read_imports

EXAMPLE = ROOT / "examples" / "mfl-adapt-finch"
PACKAGE = EXAMPLE / "mfl_adapt_finch"
MAY_IMPORT = {"plugin", "types", "errors", "checks", "files", "cameras", "images", "metrics"}

WRONG_BASE = """
import sys
from importlib.resources import files
import mfl_adapt as mfl
from safetensors.torch import load_file, save_file
weights = files("mfl_adapt.models.gslrm").joinpath("weights")
tensors = load_file(weights / "facelift_tiny.safetensors")
name = max(tensors, key=lambda name: tensors[name].numel())
tensors[name].view(-1)[0] += 1e-3
save_file(tensors, "other.safetensors")
config = weights / "facelift_tiny.json"
base = mfl.load_base("facelift.gslrm", checkpoint="other.safetensors", config=config)
try:
    mfl.load_adapter(base, sys.argv[1])
except mfl.errors.AdapterError as error:
    print(error)
"""


class Lab(NamedTuple):
    """An environment, a home and a working directory of their own."""

    python: Path
    home: Path

    def run(self, *words, status=0):
        """Run Python with these words and return what it printed, errors last."""
        environment = {
            **{key: value for key, value in os.environ.items() if key not in DROPPED},
            **{"HOME": str(self.home), "XDG_CACHE_HOME": str(self.home / "cache")},
            **{"XDG_CONFIG_HOME": str(self.home / "config"), "PYTHONDONTWRITEBYTECODE": "1"},
            **{"OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"},
        }
        done = subprocess.run(
            [str(self.python), *map(str, words)],
            cwd=self.home,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    def mfl(self, *words, status=0):
        """Run a command of ``mfl-adapt``."""
        return self.run("-m", "mfl_adapt", *words, status=status)

    def draw(self, folder, *words):
        """Draw a small aviary."""
        small = ("--birds", 3, "--frames", 2, "--cameras", 7, "--width", 160)
        return self.run("-m", "mfl_adapt_finch.make_dataset", folder, *small, *words)


PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
DROPPED = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "MFL_HOME", "MFL_CONFIG_HOME"}
QUICK = ("--steps", "3", "--set", "train.sample_every=9", "--set", "evaluate.samples=1")


def make_lab(folder):
    """Make an environment that sees the packages of this one."""
    home = folder / "home"
    home.mkdir(parents=True)
    venv.create(folder / "env", with_pip=False, symlinks=os.name != "nt")
    scripts = "Scripts" if os.name == "nt" else "bin"
    python = folder / "env" / scripts / "python"
    ask = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    site = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    seen = sysconfig.get_paths()["purelib"]
    # Only addsitedir reads the .pth files there, by which an editable mfl_adapt is found.
    link = f"import site; site.addsitedir({seen!r})\n"
    (Path(site.stdout.strip()) / "packages_of_the_tests.pth").write_text(link)
    return Lab(python, home)


def build_wheel(folder):
    """Build the example's wheel; pip fetches the backend where it is not installed."""
    source, command = shutil.copytree(EXAMPLE, folder / "source"), ["-m", "hatchling", "build"]
    where = ["-t", "wheel", "-d", folder]
    if importlib.util.find_spec("hatchling") is None:
        command, where = [*PIP[1:], "wheel"], ["--no-deps", "--wheel-dir", folder, "."]
    done = subprocess.run([sys.executable, *command, *where], cwd=source, capture_output=True)
    if done.returncode and command[-1] == "wheel":
        pytest.skip("builds a wheel with hatchling, which is not installed and cannot be fetched")
    (wheel,) = folder.glob("mfl_adapt_finch-*.whl")
    return wheel


@pytest.fixture(scope="module")
def aviary_lab(tmp_path_factory):
    """A laboratory that has installed the example, and drawn two aviaries."""
    folder = tmp_path_factory.mktemp("aviary_lab")
    lab, wheel = make_lab(folder), build_wheel(folder)
    # Without an index: whatever it depends on must be there.
    install = ["--python", lab.python, "install", "--no-index", wheel]
    subprocess.run([*PIP, *install], check=True, capture_output=True)
    lab.draw("aviary")
    lab.draw("knocked", "--bump", "cam103")
    return lab


@pytest.fixture(scope="module")
def trained(aviary_lab):
    """What the command said that trained for three steps."""
    return aviary_lab.mfl("train", "aviary/finch.yaml", "--data", "aviary", *QUICK)


@pytest.fixture(scope="module")
def pulled(aviary_lab, trained, tmp_path_factory):
    """Another laboratory, without the example, that has pulled the adapter."""
    shared = tmp_path_factory.mktemp("shared")
    words = ("--species", "zebra finch", "--data-statement", "Drawn.", "--name", "finch")
    aviary_lab.mfl("adapter", "publish", "runs/finch/adapter", "--to", shared, *words)
    lab = make_lab(tmp_path_factory.mktemp("other_lab"))
    lab.mfl("adapter", "pull", "finch", "--from", shared, "-o", "pulled")
    return lab


def imported():
    """Whatever the example imports, as ``mfl_adapt.room.name``."""
    return {
        one.target
        for path in sorted(PACKAGE.rglob("*.py"))
        for one in read_imports(path, package_of(path, EXAMPLE))
    }


def test_it_imports_only_what_plugins_may():
    rooms = {one.split(".")[1] for one in imported() if one.startswith("mfl_adapt.")}
    assert rooms
    assert rooms <= MAY_IMPORT
    assert {one.split(".")[0] for one in imported() if one.startswith("mfl_adapt_")} <= {
        PACKAGE.name
    }


def test_it_imports_only_public_names():
    hidden = []
    for target in sorted(one for one in imported() if one.startswith("mfl_adapt.")):
        _, room, *names = target.split(".")
        public = getattr(importlib.import_module(f"mfl_adapt.{room}"), "__all__", names)
        if len(names) != 1 or names[0].startswith("_") or names[0] not in public:
            hidden.append(target)
    assert hidden == []


def test_it_is_a_distribution_of_its_own():
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["mfl_adapt"] == {"finch": PACKAGE.name}
    files = ("README.md", "LICENSE", ".gitignore", ".github/workflows/ci.yml", "tests")
    assert [name for name in files if not (EXAMPLE / name).exists()] == []


def test_the_installed_wheel_is_what_is_found(aviary_lab):
    (row,) = [
        one
        for one in json.loads(aviary_lab.mfl("plugins", "list", "--json"))
        if one["name"] == "finch"
    ]
    assert (row["state"], row["distribution"]) == ("available", "mfl-adapt-finch")
    where = aviary_lab.run("-c", "import mfl_adapt_finch; print(mfl_adapt_finch.__file__)")
    assert Path(where.strip()).is_relative_to(aviary_lab.python.parent.parent)


def test_its_own_tests_pass(aviary_lab):
    own = aviary_lab.home / "own"
    shutil.copytree(EXAMPLE / "tests", own / "tests")
    shutil.copy(EXAMPLE / "pyproject.toml", own)
    said = aviary_lab.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", own, own)
    assert "passed" in said
    assert "skipped" not in said


def test_doctor_finds_nothing_that_matters(aviary_lab):
    said = aviary_lab.mfl("doctor", "aviary/finch.yaml", "--data", "aviary")
    assert "law 0, warning 0" in said


@pytest.mark.parametrize(
    "command", [("doctor",), pytest.param(("train", *QUICK), marks=pytest.mark.slow)]
)
def test_a_knocked_camera_stops_the_run(aviary_lab, command):
    name, *words = command
    source = ("aviary/finch.yaml", "--data", "knocked", "--set", "name=knocked")
    said = aviary_lab.mfl(name, *source, *words, status=1)
    assert "FINCH001" in said
    assert "camera cam103" in said
    assert not (aviary_lab.home / "runs" / "knocked" / "adapter").exists()


def test_training_ends_with_an_adapter_that_names_the_example(aviary_lab, trained):
    assert "held-out views" in trained
    passport = json.loads((aviary_lab.home / "runs/finch/adapter/passport.json").read_text())
    assert passport["plugins"]["finch"]["version"] == "0.1.0"


@pytest.mark.slow
def test_the_adapter_verifies_where_it_was_trained(aviary_lab, trained):
    assert aviary_lab.mfl("adapter", "verify", "runs/finch/adapter").count("ok  ") == 7


def test_another_laboratory_verifies_it_without_the_example(pulled):
    look = "import importlib.util as look; print(look.find_spec('mfl_adapt_finch'))"
    assert pulled.run("-c", look) == "None\n"
    said = pulled.mfl("adapter", "verify", "pulled")
    assert said.count("ok  ") == 7
    card = (pulled.home / "pulled" / "README.md").read_text(encoding="utf-8")
    assert "zebra finch" in card


def test_it_is_refused_on_another_base_of_the_same_shape(pulled):
    said = pulled.run("-c", WRONG_BASE, "pulled").splitlines()
    assert len(said) == 1
    assert "expected" in said[0]
    assert "facelift.tiny" in said[0]
    assert "facelift.gslrm" in said[0]
