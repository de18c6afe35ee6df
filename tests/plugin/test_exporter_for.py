"""The exporter of a file's ending."""

from pathlib import Path

import pytest

from mfl_adapt.errors import ConfigError
from mfl_adapt.plugin.registry import load_plugins


@pytest.mark.parametrize(
    ("path", "takes", "name"),
    [
        ("a.ply", "gaussians", "exporters.ply"),
        ("a.b.PLY", "gaussians", "exporters.ply"),
        ("a.compressed.ply", "gaussians", "exporters.compressed_ply"),
        ("a.splat", "gaussians", "exporters.splat"),
        ("a.mp4", "frames", "exporters.mp4"),
    ],
)
def test_the_longest_ending_counts(path, takes, name):
    assert load_plugins(["exporters"]).exporter_for(Path(path), takes).name == name


@pytest.mark.parametrize(
    ("path", "takes", "message"),
    [
        ("a.obj", "gaussians", r"in \.compressed\.ply or \.ply or \.splat, got \.obj\. Rename it"),
        ("a", "gaussians", "got no ending"),
        ("a.mp4", "gaussians", r"got \.mp4"),
        ("a.ply", "frames", r"^a\.ply: expected a file that ends in \.mp4, got \.ply"),
    ],
)
def test_others_are_refused_with_the_known_endings(path, takes, message):
    with pytest.raises(ConfigError, match=message):
        load_plugins(["exporters"]).exporter_for(Path(path), takes)


def test_two_for_one_ending_are_named(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from mfl_adapt.plugin import ComponentConfig, ExporterSpec, hookimpl\n"
        "MFL_API = 1\n"
        "@hookimpl\n"
        "def register_components():\n"
        "    return [ExporterSpec(name='x', summary='x', config=ComponentConfig, "
        "build='json:dumps', suffix='.splat')]\n"
    )
    host = load_plugins(["exporters", str(file)])
    with pytest.raises(ConfigError, match=r"one exporter for \.splat, got exporters\.splat and"):
        host.exporter_for(Path("a.splat"))
