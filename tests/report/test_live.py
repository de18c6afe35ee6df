"""Which files a path stands for, and the server that shows them."""

import builtins
import socket

import numpy as np
import pytest
from balls import BALLS, BLUE, GREEN, RED, YELLOW, make_balls
from browser import open_browser, screenshot, wait_for
from mfl_adapt_exporters.config import PlyConfig
from mfl_adapt_exporters.ply import Ply
from scipy.spatial.transform import Rotation

from mfl_adapt.errors import ConfigError, DataError
from mfl_adapt.report.live import LiveView, find_sets, to_covariances


def write_ply(path, gaussians=None):
    Ply(PlyConfig())(gaussians or make_balls(), path)
    return path


def test_a_file_a_folder_and_a_sequence(tmp_path):
    one = write_ply(tmp_path / "one.ply")
    assert find_sets(one) == [("one", one)]
    two = write_ply(tmp_path / "another.ply")
    (tmp_path / "one.compressed.ply").touch()
    assert find_sets(tmp_path) == [("another", two), ("one", one)]
    (tmp_path / "sequence.json").write_text(
        '{"fps": 5, "frames": [{"name": "late", "ply": "one.ply"}]}'
    )
    assert find_sets(tmp_path) == [("late", one)]


def test_a_folder_without_gaussians_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"expected a PLY file or sequence\.json in this folder"):
        find_sets(tmp_path)


def test_covariances_are_those_of_scipy():
    rng = np.random.default_rng(0)
    quats = rng.normal(size=(20, 4))
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    scales = rng.uniform(0.01, 1, (20, 3))
    turns = Rotation.from_quat(quats[:, [1, 2, 3, 0]]).as_matrix()
    wanted = turns @ (np.eye(3) * scales[:, None, :] ** 2) @ turns.transpose(0, 2, 1)
    np.testing.assert_allclose(to_covariances(quats, scales), wanted, atol=1e-12)


def test_without_viser_one_line_says_what_to_install(tmp_path, monkeypatch):
    def without(name, *rest, real=builtins.__import__):
        if name == "viser":
            raise ImportError(name)
        return real(name, *rest)

    sets = find_sets(write_ply(tmp_path / "a.ply"))
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r'got none\. Run: pip install "mfl-adapt\[view\]"\.$'):
        LiveView(sets, host="127.0.0.1", port=0)


def test_a_port_in_use_is_refused(tmp_path):
    pytest.importorskip("viser", reason="needs the extra 'view'")
    sets = find_sets(write_ply(tmp_path / "a.ply"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        message = rf"view: expected to listen on 127\.0\.0\.1:{port}, got: address already in use"
        with pytest.raises(ConfigError, match=message):
            LiveView(sets, host="127.0.0.1", port=port)
    with pytest.raises(ConfigError, match=r"expected to listen on 192\.0\.2\.1:0, got: cannot ass"):
        LiveView(sets, host="192.0.2.1", port=0)


def test_a_file_that_cannot_be_read_starts_no_server(tmp_path):
    with pytest.raises(DataError, match="expected a readable PLY file"):
        LiveView(find_sets(tmp_path / "none.ply"), host="127.0.0.1", port=0)


def test_the_slider_says_why_a_set_cannot_be_shown(tmp_path):
    pytest.importorskip("viser", reason="needs the extra 'view'")
    for name in ("a", "b", "c"):
        write_ply(tmp_path / f"{name}.ply")
    with LiveView(find_sets(tmp_path), host="127.0.0.1", port=0) as live:
        (tmp_path / "b.ply").write_text("damaged")
        assert "b.ply: expected a PLY file with a header" in live._turn_to(1)
        assert live._turn_to(2) == "c"


@pytest.mark.browser
@pytest.mark.slow
def test_the_page_shows_the_gaussians(tmp_path):
    pytest.importorskip("viser", reason="needs the extra 'view'")
    # viser leaves out what lies at z = 0 exactly.
    balls = {(x, y, z + 0.05): colour for (x, y, z), colour in BALLS.items()}
    write_ply(tmp_path / "a.ply", make_balls(balls))
    write_ply(tmp_path / "b.ply", make_balls({(0.0, 0.0, 0.05): GREEN}, scales=(0.3, 0.3, 0.3)))
    browser = open_browser(1200, 800)
    try:
        with LiveView(find_sets(tmp_path), host="127.0.0.1", port=0) as live:
            browser.get(f"http://127.0.0.1:{live.port}")
            wait_for(lambda: shows_balls(screenshot(browser)), "the balls in viser's page")
            live.show(1)
            wait_for(lambda: middle_is(screenshot(browser), GREEN), "the second set")
    finally:
        browser.quit()


def shows_balls(picture):
    """Whether yellow is in the middle with blue on the left and red on the right of it."""
    middles = [columns_of(picture, colour) for colour in (BLUE, YELLOW, RED)]
    return all(middles) and middles[0][0] < middles[1][0] < middles[2][0]


def columns_of(picture, colour):
    """Mean column and number of the pixels of a colour; none where there are few."""
    found = np.argwhere(np.abs(picture - np.array(colour)).max(axis=2) < 0.12)
    return (found[:, 1].mean(), len(found)) if len(found) > 50 else ()


def middle_is(picture, colour):
    height, width = picture.shape[:2]
    return np.abs(picture[height // 2, width // 2] - np.array(colour)).max() < 0.15
