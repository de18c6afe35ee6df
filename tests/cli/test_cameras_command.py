import json

import pytest
from bad_input import call


def test_show_prints_the_rig(mice):
    result = call("cameras", "show", str(mice))
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].startswith("sample mice-train-0-000000; procedural")
    assert "world z up" in lines[1]
    assert sum(line.startswith("cam_") for line in lines) == 6
    assert all("20.0°" in line for line in lines if line.startswith("cam_"))


def test_show_in_json(mice):
    result = call("cameras", "show", str(mice), "--sample", "mice-train-0-000001", "--json")
    content = json.loads(result.stdout)
    assert content["sample"] == "mice-train-0-000001"
    assert content["history"][0] == "procedural"
    assert [camera["distance"] for camera in content["cameras"]] == pytest.approx([2.7] * 6)


def test_normalize_then_unmap(mice, empty_folder):
    result = call(
        "cameras", "normalize", str(mice), "-o", "normal",
        "--set", "data.cameras.size=64", "--set", "data.cameras.extent=1.0",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    (empty_folder / "points.json").write_text('{"points": [[0.0, 0.0, 0.0], [0.145, 0.0, 0.0]]}')
    result = call("cameras", "unmap", "normal", "points.json", "-o", "raw.json")
    assert result.exit_code == 0, result.stderr
    first, second = json.loads((empty_folder / "raw.json").read_text())["points"]
    # An extent of 1 became 1.45, so 0.145 units come back as 0.1.
    assert sum((a - b) ** 2 for a, b in zip(first, second, strict=True)) == pytest.approx(0.01)
    # The subject was near the raw origin.
    assert max(abs(value) for value in first) < 0.2


def test_stages_run_on_the_sample_that_is_asked_for_alone(mice, empty_folder):
    """Points are known of the second sample only, which stops the normalizer at any other."""
    keypoints = empty_folder / "points.json"
    keypoints.write_text('{"mice-train-0-000001": [0.0, 0.0, 0.0]}')
    result = call(
        "cameras", "show", str(mice), "--sample", "mice-train-0-000001",
        "--plugins", "facelift_cameras",
        "--set", "data.cameras.use=facelift_cameras.virtual_camera",
        "--set", "data.cameras.center=keypoints",
        "--set", f"data.cameras.keypoints={keypoints}", "--set", "data.cameras.extent=1.0",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "facelift_cameras.virtual_camera" in result.stdout


def test_gaussians_are_unmapped_by_the_plugins_of_the_same_run(mice, empty_folder):
    result = call("cameras", "unmap", str(mice), "none.ply", "-o", "a.x", "--plugins", "-exporters")
    assert result.exit_code == 1
    assert "expected a file that ends in" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "nothing"], ["nothing", "existing file"]),
        (["show", "{mice}", "--sample", "mouse"], ["--sample", "'mouse'"]),
        (["normalize", "{mice}", "-o", "x", "--use", "facelift_cameras.virtual"], ["virtual"]),
        (["unmap", "{mice}", "none.json"], ["none.json", "JSON file of predictions"]),
        (["unmap", "{mice}", "none.ply"], ["-o FILE.ply"]),
        (["unmap", "{mice}", "none.ply", "-o", "raw.ply"], ["none.ply", "readable PLY"]),
    ],
)
def test_bad_input_is_one_line(mice, empty_folder, arguments, words):
    result = call("cameras", *(argument.format(mice=mice) for argument in arguments))
    assert result.exit_code == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    for word in words:
        assert word in errors[0]
    assert not any(empty_folder.iterdir())


def test_normalizers_can_stand_among_the_steps(mice, empty_folder):
    steps = "data.preprocess=[{use: facelift_cameras.up_axis}, {use: preprocess.com_center}]"
    result = call(
        "data", "prepare", str(mice), "-o", "out", "--workers", "0", "--set", steps,
        "--set", "data.cameras=facelift_cameras.slots", "--set", "data.size=64",
        "--set", "data.split.validation=0",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    result = call("cameras", "show", "out", "--json")
    assert json.loads(result.stdout)["history"][2:6] == [
        "facelift_cameras.up_axis",
        "preprocess.com_center",
        "facelift_cameras.slots",
        "conform",
    ]
