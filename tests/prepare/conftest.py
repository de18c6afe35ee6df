"""A dataset to prepare: twelve samples of three random pictures, in two sessions."""

from pathlib import Path

import pytest
from small_job import COUNT, small_samples

from mfl_adapt.data import write_dataset


@pytest.fixture(scope="session")
def recording(tmp_path_factory) -> Path:
    """To be copied before it is changed."""
    folder = tmp_path_factory.mktemp("raw") / "recording"
    samples = [
        small_samples.make_sample(
            f"frame-{index:02d}", session=f"day {index // 6}", animal="m7", time_s=float(index)
        )
        for index in range(COUNT)
    ]
    write_dataset(samples, folder)
    return folder
