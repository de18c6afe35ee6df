"""report, as a user types it, on a run that train made."""

import json
import shutil
from pathlib import Path

import pytest
from bad_input import call, refuse


@pytest.fixture
def run(empty_folder, finished_run) -> Path:
    """A copy of a finished run of two mice, one of which validates."""
    shutil.copytree(finished_run, "mouse")
    return Path("mouse")


def test_a_report_of_a_real_run_and_then_a_quick_one(run):
    result = call("report", "mouse", "--strengths", "1", "--scenes", "1")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(
        "verdict   Too few scenes to decide\nreport    mouse/report.html"
    )
    kept = json.loads(Path("mouse/report/measured.json").read_text())
    held = kept["strengths"]["held_out"]
    assert [one["strength"] for one in held["points"]] == [0.0, 1.0]
    # Strengths 0 and 1 are the frozen base and the adapted model of the run's own evaluation.
    scores = json.loads(Path("mouse/evaluation.json").read_text())["scores"]
    for one, row in zip(held["points"], ("frozen base", "adapted"), strict=True):
        assert one["foreground_psnr_db"] == pytest.approx(
            scores[row]["foreground_psnr_db"], abs=1e-3
        )
    assert len(kept["strengths"]["home"]["points"]) == 2
    page = Path("mouse/report.html").read_text()
    assert "data.reader.samples" in page
    assert "--set data.reader.samples=2" in page
    again = call("report", "mouse", "--quick", "-o", "again.html", "--json")
    told = json.loads(again.stdout)
    assert (told["page"], told["missing"]) == ("again.html", [])
    assert Path("again.html").read_text() == page


def test_quick_measures_nothing(run):
    result = call("report", "mouse", "--quick")
    assert result.exit_code == 0, result.output
    assert "missing   Gain by strength" in result.stderr
    assert not Path("mouse/report").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone"], "gone: expected the folder of a run, got no such folder"),
        (["mouse/adapter"], "mouse/adapter: expected the folder of a run, got one without config"),
        (["mouse", "-o", "page.txt"], "page.txt: expected a file to write that ends in .html"),
        (["mouse", "--strengths", "9"], "--strengths: expected at most 21 numbers from 0 to 4"),
        (["mouse", "--set", "data.pth=x"], "unknown key"),
    ],
)
def test_what_is_refused(run, arguments, message):
    assert message in refuse("report", *arguments)
    assert not Path("mouse/report.html").exists()


def test_quick_and_more_is_wrong_usage(run):
    assert call("report", "mouse", "--quick", "--scenes", "2").exit_code == 2
