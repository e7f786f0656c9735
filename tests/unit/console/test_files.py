"""The files of the console: what is served, and what they may not contain."""

import hashlib
import re
from pathlib import Path

import pytest

from scheduler.console import files
from scheduler.console.files import find

FOLDER = Path(files.__file__).parent
OURS = sorted([*FOLDER.glob("*.html"), *FOLDER.glob("*.css"), *FOLDER.rglob("app/**/*.js")])
BYTES_MAX = 250_000
LINES_MAX = 300
VERSIONED = "0123456789abcdef/../index.html"


def test_the_page_itself_has_the_empty_path():
    page = find()
    assert page is not None
    assert page.content.startswith("<!doctype html>")
    assert "text/html; charset=utf-8" == page.content_type


@pytest.mark.parametrize(
    ("path", "content_type"), [("app/main.js", "text/javascript"), ("vendor/uPlot.min.css", "text/css")]
)
def test_each_file_has_the_type_that_a_browser_wants(path, content_type):
    """With `nosniff` a browser runs no script of another type."""
    assert f"{content_type}; charset=utf-8" == find(path).content_type


@pytest.mark.parametrize(
    "path",
    [
        "../errors.py",
        "files.py",
        "__init__.py",
        "/etc/passwd",
        "app",
        "app/",
        "app/../index.html",
        "0123456789abcdef/../index.html",
        "\0",
        "x",
    ],
)
def test_no_path_leads_to_anything_but_a_file_of_the_page(path):
    assert find(path) is None


def test_a_browser_keeps_the_files_of_this_version_and_asks_for_the_page():
    link = re.search(r'href="console/(\w+/style.css)"', find().content)[1]
    assert "no-cache" == find().headers["Cache-Control"]
    assert "immutable" in find(link).headers["Cache-Control"]
    assert find(link).content == find("style.css").content


def test_a_file_behind_another_version_is_the_one_of_today_and_is_not_kept():
    """Functions of two versions may answer during an update."""
    other = find("0123456789abcdef/style.css")
    assert (find("style.css").content, "no-cache") == (other.content, other.headers["Cache-Control"])


def test_the_page_links_only_files_that_exist():
    linked = re.findall(r'(?:src|href)="([^"#]+)"', find().content)
    assert len(linked) >= 4
    assert all(each.startswith("console/") and find(each.removeprefix("console/")) for each in linked)


@pytest.mark.parametrize("path", [each for each in OURS if each.suffix == ".js"], ids=lambda path: path.name)
def test_each_module_imports_only_files_that_exist(path):
    for name in re.findall(r'from "([^"]+)"', path.read_text(encoding="utf-8")):
        assert (path.parent / name).resolve().is_file(), name


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_nothing_is_read_as_html_or_code_and_nothing_comes_from_elsewhere(path):
    content = path.read_text(encoding="utf-8")
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|style=\"|\son\w+=\"|@import"
    )
    assert not re.search(forbidden, content)
    addresses = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", content))
    assert addresses <= {"http://www.w3.org"}


@pytest.mark.parametrize("path", [each for each in OURS if each.suffix == ".js"], ids=lambda path: path.name)
def test_a_module_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LINES_MAX


def test_the_whole_console_is_small():
    assert sum(each.stat().st_size for each in FOLDER.rglob("*") if each.suffix != ".py" and each.is_file()) < BYTES_MAX


def test_the_chart_library_is_the_one_that_its_note_names():
    note = find("vendor/uPlot.README.txt").content
    for digest, name in re.findall(r"([0-9a-f]{64})  (\S+)", note):
        assert hashlib.sha256((FOLDER / "vendor" / name).read_bytes()).hexdigest() == digest
    assert "MIT" in find("vendor/uPlot.LICENSE.txt").content
