"""The page about a run in a real browser: seen, turned, read on a phone, and not taken over."""

from types import SimpleNamespace

import pytest
from balls import BLUE, GREEN, RED, YELLOW
from browser import complaints, open_browser, screenshot, wait_for
from made_runs import PASSPORT, Measurer, make_run
from test_pages_in_browser import WHITE, shows
from test_run_report import EVIL, evil_passport, poison_run

from mfl_adapt.report.run import record, write_report

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser():
    """One browser for all tests of this module."""
    driver = open_browser(1280, 1000)
    yield driver
    driver.quit()


@pytest.fixture
def run(tmp_path, monkeypatch):
    made = make_run(tmp_path / "mouse")
    (made / "adapter").mkdir()
    monkeypatch.setattr(record, "read_intact", lambda _: SimpleNamespace(passport=PASSPORT))
    return made


def open_report(browser, run, measurer):
    page = write_report(run, measurer=measurer).path
    browser.get(page.as_uri())
    if measurer.makes == "views":
        return []
    return wait_for(lambda: browser.find_elements("tag name", "canvas"), "the canvases")


def put(browser, width, scheme):
    """Make the window a phone or a desk, light or dark."""
    sizes = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sizes)
    wanted = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wanted})


def test_both_sides_are_drawn_and_turn_together(browser, run):
    put(browser, 1280, "light")
    before, after = open_report(browser, run, Measurer())
    browser.execute_script("arguments[0].scrollIntoView()", before)
    assert before.rect["x"] + before.rect["width"] <= after.rect["x"]
    wait_for(lambda: shows(screenshot(before), {(0.3, 0): GREEN, (-0.3, 0): WHITE}), "the left")
    front = {(0, 0): YELLOW, (0.55, 0): RED, (-0.55, 0): BLUE}
    wait_for(lambda: shows(screenshot(after), front), "the right")
    for _ in range(12):
        browser.find_element("css selector", "[aria-label='turn left']").click()
    wait_for(lambda: shows(screenshot(before), {(-0.3, 0): GREEN, (0.3, 0): WHITE}), "a turn")
    wait_for(lambda: shows(screenshot(after), {(0.55, 0): BLUE, (-0.55, 0): RED}), "a turn")
    browser.find_element("css selector", "[aria-label='back to the front']").click()
    wait_for(lambda: shows(screenshot(after), front), "the front")
    assert complaints(browser) == []


def test_the_wheel_scrolls_the_page(browser, run):
    canvas, _ = open_report(browser, run, Measurer())
    wheel = (
        "arguments[0].dispatchEvent(new WheelEvent('wheel', "
        "{deltaY: 100, ctrlKey: %s, cancelable: true, bubbles: true}))"
    )
    distance = "return views[0].orbit.distance"
    browser.execute_script(wheel % "false", canvas)
    assert browser.execute_script(distance) == pytest.approx(2.7)
    browser.execute_script(wheel % "true", canvas)
    assert browser.execute_script(distance) > 2.8


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_a_desk_and_a_phone(browser, run, width, scheme):
    put(browser, width, scheme)
    open_report(browser, run, Measurer())
    # Wide tables scroll by themselves; the page as a whole never does.
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    picture = screenshot(browser)
    corner = picture[:8, :8].mean()
    assert corner > 0.95 if scheme == "light" else corner < 0.15
    assert picture.std() > 0.05
    heights = "return [...document.querySelectorAll('svg.chart')].map((c) => c.clientHeight)"
    assert min(browser.execute_script(heights)) > 100
    broken = "return [...document.images].filter((one) => !one.complete || !one.naturalWidth)"
    assert browser.execute_script(broken) == []
    assert complaints(browser) == []


def test_a_strangers_run_runs_nothing(browser, run, monkeypatch):
    poison_run(run)
    monkeypatch.setattr(record, "read_intact", lambda _: SimpleNamespace(passport=evil_passport()))
    curve = Measurer().curve | {"note": EVIL}
    open_report(browser, run, Measurer(curve=curve))
    assert browser.execute_script("return window.owned === undefined")
    assert EVIL in browser.find_element("tag name", "body").text
    # Even markup that got in could run nothing: the page's policy names the one script it has.
    browser.execute_script(
        "const one = document.createElement('script'); one.textContent = 'window.owned = 1';"
        "document.body.appendChild(one)"
    )
    assert browser.execute_script("return window.owned === undefined")
    assert any("Content Security Policy" in one for one in complaints(browser))


def test_a_report_of_views_needs_no_script(browser, run):
    open_report(browser, run, Measurer(makes="views"))
    assert browser.find_elements("tag name", "script") == []
    assert browser.find_element("id", "scene").find_elements("tag name", "img")
    assert complaints(browser) == []
