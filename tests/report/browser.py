"""A real browser without a screen, and pictures of what it shows."""

import shutil
import time
from contextlib import suppress

import cv2
import numpy as np
import pytest

PATIENCE_S = 120.0
"""A busy machine without a graphics card draws slowly; what is not there by then never comes."""


def open_browser(width=640, height=520):
    """Start Chromium with software WebGL; skips where something it needs is not installed."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        "--force-device-scale-factor=1",
        f"--window-size={width},{height}",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(driver))


def screenshot(part):
    """Picture of a page or of an element, [H, W, 3] in [0, 1]."""
    data = part.screenshot_as_png if hasattr(part, "screenshot_as_png") else None
    data = data or part.get_screenshot_as_png()
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return picture[:, :, ::-1] / 255.0


def wait_for(ready, what):
    """Ask again and again until the answer is true, and return it."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        with suppress(AssertionError):
            if answer := ready():
                return answer
        time.sleep(0.2)
    pytest.fail(f"waited {PATIENCE_S:g} s for {what}")


def complaints(browser):
    """What the page wrote to the console, besides the driver's own remarks on speed."""
    return [
        entry["message"]
        for entry in browser.get_log("browser")
        if "GPU stall" not in entry["message"] and "favicon" not in entry["message"]
    ]
