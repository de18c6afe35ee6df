"""No parser fails, hangs, reserves memory or takes what is invalid, whatever its file holds."""

import fuzz_cameras
import fuzz_files
import pytest
from fuzz_profile import MANY, NORMAL, hunt

TARGETS = [*fuzz_cameras.TARGETS, *fuzz_files.TARGETS]
EVERY = pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.name)


@EVERY
def test_a_parser_takes_only_what_is_valid(target, tmp_path):
    taken, refused = hunt(target, NORMAL, tmp_path)
    # Inputs that all fail at the first byte, or none of which is wrong, would test nothing.
    assert taken >= 3
    assert refused >= 3


@pytest.mark.slow
@EVERY
def test_a_parser_takes_only_what_is_valid_among_ten_thousand(target, tmp_path):
    taken, refused = hunt(target, MANY, tmp_path)
    assert taken + refused >= MANY
