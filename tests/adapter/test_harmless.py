"""Settings that would run or hang are refused before peft sees them, in files and in memory."""

import json
import sys

import pytest
from small_base import make_base, make_lora, output, train_a_little

from mfl_adapt.adapter import attach, load, save
from mfl_adapt.errors import AdapterError

BAD = [
    ({"megatron_config": {"a": 1}, "megatron_core": "evil_megatron"}, "Nothing was imported"),
    ({"target_modules": "((a|[a-z])*)*!"}, "can take for ever to match"),
]


@pytest.mark.parametrize(("settings", "message"), BAD)
def test_a_folder_with_such_settings_is_not_loaded(tmp_path, monkeypatch, settings, message):
    (tmp_path / "evil_megatron.py").write_text("raise SystemExit\n")
    monkeypatch.syspath_prepend(tmp_path)
    adapter = attach(make_base(), make_lora(), seed=1)
    train_a_little(adapter)
    folder = save(adapter, tmp_path / "adapter", passport={})
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    base = make_base()
    before = output(base)
    with pytest.raises(AdapterError, match=message):
        load(base, folder)
    assert output(base).equal(before)
    assert "evil_megatron" not in sys.modules


@pytest.mark.parametrize(("settings", "message"), BAD)
def test_nor_attached(settings, message):
    with pytest.raises(AdapterError, match=message):
        attach(make_base(), make_lora(**settings), seed=1)
