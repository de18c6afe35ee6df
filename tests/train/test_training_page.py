"""The page about training says what the code does."""

import re

from helpers import ROOT

from mfl_adapt.config.models import Train
from mfl_adapt.train.guards import watch
from mfl_adapt.train.guards.table import GUARDS

PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")


def test_every_guard_is_described_as_it_is():
    rows = re.findall(r"^\| `(MFL\d+)` \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)
    words = {"law": "stops", "warning": "goes on"}
    assert rows == [(one.code, one.name, words[one.severity], one.summary) for one in GUARDS]


def test_numbers_of_the_page_are_those_of_the_code():
    assert (watch.IN_A_ROW, watch.IN_A_ROW_DRAWN, watch.PATIENCE) == (5, 2, 1000)
    assert watch.MASK_SHARES == (0.02, 0.40)
    assert Train().clip == 1.0
    for key in re.findall(r"`train\.(\w+)", PAGE):
        assert key in Train.model_fields, key
