"""What is written works: its tests pass, it is clean, and a run trains on it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import ROOT

from mfl_adapt.scaffold import KINDS, write_package
from mfl_adapt.scaffold.names import LONGEST_NAME

LONG = "a_name_as_long_as_one_may_be_"


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """One package of every kind, called like its kind, with the metadata that pip would write."""
    root = tmp_path_factory.mktemp("written")
    for kind in KINDS:
        made = write_package(f"my_{kind}", kind, taken={}, folder=root / kind)
        info = made.folder / f"{made.distribution.replace('-', '_')}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {made.distribution}\nVersion: 0.1.0\n"
        )
        (info / "entry_points.txt").write_text(f"[mfl_adapt]\nmy_{kind} = {made.module}\n")
    return root


def run(root, *command, cwd=None):
    """Run Python where the packages are installed; its output is the message if it fails."""
    places = [str(root / kind) for kind in KINDS]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=cwd or root,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_tests_of_every_kind_pass(packages):
    folders = [str(packages / kind / "tests") for kind in KINDS]
    options = ["-W", "error", "-p", "no:cacheprovider", "-o", "addopts=-q"]
    out = run(packages, "pytest", *folders, *options, "--rootdir", str(packages))
    # Two lines of dots at least: they were found, and none was skipped.
    assert "skipped" not in out
    assert out.count(".") > 40


def test_code_of_every_kind_is_clean(packages, tmp_path):
    pytest.importorskip("ruff", reason="holds the code against ruff's rules")
    for kind in KINDS:
        for name in ("x", (LONG + kind)[:LONGEST_NAME].rstrip("_")):
            write_package(name, kind, taken={}, folder=tmp_path / f"{kind}_{len(name)}")
    for root in (packages, tmp_path):
        run(packages, "ruff", "check", "--no-cache", str(root))
        run(packages, "ruff", "format", "--no-cache", "--check", str(root))


def test_code_of_every_kind_follows_our_own_rules(packages):
    pytest.importorskip("ruff", reason="holds the code against ruff's rules")
    ours = ["--config", str(ROOT / "pyproject.toml"), "--config", "lint.isort.known-third-party=[]"]
    ours += ["--ignore", "I001"]  # where our own imports stand depends on the folder
    run(packages, "ruff", "check", "--no-cache", *ours, *_sources(packages))


def _sources(packages):
    return [str(packages / kind / f"mfl_adapt_my_{kind}") for kind in KINDS]


def test_plugins_import_only_what_authors_may(packages):
    from imports import read_imports

    may = {"plugin", "types", "errors", "checks", "files", "cameras", "images", "metrics"}
    imported = {
        one.target.split(".")[1]
        for folder in _sources(packages)
        for path in Path(folder).glob("*.py")
        for one in read_imports(path, "")
        if one.target.startswith("mfl_adapt.")
    }
    assert imported <= may


def test_a_run_trains_on_a_new_dataset_at_once(packages, tmp_path):
    run(packages, "mfl_adapt_my_dataset.example", "take", "--frames", "6", cwd=tmp_path)
    plugins = "my_dataset,my_check,masked_loss,lora_gslrm"
    settings = ["--steps", "1", "--set", "train.sample_every=9", "--set", "evaluate.samples=1"]
    settings += ["--set", "evaluate.retention=0"]
    out = run(
        packages,
        *("mfl_adapt", "train", "--plugins", plugins, "--data", "take", *settings),
        cwd=tmp_path,
    )
    assert "adapter   runs/quickstart/adapter" in out
    assert (tmp_path / "runs/quickstart/adapter/passport.json").is_file()
    assert "my_dataset" in (tmp_path / "runs/quickstart/config.yaml").read_text()
