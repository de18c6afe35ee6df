"""A stand-in hub, an empty folder for fetched files, and what to publish."""

import logging
import shutil
import time
from pathlib import Path

import huggingface_hub
import pytest
from hub_stand_in import TOKEN, Hub, serve

REPOSITORY = "wlyu/OpenFaceLift"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder for fetched files; absent at first."""
    folder = tmp_path / "home"
    monkeypatch.setenv("MFL_HOME", str(folder))
    return folder


@pytest.fixture
def hub(home, monkeypatch):
    """A running hub with two bases in it, made of any bytes."""
    hub = Hub(
        REPOSITORY,
        {
            "README.md": b"a card",
            "gslrm/ckpt_0000000000021125.pt": bytes(range(256)) * 40,
            "mvdiffusion/pipeckpts/model_index.json": b"{}",
            "mvdiffusion/pipeckpts/unet/config.json": b'{"a": 1}',
            "mvdiffusion/pipeckpts/unet/weights.bin": bytes(reversed(range(256))) * 20,
        },
    )
    server = serve(hub)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    # It keeps what it has received in steps of this size, 10 MB as it ships.
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    monkeypatch.setattr(time, "sleep", lambda _: None)  # what huggingface-hub does between tries
    yield hub
    server.shutdown()
    server.server_close()
    huggingface_hub.close_session()


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """A folder with a small model in the published layout; not to be changed."""
    from mfl_adapt.models.mvdiffusion.fresh import build_fresh
    from mfl_adapt.models.mvdiffusion.saving import save_parts

    folder = tmp_path_factory.mktemp("published") / "pipeckpts"
    save_parts(build_fresh(), folder)
    return folder


@pytest.fixture(scope="session")
def adapters(tmp_path_factory):
    """Adapter folders by kind; not to be changed."""
    import small_adapters

    root = tmp_path_factory.mktemp("adapters")
    return {
        "lora": small_adapters.make_adapter(root / "lora"),
        "other": small_adapters.make_adapter(root / "other", seed=1),
        "facelift": small_adapters.make_adapter(root / "facelift", id="facelift.gslrm"),
        "views": small_adapters.make_views_adapter(root / "views"),
        "network": small_adapters.make_views_adapter(root / "network", targets="none"),
    }


@pytest.fixture
def adapter(adapters, tmp_path):
    """A copy of an adapter folder, to be changed."""
    return Path(shutil.copytree(adapters["lora"], tmp_path / "adapter"))


@pytest.fixture
def anna(hub, monkeypatch, caplog):
    """A hub on which Anna may write, with no repository yet; her token must be seen nowhere."""
    hub.repository, hub.files, hub.exists = "anna/mouse", {".gitattributes": b"*.bin lfs"}, False
    hub.token = TOKEN
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    # The other way to send large files is a library of its own, which no stand-in can answer.
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    caplog.set_level(logging.DEBUG)
    yield hub
    assert TOKEN not in caplog.text
    assert TOKEN.encode() not in b"".join(hub.files.values())
