"""What guards say about numbers that are given to them, and what they remember."""

import json
import math

import pytest

from mfl_adapt.config.models import Guards, Train
from mfl_adapt.errors import ConfigError
from mfl_adapt.plugin import CheckSpec
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.train.guards.stop import GuardError
from mfl_adapt.train.guards.table import GUARDS, by_code
from mfl_adapt.train.guards.watch import Look, Watch, check_codes

SOUND = {"mask_share": 0.07, "beyond": 0.02, "cover": 0.9, "background": 0.9, "variance": 0.8,
         "edges": 0.4}  # fmt: skip
BROKEN = {
    "MFL110": {"mask_share": 0.95},
    "MFL111": {"beyond": 0.8, "cover": 0.0, "background": 0.0, "variance": 0.0, "edges": 0.0},
    "MFL112": {"cover": 0.01, "background": 0.0, "variance": 0.0, "edges": 0.0},
    "MFL113": {"background": 0.01, "variance": 0.0, "edges": 0.0},
    "MFL114": {"variance": 0.01, "edges": 0.05},
    "MFL115": {"edges": 0.05},
}


def make_watch(*terms: str, steps: int = 100, warmup: int = 1, **guards) -> Watch:
    settings = Train(steps=steps, warmup=warmup, guards=Guards(**guards))
    return Watch(settings, terms)


def codes(watch: Watch) -> list[str]:
    return [finding.code for finding in watch.new_findings()]


def test_codes_are_unique_and_no_check_has_them():
    mine = [guard.code for guard in GUARDS]
    host = load_plugins([], all_available=True)
    checks = [found.spec.code for found in host.components(CheckSpec)]
    assert mine == sorted(set(mine))
    assert not set(mine) & set(checks)
    for guard in GUARDS:
        assert by_code(guard.code) is guard
        assert guard.summary.endswith(".")
        assert guard.remedy.endswith(".")


@pytest.mark.parametrize("norm", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_stops_where_no_factor_can_be_lowered(norm):
    make_watch().take_gradient(norm, 4, factor=2.0)
    for factor in (None, 1.0):
        with pytest.raises(GuardError, match=r"MFL104: expected a finite gradient at step 4, got"):
            make_watch().take_gradient(norm, 4, factor=factor)


def test_no_gradient_and_no_rate_stop():
    with pytest.raises(GuardError, match=r"MFL105: .* at step 4, got 0 everywhere\. No loss dep"):
        make_watch().take_gradient(0.0, 4, factor=2.0)
    with pytest.raises(GuardError, match=r"MFL106: .* got 0 for 1 of 2 groups of weights"):
        make_watch().take_rates([1e-3, 0.0], 4)


def feed(watch: Watch, norms: list[float]) -> list[str]:
    for number, norm in enumerate(norms, start=1):
        watch.take_gradient(norm, number)
    return codes(watch)


@pytest.mark.parametrize(
    ("norms", "found"),
    [
        ([1.0] * 20 + [31.0], ["MFL107"]),
        ([1.0] * 20 + [29.0], []),
        ([1.0] * 20 + [11.0, 1.0, 11.0, 1.0], []),
        ([1.0] * 20 + [11.0, 1.0, 11.0, 1.0, 11.0], ["MFL107"]),
        # Nothing is usual yet.
        ([1.0] * 19 + [100.0], []),
        # A slow rise is no spike.
        ([1.03**k for k in range(200)], []),
        ([1.0] * 20 + [31.0, 1.0, 40.0], ["MFL107"]),
    ],
)
def test_spikes(norms, found):
    assert feed(make_watch(), norms) == found


def test_a_spike_says_how_large_it_was():
    watch = make_watch()
    for number in range(1, 21):
        watch.take_gradient(0.5, number)
    watch.take_gradient(20.0, 21)
    (finding,) = watch.new_findings()
    assert finding.value == "a norm of 20, 40 times the median of 0.5"
    assert finding.severity == "warning"


@pytest.mark.parametrize(("every", "found"), [(6, []), (4, ["MFL108"])])
def test_the_share_of_applied_steps(every, found):
    watch = make_watch()
    for number in range(1, 101):
        watch.take_gradient(math.inf if number % every == 0 else 1.0, number, factor=64.0)
    assert codes(watch) == found


@pytest.mark.parametrize("code", BROKEN)
def test_the_cause_is_named_and_nothing_else_and_only_after_five_looks(code):
    watch = make_watch()
    for number in range(26, 30):
        watch.take_step(number, SOUND | BROKEN[code], {})
    assert codes(watch) == []
    watch.take_step(30, SOUND | BROKEN[code], {})
    watch.take_step(31, SOUND | BROKEN[code], {})
    assert codes(watch) == [code]


def test_one_sound_look_begins_the_count_anew_and_the_start_does_not_count():
    watch = make_watch(warmup=50)
    broken = SOUND | BROKEN["MFL113"]
    for number in range(1, 51):
        watch.take_step(number, broken, {})
    for number in range(51, 60):
        watch.take_step(number, SOUND if number % 5 == 0 else broken, {})
    assert codes(watch) == []


def test_blur_is_only_blur_after_a_quarter_of_the_run():
    watch = make_watch(steps=40)
    for number in range(2, 11):
        watch.take_step(number, SOUND | BROKEN["MFL115"], {})
    assert codes(watch) == []
    for number in range(11, 16):
        watch.take_step(number, SOUND | BROKEN["MFL115"], {})
    assert codes(watch) == ["MFL115"]


def test_pictures_that_are_only_drawn_need_two():
    watch = make_watch()
    watch.take_drawn(30, BROKEN["MFL113"])
    assert codes(watch) == []
    watch.take_drawn(60, BROKEN["MFL113"])
    assert codes(watch) == ["MFL113"]


def test_a_term_without_a_gradient():
    watch = make_watch("a.x", "b.y", "c.z", steps=40)
    for number in range(1, 20):
        # One shows its gradient late, another is not computed at all.
        watch.take_step(number, {}, {"a.x": False, "b.y": number > 3} if number < 8 else {})
    assert codes(watch) == []
    assert watch.look(20).terms == ("a.x", "c.z")
    watch.take_step(20, {}, {"a.x": False})
    (finding,) = watch.new_findings()
    assert (finding.code, finding.where) == ("MFL109", "losses.a.x")


def test_looks_are_taken_at_the_first_step_and_now_and_then():
    watch = make_watch("a.x", every=10)
    looks = [number for number in range(1, 31) if watch.look(number).pictures]
    assert looks == [1, 10, 20, 30]
    assert watch.look(2) == Look()


def test_the_user_turns_guards_off_and_up():
    off = make_watch(off=("MFL113",))
    stopping = make_watch(stop=("MFL113",))
    for number in range(2, 6):
        stopping.take_step(number, SOUND | BROKEN["MFL113"], {})
    for number in range(2, 9):
        off.take_step(number, SOUND | BROKEN["MFL113"], {})
    # What nobody is told explains nothing.
    assert codes(off) == ["MFL114"]
    with pytest.raises(GuardError, match=r"train: MFL113: .* at step 6, got 1\.0% of") as caught:
        stopping.take_step(6, SOUND | BROKEN["MFL113"], {})
    assert caught.value.finding.severity == "law"
    for key in ("off", "stop"):
        with pytest.raises(ConfigError, match=rf"train\.guards\.{key}: .* got MFL103\. Known: MFL"):
            check_codes(Guards(**{key: ("MFL103",)}))


def test_a_mask_of_an_odd_size_hides_no_collapse():
    for off, found in (((), ["MFL110", "MFL113"]), (("MFL110",), ["MFL113"])):
        watch = make_watch(off=off)
        for number in range(2, 9):
            watch.take_step(number, SOUND | BROKEN["MFL113"] | {"mask_share": 0.45}, {})
        assert codes(watch) == found


def test_what_is_remembered_comes_back():
    first, second = (make_watch("a.x", "b.y") for _ in range(2))
    for number in range(1, 30):
        first.take_gradient(1.0 if number % 9 else 12.0, number)
        first.take_step(number, SOUND | BROKEN["MFL112"], {"a.x": True, "b.y": False})
    first.new_findings()
    second.restore(json.loads(json.dumps(first.state())))
    assert second.state() == first.state()
    for watch in (first, second):
        watch.take_gradient(12.0, 30)
        watch.take_step(30, SOUND | BROKEN["MFL112"], {})
    assert codes(first) == codes(second)
