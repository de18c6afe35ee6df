import json

from fake_plugins import LOSS

from mfl_adapt.plugin.describe import describe_plugin
from mfl_adapt.plugin.registry import load_plugins


def test_description_is_plain_data(site):
    site.add("rat-tools", {"rat": LOSS})
    found = next(one for one in load_plugins(["rat"]).plugins() if one.name == "rat")
    row = json.loads(json.dumps(describe_plugin(found)))
    assert row["state"] == "active"
    assert row["components"] == [
        {
            "slot": "loss",
            "name": "whisker",
            "summary": "A summary.",
            "settings": [
                {"name": "power", "type": "float", "default": "2.0", "description": ""},
            ],
        }
    ]
