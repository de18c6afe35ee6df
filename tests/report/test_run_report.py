"""The page about a run: what it says, what it refuses, and that nothing breaks out of it."""

import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from made_runs import (
    HASH,
    PASSPORT,
    Measurer,
    evaluation,
    finding,
    make_run,
    scores_of,
    step,
    write_json,
    write_lines,
)

from mfl_adapt.errors import AdapterError, ConfigError, DataError, StorageError
from mfl_adapt.evaluate.intervals import FEW_SCENES
from mfl_adapt.report.run import record, summary, write_report


class Reader(HTMLParser):
    """Collects elements and texts as a browser would see them."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self._silent = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._silent = tag in {"script", "style"}

    def handle_endtag(self, tag):
        self._silent = False

    def handle_data(self, data):
        if not self._silent:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "mouse")


@pytest.fixture
def with_adapter(run, monkeypatch):
    """The same with an adapter, whose header was checked by somebody else."""
    (run / "adapter").mkdir()
    monkeypatch.setattr(record, "read_intact", lambda _: SimpleNamespace(passport=PASSPORT))
    return run


def read(run, **settings):
    found = write_report(run, **settings)
    return Reader(found.path.read_text("utf-8"))


def test_the_page_says_what_the_run_folder_holds(with_adapter):
    found = write_report(with_adapter, measurer=Measurer())
    assert (found.path, found.missing) == (with_adapter / "report.html", ())
    assert found.size == found.path.stat().st_size < 1_000_000
    page = Reader(found.path.read_text("utf-8"))
    for words in (
        "Better than the frozen base",
        "+1.00 dB [+0.40, +1.60] foreground PSNR over the frozen base",
        "on 32 held-out views of 8 held-out scenes",
        "\N{MINUS SIGN}2.50 dB [\N{MINUS SIGN}3.00, \N{MINUS SIGN}2.00]",
        "lora_gslrm.lora, 1,200 weights in 2 layers",
        "40 of 40",
        "MFL007", "mouse-3/cam_001 and 3 more", "at most 2 px", "Look at the camera.",
        "blur at step 20", "The renders are blurred.",
        "Effect on 2 layers, 1 of them unchanged",
        "Apache-2.0 of facelift.tiny",
        "train.steps 40 --set train.steps=40",
        "torch 2.13.0",
        "MIT", HASH,
    ):  # fmt: skip
        assert words in page.text
    # Two contact sheets, evidence of a guard, and of the scene: views, inputs and certificate.
    assert [tag for tag, _ in page.elements].count("img") == 6
    assert [tag for tag, _ in page.elements].count("svg") >= 7


def test_the_page_loads_nothing(with_adapter):
    write_report(with_adapter, measurer=Measurer())
    text = (with_adapter / "report.html").read_text("utf-8")
    assert not re.search(r"https?:|<link|@import|\bfetch\(|\bimport\(|url\(", text)
    assert not re.search(r"__[A-Z]+__", text)
    page = Reader(text)
    sources = [attrs["src"] for _, attrs in page.elements if "src" in attrs]
    assert all(one.startswith("data:image/jpeg;base64,") for one in sources)
    links = [attrs["href"] for tag, attrs in page.elements if tag == "a"]
    names = {attrs.get("id") for _, attrs in page.elements}
    assert links
    assert {one.removeprefix("#") for one in links} <= names
    policy = next(a["content"] for _, a in page.elements if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")


def test_the_same_run_gives_the_same_bytes(with_adapter):
    measurer = Measurer()
    first = write_report(with_adapter, measurer=measurer).path.read_bytes()
    again = write_report(with_adapter, measurer=measurer)
    assert again.path.read_bytes() == first
    assert measurer.asked == 1


def test_what_was_measured_is_kept_for_these_weights_alone(with_adapter, monkeypatch):
    measurer = Measurer()
    write_report(with_adapter, measurer=measurer)
    assert "Change by strength" in read(with_adapter).text  # without measuring
    write_report(with_adapter, measurer=measurer, asked={"scenes": 9})
    assert measurer.asked == 2
    write_report(with_adapter, measurer=measurer, asked={"scenes": 9})
    assert measurer.asked == 2
    (with_adapter / "report" / "measured.json").write_text("{")
    write_report(with_adapter, measurer=measurer)
    assert measurer.asked == 3
    trained_on = SimpleNamespace(passport=PASSPORT | {"adapter_hash": "00" * 32})
    monkeypatch.setattr(record, "read_intact", lambda _: trained_on)
    write_report(with_adapter, measurer=measurer)
    assert measurer.asked == 4


def test_a_model_of_views_has_pictures_and_no_script(with_adapter):
    page = read(with_adapter, measurer=Measurer(makes="views"))
    tags = [tag for tag, _ in page.elements]
    assert "script" not in tags
    assert "The scene in 3-D" not in page.text
    assert "Scene mice-train-0-000000" in page.text


def test_a_run_that_was_stopped_says_what_is_missing(run):
    for name in ("evaluation.json", "doctor.json", "guards.jsonl", "environment.json"):
        (run / name).unlink()
    write_lines(run / "metrics.jsonl", [step(1), step(7)])
    (run / "checkpoints" / "step-40").rmdir()
    with (run / "metrics.jsonl").open("a") as log:
        log.write('{"number": 8, "lo')
    found = write_report(run, measurer=Measurer())
    assert found.verdict == "Not evaluated"
    said = " ".join(found.missing)
    for word in ("Scores", "doctor.json", "environment.json", "left none", "3-D"):
        assert word in said
    text = Reader(found.path.read_text("utf-8")).text
    assert "7 of 40, stopped early" in text
    assert "--resume" in text
    assert not (run / "report").exists()


def test_a_folder_with_its_settings_alone(tmp_path):
    made = make_run(tmp_path / "whole")
    bare = tmp_path / "bare"
    bare.mkdir()
    (made / "config.yaml").rename(bare / "config.yaml")
    found = write_report(bare, tmp_path / "elsewhere.html")
    assert found.path == tmp_path / "elsewhere.html"
    assert len(found.missing) == 7
    assert [one.name for one in bare.iterdir()] == ["config.yaml"]


def test_a_failed_measurement_is_no_reason_to_have_no_report(with_adapter, caplog):
    class Broken(Measurer):
        def measure_strengths(self):
            raise DataError("data.path: expected a folder, got none")

    found = write_report(with_adapter, measurer=Broken())
    assert found.missing[-1].endswith("Not measured: data.path: expected a folder, got none")
    assert "data.path: expected a folder" in caplog.text
    with pytest.raises(DataError, match=r"data\.path"):
        write_report(with_adapter, measurer=Broken(), asked={"scenes": 2})


def test_an_adapter_that_cannot_be_read_is_named(run, monkeypatch):
    def refuse(folder):
        raise AdapterError(f"{folder.name}: expected a passport, got <none>.")

    (run / "adapter").mkdir()
    monkeypatch.setattr(record, "read_intact", refuse)
    with pytest.raises(AdapterError, match=r"got <none>\. To have a report without the adapter"):
        write_report(run, measurer=Measurer())


@pytest.mark.parametrize(
    ("gain", "scenes", "title"),
    [
        ((1.0, 0.1, 1.9), 6, "Better than the frozen base"),
        ((-1.0, -1.9, -0.1), 6, "Worse than the frozen base"),
        ((1.0, -0.1, 1.9), 6, "Within noise of the frozen base"),
        ((1.0, 0.1, 1.9), 5, "Too few scenes to decide"),
    ],
)
def test_the_interval_decides(run, gain, scenes, title):
    write_json(run / "evaluation.json", evaluation(gain, scenes))
    assert write_report(run).verdict == title


def test_too_few_is_what_it_is_for_evaluate():
    assert summary.FEW_SCENES == FEW_SCENES


def test_a_collapse_and_known_scenes_are_said(run):
    found = evaluation() | {"gain_over_constant_db": -2.0, "scenes_held_out": False}
    write_json(run / "evaluation.json", found)
    text = read(run).text
    assert "The best picture without a model scores 2.00 dB higher" in text
    assert "Training saw these scenes" in text


def test_a_guard_that_stopped_the_run(run):
    (run / "evaluation.json").unlink()
    law = finding("MFL103", "law", name="non-finite loss", summary="A loss term broke.", step=9)
    write_lines(run / "guards.jsonl", [law])
    found = write_report(run)
    assert found.verdict == "Stopped by a guard"
    assert "MFL103: A loss term broke." in Reader(found.path.read_text("utf-8")).text


def test_origins_without_a_file_of_them(run):
    (run / "origins.json").unlink()
    assert "train.steps 40 chosen" in read(run).text


def test_where_the_machine_keeps_its_files_is_left_out(tmp_path):
    run = make_run(tmp_path / "mouse", "data.path=/home/ann/secret/mice")
    write_json(
        run / "origins.json", {"data.path": {"kind": "file", "place": "/home/ann/rat.yaml:3"}}
    )
    text = (write_report(run).path).read_text("utf-8")
    assert "ann" not in re.sub(r"base64,[^\"]*", "", text).split()
    assert "/home/" not in text
    assert "&lt;mice&gt;" in text


def test_a_certificate_of_the_dataset(tmp_path):
    columns = {"hull_iou": {"median": 0.97, "worst": 0.91, "where": "mouse-4/cam_002"}}
    found = {"samples": 12, "verdicts": {"clean": 11, "law": 1}, "failures": {"twins": 1}}
    write_json(tmp_path / "mice" / "certificate.json", found | {"columns": columns})
    run = make_run(tmp_path / "mouse", f"data.path={tmp_path / 'mice'}")
    text = read(run).text
    for words in ("12 samples certified: 11 clean, 1 law", "twins (1)", "0.91 mouse-4/cam_002"):
        assert words in text


EVIL = "\"'></script></style><script>window.owned=1</script><img src=x onerror=window.owned=1>"


def poison(value):
    """Put markup into every text and every name."""
    if isinstance(value, dict):
        return {f"{key}{EVIL}" if key[:1].isupper() else key: poison(v) for key, v in value.items()}
    if isinstance(value, list):
        return [poison(one) for one in value]
    return f"{value}{EVIL}\u202e\x1b[31m" if isinstance(value, str) else value


def poison_run(run):
    """A folder of somebody who means harm."""
    for path in (*run.glob("*.json"), *run.glob("*.jsonl")):
        rows = [json.dumps(poison(json.loads(line))) for line in path.read_text().splitlines()]
        path.write_text("\n".join(rows) + "\n")
    found = poison(evaluation())
    found["scores"][EVIL] = found["per_scene"]["adapted"][EVIL] = scores_of(1.0, 2.0, 3.0)
    found["leave_one_out"] = {"by": EVIL, "groups": [{"name": EVIL}]}
    found["retention"]["not_measured"] = EVIL
    write_json(run / "evaluation.json", found)
    write_lines(run / "metrics.jsonl", [step(n, parts={EVIL: 0.1, "b": 2}) for n in (1, 2)])
    write_json(run / "doctor.json", {"looked_at": {EVIL: 1}, "summary": [poison(finding())]})
    write_json(run / "environment.json", {EVIL: EVIL, "python": EVIL, "packages": {EVIL: EVIL}})
    config = (run / "config.yaml").read_text()
    named = json.dumps(f"quick{EVIL}")
    (run / "config.yaml").write_text(config.replace("name: quickstart", f"name: {named}"))
    write_json(run / "origins.json", {"train.steps": {"kind": EVIL, "place": EVIL}})
    return run


def evil_passport():
    found = poison(PASSPORT)
    found["adapter_hash"] = HASH
    found["effect"]["layers"][EVIL] = 0.5
    found["plugins"][EVIL] = {"distribution": EVIL}
    found["forced"] = [EVIL]
    return found


def test_nothing_breaks_out_of_the_page(with_adapter, monkeypatch):
    honest = read(with_adapter, measurer=Measurer())
    allowed = {(tag, *sorted(attrs)) for tag, attrs in honest.elements}
    poison_run(with_adapter)
    monkeypatch.setattr(record, "read_intact", lambda _: SimpleNamespace(passport=evil_passport()))
    curve = poison(Measurer().curve) | {"note": EVIL}
    curve["home"]["domain"] = EVIL
    page = read(with_adapter, measurer=Measurer(curve=curve), asked={"scenes": 1})
    assert [attrs for tag, attrs in page.elements if tag == "script" and "class" not in attrs] == [
        {}
    ]
    for tag, attrs in page.elements:
        assert not any(name.startswith("on") for name in attrs)
        # Tables of other shapes may appear, yet no element with attributes unknown to us.
        assert set(attrs) <= {name for one in allowed for name in one[1:]}, (tag, attrs)
    assert "window.owned=1" in page.text
    assert "\u202e" not in page.text
    assert "\x1b" not in page.text


def test_what_was_kept_may_be_a_strangers_too(with_adapter):
    measurer = Measurer()
    write_report(with_adapter, measurer=measurer)
    file = with_adapter / "report" / "measured.json"
    kept = json.loads(file.read_text())
    kept["scene"]["settings"]["background"] = EVIL
    file.write_text(json.dumps(kept))
    write_report(with_adapter, measurer=measurer)
    assert measurer.asked == 2
    kept["scene"]["settings"]["background"] = 1.0
    kept["scene"]["name"] = EVIL
    file.write_text(json.dumps(kept))
    page = read(with_adapter, measurer=measurer)
    assert measurer.asked == 2
    assert EVIL.replace("\x1b", "") in page.text


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("evaluation.json", "{", r"evaluation\.json:1: expected JSON, got"),
        ("evaluation.json", "[1]", r"evaluation\.json: expected names and values, got list"),
        ("doctor.json", "3", r"doctor\.json: expected names and values, got int"),
        ("metrics.jsonl", "x\n{}\n", r"metrics\.jsonl:1: expected one JSON object, got b'x'"),
        ("guards.jsonl", "[]\n{}\n", r"guards\.jsonl:1: expected one JSON object"),
        ("guards.jsonl", "{}\n", r"guards\.jsonl:1: expected code to be a text, got nothing"),
        ("metrics.jsonl", '{"number":1,"lo', r"metrics\.jsonl:1: expected one JSON object"),
        (
            "metrics.jsonl",
            '{"number":"x","loss":null}',
            r":1: expected number to be a whole number",
        ),
        (
            "metrics.jsonl",
            '{"number":1,"loss":null}',
            r":1: expected loss to be a number, got None",
        ),
        (
            "metrics.jsonl",
            '{"number":1,"loss":2,"parts":{"a":"b"}}',
            r"expected parts\.a to be a number, got 'b'",
        ),
        ("doctor.json", "{}", r"doctor\.json: expected looked_at to be a mapping, got nothing"),
        ("doctor.json", '{"looked_at":{}}', r"expected summary to be a list, got nothing"),
        ("evaluation.json", "{}", r"evaluation\.json: expected scenes to be a whole number"),
        ("environment.json", "{}", r"environment\.json: expected python to be a text, got nothing"),
        (
            "origins.json",
            '{"train.steps":3}',
            r"origins\.json: train\.steps: expected origin to be",
        ),
        ("config.yaml", "name: mouse", r"config\.yaml: expected base to be a mapping, got nothing"),
    ],
)
def test_a_broken_file_is_named(run, name, text, message):
    (run / name).write_text(text)
    with pytest.raises(DataError, match=message):
        write_report(run)
    assert not (run / "report.html").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found["scores"].pop("adapted"), "expected scores.adapted to be a mapping"),
        (
            lambda found: found["scores"]["white"].update(psnr_db=float("nan")),
            "expected scores.white.psnr_db to be a finite number or null, got nan",
        ),
        (lambda found: found.update(scores=[]), r"expected scores to be a mapping, got \[\]"),
        (lambda found: found.update(scenes=True), "expected scenes to be a whole number"),
        (
            lambda found: found["intervals"]["gain"].update(foreground_psnr_db=[None, 1]),
            "expected intervals.gain.foreground_psnr_db to be two finite numbers",
        ),
        (lambda found: found.pop("gain_over_base_foreground_db"), "gain_over_base_foreground_db"),
        (lambda found: found["retention"].update(adapted=3), "retention.adapted"),
        (
            lambda found: found["per_scene"]["adapted"].update(a=3),
            "expected per_scene.adapted.a to be a mapping, got 3",
        ),
    ],
)
def test_scores_that_are_none_are_named(run, change, message):
    found = evaluation()
    change(found)
    (run / "evaluation.json").write_text(json.dumps(found))
    with pytest.raises(DataError, match=message) as caught:
        write_report(run)
    assert str(caught.value).startswith(str(run / "evaluation.json"))


def test_a_certificate_that_is_none_is_named(tmp_path):
    write_json(tmp_path / "mice" / "certificate.json", {})
    run = make_run(tmp_path / "mouse", f"data.path={tmp_path / 'mice'}")
    with pytest.raises(
        DataError, match=r"certificate\.json: expected samples to be a whole number"
    ):
        write_report(run)


def test_a_broken_configuration(run):
    (run / "config.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        write_report(run)


def test_what_was_not_measured_is_a_dash_and_no_fault(run):
    found = evaluation()
    found["scores"]["adapted"] = scores_of(20.0, None, None)
    found["gain_over_base_foreground_db"] = None
    found["intervals"] = {}
    write_json(run / "evaluation.json", found)
    rows = [step(1, float("nan")), step(2, 1e308), step(3, foreground_psnr_db=None)]
    write_lines(run / "metrics.jsonl", [*rows, step(4, -1e308)])
    write_lines(run / "guards.jsonl", [finding(step=1, picture="../../etc/passwd", name=None)])
    assert write_report(run).verdict == "No gain was measured"


def test_few_scenes_of_the_own_domain_decide_nothing(run):
    found = evaluation()
    found["retention"]["scenes"] = 2
    found["views"] = found["scenes"] = 1
    write_json(run / "evaluation.json", found)
    text = read(run).text
    assert "on 1 held-out view of 1 held-out scene." in text
    minus = "\N{MINUS SIGN}"
    words = (
        f"(procedural heads, 2 scenes): {minus}2.50\N{NO-BREAK SPACE}dB with the adapter: too few"
    )
    assert " ".join(words.split()) in text
    assert f"[{minus}3.00, {minus}2.00]" not in text
    assert "The base's own domain: procedural heads, 2 scenes, too few to decide" in text


def test_checks_that_ran_are_no_problems_that_were_found(run):
    assert "1 of 2 checks ran, the others had nothing to look at. 1 finding:" in read(run).text
    doctor = {"looked_at": {"a.b": 3, "a.c": 1}, "summary": []}
    write_json(run / "doctor.json", doctor)
    assert "All 2 checks ran. They found nothing wrong." in read(run).text


def test_curves_of_few_scenes_have_no_intervals(with_adapter):
    curve = Measurer().curve
    text = read(with_adapter, measurer=Measurer(curve=curve)).text
    assert "Foreground PSNR of 3 scenes of the run and 2 of the base's own domain. Fewer" in text
    assert "[+1.00, +2.00]" not in text
    curve["held_out"]["scenes"] = curve["home"]["scenes"] = 6
    text = read(with_adapter, measurer=Measurer(curve=curve), asked={"scenes": 6}).text
    assert "[+1.00, +2.00]" in text
    assert "Fewer than 6" not in text


def test_pictures_that_are_none_are_said(run):
    (run / "samples" / "step-000040.png").write_bytes(b"<svg onload=alert(1)>")
    huge = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (60000).to_bytes(4, "big") * 2
    (run / "samples" / "step-000000.png").write_bytes(huge)
    text = read(run).text
    assert text.count("Not shown: step-0000") == 2
    assert "<svg" not in text


@pytest.mark.parametrize("name", ["page.txt", "page", "samples"])
def test_a_page_has_a_name_of_its_own(run, name):
    with pytest.raises(DataError, match=r"expected a file to write that ends in \.html"):
        write_report(run, run / name)


def test_what_is_no_run(tmp_path):
    with pytest.raises(DataError, match=r"expected the folder of a run, got no such folder"):
        write_report(tmp_path / "gone")
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(DataError, match=r"got something that is no folder"):
        write_report(tmp_path / "empty.yaml")
    with pytest.raises(DataError, match=r"got one without config\.yaml"):
        write_report(tmp_path)


def test_a_page_that_cannot_be_written_leaves_nothing(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError):
        write_report(run, tmp_path / "file" / "page.html")
