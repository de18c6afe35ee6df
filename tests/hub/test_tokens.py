"""A token goes to the hub and nowhere else, whatever goes wrong on the way."""

import logging
import traceback

import pytest
from hub_calls import fetch
from hub_stand_in import Fault

from mfl_adapt.errors import MflAdaptError

TOKEN = "hf_" + "Secret4Tests" * 3
PATH = "gslrm/ckpt_0000000000021125.pt"


@pytest.mark.parametrize(
    "break_hub",
    [
        lambda hub: setattr(hub, "api_status", 401),
        lambda hub: setattr(hub, "api_status", 500),
        lambda hub: setattr(hub, "api_body", b"<html>"),
        lambda hub: hub.faults.update({PATH: [Fault(status=403)]}),
        lambda hub: hub.faults.update({PATH: [Fault(cut=100)]}),
        lambda hub: hub.faults.update({PATH: [Fault(content=b"other")]}),
    ],
    ids=["locked", "broken", "no hub", "file locked", "cut off", "other file"],
)
def test_a_failing_fetch_says_nothing_of_the_token(hub, monkeypatch, caplog, capfd, break_hub):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    break_hub(hub)
    with caplog.at_level(logging.DEBUG), pytest.raises(MflAdaptError) as caught:
        fetch()
    shown = "".join([*capfd.readouterr(), caplog.text, *traceback.format_exception(caught.value)])
    assert shown
    assert TOKEN not in shown
    assert TOKEN[:12] not in shown
