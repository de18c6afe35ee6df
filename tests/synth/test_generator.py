import json

import numpy as np
import pytest
from generator_summary import GOLDEN, summarize

from mfl_adapt.synth import GENERATOR_VERSION


@pytest.fixture(scope="module")
def golden():
    return json.loads(GOLDEN.read_text())


def test_the_golden_file_is_of_this_version(golden):
    assert golden["version"] == GENERATOR_VERSION


def test_scenes_change_only_with_the_version(golden):
    # Published scores and the base that ships with the package depend on these scenes.
    now = summarize()
    assert now["scenes"].keys() == golden["scenes"].keys()
    for name, facts in golden["scenes"].items():
        for key, expected in facts.items():
            np.testing.assert_allclose(
                now["scenes"][name][key], expected, rtol=1e-9, atol=1e-9, err_msg=f"{name}: {key}"
            )
    for rig, expected in golden["rigs"].items():
        np.testing.assert_allclose(now["rigs"][rig], expected, rtol=1e-9, atol=1e-9)
