"""``mfl-adapt view``: what it refuses, and that it ends."""

import os
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

import pytest
import torch
from bad_input import program, refuse
from mfl_adapt_exporters.config import PlyConfig
from mfl_adapt_exporters.ply import Ply

from mfl_adapt.types import Gaussians


@pytest.fixture
def ply(empty_folder):
    one = Gaussians(
        means=torch.zeros(1, 1, 3),
        quats=torch.tensor([[[1.0, 0.0, 0.0, 0.0]]]),
        scales=torch.full((1, 1, 3), 0.15),
        opacities=torch.ones(1, 1),
        sh=torch.zeros(1, 1, 1, 3),
    )
    Ply(PlyConfig())(one, empty_folder / "ball.ply")
    return "ball.ply"


def test_it_refuses_in_one_line(ply, empty_folder):
    pytest.importorskip("viser", reason="needs the extra 'view'")
    (empty_folder / "empty").mkdir()
    assert "none.ply: expected a readable PLY file" in refuse("view", "none.ply")
    assert "empty: expected a PLY file or sequence.json" in refuse("view", "empty")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        message = refuse("view", ply, "--port", port)
    assert f"view: expected to listen on 127.0.0.1:{port}, got: address already in use" in message


def test_it_serves_until_it_is_interrupted(ply):
    pytest.importorskip("viser", reason="needs the extra 'view'")
    process = subprocess.Popen(
        program("view", ply, "--port", "0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        cwd=Path.cwd(),
    )
    with process:
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:"), line
        with urllib.request.urlopen(line.split()[0]) as page:
            assert b"<html" in page.read()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in errors
