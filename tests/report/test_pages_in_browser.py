"""What the pages draw, in a real browser, compared with the package's own rasterizer."""

import json

import numpy as np
import pytest
from balls import BLUE, GREEN, PURPLE, RED, YELLOW, make_balls, make_cloud
from browser import complaints, open_browser, screenshot, wait_for
from mfl_adapt_exporters.config import PlyConfig
from mfl_adapt_exporters.ply import Ply

from mfl_adapt.cameras import FACELIFT_FOCAL_RATIO, orbit
from mfl_adapt.report.player import write_player
from mfl_adapt.report.turntable import draw_frames
from mfl_adapt.report.viewer import write_viewer
from mfl_adapt.types import Cameras

pytestmark = pytest.mark.browser

DRAWN = "return views.every((view) => view.sorted && !view.asked)"
POSE = "return [views[0].orbit.azimuth, views[0].orbit.elevation, views[0].orbit.distance]"
WHITE = (1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def browser():
    """One browser for all tests of this module."""
    driver = open_browser()
    yield driver
    driver.quit()


def oracle(gaussians, height, width, azimuth=270.0, elevation=0.0, distance=2.7):
    """What the package's rasterizer draws with the page's camera, [H, W, 3] in [0, 1]."""
    square = orbit([azimuth], [elevation], [distance], [FACELIFT_FOCAL_RATIO], 100)
    focal = FACELIFT_FOCAL_RATIO * min(height, width)
    fxfycxcy = np.array([[focal, focal, width / 2, height / 2]])
    cameras = Cameras(square.c2w, fxfycxcy, height=height, width=width)
    return draw_frames(gaussians, cameras)[0] / 255.0


def colour_at(picture, right, up):
    """Colour where a point at the origin's depth is seen, [3]."""
    height, width = picture.shape[:2]
    scale = FACELIFT_FOCAL_RATIO * min(height, width) / 2.7
    row, column = round(height / 2 - up * scale), round(width / 2 + right * scale)
    return picture[row - 2 : row + 3, column - 2 : column + 3].reshape(-1, 3).mean(axis=0)


def shows(picture, wanted):
    """Whether a picture has these colours at these places (right, up)."""
    return all(
        np.abs(colour_at(picture, *place) - colour).max() < 0.1 for place, colour in wanted.items()
    )


FRONT = {(0, 0): YELLOW, (0.55, 0): RED, (-0.55, 0): BLUE, (0, 0.55): GREEN, (0, -0.6): WHITE}
BACK = {(0, 0): PURPLE, (-0.55, 0): RED, (0.55, 0): BLUE, (0, 0.55): GREEN, (0, -0.6): WHITE}


def open_page(browser, page):
    browser.get(page.as_uri())
    return wait_for(lambda: browser.find_elements("tag name", "canvas"), "a canvas")


def wait_to_show(canvas, wanted):
    wait_for(lambda: shows(screenshot(canvas), wanted), f"{wanted} on the page")


def test_colours_are_where_they_belong(browser, tmp_path):
    write_viewer(tmp_path / "balls.html", make_balls())
    (canvas,) = open_page(browser, tmp_path / "balls.html")
    wait_to_show(canvas, FRONT)
    # Half a turn: what was hidden is in front, and left is right.
    browser.execute_script("views[0].orbit.turn(180, 0)")
    wait_to_show(canvas, BACK)
    assert complaints(browser) == []


def test_the_page_draws_what_the_rasterizer_draws(browser, tmp_path):
    cloud = make_cloud()
    assert np.abs(oracle(cloud, 400, 600) - 1).mean() > 0.05
    write_viewer(tmp_path / "cloud.html", cloud)
    (canvas,) = open_page(browser, tmp_path / "cloud.html")
    for turn in ([0, 0], [130, 35]):
        browser.execute_script("views[0].orbit.turn(...arguments)", *turn)
        wait_for(lambda: browser.execute_script(DRAWN), "a frame")
        azimuth, elevation, distance = browser.execute_script(POSE)

        def agree(azimuth=azimuth, elevation=elevation, distance=distance):
            shown = screenshot(canvas)[2:-2]
            drawn = oracle(cloud, shown.shape[0] + 4, shown.shape[1], azimuth, elevation, distance)
            # 8 bits per blended layer, per colour and per rotation: a few levels at the most.
            return np.abs(shown - drawn[2:-2]).mean() < 0.01

        wait_for(agree, "the rasterizer's picture")


def test_dragging_turns_and_the_wheel_zooms(browser, tmp_path):
    action_chains = pytest.importorskip("selenium.webdriver", reason="needs selenium").ActionChains
    write_viewer(tmp_path / "balls.html", make_balls())
    (canvas,) = open_page(browser, tmp_path / "balls.html")
    drag = action_chains(browser).move_to_element(canvas).click_and_hold()
    drag.move_by_offset(50, 25).release().perform()
    azimuth, elevation, distance = browser.execute_script(POSE)
    # The scene follows the hand: the camera goes left and up.
    assert azimuth == pytest.approx(250)
    assert elevation == pytest.approx(10)
    assert distance == 2.7
    browser.execute_script(
        "arguments[0].dispatchEvent(new WheelEvent('wheel', {deltaY: 100, cancelable: true}))",
        canvas,
    )
    wait_for(lambda: browser.execute_script(POSE)[2] > 2.8, "the wheel")
    action_chains(browser).double_click(canvas).perform()
    wait_for(lambda: browser.execute_script(POSE) == [270, 0, 2.7], "the front")


def test_two_sets_turn_together(browser, tmp_path):
    before = make_balls({(0.3, 0.0, 0.0): GREEN})
    write_viewer(tmp_path / "two.html", make_balls(), before=before, title="before & after")
    left, right = open_page(browser, tmp_path / "two.html")
    assert left.rect["x"] + left.rect["width"] <= right.rect["x"]
    wait_to_show(left, {(0.3, 0): GREEN, (-0.3, 0): WHITE})
    wait_to_show(right, FRONT)
    browser.execute_script("views[0].orbit.turn(180, 0)")
    wait_to_show(left, {(-0.3, 0): GREEN, (0.3, 0): WHITE})
    wait_to_show(right, BACK)
    assert browser.find_element("tag name", "h1").text == "before & after"
    captions = [one.text for one in browser.find_elements("tag name", "figcaption")]
    assert captions == ["before: 1 Gaussians", "after: 5 Gaussians"]


@pytest.mark.parametrize("largest_page", [10**6, 0])
def test_the_player_plays(browser, tmp_path, largest_page):
    colours = [RED, GREEN, BLUE]
    for index, colour in enumerate(colours):
        (tmp_path / f"f{index}").mkdir()
        ball = make_balls({(0.0, 0.0, 0.0): colour}, scales=(0.2, 0.2, 0.2))
        Ply(PlyConfig())(ball, tmp_path / f"f{index}" / "gaussians.ply")
    frames = [{"name": f"n{i}", "folder": f"f{i}", "ply": "gaussians.ply"} for i in range(3)]
    (tmp_path / "sequence.json").write_text(json.dumps({"fps": 20, "frames": frames}))
    (canvas,) = open_page(browser, write_player(tmp_path, largest_page=largest_page))
    wait_to_show(canvas, {(0, 0): RED, (0.8, 0): WHITE})
    assert browser.find_element("id", "name").text == "n0 (1 of 3)"
    browser.execute_script("slider.value = 2; slider.dispatchEvent(new Event('input'))")
    wait_to_show(canvas, {(0, 0): BLUE})
    assert browser.find_element("id", "name").text == "n2 (3 of 3)"
    browser.execute_script(
        "window.seen = []; const before = player.view.show.bind(player.view);"
        "player.view.show = (splats) => { before(splats); window.seen.push(player.index); }"
    )
    browser.find_element("id", "play").click()
    seen = wait_for(
        lambda: browser.execute_script("return window.seen.length > 6 && window.seen"), "frames"
    )
    # After the last comes the first again, and none is left out.
    assert seen[:6] == [0, 1, 2, 0, 1, 2]
    browser.find_element("id", "play").click()
    assert browser.execute_script("return player.playing") is False
    browser.find_element("tag name", "body").send_keys(" ")
    assert browser.execute_script("return player.playing") is True
    assert complaints(browser) == []


def test_a_missing_frame_is_said(browser, tmp_path):
    (tmp_path / "f").mkdir()
    Ply(PlyConfig())(make_balls(), tmp_path / "f" / "a.ply")
    frames = [{"name": "a", "ply": "f/a.ply"}]
    (tmp_path / "sequence.json").write_text(json.dumps({"fps": 5, "frames": frames}))
    page = write_player(tmp_path, largest_page=0)
    (tmp_path / "player" / "0.js").unlink()
    browser.get(page.as_uri())
    message = wait_for(lambda: browser.find_element("id", "message").text, "a message")
    assert message.endswith("player/0.js is missing beside this page.")
    complaints(browser)
