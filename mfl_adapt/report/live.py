"""Gaussians in the browser, served by viser from this machine."""

from __future__ import annotations

import socket
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mfl_adapt.cameras import FACELIFT_DISTANCE, FACELIFT_FOCAL_RATIO
from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.render.ply import read_ply
from mfl_adapt.report.player import SEQUENCE_FILE, SequenceFrame, read_sequence

if TYPE_CHECKING:
    from types import TracebackType

    from mfl_adapt.types import Float, Gaussians

_C0 = 0.28209479177387814
_NODE = "/gaussians"


def find_sets(path: Path) -> list[SequenceFrame]:
    """Return the sets of Gaussians that a path stands for, in the order to show them in.

    Args:
        path: A PLY file, a folder with ``sequence.json``, or a folder with PLY files.

    Raises:
        DataError: If there is none.
    """
    if not path.is_dir():
        return [SequenceFrame(path.stem, path)]
    if (path / SEQUENCE_FILE).is_file():
        return read_sequence(path / SEQUENCE_FILE)[1]
    # Compressed files hold the same Gaussians again, less exactly.
    found = [file for file in sorted(path.glob("*.ply")) if ".compressed" not in file.suffixes]
    if not found:
        raise DataError(
            f"{path}: expected a PLY file or {SEQUENCE_FILE} in this folder, got neither. Give "
            f"the folder that a prediction was written to."
        )
    return [SequenceFrame(file.stem, file) for file in found]


class LiveView:
    """A running server that shows sets of Gaussians, one at a time; leaving it stops it."""

    def __init__(self, sets: list[SequenceFrame], *, host: str, port: int) -> None:
        """Read the first set and start to serve.

        Args:
            sets: What to show; a slider chooses where there are several.
            host: Address to listen on; ``127.0.0.1`` is this machine alone.
            port: Port to listen on; 0 lets the system choose a free one.

        Raises:
            ConfigError: If viser is not installed, or the port cannot be used.
            DataError: If the first set cannot be read.
        """
        first = read_ply(sets[0].ply)
        viser = _import_viser()
        _check_port(host, port)
        self._sets = sets
        # Its banner comes even where it is told to be quiet.
        with redirect_stdout(StringIO()):
            self._server: Any = viser.ViserServer(host=host, port=port, verbose=False)
        self.port = int(self._server.get_port())
        if port not in {0, self.port}:
            # viser looks for another port by itself, which nobody would find.
            self._server.stop()
            raise ConfigError(_port_message(host, port, "another program was faster"))
        self._place_camera()
        self._add(first)
        if len(sets) > 1:
            self._add_slider()

    def __enter__(self) -> Self:
        """Return the view."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop serving."""
        self._server.stop()

    def wait(self) -> None:
        """Serve until the process is interrupted."""
        while True:
            time.sleep(3600)

    def show(self, index: int) -> None:
        """Show another set.

        Raises:
            DataError: If it cannot be read.
        """
        self._add(read_ply(self._sets[index].ply))

    def _turn_to(self, index: int) -> str:
        """Show another set and return its name, or why it cannot be shown: nobody else is told."""
        try:
            self.show(index)
        except DataError as error:
            return str(error)
        return self._sets[index].name

    def _place_camera(self) -> None:
        camera = self._server.initial_camera
        camera.position, camera.look_at = (0.0, -FACELIFT_DISTANCE, 0.0), (0.0, 0.0, 0.0)
        camera.up, camera.fov = (0.0, 0.0, 1.0), 2 * np.arctan(0.5 / FACELIFT_FOCAL_RATIO)
        self._server.scene.set_up_direction("+z")

    def _add(self, gaussians: Gaussians) -> None:
        """Put a set in the place of the one before."""
        opacities = gaussians.opacities[0].numpy()[:, None]
        rgb = 0.5 + _C0 * gaussians.sh[0, :, 0].numpy()
        self._server.scene.add_gaussian_splats(
            _NODE,
            centers=gaussians.means[0].numpy(),
            covariances=to_covariances(gaussians.quats[0].numpy(), gaussians.scales[0].numpy()),
            rgbs=rgb.clip(0, 1),
            opacities=opacities,
        )

    def _add_slider(self) -> None:
        label = self._server.gui.add_markdown(self._sets[0].name)
        last = len(self._sets) - 1
        slider = self._server.gui.add_slider("set", min=0, max=last, step=1, initial_value=0)
        turn = Lock()

        @slider.on_update
        def _(_: Any) -> None:
            with turn:  # each update comes in a thread of its own, and reading takes a while
                label.content = self._turn_to(slider.value)


def to_covariances(quats: Float, scales: Float) -> Float:
    """Covariances in the world.

    Args:
        quats: Unit quaternions w, x, y, z, [N, 4].
        scales: Standard deviations, [N, 3].

    Returns:
        [N, 3, 3].
    """
    w, x, y, z = quats.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    axes = np.stack([np.stack(row, axis=-1) for row in rows], axis=-2) * scales[:, None, :]
    product: Float = axes @ axes.transpose(0, 2, 1)
    return product


def _import_viser() -> Any:
    """Import the optional package.

    Raises:
        ConfigError: If it is not installed.
    """
    try:
        import viser
    except ImportError as error:
        raise ConfigError(
            'view: expected the package viser, got none. Run: pip install "mfl-adapt[view]".'
        ) from error
    return viser


def _check_port(host: str, port: int) -> None:
    """Raise unless a server could listen there.

    Raises:
        ConfigError: If it could not.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ConfigError(_port_message(host, port, reason)) from error


def _port_message(host: str, port: int, reason: str) -> str:
    return (
        f"view: expected to listen on {host}:{port}, got: {reason}. Choose another --port, or 0 "
        f"for any free one."
    )
