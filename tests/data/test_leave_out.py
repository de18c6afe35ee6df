"""Sessions and animals of one's choice are kept for validation."""

import pytest

from mfl_adapt.data import split_samples
from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.types import Sample

SESSIONS = ("mon", "mon", "tue", "wed", "tue")
SAMPLES = [
    Sample(f"s{k}", (), session=session, animal=f"rat{k % 2}") for k, session in enumerate(SESSIONS)
]


@pytest.mark.parametrize(
    ("by", "leave_out", "train", "held"),
    [
        ("session", ["mon"], (2, 4, 3), (0, 1)),
        ("session", ["wed", "mon"], (2, 4), (0, 1, 3)),
        ("animal", ["rat1"], (0, 2, 4), (1, 3)),
        ("session", [], (0, 1, 2, 4), (3,)),
    ],
)
def test_the_named_groups_validate(by, leave_out, train, held):
    assert split_samples(SAMPLES, by=by, leave_out=leave_out)[:2] == (train, held)


def test_a_share_of_nothing_does_not_hinder():
    assert split_samples(SAMPLES, by="session", validation=0, leave_out=["tue"]).validation == (
        2,
        4,
    )


@pytest.mark.parametrize(
    ("by", "leave_out", "error", "message"),
    [
        ("order", ["mon"], ConfigError, "to be session or animal beside it, got order"),
        ("session", ["mom"], DataError, "got 'mom'. Did you mean 'mon'"),
        ("session", ["mon", "tue", "wed"], DataError, "a session left to train on, got all 3"),
    ],
)
def test_what_is_refused(by, leave_out, error, message):
    with pytest.raises(error, match=message):
        split_samples(SAMPLES, by=by, leave_out=leave_out)
