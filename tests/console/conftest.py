"""A browser for all tests, and for each test an API over a virtual stack with the console open in a tab of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from console_page import ConsolePage
from punctual.local.api_server import ApiServer
from punctual.testing import Stack
from tools import chromium

START = "2030-03-04T09:00:00Z"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium.running() as browser:
        yield browser


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer(lambda: Stack(start=START, ApiEnabled=True, WebhookHosts="api.example.com")) as server:
        yield server


@pytest.fixture
def new_page(browser: Browser, api: ApiServer) -> Iterator[Callable[..., ConsolePage]]:
    """Return a function that opens a tab. At the end no tab may have heard a complaint of the browser."""
    contexts = []
    pages: list[ConsolePage] = []

    def made(**options: Any) -> ConsolePage:
        options = {"viewport": {"width": 1280, "height": 900}, "timezone_id": "Europe/Berlin", **options}
        contexts.append(browser.new_context(**options))
        pages.append(ConsolePage(contexts[-1].new_page(), api))
        return pages[-1]

    yield made
    complaints = [each for page in pages for each in page.complaints]
    for context in contexts:
        context.close()
    assert [] == complaints


@pytest.fixture
def console(new_page: Callable[..., ConsolePage]) -> ConsolePage:
    return new_page()
