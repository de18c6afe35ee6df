"""What the passport of a run holds as evidence."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from mfl_adapt.adapter.card import licences_of
from mfl_adapt.config import load_config
from mfl_adapt.hub.inherited import find_terms
from mfl_adapt.hub.secrets import scan_json
from mfl_adapt.plugin import BaseSpec
from mfl_adapt.plugin.registry import load_plugins
from mfl_adapt.train.evidence import licence


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two validation scenes, two scenes of the base's own domain; the dataset lies elsewhere."""
    from small_runs import run_small

    root = tmp_path_factory.mktemp("evidence")
    return run_small(
        root / "runs",
        "data.split.validation=0.4",
        "evaluate.retention=2",
        "train.steps=2",
        f"data.reader.cache={root / 'drawn'}",
    )


def read(run, *parts):
    return json.loads(run.session.folder.path.joinpath(*parts).read_text())


def test_every_mean_has_its_interval(run):
    metrics = read(run, "adapter", "passport.json")["metrics"]
    rows = ["white", "mean colour", "frozen base", "adapted"]
    assert set(metrics["intervals"]) == {*rows, "gain"}
    for name in rows:
        for measure, (low, high) in metrics["intervals"][name].items():
            # Of two scenes, the interval reaches from one to the other.
            assert low < metrics["scores"][name][measure] < high
    low, high = metrics["intervals"]["gain"]["foreground_psnr_db"]
    assert low <= metrics["gain_over_base_foreground_db"] <= high
    assert "per_scene" not in metrics
    assert set(metrics["input_view_scores"]) == set(rows)


def test_the_cost_on_heads_is_recorded(run):
    retention = read(run, "adapter", "passport.json")["retention"]
    assert (retention["domain"], retention["scenes"]) == ("procedural heads", 2)
    change = (
        retention["adapted"]["foreground_psnr_db"] - retention["frozen base"]["foreground_psnr_db"]
    )
    assert retention["change_foreground_db"] == pytest.approx(change, abs=1e-9)
    assert retention["frozen base"]["foreground_psnr_db"] > 18  # it knows heads


def test_the_evaluation_file_holds_the_same_and_every_scene(run):
    written, passport = read(run, "evaluation.json"), read(run, "adapter", "passport.json")
    assert written["retention"] == passport["retention"]
    assert written["intervals"] == passport["metrics"]["intervals"]
    assert written["fingerprint"] == passport["data"]["fingerprint"]
    scenes = written["per_scene"]["adapted"]
    assert set(scenes) == set(written["digests"])
    assert len(scenes) == written["scenes"] == 2
    means = [one["foreground_psnr_db"] for one in scenes.values()]
    assert written["scores"]["adapted"]["foreground_psnr_db"] == pytest.approx(sum(means) / 2)


def test_the_card_shows_it(run):
    card = (run.session.folder.path / "adapter" / "README.md").read_text()
    passport = read(run, "adapter", "passport.json")
    low, high = passport["metrics"]["intervals"]["adapted"]["psnr_db"]
    assert f"[{low:.2f}, {high:.2f}]" in card
    assert "On procedural heads (2 scenes):" in card
    change = passport["retention"]["change_foreground_db"]
    assert passport["retention"]["change_interval_db"] is None  # from two scenes
    assert f"by the adapter there: {change:+.2f} dB." in card
    assert "Inherited from `facelift.tiny`: Apache-2.0" in card


def test_the_place_of_files_stays_private(run):
    passport = read(run, "adapter", "passport.json")
    assert passport["config"]["data"]["reader"]["cache"] == "<drawn>"
    assert passport["config"]["output"] == "<runs>"
    assert passport["shortened"] == ["data.reader.cache", "output"]
    assert scan_json(passport, "passport.json") == []


def of_base(name):
    config = load_config("quickstart", overrides=[f"base={name}"]).config
    return SimpleNamespace(
        config=config, opened=SimpleNamespace(host=load_plugins(config.plugins), config=config)
    )


def test_a_licence_that_limits_use_is_the_adapters_own():
    found = licence(of_base("facelift.gslrm"))
    assert found["name"] == found["inherited"][0]["name"] == "Adobe Research License v1.2"
    assert found["inherited"][0]["of"] == "facelift.gslrm"
    passport = {"base": {"id": "facelift.gslrm"}, "licence": found}
    terms = find_terms(passport, None, "adapter")  # what publish asks for
    assert terms.names() == ["Adobe Research License v1.2"]


def test_a_free_licence_leaves_the_choice_to_the_author():
    found = licence(of_base("facelift.tiny"))
    assert found["name"] == ""
    own, inherited = licences_of({"licence": found})
    assert own is None
    assert [one.name for one in inherited] == ["Apache-2.0"]


def test_a_base_without_a_licence_has_nothing_to_inherit(monkeypatch):
    session = of_base("facelift.tiny")
    found = session.opened.host.component(BaseSpec, "facelift.tiny")
    bare = SimpleNamespace(spec=replace(found.spec, licence=None))
    monkeypatch.setattr(session.opened.host, "component", lambda *_, **__: bare)
    assert licence(session) == {"name": "", "terms": "", "inherited": []}
