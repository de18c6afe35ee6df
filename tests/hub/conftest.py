"""A stand-in hub, an empty folder for fetched files, and a multi-view model to publish."""

import time

import huggingface_hub
import pytest
from hub_stand_in import Hub, serve

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
