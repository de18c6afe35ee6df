"""Sound datasets, written once and copied by whoever spoils them."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from mfl_adapt.cameras import FACELIFT_SLOTS_DEG, orbit
from mfl_adapt.cameras.identity import SEAL, hash_cameras, to_raw_cameras
from mfl_adapt.data import write_dataset
from mfl_adapt.images import RawView, begin_sample
from mfl_adapt.synth import render_sample
from mfl_adapt.types import Sample

SIZE = 96


@cache
def draw(rig: str, index: int) -> Sample:
    """One moment of a mouse in one of the rigs; drawn once."""
    return render_sample("mice", index, rig=rig, size=SIZE, num_views=6)


def write_mice(folder: Path, rig: str, indices: tuple[int, ...] = (0, 1, 2)) -> Path:
    """Write moments of one session, a second apart."""
    drawn = [draw(rig, index) for index in indices]
    timed = [replace(one, session="day 1", time_s=float(at)) for at, one in enumerate(drawn)]
    write_dataset(timed, folder)
    return folder


def write_generated(folder: Path) -> Path:
    """Write views with the record that a model leaves that made them."""
    slots = orbit(FACELIFT_SLOTS_DEG, 6 * [0.0], 6 * [2.7], 6 * [1.07225], SIZE)
    drawn = draw("slots", 0)
    cameras = to_raw_cameras(slots)
    views = [
        RawView(view.name, view.rgb, view.mask, camera)
        for view, camera in zip(drawn.views, cameras, strict=True)
    ]
    params = {SEAL: hash_cameras(cameras), "base": {"id": "a base"}}
    write_dataset([begin_sample("mouse", views, step="data synth", params=params)], folder)
    return folder


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that writes a sound dataset by its name, each only once."""
    root = tmp_path_factory.mktemp("sound")

    @cache
    def write(name: str) -> Path:
        if name == "generated":
            return write_generated(root / name)
        if name == "six":
            return write_mice(root / name, "lab", (0, 1, 2, 3, 5, 7))
        return write_mice(root / name, name)

    return write


@pytest.fixture
def copy(
    sound: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Path]:
    """Return a function that puts a copy, ``mice``, into the working directory."""
    monkeypatch.chdir(tmp_path)

    def take(name: str) -> Path:
        shutil.copytree(sound(name), tmp_path / "mice")
        return Path("mice")

    return take
