"""What is written for others holds no place on this machine."""

import pytest

from mfl_adapt.config import is_shortened, load_config, shorten_paths, to_plain
from mfl_adapt.hub.secrets import scan_json


def test_paths_below_the_working_directory_become_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = {"data": {"path": str(tmp_path / "mice" / "a")}, "output": str(tmp_path)}
    assert shorten_paths(plain) == ({"data": {"path": "mice/a"}, "output": "."}, [])


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/home/ann/mice", "<mice>"),
        ("/srv/data/mice/", "<mice>"),
        ("~/mice", "<mice>"),
        ("~", "<home>"),
        ("~ann", "<home>"),
        ("C:\\Users\\ann\\ckpt.pt", "<ckpt.pt>"),
        ("\\\\server\\share\\ckpt.pt", "<ckpt.pt>"),
        ("file:///home/ann/x.yaml", "<x.yaml>"),
    ],
)
def test_of_other_places_the_name_is_left(path, kept):
    found, keys = shorten_paths({"base": {"checkpoint": path}, "list": ["a", {"deep": path}]})
    assert found == {"base": {"checkpoint": kept}, "list": ["a", {"deep": kept}]}
    assert keys == ["base.checkpoint", "list.1.deep"]
    assert scan_json(found, "passport.json") == []
    assert is_shortened(kept)


@pytest.mark.parametrize("value", ["runs", "../mice", "a/b", "/", 3, None, True, "20 / 30", ""])
def test_everything_else_stays(value):
    assert shorten_paths({"key": value}) == ({"key": value}, [])
    assert not is_shortened(value)


def test_the_input_is_not_changed_and_a_preset_has_nothing_to_shorten():
    plain = to_plain(load_config("quickstart", overrides=["data.path=/far/away"]).config)
    found, keys = shorten_paths(plain)
    assert keys == ["data.path"]
    assert plain["data"]["path"] == "/far/away"
    assert found | {"data": None} == plain | {"data": None}
