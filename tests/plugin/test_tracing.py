import json
import logging
import multiprocessing
import pickle
import threading

import numpy as np
import pytest
import torch
from fake_plugins import HEAD, LOSS, offering

from mfl_adapt.plugin import AdapterSpec, CheckSpec, LossSpec, ReaderSpec
from mfl_adapt.plugin.described import describe_value, to_text
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.plugin.tracing import trace
from mfl_adapt.plugin.tracing_report import add_up, to_json, to_line, to_table
from mfl_adapt.types import Cameras, Sample

PARTS = """
class Loss(Built):
    def __call__(self, pred, target, mask, context):
        return self.config.power * pred


class Frozen:
    __slots__ = ("config",)

    def __init__(self, config):
        self.config = config

    def __call__(self, pred, target, mask, context):
        raise OSError("no\\nteeth")


class Reader(Built):
    def __len__(self):
        return 2

    def __iter__(self):
        return (self[index] for index in range(2))

    def __getitem__(self, index):
        return f"sample {index}"


class Check(Built):
    def __call__(self, facts):
        yield 1
        yield 2


def function(config):
    def loss(pred, target, mask, context):
        return pred
    return loss


def plain(pred, target, mask, context):
    return pred


def returns_plain(config):
    return plain


def returns_list(config):
    return [1, 2]


@hookimpl
def step_finished(run, step):
    return None


@hookimpl
def register_components():
    here = __name__ + ":"
    return [
        spec(LossSpec, "whisker", build=here + "Loss"),
        spec(LossSpec, "frozen", build=here + "Frozen"),
        spec(LossSpec, "function", build=here + "function"),
        spec(LossSpec, "plain", build=here + "returns_plain"),
        spec(AdapterSpec, "listed", build=here + "returns_list"),
        reader("files", build=here + "Reader"),
        spec(CheckSpec, "teeth", code="RAT001", subject="sample", build=here + "Check"),
    ]
"""


@pytest.fixture
def calls(site):
    site.add("rat-tools", {"rat": PARTS}, version="3.2")
    return []


def load():
    return load_plugins(["rat"])


def names(calls):
    return [(one.source.component or one.source.plugin, one.method) for one in calls]


def test_nothing_is_wrapped_without_a_trace(calls):
    loss = load().build(LossSpec, "rat.whisker", {})
    assert type(loss).__mro__[1].__name__ == "Built"
    loss(1.0, 0.0, 1.0, None)
    assert calls == []


def test_a_component_reports_arguments_result_and_supplier(calls):
    pred, mask = torch.zeros(2, 3), np.zeros((4, 5), np.uint8)
    with trace(calls.append):
        result = load().build(LossSpec, "rat.whisker", {"power": 3.0})(pred, None, mask, context=1)
    assert torch.equal(result, pred)
    assert names(calls) == [
        ("rat", "register_components"),
        ("rat.whisker", "build"),
        ("rat.whisker", "call"),
    ]
    built, called = calls[1:]
    assert built.arguments["config"]["fields"] == {"power": 3.0}
    assert called.arguments == {
        "pred": {"array": "float32", "shape": [2, 3], "device": "cpu"},
        "target": None,
        "mask": {"array": "uint8", "shape": [4, 5]},
        "context": 1,
    }
    assert called.result == {"array": "float32", "shape": [2, 3], "device": "cpu"}
    assert (called.source.distribution, called.source.version) == ("rat-tools", "3.2")
    assert (called.source.slot, called.error, called.depth) == ("loss", "", 0)
    assert [one.number for one in calls] == [1, 2, 3]
    assert called.seconds >= called.own_seconds >= 0
    assert built.at_s <= called.at_s


def test_a_wrapped_component_is_still_of_its_class(calls):
    with trace(calls.append):
        host = load()
        loss = host.build(LossSpec, "rat.whisker", {"power": 3.0})
    module = next(one for one in host.plugins() if one.name == "rat").module
    assert isinstance(loss, module.Loss)
    assert loss.config.power == 3.0
    assert type(loss).__name__ == "Loss"


def test_it_goes_on_reporting_after_the_block(calls):
    with trace(calls.append):
        loss = load().build(LossSpec, "rat.whisker", {})
    loss(1.0, 0.0, 1.0, None)
    assert names(calls)[-1] == ("rat.whisker", "call")
    assert load().build(LossSpec, "rat.whisker", {})(1.0, 0.0, 1.0, None) == 2.0
    assert len(calls) == 3


def test_an_error_is_reported_and_raised(calls):
    with trace(calls.append):
        loss = load().build(LossSpec, "rat.frozen", {})
    with pytest.raises(OSError, match="no\nteeth"):
        loss(1.0, 0.0, 1.0, None)
    assert calls[-1].error == "OSError: no teeth"
    assert calls[-1].result is None


@pytest.mark.parametrize("name", ["function", "plain"])
def test_a_component_may_be_a_function(calls, name):
    with trace(calls.append):
        loss = load().build(LossSpec, f"rat.{name}", {})
    assert loss(1.0, 0.0, 1.0, None) == 1.0
    assert calls[-1].arguments == {"pred": 1.0, "target": 0.0, "mask": 1.0, "context": None}


def test_what_cannot_be_wrapped_is_used_as_it_is(calls, caplog):
    with trace(calls.append), caplog.at_level(logging.INFO):
        assert load().build(AdapterSpec, "rat.listed", {}) == [1, 2]
    assert "rat.listed are not shown" in caplog.text


def test_a_reader_reports_each_sample_once(calls):
    with trace(calls.append):
        reader = load().build(ReaderSpec, "rat.files", {})
    del calls[:]
    assert list(reader) == ["sample 0", "sample 1"]
    assert reader[1] == "sample 1"
    assert len(reader) == 2
    assert names(calls) == [("rat.files", "read")] * 3
    assert [one.arguments["index"] for one in calls] == [0, 1, 1]


def test_the_work_of_a_generator_is_inside_its_call(calls):
    with trace(calls.append):
        check = load().build(CheckSpec, "rat.teeth", {})
    assert list(check(None)) == [1, 2]
    assert calls[-1].result == {"type": "list", "length": 2, "first": 1}


def test_hooks_report_who_implements_them_and_those_that_nobody_does(calls):
    with trace(calls.append):
        observers = load().observers
        observers.step_finished(run="run", step=3)
        observers.run_finished(run="run")
    assert names(calls) == [
        ("rat", "register_components"),
        ("rat", "step_finished"),
        ("", "run_finished"),
    ]
    assert calls[1].arguments == {"run": "run", "step": 3}


def test_calls_from_within_count_for_the_inner_one_alone(calls, site):
    outer = "\n\nclass Outer(Built):\n    def __call__(self, pred, target, mask, context):\n"
    outer += "        return context(pred, target, mask, None)\n"
    site.add(
        "vole-tools", {"vole": outer + offering('spec(LossSpec, "o", build=__name__+":Outer")')}
    )
    with trace(calls.append):
        host = load_plugins(["rat", "vole"])
        inner, loss = (host.build(LossSpec, name, {}) for name in ("rat.whisker", "vole.o"))
    loss(1.0, 0.0, 1.0, inner)
    inside, outside = calls[-2:]
    assert (inside.depth, outside.depth) == (1, 0)
    assert inside.number == outside.number + 1
    assert outside.own_seconds == pytest.approx(outside.seconds - inside.seconds)


def test_a_copy_for_another_process_is_of_the_plain_class(calls):
    with trace(calls.append):
        host = load()
        loss = host.build(LossSpec, "rat.whisker", {"power": 3.0})
        plain = host.build(LossSpec, "rat.plain", {})
    del calls[:]
    copy = pickle.loads(pickle.dumps(loss))
    assert type(copy) is type(loss).__mro__[1]
    assert copy.config.power == 3.0
    assert pickle.loads(pickle.dumps(plain))(4.0, 0.0, 1.0, None) == 4.0
    copy(1.0, 0.0, 1.0, None)
    assert calls == []


def test_a_forked_process_reports_nothing(calls):
    with trace(calls.append):
        loss = load().build(LossSpec, "rat.whisker", {})
    reports = multiprocessing.get_context("fork").SimpleQueue()

    def work():
        before = len(calls)
        loss(1.0, 0.0, 1.0, None)
        reports.put(len(calls) - before)

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    assert reports.get() == 0
    process.join()


def test_threads_do_not_mix(calls):
    with trace(calls.append):
        loss = load().build(LossSpec, "rat.whisker", {})
    threads = [threading.Thread(target=loss, args=(1.0, 0.0, 1.0, None)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.depth for one in calls] == [0] * len(calls)
    assert len({one.number for one in calls}) == len(calls) == 2 + 8


def test_two_traces_do_not_mix(site):
    site.add("rat-tools", {"rat": LOSS}, head=HEAD)
    first, second = [], []
    with trace(first.append):
        load()
        with trace(second.append):
            load()
    assert (len(first), len(second)) == (1, 1)


def test_report_as_text_and_json(calls):
    with trace(calls.append):
        host = load()
        loss = host.build(LossSpec, "rat.whisker", {})
        loss(torch.zeros(2, 3), None, None, None)
        host.observers.run_finished(run="run")
    call, hook = calls[2:]
    line = to_line(call)
    assert line.split(" ms  ")[1] == (
        "rat.whisker  call(pred=float32[2, 3], target=None, mask=None, context=None) "
        "-> float32[2, 3]"
    )
    assert line.startswith("    3  ")
    assert to_line(hook).endswith("hook of (nobody)  run_finished(run='run') -> None")
    plain = json.loads(json.dumps(to_json(call)))
    assert (plain["kind"], plain["plugin"], plain["number"]) == ("component", "rat", 3)
    assert plain["arguments"]["pred"]["shape"] == [2, 3]
    assert to_json(hook)["kind"] == "hook"


def test_totals_by_supplier(calls):
    with trace(calls.append):
        host = load()
        loss = host.build(LossSpec, "rat.frozen", {})
        with pytest.raises(OSError, match="teeth"):
            loss(1.0, 0.0, 1.0, None)
        host.observers.run_finished(run="run")
    totals = {one.plugin: one for one in add_up(calls)}
    assert (totals["rat"].calls, totals["rat"].errors) == (3, 1)
    assert totals["rat"].seconds == pytest.approx(sum(one.own_seconds for one in calls[:3]))
    assert (totals["(nobody)"].calls, totals["(nobody)"].errors) == (1, 0)
    lines = to_table(add_up(calls))
    assert lines[0].split() == ["plugin", "distribution", "calls", "seconds", "errors"]
    assert any(line.startswith("rat       rat-tools 3.2") for line in lines)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.zeros((2, 3)), "float64[2, 3]"),
        (torch.zeros(1, dtype=torch.bfloat16), "bfloat16[1]"),
        (float("nan"), "'nan'"),
        ("x" * 90, repr("x" * 77 + "...")),
        ([np.zeros(2)] * 3, "3 x float64[2]"),
        ((), "empty tuple"),
        (Sample, "Sample"),
        (object(), "object"),
        ({"a": 1}, "dict(a=1)"),
        (b"raw", "bytes"),
        (
            Cameras(np.zeros((6, 4, 4)), np.zeros((6, 4)), height=8, width=9),
            "Cameras(c2w=float64[6, 4, 4], fxfycxcy=float64[6, 4], height=8, width=9)",
        ),
    ],
)
def test_values_in_words(value, text):
    described = describe_value(value)
    assert to_text(described) == text
    json.dumps(described, allow_nan=False)
