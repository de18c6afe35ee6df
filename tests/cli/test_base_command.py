"""``base list``, ``fetch`` and ``verify``, and what happens to a base that makes no Gaussians."""

import json
import os
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from bad_input import call, program, refuse, train

from mfl_adapt.models.mvdiffusion.fresh import build_fresh
from mfl_adapt.models.mvdiffusion.saving import save_parts

COMMIT = "a" * 40
CLAIM = """
from mfl_adapt.plugin import BaseSpec, ComponentConfig, hookimpl
from mfl_adapt.types import RigContract

MFL_API = 1


class Settings(ComponentConfig):
    checkpoint: str


class Model:
    def __init__(self, config):
        pass


@hookimpl
def register_components():
    contract = RigContract(size=64, patch=8, depth_reach=1.8)
    return [
        BaseSpec(name="nose", summary="s", config=Settings, build="claimer:Model",
                 contract=contract)
    ]
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small multi-view model; not to be changed."""
    folder = tmp_path_factory.mktemp("model") / "pipeckpts"
    save_parts(build_fresh(), folder)
    return folder


@pytest.fixture(autouse=True)
def home(empty_folder, monkeypatch):
    folder = empty_folder / "home"
    monkeypatch.setenv("MFL_HOME", str(folder))
    return folder


def test_list(home):
    lines = call("base", "list").stdout.splitlines()
    assert lines[0].startswith("facelift.tiny  64 x 64 px  ")
    assert lines[1:3] == [
        "  files    ship with the package of the plugin",
        "  licence  Apache-2.0: any use that keeps the notices; trained from scratch on scenes "
        "that the package draws",
    ]
    place = home / "bases" / "facelift.mvdiffusion" / "weights"
    assert f"  files    {place}: absent; run `mfl-adapt base fetch facelift.mvdiffusion`" in lines


def test_list_for_scripts(home):
    rows = {one["id"]: one for one in json.loads(call("base", "list", "--json").stdout)}
    assert rows["facelift.gslrm"]["state"] == "absent"
    assert rows["facelift.gslrm"]["published"]["repository"] == "wlyu/OpenFaceLift"
    assert rows["facelift.mvdiffusion"]["makes"] == "views"
    assert rows["facelift.tiny"]["folder"] is None


def test_list_of_a_base_that_is_the_users(site):
    path = site.file("claimer.py", CLAIM)
    lines = call("base", "list", "--plugins", path).stdout.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("claimer.nose"))
    assert lines[at + 1 : at + 3] == [
        "  files    where its settings say",
        "  licence  not stated",
    ]


def test_verify_the_shipped_one():
    facts = json.loads(call("base", "verify", "facelift.tiny", "--json").stdout)
    assert (facts["base"], facts["architecture"]) == ("facelift.tiny", "GSLRM")
    assert (facts["dtype"], facts["picture"]) == ("float32", "64 x 64 px")
    assert len(facts["sha256"]) == len(facts["fingerprint"]) == 64


def test_verify_a_hand_placed_folder(model):
    lines = call("base", "verify", "facelift.mvdiffusion", str(model)).stdout.splitlines()
    facts = dict(line.split(maxsplit=1) for line in lines)
    assert facts["path"] == str(model)
    assert facts["pattern"] == "reference (a view sees the first one and itself)"
    assert facts["prompts"] == "[6, 77, 32]"


def test_verify_takes_settings_of_the_base(model):
    half = call("base", "verify", "facelift.mvdiffusion", str(model), "--set", "base.dtype=float16")
    assert "dtype         float16" in half.stdout.splitlines()


def test_verify_refuses_in_one_line(model, tmp_path):
    (tmp_path / "a.pt").write_bytes(b"rubbish" * 9)
    for arguments, message in {
        ("facelift.gslrm",): "facelift.gslrm: expected fetched weights at ",
        ("facelift.gslrm", str(tmp_path / "a.pt")): "expected a .pt or .safetensors checkpoint",
        ("facelift.gslrm", str(model)): "expected a checkpoint file, got a folder",
        ("facelift.mvdiffusion", str(tmp_path)): "expected a sub-folder 'unet', found none",
        ("facelift.tiny", str(model)): "facelift.tiny: expected no path, as its weights ship",
        ("facelift.tny",): "Did you mean 'tiny'?",
    }.items():
        assert message in refuse("base", "verify", *arguments)


def test_fetch_refuses_in_one_line(home):
    assert refuse("base", "fetch", "facelift.gslrm").startswith(
        "facelift.gslrm: expected you to accept the Adobe Research License v1.2 (non-commercial"
    )
    assert refuse("base", "fetch", "facelift.tiny").startswith("facelift.tiny: expected a base")
    assert "Did you mean 'facelift'?" in refuse("base", "fetch", "faclift.gslrm")
    offline = refuse("base", "fetch", "facelift.gslrm", "--offline", "--accept-licence")
    assert "in offline mode, found none" in offline
    assert not (home / "bases").exists()


def serve_files(folder):
    """A hub of ready-made answers: files in a folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
    return server


def test_a_real_process_fetches_from_the_named_hub(home, empty_folder):
    content, path = b"weights", "gslrm/ckpt_0000000000021125.pt"
    # printf weights | git hash-object --stdin
    git_hash = "3ab313fff6f41bb35969cd359e9ddfb8033b3ac2"
    sibling = {"rfilename": path, "size": len(content), "blobId": git_hash}
    api = empty_folder / "hub/api/models/wlyu/OpenFaceLift/revision/main"
    file = empty_folder / "hub/wlyu/OpenFaceLift/resolve" / COMMIT / path
    for one in (api, file):
        one.parent.mkdir(parents=True)
    file.write_bytes(content)
    listing = {"_id": "1", "id": "wlyu/OpenFaceLift", "sha": COMMIT, "siblings": [sibling]}
    api.write_text(json.dumps(listing))
    server = serve_files(empty_folder / "hub")
    address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        done = subprocess.run(
            program("base", "fetch", "facelift.gslrm", "--accept-licence"),
            capture_output=True,
            text=True,
            env={**os.environ, "HF_ENDPOINT": address, "OMP_NUM_THREADS": "1"},
            check=False,
        )
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stderr
    assert f"source    wlyu/OpenFaceLift at {COMMIT}" in done.stdout
    assert "licence   Adobe Research License v1.2: non-commercial" in done.stdout
    assert "main is a branch or tag" in done.stderr
    weights = home / "bases/facelift.gslrm/weights/ckpt_0000000000021125.pt"
    assert weights.read_bytes() == content
    again = call("base", "fetch", "facelift.gslrm", "--offline", "--json")
    assert json.loads(again.stdout)["path"] == str(weights)


def test_a_base_of_views_is_refused_beside_losses_on_pictures():
    message = refuse(*train("base.id=facelift.mvdiffusion"))
    assert message == (
        "losses.masked_loss.masked_l2: expected a loss on latents, as facelift.mvdiffusion makes "
        "views, got one on pictures. Use facelift_loss.min_snr."
    )


def test_a_base_that_claims_to_make_gaussians_and_does_not(site):
    path = site.file("claimer.py", CLAIM)
    message = refuse(*train("base.id=claimer.nose", "base.checkpoint=a"), "--plugins", path)
    assert "to have reconstruct(rgb, cameras), got Model without it. Tell the" in message
