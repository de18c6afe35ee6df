"""What a user means by a word or a path."""

import pytest

from mfl_adapt.doctor.subjects import tell_kind
from mfl_adapt.errors import ConfigError


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["passport.json"], "adapter"),
        (["adapter_config.json"], "adapter"),
        (["config.yaml", "metrics.jsonl"], "run"),
        (["config.yaml", "doctor.json"], "run"),
        (["config.yaml"], "data"),
        (["opencv_cameras.json"], "data"),
        ([], "data"),
    ],
)
def test_folders_are_told_by_their_files(tmp_path, files, kind):
    for name in files:
        (tmp_path / name).write_text("")
    assert tell_kind(str(tmp_path)) == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("list.txt", "data"),
        ("new.yaml", "config"),
        ("new.yml", "config"),
        ("weights.safetensors", "adapter"),
    ],
)
def test_files_are_told_by_their_ending(tmp_path, name, kind):
    (tmp_path / name).write_text("")
    assert tell_kind(str(tmp_path / name)) == kind


def test_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").mkdir()
    # A folder of that name is meant by ./quickstart.
    assert [tell_kind(one) for one in ("machine", "quickstart", "./quickstart", "gone.yaml")] == [
        "machine",
        "config",
        "data",
        "config",
    ]
    with pytest.raises(ConfigError, match=r"^gone: expected a dataset, an adapter"):
        tell_kind("gone")
