"""Take the screenshots of the console for the documentation: python -m tools.screenshots [FOLDER]

The schedules are the same each time, in a virtual stack whose clock begins at one moment. So a new screenshot differs
only where the console does.
"""

import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Page

from punctual.local.api_server import ApiServer
from punctual.testing import Stack
from tools import chromium

FOLDER = Path("docs/console")
START = "2030-03-04T08:00:00Z"
SEED = 7
HOST = "api.example.com"
DESK = {"width": 1180, "height": 820}
PHONE = {"width": 390, "height": 844}
SCALE = 1.5
DAY_S, HOUR_S = 86_400, 3_600
NAMES = ("order/{}/reminder", "invoice/{}/due", "trial/{}/ends", "cart/{}/expired", "report/{}/weekly")
FEW, MANY = 60, 9_000
BATCH_MAX = 3_000


class Shot(NamedTuple):
    name: str
    schedules: int
    scheme: str
    size: dict[str, int]
    act: Callable[[Page], Any]
    """What a reader does before the picture is taken."""


def nothing(page: Page) -> None:
    """Leave the page as it opens."""


def pick(page: Page) -> None:
    page.get_by_role("slider").focus()
    for _ in range(18):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.locator(".picked").wait_for()
    page.evaluate("document.activeElement.blur()")


def details(page: Page) -> None:
    page.locator("button.open").nth(2).click()
    page.get_by_role("button", name="Show data").click()


def failures(page: Page) -> None:
    page.get_by_role("tab", name="Failures").click()
    page.locator("td.why").first.wait_for()
    page.get_by_role("checkbox").nth(1).check()


SHOTS = (
    Shot("pending", MANY, "light", DESK, pick),
    Shot("pending-dark", MANY, "dark", DESK, nothing),
    Shot("schedule", FEW, "light", DESK, details),
    Shot("failures", FEW, "light", DESK, failures),
    Shot("phone", FEW, "light", PHONE, nothing),
)


def members(count: int) -> list[dict[str, Any]]:
    """Return schedules for a week, most of them by day and few on its last days."""
    drawn = random.Random(SEED)
    found = []
    for number in range(1_000, 1_000 + count):
        day, hour = int(drawn.triangular(0, 7, 1.2)), drawn.gauss(13, 4) % 24
        delay_s = (day * 24 + hour - 6) * HOUR_S + drawn.random() * 600
        data = {"customer": drawn.randrange(10**6), "kind": "reminder", "lines": [1, 2, 3]}
        name = drawn.choice(NAMES).format(number)
        found.append({"delay": max(delay_s, 1_200 + number % 900), "data": data, "name": name})
    return found


def fill(stack: Stack, count: int) -> None:
    stack.answer(HOST, status=410)
    for number in range(4):
        target = {"url": f"https://{HOST}/orders/{number}"}
        stack.schedule({"delay": 5 + 40 * number, "data": "x", "name": f"hook/{number}/paid", "target": target})
    stack.advance(minutes=10)
    batch = members(count)
    for first in range(0, count, BATCH_MAX):
        stack.schedule(batch[first : first + BATCH_MAX])


def take(browser: Browser, shot: Shot, server: ApiServer, folder: Path) -> Path:
    context = browser.new_context(
        viewport={"width": shot.size["width"], "height": shot.size["height"]},
        color_scheme="dark" if shot.scheme == "dark" else "light",
        device_scale_factor=SCALE,
        timezone_id="Europe/Berlin",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(f"{server.url}/console")
    page.get_by_label("Control key").fill(server.new_key())
    page.get_by_role("button", name="Open").click()
    page.locator("#panel tr[data-key]").first.wait_for()
    page.locator(".hero:not(.loading) .u-over").wait_for()
    shot.act(page)
    page.wait_for_load_state("networkidle")
    path = folder / f"{shot.name}.png"
    page.screenshot(path=path)
    context.close()
    return path


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with chromium.running() as browser:
        for count in sorted({shot.schedules for shot in SHOTS}):
            with ApiServer(lambda: Stack(start=START, seed=SEED, ApiEnabled=True, WebhookHosts=HOST)) as server:
                server.run(lambda stack, count=count: fill(stack, count))  # type: ignore[misc]
                for shot in SHOTS:
                    if shot.schedules == count:
                        print(take(browser, shot, server, folder), flush=True)


if __name__ == "__main__":
    main()
