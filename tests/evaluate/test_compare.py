"""Runs against one another, from files written by hand."""

import json

import pytest

from mfl_adapt.config import dump_config, load_config
from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.evaluate.compare import compare_runs, judge
from mfl_adapt.evaluate.settings import Change, find_changes, read_settings
from mfl_adapt.evaluate.stored_scores import read_scores

SCENES = [f"s{k}" for k in range(8)]


def one(value):
    return {"psnr_db": value, "foreground_psnr_db": value + 1, "masked_ssim": 0.5, "iou": None}


def write_run(folder, values, *, digests=None, frozen=10.0, overrides=(), **changes):
    """Write what a run leaves of its evaluation; ``values`` are PSNRs by scene."""
    folder.mkdir(parents=True)
    names = SCENES[: len(values)]
    found = {
        "fingerprint": "f" * 64,
        "scenes_held_out": True,
        "digests": digests or {name: f"digest of {name}" for name in names},
        "retention": {"domain": "heads", "change_foreground_db": -1.25},
        "per_scene": {
            "frozen base": {name: one(frozen) for name in names},
            "adapted": {name: one(value) for name, value in zip(names, values, strict=True)},
        },
    } | changes
    (folder / "evaluation.json").write_text(json.dumps(found))
    config = load_config("quickstart", overrides=[*overrides, f"name={folder.name}"]).config
    (folder / "config.yaml").write_text(dump_config(config))
    return folder


def compare(*folders):
    return compare_runs([read_scores(folder) for folder in folders])


def test_a_paired_difference_by_hand(tmp_path):
    # The scenes differ by 10 dB from one another, the runs by exactly 0.5 dB on each.
    values = [10.0, 20.0, 15.0, 12.0, 18.0, 11.0, 19.0, 14.0]
    a = write_run(tmp_path / "a", values)
    b = write_run(tmp_path / "b", [value + 0.5 for value in values])
    found = compare(a, b)
    assert found.scenes == tuple(SCENES)
    assert found.rows[str(a)].psnr_db == pytest.approx(119 / 8)
    assert found.gains_db[str(b)] == pytest.approx(119 / 8 + 0.5 - 10)
    assert found.retention_db == {str(a): -1.25, str(b): -1.25}
    (difference,) = found.differences
    assert difference.means["foreground_psnr_db"] == pytest.approx(0.5)
    assert difference.intervals["foreground_psnr_db"] == pytest.approx((0.5, 0.5))
    assert difference.verdict == "better"
    assert compare(b, a).differences[0].verdict == "worse"
    assert difference.causes.changes == ()
    text = found.table()
    assert f"{b} against {a}: better" in text
    assert "no setting differs" in text
    written = json.loads(json.dumps(found.to_json()))
    assert written["differences"][0]["mean"]["iou"] is None
    assert "iou" not in written["differences"][0]["intervals"]


def test_what_goes_both_ways_is_noise(tmp_path):
    a = write_run(tmp_path / "a", [10.0] * 8)
    b = write_run(tmp_path / "b", [11.0, 9.0] * 4)
    found = compare(a, b)
    (difference,) = found.differences
    assert difference.means["psnr_db"] == pytest.approx(0.0)
    assert difference.verdict == "within noise"
    assert f"{b} against {a}: within noise" in found.table()


def test_the_foreground_decides_and_the_full_frame_is_judged_beside_it(tmp_path):
    a, b = write_run(tmp_path / "a", [10.0] * 8), write_run(tmp_path / "b", [10.0] * 8)
    found = json.loads((b / "evaluation.json").read_text())
    for scene in SCENES:
        found["per_scene"]["adapted"][scene]["psnr_db"] = 9.0
    (b / "evaluation.json").write_text(json.dumps(found))
    compared = compare(a, b)
    assert compared.differences[0].verdict == "within noise"
    assert compared.differences[0].verdicts["psnr_db"] == "worse"
    assert compared.differences[0].verdicts["iou"] == "too few scenes"  # none has an outline
    assert "full frame -1.00 dB [-1.00, -1.00]: worse" in compared.table()


def test_few_scenes_decide_nothing(tmp_path):
    a, b = write_run(tmp_path / "a", [10.0] * 5), write_run(tmp_path / "b", [15.0] * 5)
    assert compare(a, b).differences[0].verdict == "too few scenes"
    assert judge((0.1, 0.2), 6) == "better"
    assert judge((-0.2, -0.1), 6) == "worse"
    assert judge((0.0, 0.2), 6) == "within noise"
    assert judge(None, 6) == "too few scenes"


def test_several_runs_hold_together(tmp_path):
    folders = [write_run(tmp_path / name, [10.0 + k] * 8) for k, name in enumerate("abcde")]
    found = compare(*folders)
    assert found.level == pytest.approx(1 - 0.05 / 4)
    assert [one.verdict for one in found.differences] == ["better"] * 4


def test_settings_that_differ_are_listed(tmp_path):
    a = write_run(tmp_path / "a", [10.0] * 8)
    b = write_run(tmp_path / "b", [11.0] * 8, overrides=["train.lr=0.01", "train.log_every=7"])
    c = write_run(tmp_path / "c", [11.0] * 8, overrides=["train.lr=0.01", "seed=3"])
    found = compare(a, b, c)
    first, second = found.differences
    assert first.causes.changes == (Change("train.lr", 0.003, 0.01),)
    assert [change.key for change in second.causes.changes] == ["seed", "train.lr"]
    text = found.table()
    assert "differs in train.lr 0.003 -> 0.01" in text
    assert text.count("2 settings differ, so that no one of them can be credited") == 1


def test_what_changes_no_weight_is_no_cause(tmp_path):
    a = write_run(tmp_path / "a", [10.0] * 8)
    idle = ["train.keep=5", "train.validate_every=7", "train.guards.every=3", "train.device=cpu"]
    idle += ["output=elsewhere", "train.log_every=7", "evaluate.retention=3"]
    b = write_run(tmp_path / "b", [11.0] * 8, overrides=["train.lr=0.01", *idle])
    (difference,) = compare(a, b).differences
    assert difference.causes.changes == (Change("train.lr", 0.003, 0.01),)
    assert {one.key for one in difference.causes.idle} == {
        *("train.keep", "train.validate_every", "train.guards.every", "train.device"),
        *("train.log_every", "evaluate.retention"),
    }
    text = compare(a, b).table()
    assert "credited" not in text
    assert "without changing a weight, differs in" in text
    only_idle = write_run(tmp_path / "c", [11.0] * 8, overrides=idle)
    assert "no setting differs that changes a weight" in compare(a, only_idle).table()


def test_an_exchanged_component_is_one_change():
    reference = {
        "adapter.use": "lora_gslrm.lora", "adapter.r": 4, "adapter.lora_alpha": 4, "seed": 0,
        "losses.masked_loss.masked_l2.weight": 1.0,
    }  # fmt: skip
    other = {
        "adapter.use": "lora_gslrm.oft", "adapter.block": 8, "seed": 0,
        "losses.masked_loss.masked_l2.weight": 2.0,
        "losses.masked_loss.masked_ssim.weight": 0.5, "losses.masked_loss.masked_ssim.window": 7,
    }  # fmt: skip
    assert find_changes(reference, other) == (
        Change("adapter", "lora_gslrm.lora", "lora_gslrm.oft"),
        Change("losses.masked_loss.masked_l2.weight", 1.0, 2.0),
        Change("losses.masked_loss.masked_ssim", "not set", 0.5),
    )
    assert find_changes(reference, reference) == ()


def test_a_key_that_an_older_run_lacks_has_its_default(tmp_path):
    (tmp_path / "old.yaml").write_text("train: {lr: 0.001}\n")
    assert read_settings(tmp_path / "old.yaml")["train.clip"] == 1.0
    assert "name" not in read_settings(tmp_path / "old.yaml")


def test_only_scenes_with_the_same_pictures_count(tmp_path):
    a = write_run(tmp_path / "a", [10.0] * 8)
    digests = {name: f"digest of {name}" for name in SCENES} | {"s7": "another crop"}
    b = write_run(tmp_path / "b", [11.0] * 7 + [99.0], digests=digests, fingerprint="e" * 64)
    found = compare(a, b)
    assert found.scenes == tuple(SCENES[:7])
    assert found.left_out == 1
    assert found.differences[0].means["psnr_db"] == pytest.approx(1.0)
    assert "the datasets differ; only scenes with the same pictures were compared" in found.table()
    assert "; 1 scene that not all share is left out" in found.table()


def test_a_run_that_trained_on_the_scenes_is_named(tmp_path):
    a = write_run(tmp_path / "a", [10.0] * 8)
    b = write_run(tmp_path / "b", [11.0] * 8, scenes_held_out=False)
    assert "one of the two trained on these scenes" in compare(a, b).table()


def test_a_file_of_scores_has_no_settings(tmp_path):
    a = write_run(tmp_path / "a", [10.0] * 8)
    file = tmp_path / "other.json"
    file.write_text((a / "evaluation.json").read_text())
    found = compare(a, file)
    assert found.differences[0].causes is None
    assert "settings unknown" in found.table()


def test_other_pictures_are_refused(tmp_path):
    a = write_run(tmp_path / "a", [10.0] * 3)
    b = write_run(tmp_path / "b", [10.0] * 3, digests=dict.fromkeys(SCENES[:3], "x"))
    with pytest.raises(DataError, match="got other held-out pictures of the same scenes"):
        compare(a, b)
    c = write_run(tmp_path / "c", [10.0], digests={"s0": "x"})
    text = (c / "evaluation.json").read_text().replace("s0", "elsewhere")
    (c / "evaluation.json").write_text(text)
    with pytest.raises(DataError, match="got other scenes"):
        compare(a, c)


def test_runs_that_agree_two_by_two_but_not_all(tmp_path):
    a = write_run(tmp_path / "a", [10.0] * 2)
    b = write_run(tmp_path / "b", [10.0] * 2, digests={"s0": "digest of s0", "s1": "x"})
    c = write_run(tmp_path / "c", [10.0] * 2, digests={"s0": "y", "s1": "digest of s1"})
    with pytest.raises(DataError, match="a scene that all 3 runs were scored on, got none"):
        compare(a, b, c)


def test_one_run_alone_or_twice_is_no_comparison(tmp_path):
    a = write_run(tmp_path / "a", [10.0] * 2)
    for folders in ([a], [a, a]):
        with pytest.raises(DataError, match="expected at least two different runs"):
            compare(*folders)


def spoil(folder, change):
    found = json.loads((folder / "evaluation.json").read_text())
    change(found)
    (folder / "evaluation.json").write_text(json.dumps(found))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: found.pop("digests"), "got no 'digests'"),
        (lambda found: found.pop("per_scene"), "got no 'per_scene'"),
        (lambda found: found["per_scene"].pop("adapted"), "got no 'adapted'"),
        (lambda found: found.update(per_scene=[1]), "got per_scene that is a list. Write it again"),
        (lambda found: found.update(digests=3), "got digests that is a number. Write it again"),
        (lambda found: found.update(fingerprint=3), "got fingerprint that is a number"),
        (lambda found: found.update(scenes_held_out="no"), "got scenes_held_out that is a text"),
        (lambda found: found["per_scene"].update(adapted=None), "got adapted that is null"),
        (lambda found: found["per_scene"]["adapted"].update(s0=4.5), "scene, got a number"),
        (lambda found: found["per_scene"]["adapted"].update(s0=[]), "scene, got a list"),
        (lambda found: found["per_scene"]["adapted"]["s0"].pop("iou"), "got no 'iou'"),
        (
            lambda found: found["per_scene"]["adapted"]["s0"].update(psnr_db="high"),
            "got psnr_db 'high'",
        ),
        (lambda found: found["per_scene"]["adapted"]["s0"].update(iou=True), "got iou True"),
        (
            lambda found: found["per_scene"]["adapted"]["s0"].update(psnr_db=float("inf")),
            "got psnr_db inf",
        ),
        (lambda found: found["per_scene"]["adapted"].pop("s0"), "other scenes in one table"),
        (lambda found: found["digests"].update(s9="x"), "other scenes in one table"),
    ],
)
def test_a_broken_evaluation_is_refused_by_name(tmp_path, change, message):
    a = write_run(tmp_path / "a", [10.0] * 2)
    spoil(a, change)
    with pytest.raises(DataError, match=message) as caught:
        read_scores(a)
    assert str(a / "evaluation.json") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_run(tmp_path):
    with pytest.raises(DataError, match="expected the evaluation of a finished run, got no such"):
        read_scores(tmp_path)
    a = write_run(tmp_path / "a", [10.0] * 2)
    (a / "evaluation.json").write_text("{")
    with pytest.raises(DataError, match=r"evaluation.json:1: expected JSON of scores"):
        read_scores(a)
    (a / "evaluation.json").write_text("[1]")
    with pytest.raises(DataError, match=r"the scores of every scene, got a list\. Write"):
        read_scores(a)
    (a / "evaluation.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="got bytes that are no text in UTF-8") as caught:
        read_scores(a)
    assert "codec" not in str(caught.value)
    b = write_run(tmp_path / "b", [10.0] * 2)
    (b / "config.yaml").write_text("[1]")
    with pytest.raises(ConfigError, match="expected keys and values"):
        read_scores(b)
