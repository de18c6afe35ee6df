"""Runs that are killed at any moment, also while they save, go on to the very same adapter.

The slow test kills 50 times: ``pytest -m slow -s tests/train/test_kills.py``. ``MFL_KILLS`` is
another number, and ``MFL_KILLS_SEED`` chooses other moments.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from mortal_runs import MOMENTS, SETTINGS

from mfl_adapt.train.checkpoints import SUMS, find_checkpoints, read_newest

HERE = Path(__file__).resolve().parent
KILLS = int(os.environ.get("MFL_KILLS", "50"))
SEED = int(os.environ.get("MFL_KILLS_SEED", "0"))
ALL_DONE = "expected a run with steps left"
"""What a run says that was killed when everything was written; it is held against the others."""


class Mortals:
    """Starts runs, and ends them."""

    def __init__(self) -> None:
        folders = [str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
        self._server = subprocess.Popen(
            [sys.executable, HERE / "mortal_runs.py"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(folders)},
        )  # fmt: skip

    def run(self, root: Path, *, kill_after: float | None = None, **deaths: int | str) -> bool:
        """Begin a run or go on with it; return whether it came to its end.

        Args:
            root: Where its folder is, or will be.
            kill_after: Seconds after which it is killed, if it is still there.
            deaths: The call at which it dies by itself, as ``mortal_runs`` reads it.
        """
        self._server.stdin.write(json.dumps({"root": str(root)} | deaths) + "\n")
        self._server.stdin.flush()
        process = int(self._server.stdout.readline())
        timer = threading.Timer(kill_after or 0, os.kill, (process, signal.SIGKILL))
        if kill_after is not None:
            timer.start()
        answer = json.loads(self._server.stdout.readline())
        timer.cancel()
        if isinstance(answer, str):
            self._server.stdout.readline()  # how it ended, which is clear
            if ALL_DONE in answer:
                return True
            pytest.fail(answer)
        assert answer in {0, -signal.SIGKILL}
        return answer == 0

    def close(self) -> None:
        with self._server as server:
            server.stdin.close()


@pytest.fixture(scope="module")
def mortals():
    started = Mortals()
    yield started
    started.close()


@pytest.fixture(scope="module")
def whole(mortals, tmp_path_factory) -> Path:
    """Folder of the folder of the run that nobody killed."""
    root = tmp_path_factory.mktemp("whole")
    assert mortals.run(root)
    return root


def check_the_same(root: Path, other: Path) -> None:
    """Hold what two runs left behind against one another."""
    mine, other = root / "mortal", other / "mortal"
    codes = [json.loads((one / "environment.json").read_text())["code"] for one in (mine, other)]
    assert codes[0] == codes[1], "somebody changed the package while this test ran"
    passports = [json.loads((one / "adapter/passport.json").read_text()) for one in (mine, other)]
    assert passports[0]["adapter_hash"] == passports[1]["adapter_hash"]
    assert passports[0]["metrics"] == passports[1]["metrics"]
    logs = [(one / "metrics.jsonl").read_text().splitlines() for one in (mine, other)]
    rows = [[json.loads(line) | {"seconds": 0} for line in lines] for lines in logs]
    assert rows[0] == rows[1]
    assert [row["number"] for row in rows[0]] == [1, 2, 3, 4, 5]
    names = [sorted(path.relative_to(one) for path in one.rglob("*")) for one in (mine, other)]
    assert names[0] == names[1]


def test_killed_while_it_saves_a_run_ends_as_if_it_had_not_been(mortals, whole, tmp_path):
    folder = tmp_path / "mortal"
    # The folder with its three files, then the first checkpoint, half of which is there.
    assert not mortals.run(tmp_path, fsync=7)
    assert (folder / "config.yaml").is_file()
    assert not find_checkpoints(folder)
    # Each checkpoint renames twice, first its adapter. The third is whole, under a hidden name.
    assert not mortals.run(tmp_path, rename=6)
    (hidden,) = folder.glob("checkpoints/.step-4.*")
    assert (hidden / SUMS).is_file()
    assert read_newest(folder).step == 2
    assert mortals.run(tmp_path)
    check_the_same(tmp_path, whole)


@pytest.mark.parametrize(
    ("death", "left"),
    [
        # Half of the first file of the second checkpoint, under a name that nobody reads.
        ({"fsync": 20, "moment": "torn"}, "..step-2.*"),
        # The last checkpoint is there, and the one that has to go for it is still there too.
        ({"rename": 10, "moment": "after"}, "step-2"),
    ],
)
def test_what_a_killed_run_left_is_cleared_away(mortals, whole, tmp_path, death, left):
    assert not mortals.run(tmp_path, **death)
    assert list((tmp_path / "mortal" / "checkpoints").glob(left))
    assert mortals.run(tmp_path)
    check_the_same(tmp_path, whole)


def choose_death(generator: random.Random, seconds: float, calls: dict[str, int]) -> dict:
    """Half of all deaths come at any time, the others at any call that brings files to the disk.

    Saving takes little of a run's time, and its moments are those that could do harm.
    """
    if generator.random() < 0.5:
        # Up to the whole length of a run: also while data are read and while it is evaluated.
        return {"kill_after": generator.uniform(0, seconds)}
    name = generator.choice(sorted(calls))
    moment = generator.choice(MOMENTS[name])
    return {name: generator.randint(1, calls[name]), "moment": moment}


def where_it_died(root: Path) -> str:
    """What the folder looks like that was left behind."""
    folder = root / "mortal"
    if not folder.exists():
        return "before its folder was there"
    if list(folder.rglob(".*")):
        return "with files half written"
    return f"after {len(find_checkpoints(folder))} checkpoints"


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_as_if_it_had_not_been(mortals, whole, tmp_path):
    generator, ended, deaths = random.Random(SEED), 0, Counter()
    # The first one compiled the rasterizer and drew the mice.
    started = time.monotonic()
    assert mortals.run(tmp_path / "timed")
    seconds = time.monotonic() - started
    calls = json.loads((tmp_path / "timed" / "calls.json").read_text())
    root = tmp_path / "0"
    while deaths.total() < KILLS:
        if mortals.run(root, **choose_death(generator, seconds, calls)):
            check_the_same(root, whole)
            ended += 1
            root = tmp_path / str(ended)
        else:
            deaths[where_it_died(root)] += 1
    assert mortals.run(root)
    check_the_same(root, whole)
    print(f"\n{deaths.total()} kills, {ended + 1} runs that came to their end, a whole one takes "
          f"{seconds:.1f} s and {calls}: {dict(deaths)}")  # fmt: skip


def test_the_mortal_runs_have_checkpoints_between_their_steps():
    settings = dict(one.split("=") for one in SETTINGS)
    assert int(settings["train.save_every"]) < int(settings["train.steps"])
