import json
from pathlib import Path

import pytest

from mfl_adapt.errors import StorageError
from mfl_adapt.train.environment import environment
from mfl_adapt.train.folder import RunFolder


def test_an_earlier_run_is_never_written_over(tmp_path: Path) -> None:
    names = [RunFolder(tmp_path / "runs", "mouse").path.name for _ in range(3)]
    assert names == ["mouse", "mouse-2", "mouse-3"]


def test_a_file_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("not a folder")
    with pytest.raises(StorageError, match=r"expected to make a folder.*--set output"):
        RunFolder(tmp_path / "runs", "mouse")


def test_metrics_are_one_json_object_a_line(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "mouse")
    folder.append_metrics({"step": 0, "loss": 0.5})
    folder.append_metrics({"step": 1, "loss": 0.25})
    lines = (folder.path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["loss"] for line in lines] == [0.5, 0.25]


def test_json_is_readable_text(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "mouse")
    folder.write_json("environment.json", environment())
    loaded = json.loads((folder.path / "environment.json").read_text())
    assert loaded["packages"]["torch"].startswith("2.")
    assert str(Path.home()) not in json.dumps(loaded)
