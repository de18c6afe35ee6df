"""Fixtures of this room; ``small_base`` holds what makes them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from small_base import make_base, make_lora


@pytest.fixture
def base():
    return make_base()


@pytest.fixture
def lora():
    return make_lora()
