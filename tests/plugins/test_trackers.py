"""Trackers against stand-ins of their packages, and against the real ones where they are."""

import atexit
import json
import logging
import sqlite3
import struct
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import stand_in_trackers
from mfl_adapt_trackers.follower import Follower
from mfl_adapt_trackers.news import RunLog, scalars_of

from mfl_adapt.config import load_config
from mfl_adapt.errors import PluginError
from mfl_adapt.plugin.manager import new_manager
from mfl_adapt.train.session import Session

CLASSES = {"tensorboard": "TensorBoard", "wandb": "Wandb", "trackio": "Trackio"}
ALL = pytest.mark.parametrize("name", CLASSES)
ELSEWHERE = ("WANDB_MODE", "WANDB_DIR", "WANDB_PROJECT", "TRACKIO_PROJECT", "TRACKIO_SPACE_ID")


class Run:
    """A run folder that a test writes as ``train`` would, and what plugins get as ``run``."""

    def __init__(self, path, resumed_at=None):
        self.folder = SimpleNamespace(path=path)
        self.checkpoint = None if resumed_at is None else SimpleNamespace(step=resumed_at)
        self.public_config = {"name": path.name, "data": {"path": "<mice>"}}
        (path / "samples").mkdir(parents=True, exist_ok=True)

    def log(self, step, **more):
        row = {"number": step, "loss": step / 4, "parts": {"a.b": 0.5}, "lr": 0.001, **more}
        self._append("metrics.jsonl", row)

    def find(self, step):
        found = {"severity": "law", "code": "MFL103", "where": "loss", "value": "nan"}
        rest = {"expected": "a number", "remedy": "Lower the rate.", "picture": None}
        self._append("guards.jsonl", {"step": step, **found, **rest})

    def draw(self, step):
        picture = np.full((4, 6, 3), 40 * step, np.uint8)
        cv2.imwrite(str(self.folder.path / f"samples/step-{step:06d}.png"), picture)

    def end(self):
        scores = {"scores": {"mean colour": {"iou": None}, "adapted": {"iou": 0.75}}}
        text = json.dumps(scores | {"gain_db": 1.5, "per_scene": {"x": 1.0}})
        (self.folder.path / "evaluation.json").write_text(text)
        (self.folder.path / "adapter").mkdir()
        card = "---\nlicense: mit\n---\n# Adapter\n\nGain: +1.50 dB\n"
        (self.folder.path / "adapter/README.md").write_text(card)

    def rewind(self, step):
        path = self.folder.path / "metrics.jsonl"
        kept = [x for x in path.read_text().splitlines(True) if json.loads(x)["number"] <= step]
        path.write_text("".join(kept))
        return Run(self.folder.path, step)

    def _append(self, name, row):
        with (self.folder.path / name).open("a") as file:
            file.write(json.dumps(row) + "\n")


@pytest.fixture
def at_exit(monkeypatch):
    """What the interpreter would do at its end."""
    waiting = []
    monkeypatch.setattr(atexit, "register", waiting.append)
    for variable in (*ELSEWHERE, "TRACKIO_SERVER_URL"):
        monkeypatch.delenv(variable, raising=False)
    return waiting


@pytest.fixture
def hooks(monkeypatch, at_exit):
    """Return a function that gives the hooks of a plugin in a process that has just begun."""

    def fresh(name):
        module = import_module(f"mfl_adapt_trackers.{name}")
        follower = Follower(name, getattr(module, CLASSES[name]))
        monkeypatch.setattr(module, "_follower", follower)
        for hook in [name for name in vars(module) if hasattr(follower, name)]:
            monkeypatch.setattr(module, hook, getattr(follower, hook))
        manager = new_manager()
        manager.register(module)
        manager.check_pending()
        return manager.hook

    return fresh


@pytest.fixture
def begin(hooks, monkeypatch, tmp_path):
    """Return a function that begins a run with a stand-in; gives hooks, book and run."""

    def make(name):
        book = stand_in_trackers.install(name, monkeypatch)
        return hooks(name), book, Run(tmp_path / "mouse")

    return make


def train(hook, run, steps):
    for step in steps:
        run.log(step)
        hook.step_finished(run=run, step=step)


@ALL
def test_a_whole_run_is_shown_once(name, begin, capsys):
    hook, book, run = begin(name)
    hook.run_started(run=run)
    run.draw(0)
    train(hook, run, [1])
    hook.step_finished(run=run, step=2)  # not logged
    run.find(3)
    run.draw(3)
    run.log(3, held_out_psnr_db=12.5, foreground_psnr_db=None)
    hook.step_finished(run=run, step=3)
    hook.checkpoint_saved(run=run, path=run.folder.path / "checkpoints/step-3")
    run.end()
    hook.run_finished(run=run)
    numbers = {(one, step): x for one, step, x in book.told if isinstance(x, float)}
    assert numbers == {
        **{("train/loss", 1): 0.25, ("train/lr", 1): 0.001, ("terms/a.b", 1): 0.5},
        **{("train/loss", 3): 0.75, ("train/lr", 3): 0.001, ("terms/a.b", 3): 0.5},
        ("quality/held_out_psnr_db", 3): 12.5,
        ("evaluation/scores/adapted/iou", 3): 0.75,
        ("evaluation/gain_db", 3): 1.5,
    }
    assert len(numbers) == len([x for _, _, x in book.told if isinstance(x, float)])
    assert book.steps("samples") == [0, 3]
    assert book.steps("guards/MFL103") == [3]
    assert "Lower the rate." in book.value("guards/MFL103")
    assert "Gain: +1.50 dB" in book.value("adapter")
    assert "license" not in book.value("adapter")
    assert "mice" in (book.value("configuration") if name == "tensorboard" else str(book.begun))
    assert book.closed == [False]
    assert capsys.readouterr().out == ""  # standard output is for results


@ALL
def test_a_run_that_goes_on_doubles_no_step(name, begin, hooks):
    hook, book, run = begin(name)
    hook.run_started(run=run)
    run.draw(0)
    train(hook, run, [1, 2, 3, 4])
    key = json.loads((run.folder.path / name / "followed.json").read_text())
    assert key["step"] == 4
    resumed, hook = run.rewind(2), hooks(name)
    hook.run_started(run=resumed)
    train(hook, resumed, [3, 4, 5])
    assert book.steps("train/loss") == [1, 2, 3, 4, 5]
    assert book.steps("samples") == [0]
    again = json.loads((run.folder.path / name / "followed.json").read_text())
    assert again == {"key": key["key"], "step": 5}


@ALL
def test_a_tracker_that_joins_later_gets_what_was_before(name, begin):
    hook, book, run = begin(name)
    for step in (1, 2):
        run.log(step)
    resumed = Run(run.folder.path, 2)
    hook.run_started(run=resumed)
    train(hook, resumed, [3])
    assert book.steps("train/loss") == [1, 2, 3]


@ALL
def test_a_missing_package_is_told_before_anything_is_read(name, hooks, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(PluginError, match=rf'pip install "mfl-adapt\[{name}\]"') as caught:
        hooks(name).run_opening(config=load_config("quickstart").config)
    assert f"expected the package {name}, got" in str(caught.value)


@ALL
def test_a_tracker_that_cannot_begin_stops_the_run(name, begin):
    hook, book, run = begin(name)
    book.breaks = "begin"
    with pytest.raises(PluginError, match=f"RuntimeError: no server. .*--plugins -{name}"):
        hook.run_started(run=run)


@ALL
def test_a_tracker_that_fails_later_is_told_once_and_left(name, begin, caplog):
    hook, book, run = begin(name)
    hook.run_started(run=run)
    train(hook, run, [1])
    book.breaks = "tell"
    with caplog.at_level(logging.WARNING):
        train(hook, run, [2, 3])
        hook.run_finished(run=run)
    (said,) = caplog.messages
    assert f"plugin '{name}' of mfl-adapt: writing raised OSError: [Errno 28] No space" in said
    assert f"{name} shows no more" in said
    assert len(book.closed) == 1
    # With space again, a run that goes on shows what was left out.
    book.breaks, resumed = "", run.rewind(3)
    hook.run_started(run=resumed)
    train(hook, resumed, [4])
    assert book.steps("train/loss") == [1, 2, 3, 4]


def test_the_last_words_of_a_stopped_run_are_shown(begin, at_exit):
    hook, book, run = begin("wandb")
    hook.run_started(run=run)
    train(hook, run, [1])
    run.find(2)
    (last,) = at_exit
    last()
    assert book.steps("guards/MFL103") == [2]
    assert book.closed == [True]
    last()
    assert book.closed == [True]


def test_two_runs_of_a_process_are_not_mixed(begin, tmp_path):
    hook, book, run = begin("tensorboard")
    hook.run_started(run=run)
    train(hook, run, [1])
    other = Run(tmp_path / "other")
    train(hook, other, [7])
    assert book.steps("train/loss") == [1]
    hook.run_started(run=other)
    assert book.closed == [False]
    train(hook, run, [2])
    train(hook, other, [8])
    assert book.steps("train/loss") == [1, 7, 8]


def test_wandb_is_offline_unless_its_environment_says_else(begin, monkeypatch):
    hook, book, run = begin("wandb")
    hook.run_started(run=run)
    assert book.begun[-1]["mode"] == "offline"
    assert book.begun[-1]["dir"] == str(run.folder.path)
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_PROJECT", "mice")
    hook.run_started(run=run)
    assert (book.begun[-1]["mode"], book.begun[-1]["project"]) == ("online", "mice")
    assert book.begun[-1]["resume"] == "allow"
    assert book.begun[-1]["id"] == book.begun[-2]["id"]


def test_an_older_part_of_an_offline_run_makes_room(begin, hooks):
    hook, book, run = begin("wandb")
    hook.run_started(run=run)
    place, key = run.folder.path / "wandb", book.begun[-1]["id"]
    (place / f"offline-run-20260101_000000-{key}/files").mkdir(parents=True)
    (place / "offline-run-20260101_000000-another").mkdir()
    hooks("wandb").run_started(run=Run(run.folder.path, 0))
    assert [x.name for x in place.glob("offline*")] == ["offline-run-20260101_000000-another"]


def test_numbers_of_a_line():
    row = {"number": 3, "loss": 1, "parts": {"a.b": 2.0}, "seconds": float("nan"), "new": 4.0}
    row |= {"foreground_psnr_db": None, "held_out_psnr_db": 9.0, "flag": True}
    wanted = {"train/loss": 1.0, "train/new": 4.0, "terms/a.b": 2.0}
    assert scalars_of(row) == wanted | {"quality/held_out_psnr_db": 9.0}


def test_a_line_that_is_not_whole_yet_is_left_for_later(tmp_path):
    run = Run(tmp_path)
    run.log(1)
    path = tmp_path / "metrics.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"number": 2, "lo')
    log = RunLog(tmp_path, after=-1)
    assert [one.step for one in log.read()] == [1]
    path.write_bytes(whole + b'{"number": 2, "loss": 0.5}\n')
    assert [(one.step, one.scalars) for one in log.read()] == [(2, {"train/loss": 0.5})]
    assert log.read() == []


def test_the_configuration_that_others_see_holds_no_path_of_this_machine():
    config = load_config("quickstart", overrides=["data.path=/home/me/mice"]).config
    run = Session(SimpleNamespace(config=config), None, None)
    assert run.public_config["data"]["path"] == "<mice>"
    assert "/home" not in json.dumps(run.public_config)


def live(hook, run):
    """A run that is killed after step 3, goes on after step 2, and ends."""
    hook.run_started(run=run)
    run.draw(0)
    train(hook, run, [1, 2, 3])
    resumed = run.rewind(2)
    hook.run_started(run=resumed)
    run.find(3)
    train(hook, resumed, [3, 4])
    run.end()
    hook.run_finished(run=resumed)


def test_tensorboard_reads_what_was_written(hooks, tmp_path):
    reason = "needs the real tensorboard"
    pytest.importorskip("tensorboard", reason=reason)
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = Run(tmp_path / "mouse")
    live(hooks("tensorboard"), run)
    events = reader.EventAccumulator(str(run.folder.path / "tensorboard"))
    events.Reload()
    loss = [(one.step, one.value) for one in events.Scalars("train/loss")]
    assert loss == [(1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0)]
    assert [(one.step, one.width, one.height) for one in events.Images("samples")] == [(0, 6, 4)]
    texts = {
        tag: events.Tensors(tag)[0].tensor_proto.string_val[0].decode()
        for tag in events.Tags()["tensors"]
    }
    assert "<mice>" in texts["configuration/text_summary"]
    assert "Lower the rate." in texts["guards/MFL103/text_summary"]
    assert "+1.50 dB" in texts["adapter/text_summary"]


def records(path):
    """Records of an offline run of wandb: blocks of 32 KiB after a head of 7 bytes."""
    data, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(data):
        left = 2**15 - at % 2**15
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        if left < 7 or kind == 0:
            at += left
            continue
        whole += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in {1, 4}:  # a whole record, or the last part of one
            yield whole
            whole = b""


@pytest.mark.filterwarnings("default::DeprecationWarning", "default::ResourceWarning")
def test_wandb_writes_an_offline_run(hooks, tmp_path):
    wandb = pytest.importorskip("wandb", reason="needs the real wandb")
    messages = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    run = Run(tmp_path / "mouse")
    live(hooks("wandb"), run)
    wandb.teardown()  # its own process writes the file; this waits for its end
    (part,) = run.folder.path.glob("wandb/offline-run-*")
    (file,) = part.glob("run-*.wandb")
    found = [messages.Record.FromString(one) for one in records(file)]
    rows = [
        {item.key or "/".join(item.nested_key): item.value_json for item in one.history.item}
        for one in found
        if one.WhichOneof("record_type") == "history"
    ]
    losses = [(row["_step"], row["train/loss"]) for row in rows if "train/loss" in row]
    assert losses == [("1", "0.25"), ("2", "0.5"), ("3", "0.75"), ("4", "1")]
    assert rows[-1]["evaluation/gain_db"] == "1.5"
    assert len(list(part.glob("files/media/images/samples_*.png"))) == 1
    (begun,) = {one.run.host for one in found if one.WhichOneof("record_type") == "run"}
    assert begun == ""  # the name of the machine is nobody's business


@pytest.mark.filterwarnings("default::DeprecationWarning", "default::ResourceWarning")
def test_trackio_writes_its_database(hooks, tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    trackio = pytest.importorskip("trackio", reason="needs the real trackio")
    if Path(trackio.utils.TRACKIO_DIR) != tmp_path / "trackio":
        pytest.skip("another test imported trackio with a place of its own")
    live(hooks("trackio"), Run(tmp_path / "mouse"))
    with sqlite3.connect(tmp_path / "trackio/mfl-adapt.db") as database:
        rows = database.execute("select step, metrics from metrics order by id").fetchall()
    losses = [(step, json.loads(one).get("train/loss")) for step, one in rows]
    assert [x for x in losses if x[1]] == [(1, 0.25), (2, 0.5), (3, 0.75), (4, 1.0)]
    assert json.loads(rows[-1][1])["evaluation/gain_db"] == 1.5
