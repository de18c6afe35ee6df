import shutil

import pytest

from mfl_adapt_finch.make_dataset import Choices, make_dataset

SMALL = Choices(birds=2, frames=2, cameras=5, width=160, seed=0)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """A small aviary that no test changes."""
    return make_dataset(tmp_path_factory.mktemp("drawn") / "aviary", SMALL)


@pytest.fixture
def aviary(drawn, tmp_path):
    """A copy of it, to be spoilt."""
    return shutil.copytree(drawn, tmp_path / "aviary")
