"""The console as a reader uses it: what is on the page, and what a reader does with it."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import ConsoleMessage, Locator, Page, expect

WAIT_MS = 60_000
"""How long an expectation waits. It is long because a busy machine may be slow; a page that is right does not wait."""

STAYING = "const later = setTimeout; window.setTimeout = (act, ms) => ms === 7000 ? 0 : later(act, ms)"
"""Messages that would go after 7 seconds stay, so that a slow machine misses none."""

expect.set_options(timeout=WAIT_MS)


class ConsolePage:
    """A tab with the console of one API. It remembers every complaint of the browser."""

    def __init__(self, page: Page, api: Any) -> None:
        self.page, self.api = page, api
        self.key = api.new_key()
        self.complaints: list[str] = []
        page.add_init_script(STAYING)
        page.set_default_timeout(WAIT_MS)
        page.set_default_navigation_timeout(WAIT_MS)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._heard)

    def _heard(self, message: ConsoleMessage) -> None:
        # The browser also tells of each refused request, which is no fault of the page.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def visit(self, address: str = "") -> None:
        """Go to the console, where it asks for a key."""
        self.page.goto(f"{self.api.url}/console{address}")

    def open(self, address: str = "") -> None:
        """Go to the console, and paste the key."""
        self.visit(address)
        self.paste(self.key)
        expect(self.count).not_to_have_text("…")
        self.settle()

    def paste(self, key: str) -> None:
        self.page.get_by_label("Control key").fill(key)
        self.page.get_by_role("button", name="Open").click()

    def settle(self) -> None:
        """Wait until the chart and the list are there."""
        expect(self.page.locator(".hero:not(.loading)")).to_be_visible()
        expect(self.page.locator("#panel [aria-busy=true]")).to_have_count(0)

    # ------------------------------------------------------------------------------------------------- what is seen

    @property
    def count(self) -> Locator:
        return self.page.locator(".hero .count")

    @property
    def rows(self) -> Locator:
        return self.page.locator("#panel tbody tr[data-key]")

    def row(self, text: str) -> Locator:
        return self.rows.filter(has=self.page.get_by_text(text, exact=True))

    @property
    def chart(self) -> Locator:
        return self.page.get_by_role("slider", name="Pending schedules over time")

    @property
    def drawer(self) -> Locator:
        return self.page.get_by_role("dialog", name="One schedule")

    @property
    def editor(self) -> Locator:
        return self.page.locator("dialog.editor")

    @property
    def question(self) -> Locator:
        return self.page.locator("dialog.ask")

    def expect_toast(self, text: str | re.Pattern[str]) -> None:
        expect(self.page.locator(".toast").filter(has_text=text).first).to_be_visible()

    # ------------------------------------------------------------------------------------------------- what is done

    def refresh(self) -> None:
        self.page.keyboard.press("r")

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()
        self.settle()

    def search(self, text: str) -> None:
        self.page.get_by_role("searchbox").fill(text)

    def show(self, text: str) -> Locator:
        """Open the schedule in this row, and return its details."""
        self.row(text).locator("button.open").click()
        expect(self.drawer.get_by_role("heading", name="What happened")).to_be_visible()
        return self.drawer

    def choose(self, *texts: str) -> None:
        for text in texts:
            self.row(text).get_by_role("checkbox").check()

    def press(self, name: str, within: Locator | None = None) -> None:
        (within or self.page).get_by_role("button", name=name, exact=True).click()

    def confirm(self, name: str) -> None:
        """Say yes to the question, and wait until it is gone."""
        self.press(name, self.question)
        expect(self.question.filter(has_text="Keep as it is")).to_have_count(0)

    def save(self, name: str) -> None:
        """Send the form, and wait until it is gone."""
        self.press(name, self.editor)
        expect(self.editor).to_have_count(0)
