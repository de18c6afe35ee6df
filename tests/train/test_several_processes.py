"""Two processes over gloo train what one trains, and end together."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from fresh_views import write_fresh

from mfl_adapt.train.joined import Joiner
from mfl_adapt.train.processes import Processes, check_batch
from mfl_adapt.train.randomness import seed_of
from mfl_adapt.train.tasks import Outcome

HERE = Path(__file__).parent
DROPOUT = ["adapter.lora_dropout=0.2"]


class Runs:
    """Orders runs of a process that has everything loaded."""

    def __init__(self, root: Path) -> None:
        self._root, self._count = root, 0
        paths = [str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "several_processes.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        )
        self.plain = self.run(1)[0]

    def run(self, count, *overrides, **order):
        """Run, and return the run's folder and how each process ended."""
        self._count += 1
        root = self._root / str(self._count)
        folder = order.get("resume", str(root / ("quickstart" if "views" in order else "several")))
        order |= {"count": count, "root": str(root), "overrides": overrides}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Path(folder), json.loads(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A process that forks runs; its first run, of one process, is over."""
    served = Runs(tmp_path_factory.mktemp("several"))
    yield served
    served.close()


def rows_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def hash_of(folder):
    return json.loads((folder / "adapter" / "passport.json").read_text())["adapter_hash"]


def check_curves(one, other, tolerance):
    mine, theirs = rows_of(one), rows_of(other)
    assert len(mine) == len(theirs)
    for row, expected in zip(mine, theirs, strict=True):
        for name in ("loss", "gradient_norm", "foreground_psnr_db"):
            assert row[name] == pytest.approx(expected[name], rel=tolerance)
        assert row["parts"] == pytest.approx(expected["parts"], rel=tolerance)


def test_two_processes_have_the_curve_of_one_over_fifty_steps(runs):
    long = ("train.steps=50", "train.warmup=50", "train.save_every=50")
    # Two threads take a sample each, as two processes do.
    one, ends = runs.run(1, *long, threads=2)
    assert ends == [[0, ""]]
    two, ends = runs.run(2, *long)
    assert ends == [[0, ""], [0, ""]]
    assert len(rows_of(two)) == 50
    check_curves(two, one, 1e-5)


def test_a_batch_that_cannot_be_halved_is_weighed(runs):
    settings = ("train.batch=3", "train.warmup=4")
    one, _ = runs.run(1, *settings)
    two, ends = runs.run(2, *settings)
    assert ends == [[0, ""], [0, ""]]
    check_curves(two, one, 1e-5)


def test_one_process_writes_and_says_how_many_there_were(runs):
    folder, _ = runs.run(2)
    assert [row["number"] for row in rows_of(folder)] == [1, 2, 3, 4]
    assert {path.name for path in folder.iterdir()} == {
        *(path.name for path in runs.plain.iterdir())
    }
    assert not list(folder.rglob("*.partial"))
    assert [path.name for path in folder.parent.iterdir()] == ["several"]
    for place in (folder, runs.plain):
        count = 2 if place == folder else 1
        written = json.loads((place / "environment.json").read_text())
        passport = json.loads((place / "adapter" / "passport.json").read_text())
        assert written["processes"] == passport["environment"]["processes"] == count


@pytest.fixture(scope="module")
def whole(runs):
    """A run of two processes with dropout that nothing happened to."""
    folder, ends = runs.run(2, *DROPOUT)
    assert ends == [[0, ""], [0, ""]]
    return folder


@pytest.mark.parametrize("rank", [0, 1])
def test_the_death_of_one_ends_the_other_and_the_run_goes_on_bit_for_bit(runs, whole, rank):
    broken, ends = runs.run(2, *DROPOUT, injury=["SIGKILL", rank, 4])
    assert ends[rank] == [-9, ""]
    code, error = ends[1 - rank]
    assert code == 1
    assert "expected 2 processes to the end, got one that is gone" in error
    assert not (broken / "evaluation.json").exists()
    _, ends = runs.run(2, resume=str(broken))
    assert ends == [[0, ""], [0, ""]]
    assert hash_of(broken) == hash_of(whole)
    timeless = [[{**row, "seconds": 0} for row in rows_of(one)] for one in (broken, whole)]
    assert timeless[0] == timeless[1]


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_another_number_of_processes_goes_on(runs, before, after):
    broken, _ = runs.run(before, injury=["SIGTERM", 0, 2], threads=1)
    assert (broken / "checkpoints" / "step-2").is_dir()
    assert not (broken / "evaluation.json").exists()
    _, ends = runs.run(after, resume=str(broken))
    assert ends == [[0, ""]] * after
    check_curves(broken, runs.plain, 1e-5)


def test_a_signal_to_one_stops_all_after_the_same_step(runs):
    folder, ends = runs.run(2, injury=["SIGTERM", 1, 3])
    assert ends == [[0, ""], [0, ""]]
    assert [row["number"] for row in rows_of(folder)] == [1, 2, 3]
    passport = json.loads((folder / "adapter" / "passport.json").read_text())
    assert passport["steps"] == 3


@pytest.mark.parametrize("rank", [0, 1])
def test_an_error_of_one_is_told_once(runs, rank):
    folder, ends = runs.run(2, injury=["unreadable", rank, 3])
    assert [code for code, _ in ends] == [1, 1]
    name = "ElsewhereError" if rank else "DataError"
    assert ends[0][1] == f"{name}: frame 7: expected a picture, got none. Look at it."
    assert ends[1][1].startswith("silent: frame 7: expected a picture")
    assert len(rows_of(folder)) == 2


def test_guards_of_one_stop_all_and_the_main_one_writes_what_they_found(runs):
    folder, ends = runs.run(2, injury=["nan", 1, 2])
    assert [code for code, _ in ends] == [1, 1]
    assert ends[0][1].startswith("GuardError: losses.masked_loss.masked_l2: MFL103: expected")
    rows = [json.loads(line) for line in (folder / "guards.jsonl").read_text().splitlines()]
    assert [(row["code"], row["step"]) for row in rows] == [("MFL103", 2)]


def test_a_fault_of_one_keeps_its_own_words(runs):
    _, ends = runs.run(2, injury=["fault", 1, 2])
    assert ends[1] == [1, "ZeroDivisionError: a fault of somebody's plugin"]
    assert "got one that is gone" in ends[0][1]


@pytest.mark.parametrize(
    ("injury", "overrides", "message"),
    [
        (["remembering", "all", 0], [], "expected a loss that remembers nothing"),
        (["other data", 1, 0], [], r"expected base, data and settings of process 1 to be that of"),
        (None, ["train.batch=1"], "train.batch: expected at least 2"),
    ],
)
def test_what_cannot_be_shared_is_refused_before_there_is_a_folder(
    runs, injury, overrides, message
):
    order = {} if injury is None else {"injury": injury}
    folder, ends = runs.run(2, *overrides, **order)
    assert [code for code, _ in ends] == [1, 1]
    assert message in ends[0][1]
    assert not folder.exists()


@pytest.mark.parametrize(
    "background", [pytest.param("white", marks=pytest.mark.slow), "three_choices"]
)
def test_a_base_that_makes_views_shares_noise_as_well(runs, tmp_path_factory, background):
    model = str(write_fresh(tmp_path_factory.mktemp("fresh") / "model"))
    settings = ("train.batch=3", f"diffusion.background={background}", "name=quickstart")
    one, _ = runs.run(1, *settings, views=model)
    two, ends = runs.run(2, *settings, views=model)
    assert ends == [[0, ""], [0, ""]]
    for row, expected in zip(rows_of(two), rows_of(one), strict=True):
        assert row["parts"] == pytest.approx(expected["parts"], rel=1e-5)
        assert row["gradient_norm"] == pytest.approx(expected["gradient_norm"], rel=1e-4)


class Rank(Processes):
    """One of several that meets nobody."""

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count = rank, count


@pytest.mark.parametrize(("total", "count"), [(2, 2), (3, 2), (7, 3), (8, 3), (5, 5)])
def test_shares_are_even_and_leave_nothing_out(total, count):
    shares = [Rank(rank, count).share(total) for rank in range(count)]
    assert [place for share in shares for place in share] == list(range(total))
    assert {len(share) for share in shares} <= {total // count, -(-total // count)}


def test_one_process_is_left_as_it_is():
    joiner, loss = Joiner(), torch.ones((), requires_grad=True)
    outcome = Outcome(loss, {"l2": 1.0})
    assert joiner.weigh(loss) is loss
    assert joiner.join(outcome, [], []) is outcome
    assert Processes().exchange(3) == [3]
    assert list(Processes().share(4)) == [0, 1, 2, 3]


class Talking(Rank):
    """One of two, whose other one says what a test wants."""

    def __init__(self, other) -> None:
        super().__init__(0, 2)
        self.other, self.summed = other, []

    def exchange(self, value):
        return [value, self.other(value)]

    def add_up(self, tensors):
        self.summed += tensors


def test_what_says_nothing_does_not_enter_a_mean():
    def other(part):
        return part._replace(
            weight=0.25, loss=5.0, parts={"l2": 4.0, "late": 2.0}, quality=float("nan"),
            measures={"cover": 0.5, "edges": float("nan")}, gradients={"l2": True},
            present=(True, True, False),
        )  # fmt: skip

    talking = Talking(other)
    parameters = [torch.nn.Parameter(torch.ones(2)) for _ in range(3)]
    parameters[0].grad = torch.ones(2)
    joiner = Joiner(talking, 4)
    joiner.processes.share = lambda total: range(3)
    found = Outcome(torch.tensor(1.0), {"l2": 2.0}, 20.0, {"cover": 0.1}, {"l2": False})
    joined = joiner.join(found, parameters, [])
    assert float(joined.loss) == 0.75 * 1.0 + 0.25 * 5.0
    assert joined.parts == {"l2": 0.75 * 2.0 + 0.25 * 4.0, "late": 2.0}
    assert joined.foreground_psnr_db == 20.0
    assert joined.measures["cover"] == pytest.approx(0.75 * 0.1 + 0.25 * 0.5)
    assert math.isnan(joined.measures["edges"])
    assert joined.gradients == {"l2": True}
    # A weight that only the other one used enters the sum with 0; one that nobody used does not.
    assert [one.grad is not None for one in parameters] == [True, True, False]
    assert len(talking.summed) == 2
    assert not talking.summed[1].any()


def test_each_process_draws_numbers_of_its_own():
    assert seed_of(7, 0) == 7
    assert len({seed_of(7, rank) for rank in range(50)}) == 50
    assert seed_of(7, 1) != seed_of(8, 1)


def test_a_batch_for_all():
    check_batch(4, 4)
    with pytest.raises(
        Exception, match=r"expected at least 5, .* got 4\. Use --set train\.batch=5"
    ):
        check_batch(4, 5)
