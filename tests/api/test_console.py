"""The API serves the console, which needs no key and loads nothing from elsewhere."""

import re
from urllib.parse import urljoin

import pytest

from scheduler.console import files
from tests.api.virtual_api import problem


def test_the_page_and_all_its_files_are_served(api):
    """Each link of the page leads to a file of the console."""
    page = api("GET", "/console", key=None)
    assert (200, "text/html; charset=utf-8") == (page.status, page.headers["content-type"])
    links = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    assert links
    for link in links:
        answer = api("GET", urljoin("/console", link), key=None)
        assert 200 == answer.status, link
        assert answer.text


def test_every_file_has_the_policy_of_the_page(api):
    """No script runs but those of the console, and no other page may frame it."""
    answer = api("GET", "/console", key=None)
    assert files.CONSOLE_HEADERS == {name: answer.headers[name.lower()] for name in files.CONSOLE_HEADERS}


@pytest.mark.parametrize(
    "path", ["nothing.js", "../server.py", "..%2f..%2f..%2fapi.py", "%2e%2e/errors.py", "files.py", "__init__.py"]
)
def test_no_other_file_can_be_read(api, path):
    """Only listed files exist."""
    problem(api("GET", f"/console/{path}", key=None), 404, "NotFound")
