"""Generated datasets: their cameras, their record, and that nothing is half made or made twice."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_views import SIZE, DrawnViews, Heads, SampledViews
from mfl_adapt_facelift_reader.config import GslrmReaderConfig
from mfl_adapt_facelift_reader.reader import GslrmReader
from typer.testing import CliRunner

from mfl_adapt.adapter import attach
from mfl_adapt.cameras import lab_rig, to_w2c
from mfl_adapt.cameras.identity import SEAL
from mfl_adapt.cli.app import app
from mfl_adapt.errors import ConfigError, DataError, StorageError
from mfl_adapt.models.mvdiffusion.fresh import FreshSizes, build_fresh
from mfl_adapt.models.mvdiffusion.frozen import FrozenMVDiffusion
from mfl_adapt.predict.synthetic import Recipe, make_synthetic

FAST = Recipe(steps=2)


@pytest.fixture(scope="module")
def drawn():
    return DrawnViews()


@pytest.fixture(scope="module")
def sampled():
    return SampledViews()


@pytest.fixture(scope="module")
def heads(drawn, tmp_path_factory):
    """A dataset of exact views of four heads; to be copied, not changed."""
    out = tmp_path_factory.mktemp("drawn") / "heads"
    make_synthetic(drawn, Heads(0, 1, 2, 3), out, recipe=FAST)
    return out


@pytest.fixture
def copied(heads, tmp_path):
    return Path(shutil.copytree(heads, tmp_path / "heads"))


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def history(folder, sample="head0"):
    return json.loads((folder / sample / "provenance.json").read_text())["steps"]


def test_the_cameras_are_the_slots_that_made_the_views(heads):
    content = json.loads((heads / "head0" / "opencv_cameras.json").read_text())
    names = [frame["view_name"] for frame in content["frames"]]
    assert names == ["front", "front_right", "right", "back", "left", "front_left"]
    # Azimuth 270, 225, 180, 90, 0, 315 at distance 2.7 and elevation 0; field of view 50 degrees.
    diagonal = 2.7 * math.sqrt(0.5)
    expected = [
        (0, -2.7, 0), (-diagonal, -diagonal, 0), (-2.7, 0, 0),
        (0, 2.7, 0), (2.7, 0, 0), (diagonal, -diagonal, 0),
    ]  # fmt: skip
    focal = 1.07225 * SIZE
    for frame, center in zip(content["frames"], expected, strict=True):
        c2w = np.linalg.inv(np.array(frame["w2c"]))
        assert c2w[:3, 3] == pytest.approx(center, abs=1e-12)
        assert c2w[:3, 2] == pytest.approx(-np.array(center) / 2.7, abs=1e-12)
        assert c2w[:3, 1] == pytest.approx([0, 0, -1], abs=1e-12)
        numbers = [frame[key] for key in ("fx", "fy", "cx", "cy", "w", "h")]
        assert numbers == pytest.approx([focal, focal, 32, 32, 64, 64])


def test_the_record_says_what_made_the_views(heads, drawn):
    (step,) = history(heads)
    params = step["params"]
    assert step["step"] == "data synth"
    assert len(step["raw_cameras"]) == 6
    assert params["base"] == {"id": "drawn.views", "sha256": drawn.sha256}
    assert params["adapters"] == []
    assert (params["seed"], params["steps"], params["guidance"]) == (4, 2, 3.0)
    assert params["picture"] == {"file": "head0.png"}
    assert {len(params[key]) for key in (SEAL, "prompts_sha256")} == {64}
    assert "white" in params["alpha"]["method"]
    assert params[SEAL] == json.loads((heads / "dataset.json").read_text())[SEAL]
    assert (heads / "data_all.txt").read_text().split() == ["head0", "head1", "head2", "head3"]


def test_labels_of_the_picture_stay(heads):
    samples = list(GslrmReader(GslrmReaderConfig(path=heads)))
    assert [(one.session, one.time_s) for one in samples] == [("s", float(k)) for k in range(4)]
    assert [step.step for step in samples[0].provenance] == ["data synth", "facelift_reader.gslrm"]


def test_adapters_are_named_by_their_hash(tmp_path, drawn):
    from peft import LoraConfig

    class Method:
        def peft_config(self, module):
            return LoraConfig(r=2, target_modules=["to_q"])

    adapter = attach(drawn, Method(), seed=0)
    try:
        make_synthetic(drawn, Heads(0), tmp_path / "a", recipe=FAST, adapters=[adapter])
        adapter.strength = 0.5
        make_synthetic(drawn, Heads(0), tmp_path / "b", recipe=FAST, adapters=[adapter])
    finally:
        adapter.remove()
    (one,) = history(tmp_path / "a")[0]["params"]["adapters"]
    (half,) = history(tmp_path / "b")[0]["params"]["adapters"]
    assert one["adapter_hash"] == half["adapter_hash"]
    assert (len(one["adapter_hash"]), one["strength"], half["strength"]) == (64, 1.0, 0.5)


def test_a_pose_adapter_is_told_the_cameras_of_the_slots(tmp_path):
    from mfl_adapt_pose_mvdiffusion.config import PoseConfig
    from mfl_adapt_pose_mvdiffusion.pose import Pose

    posed = SampledViews()
    attach(posed, Pose(PoseConfig(hidden=8, targets="none")), seed=0)
    made = make_synthetic(posed, Heads(0), tmp_path / "a", recipe=FAST)
    assert (made.samples, made.made) == (1, 1)


def test_order_and_company_do_not_change_a_sample(sampled, tmp_path):
    make_synthetic(sampled, Heads(1, 2), tmp_path / "a", recipe=FAST)
    make_synthetic(sampled, Heads(2, 3, 1), tmp_path / "b", recipe=FAST)
    make_synthetic(sampled, Heads(1, 2), tmp_path / "c", recipe=Recipe(steps=2, seed=5))
    one, other, reseeded = (files(tmp_path / name) for name in "abc")
    pictures = [name for name in one if name.endswith(".png")]
    assert len(pictures) == 12
    assert all(one[name] == other[name] for name in pictures)
    assert all(one[name] != reseeded[name] for name in pictures)


def test_an_interrupted_set_goes_on_where_it_was(drawn, tmp_path, monkeypatch):
    whole = tmp_path / "whole"
    make_synthetic(drawn, Heads(0, 1, 2), whole, recipe=FAST)
    out, calls = tmp_path / "out", []
    real = drawn.generate

    def stop_at_the_third(pictures, prompts, **settings):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(1)
        return real(pictures, prompts, **settings)

    monkeypatch.setattr(drawn, "generate", stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        make_synthetic(drawn, Heads(0, 1, 2), out, recipe=FAST)
    assert not out.exists()
    monkeypatch.undo()
    drawn.calls.clear()
    result = make_synthetic(drawn, Heads(0, 1, 2), out, recipe=FAST)
    assert drawn.calls == [2]
    assert (result.samples, result.made) == (3, 1)
    assert files(out) == files(whole)
    assert "1 made now, 2 were there already" in result.lines()[0]


def test_a_finished_set_is_not_made_again(drawn, copied):
    drawn.calls.clear()
    before = files(copied)
    result = make_synthetic(drawn, Heads(0, 1, 2, 3), copied, recipe=FAST)
    assert (result.samples, result.made, drawn.calls) == (4, 0, [])
    assert files(copied) == before


@pytest.mark.parametrize(
    ("sources", "recipe"), [(Heads(0, 1), FAST), (Heads(0, 1, 2, 3), Recipe(steps=2, seed=1))]
)
def test_another_set_is_never_written_over(drawn, copied, sources, recipe):
    before = files(copied)
    with pytest.raises(StorageError, match="expected a new or empty folder, got one in use"):
        make_synthetic(drawn, sources, copied, recipe=recipe)
    assert files(copied) == before


def test_views_without_a_subject_stop_it_or_are_left_out(tmp_path):
    plain = FrozenMVDiffusion(build_fresh(), id="plain.views")
    with pytest.raises(DataError, match=r"head0, generated view front: expected a subject on a"):
        make_synthetic(plain, Heads(0), tmp_path / "a", recipe=FAST)
    with pytest.raises(DataError, match="expected at least one good picture, got none"):
        make_synthetic(plain, Heads(0), tmp_path / "a", recipe=FAST, skip_bad=1)
    assert not (tmp_path / "a").exists()


def test_left_out_pictures_are_listed(drawn, tmp_path, monkeypatch):
    real = drawn.generate

    def spoil_the_second(pictures, prompts, **settings):
        made = real(pictures, prompts, **settings)
        return made if pictures[0, 0, 0] != 1 else made._replace(images=made.images * 0 + 1)

    monkeypatch.setattr(drawn, "generate", spoil_the_second)
    result = make_synthetic(drawn, Heads(0, 1, 2), tmp_path / "a", recipe=FAST, skip_bad=1)
    summary = json.loads((tmp_path / "a" / "dataset.json").read_text())
    assert summary["samples"] == ["head0", "head2"]
    (skipped,) = summary["skipped"]
    assert skipped["number"] == 2
    assert "got no subject in it" in skipped["reason"]
    assert "left out  1 pictures, listed in dataset.json" in result.lines()


def test_a_base_of_other_views_has_no_known_cameras(tmp_path):
    four = FrozenMVDiffusion(build_fresh(FreshSizes(num_views=4)), id="four.views")
    with pytest.raises(ConfigError, match="expected a base that says where its views stand"):
        make_synthetic(four, Heads(0), tmp_path / "a", recipe=FAST)
    assert not (tmp_path / "a").exists()


def doctor(data, *more):
    arguments = ["doctor", "--data", str(data), "--json", "--set", "data.split.gap=0", *more]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code in {0, 1}, result.output
    found = json.loads(result.stdout)["findings"]
    return result.exit_code, {one["code"]: one for one in found}


def train(data, out, *more):
    settings = [
        "data.reader=facelift_reader.gslrm", "data.split.validation=0.25", "data.split.gap=0",
        "data.views.inputs=4", "data.views.held_out=1", "data.views.targets=4",
        "train.warmup=1", "train.precision=fp32", f"output={out}", *more,
    ]  # fmt: skip
    arguments = ["train", "quickstart", "--data", str(data), "--steps", "2"]
    return CliRunner().invoke(app, [*arguments, *(p for key in settings for p in ("--set", key))])


def use_rig(folder, sample="head2"):
    """What a script does that copies a rig's camera file into every generated sample."""
    file = folder / sample / "opencv_cameras.json"
    content, rig = json.loads(file.read_text()), lab_rig(SIZE)
    for index, frame in enumerate(content["frames"]):
        frame["w2c"] = to_w2c(rig.c2w[index]).tolist()
        fx, fy, cx, cy = rig.fxfycxcy[index].tolist()
        frame.update(fx=fx, fy=fy, cx=cx, cy=cy)
    file.write_text(json.dumps(content))


READER = ("--set", "data.reader=facelift_reader.gslrm")


def test_the_doctor_finds_nothing_in_exact_views(heads):
    code, found = doctor(heads, *READER)
    assert code == 0
    # A head may cover a little more than two fifths of its picture.
    assert {key for key, one in found.items() if one["severity"] != "info"} <= {"MFL032"}


def test_the_doctor_refuses_a_rigs_cameras(copied):
    use_rig(copied)
    code, found = doctor(copied, *READER)
    assert code == 1
    assert found["MFL063"]["severity"] == "law"
    assert found["MFL063"]["where"] == "head2"
    assert "degrees" in found["MFL063"]["value"]


def test_the_doctor_is_not_fooled_by_a_normalizer(copied):
    use_rig(copied)
    camera = "data.cameras={use: facelift_cameras.virtual_camera, mode: subject}"
    code, found = doctor(copied, *READER, "--set", camera)
    assert (code, found["MFL063"]["where"]) == (1, "head2")


def test_a_tiny_base_trains_on_it_and_refuses_it_with_a_rigs_cameras(copied, tmp_path):
    result = train(copied, tmp_path / "runs")
    assert result.exit_code == 0, result.output
    assert list((tmp_path / "runs").glob("*/adapter/adapter_model.safetensors"))
    use_rig(copied)
    refused = train(copied, tmp_path / "other")
    assert refused.exit_code == 1
    assert "MFL063" in refused.stderr
