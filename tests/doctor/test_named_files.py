"""Files that a configuration names are compared before anything is built from them."""

import hashlib
import re

import pytest
import torch

from mfl_adapt.config import claim_slots, load_config
from mfl_adapt.errors import CheckpointError, RangeError
from mfl_adapt.models import fetched
from mfl_adapt.pipeline import open_run
from mfl_adapt.pipeline.files import PARTS, check_files, find_files, find_problems, hash_file
from mfl_adapt.plugin.registry import load_plugins


def opened(*overrides, plugins=()):
    loaded = load_config("quickstart", overrides=list(overrides), plugins=list(plugins))
    host = load_plugins(loaded.config.plugins)
    return claim_slots(loaded, host), host


def test_training_looks_at_files_before_it_builds_anything(tmp_path, monkeypatch):
    path = tmp_path / "weights.pt"
    torch.save({"model": {}}, path)
    built = []
    for name in ("open_for_training", "open_data"):
        monkeypatch.setattr(f"mfl_adapt.pipeline.run.{name}", lambda *_, name=name: built.append(1))
    named = ("base.id=facelift.gslrm", f"base.checkpoint={path}")
    with pytest.raises(CheckpointError, match=r"^base\.checkpoint: expected .* with SHA-256 abab"):
        open_run(*opened(*named, f"base.sha256={'ab' * 32}"))
    path.unlink()
    with pytest.raises(CheckpointError, match="nothing else is ever taken in its place") as caught:
        open_run(*opened(*named))
    assert caught.value.code == "MFL041"
    assert built == []


def test_training_judges_prompts_before_it_builds_anything(tmp_path, monkeypatch):
    path = tmp_path / "prompts.pt"
    torch.save(torch.zeros(6, 77, 64), path)
    built = []
    monkeypatch.setattr("mfl_adapt.pipeline.run.open_for_training", lambda *_: built.append(1))
    loaded = load_config("views-quickstart", overrides=[f"base.prompts={path}"])
    host = load_plugins(loaded.config.plugins)
    with pytest.raises(RangeError, match="rows that vary, got standard deviation 0") as caught:
        open_run(claim_slots(loaded, host), host)
    assert (caught.value.code, built) == ("MFL044", [])


def test_files_are_listed_with_their_keys(tmp_path):
    keypoints = tmp_path / "points.json"
    keypoints.write_text("{}")
    loaded, host = opened(
        "base.id=facelift.gslrm",
        f"base.checkpoint={tmp_path}/a.pt",
        "data.cameras.use=facelift_cameras.virtual_camera",
        "data.cameras.center=keypoints",
        f"data.cameras.keypoints={keypoints}",
    )
    found = {file.key: file.path.name for file in find_files(loaded, host)}
    assert found == {"base.checkpoint": "a.pt", "data.cameras.keypoints": "points.json"}


def test_files_of_losses_and_of_the_evaluation_are_looked_at_too(tmp_path):
    trunk, linear = tmp_path / "vgg16.pth", tmp_path / "vgg.pth"
    matrix = tmp_path / "vgg19.mat"
    for path in (trunk, linear, matrix):
        path.write_bytes(bytes(range(256)))
    md5 = hashlib.md5(matrix.read_bytes(), usedforsecurity=False).hexdigest()
    perceptual, lpips = "losses.facelift_loss.perceptual", "losses.facelift_loss.lpips"
    named = (f"{perceptual}.weight=1", f"{perceptual}.weights={matrix}")
    for overrides, message in (
        (named, rf"^{perceptual}\.weights: expected .*vgg19\.mat with MD5 1061.*, got {md5}\. "),
        ((*named, f"{perceptual}.md5={md5.upper()}"), None),
        (
            (f"{lpips}.weight=1", f"{lpips}.trunk={trunk}", f"{lpips}.linear={linear}"),
            r"vgg16\.pth: ",
        ),
        ((f"evaluate.home={tmp_path}/no",), r"^evaluate\.home: expected an existing file or"),
    ):
        plugins = ["facelift_loss"] if perceptual in overrides[0] or lpips in overrides[0] else []
        problems = list(find_problems(*opened(*overrides, plugins=plugins)))
        assert bool(problems) == (message is not None)
        if message is not None:
            assert re.search(message, str(problems[0])), problems[0]


def test_the_quickstart_names_no_file():
    assert list(find_files(*opened())) == []
    check_files(*opened())


def test_fetched_files_are_held_against_their_record(tmp_path, monkeypatch):
    monkeypatch.setenv(fetched.HOME_VARIABLE, str(tmp_path))
    folder = fetched.find_folder("facelift.gslrm")
    weights = folder / fetched.WEIGHTS / "gslrm" / "a.pt"
    weights.parent.mkdir(parents=True)
    torch.save({"model": {}}, weights)
    facts = fetched.FetchedFile(weights.stat().st_size, hash_file(weights))
    record = fetched.Fetched("o/n", "0" * 40, "main", "L", "gslrm/a.pt", {"gslrm/a.pt": facts})
    fetched.write_fetched(record, folder)
    loaded, host = opened("base.id=facelift.gslrm")
    check_files(loaded, host)
    weights.write_bytes(weights.read_bytes() + b"x")
    with pytest.raises(CheckpointError, match="Fetch or copy it again") as caught:
        check_files(loaded, host)
    assert caught.value.code == "MFL041"


def test_a_hash_is_of_the_whole_file_and_follows_changes(tmp_path):
    path = tmp_path / "a"
    for content in (b"abc", b"abcd"):
        path.write_bytes(content)
        assert hash_file(path) == hashlib.sha256(content).hexdigest()
    with pytest.raises(CheckpointError, match="expected a readable file"):
        hash_file(tmp_path / "gone")


def test_the_parts_are_those_of_the_shipped_model():
    """Else the doctor would ask for files that no model has."""
    from mfl_adapt.models.mvdiffusion.shipped import shipped_folder

    folder = shipped_folder()
    missing = [f"{part}/{name}" for part, names in PARTS.items() for name in names]
    assert [one for one in missing if not (folder / one).is_file()] == []
    assert set(PARTS) == {one.name for one in folder.iterdir() if one.is_dir()}
