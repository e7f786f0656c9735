"""Find and start the Chromium that the browser tests and the screenshots use."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
"""The same names as in requirements/chromium.sh."""
MISSING = "there is no Chromium; install Chromium or Chrome, or name one: CHROMIUM=/path"
FLAGS = (
    "--no-sandbox",  # Chromium refuses to run as root with one. It opens nothing but our own pages.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--proxy-server=direct://",
)


def path() -> str | None:
    """Return where Chromium is: as the environment variable says, or the first that is found."""
    given = os.environ.get("CHROMIUM")
    return next((found for name in ([given] if given else NAMES) if (found := shutil.which(name))), None)


@contextmanager
def running() -> Iterator[Browser]:
    """Start a headless Chromium, and end it whatever happens."""
    executable = path()
    if executable is None:
        raise FileNotFoundError(MISSING)
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        environment: dict[str, str | float | bool] = {**os.environ, "HOME": home, "NO_PROXY": "*"}
        browser = playwright.chromium.launch(executable_path=executable, args=[*FLAGS], env=environment)
        try:
            yield browser
        finally:
            browser.close()
