from dataclasses import replace

import pytest
from pydantic import BaseModel, Field

from mfl_adapt.errors import PluginError
from mfl_adapt.plugin import (
    BaseSpec,
    CheckSpec,
    ComponentConfig,
    ExporterSpec,
    LossSpec,
    PreprocessorSpec,
    ReaderSpec,
    Spec,
)
from mfl_adapt.plugin.validation import SLOTS, check_specs
from mfl_adapt.types import RigContract


class Config(ComponentConfig):
    power: float = 2.0


class Open(BaseModel):
    power: float = 2.0


class Weighted(ComponentConfig):
    weight: float = 1.0


class Aliased(ComponentConfig):
    what: str = Field("x", alias="use")


COMMON = {"name": "tail", "summary": "A tail.", "config": Config, "build": "rats.tail:Tail"}
LOSS = LossSpec(**COMMON)
READER = ReaderSpec(**COMMON, can_read="rats.tail:knows")
CHECK = CheckSpec(**COMMON, code="RAT001", subject="sample")
EXPORTER = ExporterSpec(**COMMON, suffix=".ply")
BASE = BaseSpec(**COMMON, contract=RigContract(size=64, patch=8, depth_reach=1.8))
STEP = PreprocessorSpec(**COMMON)


def test_every_slot_has_a_word():
    # By name: a dataclass with slots replaces its class, and the first one lingers.
    assert {one.__name__ for one in SLOTS} == {one.__name__ for one in Spec.__subclasses__()}


@pytest.mark.parametrize("good", [LOSS, READER, CHECK, EXPORTER, BASE, STEP])
def test_a_good_record_passes(good):
    assert check_specs([good]) == (good,)
    assert check_specs(iter([good])) == (good,)


@pytest.mark.parametrize(
    ("returned", "pattern"),
    [
        (None, "a list of records, got None"),
        (LOSS, "a list of records, got LossSpec"),
        ("tail", "a list of records, got 'tail'"),
        ([LOSS, "tail"], "one of the slots.*got 'tail'"),
        ([Spec(**COMMON)], "one of the slots"),
        ([LOSS, replace(LOSS)], "loss 'tail'.*twice"),
        ([LOSS, STEP], r"preprocessor 'tail'.*twice \(also as loss\)"),
        ([replace(LOSS, name="long-tail")], "'long-tail': expected a name that is a Python"),
        ([replace(LOSS, name="class")], "'class': expected a name"),
        ([replace(LOSS, name=3)], "3: expected a name"),
        ([replace(LOSS, summary=" ")], "a summary of one line, got ' '"),
        ([replace(LOSS, summary="a\nb")], "a summary of one line"),
        ([replace(LOSS, config=dict)], "a pydantic model, got <class 'dict'>"),
        ([replace(LOSS, config=Config())], "a pydantic model, got Config"),
        ([replace(LOSS, config=Open)], "expected Open to forbid unknown keys"),
        ([replace(LOSS, config=Weighted)], "without a field 'weight'"),
        ([replace(STEP, config=Aliased)], "without a field 'use'"),
        ([replace(LOSS, on="sounds")], r"on to be pictures or latents, got 'sounds'"),
        ([replace(LOSS, build="rats.tail")], "build 'package.module:attribute', got 'rats.tail'"),
        ([replace(LOSS, build="rats tail:Tail")], "build"),
        ([replace(LOSS, build=Config)], "build"),
        ([replace(READER, can_read="knows")], "can_read 'package.module:attribute', got 'knows'"),
        ([replace(BASE, contract=None)], "contract RigContract, got None"),
        ([replace(CHECK, code="rat 1")], "a code such as 'MFL003', got 'rat 1'"),
        ([replace(CHECK, subject="cage")], "a subject of .*'sample'.*got 'cage'"),
        ([replace(EXPORTER, suffix="ply")], r"a suffix such as '.ply', got 'ply'"),
        ([replace(EXPORTER, takes="views")], r"takes to be gaussians or frames, got 'views'"),
    ],
)
def test_a_bad_record_is_refused(returned, pattern):
    with pytest.raises(PluginError, match=pattern):
        check_specs(returned)


def test_weight_is_only_reserved_for_losses():
    record = replace(STEP, config=Weighted)
    assert check_specs([record]) == (record,)
