"""Runs that each did without one session, gathered."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from mfl_adapt.cli.app import app
from mfl_adapt.errors import DataError
from mfl_adapt.evaluate.left_out_runs import gather_runs
from mfl_adapt.evaluate.scores import Scores, rows_to_json
from mfl_adapt.evaluate.stored_scores import StoredScores

DAYS = ("friday", "monday", "tuesday")


def run(group, gain, *, days=DAYS, scenes=2, **changes):
    """A run without one group, whose gain is the same on all its scenes."""
    names = [f"{group}-{k}" for k in range(scenes)]
    base = {name: Scores(10.0, 10.0, 0.5, 0.5) for name in names}
    made = {name: Scores(10.0, 10.0 + gain, 0.5, 0.5) for name in names}
    trained = [day for day in days if day != group]
    given = {
        "name": f"runs/without-{group}",
        "adapted": made,
        "frozen": base,
        "digests": dict.fromkeys(names, "x"),
        "fingerprint": "f" * 64,
        "settings": {"data.split.leave_out": [group], "train.lr": 0.003},
        "groups": {"session": {"trained": trained, "scored": [group]}},
    }
    return StoredScores(**(given | changes))


def test_the_mean_gain_over_groups_by_hand():
    # Groups weigh the same, however many scenes they have.
    runs = [run("monday", 1.0, scenes=8), run("friday", 2.0), run("tuesday", -0.6)]
    found = gather_runs("session", runs)
    assert [one.group for one in found.runs] == list(DAYS)
    assert found.mean_gain_db == pytest.approx(0.8)
    assert found.interval_db is None
    lines = found.table().splitlines()
    assert lines[0].startswith("leave-one-out by session: 3 trainings, each scored on the session")
    assert lines[2].split()[:3] == ["friday", "runs/without-friday", "2"]
    assert lines[3].endswith("+1.00 dB [+1.00, +1.00]")  # eight scenes have an interval
    assert lines[5] == "mean over 3 sessions: +0.80 dB; too few to decide"
    assert lines[6] == "from -0.60 dB (session tuesday) to +2.00 dB"
    assert found.notes == ()
    written = json.loads(json.dumps(found.to_json()))
    assert written["leave_one"] == "session"
    assert [one["name"] for one in written["groups"]] == list(DAYS)
    assert written["groups"][0]["scores"]["adapted"]["foreground_psnr_db"] == 12.0
    assert written["mean_gain_interval_db"] is None


def test_six_groups_have_an_interval():
    days = tuple("abcdef")
    runs = [run(day, 1.0 + place % 2, days=days) for place, day in enumerate(days)]
    found = gather_runs("session", runs)
    low, high = found.interval_db
    assert 1.0 <= low < found.mean_gain_db == 1.5 < high <= 2.0
    assert f"mean over 6 sessions: +1.50 dB [{low:+.2f}, {high:+.2f}]" in found.table()


def whole():
    return [run(day, 1.0) for day in DAYS]


def with_groups(trained, scored):
    return {"groups": {"session": {"trained": trained, "scored": scored}}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda runs: runs[:2], "one run without each of 3 sessions, got none without tuesday"),
        (lambda runs: [*runs, replace(runs[0], name="b")], "b: expected one run without each ses"),
        (lambda runs: [*runs[:2], replace(runs[2], fingerprint="e")], "a run on the data of runs/"),
        (
            lambda runs: [*runs[:2], replace(runs[2], **with_groups(["monday"], ["tuesday"]))],
            "got one on others",
        ),
        (
            lambda runs: [replace(runs[0], **with_groups(list(DAYS), ["friday"]))],
            "without the session it is scored on, got one that was trained on friday",
        ),
        (
            lambda runs: [replace(runs[0], **with_groups(["monday"], ["friday", "tuesday"]))],
            "got scores on 2 sessions: friday, tuesday",
        ),
        (lambda runs: [replace(runs[0], groups={})], "expected scores that name every session"),
        (
            lambda runs: [replace(runs[0], groups={"session": {"trained": [3], "scored": "a"}})],
            "expected scores that name every session",
        ),
        (
            lambda runs: [replace(runs[0], **with_groups([], ["friday"]))],
            "got none without another one",
        ),
    ],
)
def test_what_is_no_leave_one_out(change, message):
    with pytest.raises(DataError, match=message):
        gather_runs("session", change(whole()))


def test_trainings_that_differ_in_more_are_named():
    runs = whole()
    other = {"data.split.leave_out": ["tuesday"], "train.lr": 0.1, "train.keep": 9}
    runs[2] = replace(runs[2], settings=other)
    runs[1] = replace(runs[1], settings=None)
    assert gather_runs("session", runs).notes == (
        "runs/without-monday or runs/without-friday does not tell its settings",
        "runs/without-tuesday and runs/without-friday differ in more than the session: "
        "train.lr 0.003 -> 0.1",
    )


def test_the_command_gathers_files_of_scores(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, one in enumerate(whole()):
        rows = {"adapted": one.adapted, "frozen base": one.frozen}
        found = {
            "per_scene": {row: rows_to_json(scenes) for row, scenes in rows.items()},
            "digests": dict(one.digests),
            "fingerprint": one.fingerprint,
            "scenes_held_out": True,
            "groups": one.groups,
        }
        (tmp_path / f"{number}.json").write_text(json.dumps(found))
    files = ["0.json", "1.json", "2.json"]
    done = CliRunner().invoke(app, ["compare", *files, "--leave-one", "session"])
    assert done.exit_code == 0, done.output
    assert "mean over 3 sessions: +1.00 dB; too few to decide" in done.stdout
    done = CliRunner().invoke(app, ["compare", *files, "--leave-one", "session", "--json"])
    assert json.loads(done.stdout)["mean_gain_db"] == pytest.approx(1.0)
    done = CliRunner().invoke(app, ["compare", *files[:2], "--leave-one", "session"])
    assert done.exit_code == 1
    assert "got none without tuesday. Train with --set data.split.by=session" in done.stderr


def test_comparing_needs_no_torch():
    code = (
        "import sys, mfl_adapt.evaluate.compare, mfl_adapt.evaluate.left_out_runs; "
        "print([m for m in ('torch', 'peft', 'numba', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
