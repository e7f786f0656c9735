"""The page for everybody: dark, on a phone, by keyboard alone, and with what axe-core checks."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

HOUR_S = 3_600
AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
SERIOUS = ("serious", "critical")
pytestmark = pytest.mark.slow


def schedule(api, *names, delay=10 * HOUR_S, **fields):
    members = [{"delay": delay + each, "data": "x", "name": name, **fields} for each, name in enumerate(names)]
    api.run(lambda stack: stack.schedule(members))


def serious_findings(console):
    """Return what axe-core finds to be serious or worse."""
    page = console.page
    page.evaluate(AXE)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    return [(each["id"], node["html"]) for each in found if each["impact"] in SERIOUS for node in each["nodes"]]


def every_view(console, api):
    """Show each part of the console in turn."""
    yield "list"
    console.choose("order/1")
    yield "choice"
    console.press("Clear")
    drawer = console.show("order/1")
    drawer.get_by_role("button", name=re.compile("Show data")).click()
    yield "details"
    console.press("Cancel schedule", drawer)
    yield "question"
    console.press("Keep as it is", console.question)
    console.press("Change", drawer)
    console.editor.get_by_text("More", exact=True).click()
    yield "form"
    console.press("Discard", console.editor)
    console.press("Close", drawer)
    console.tab("Failures")
    yield "failures"
    console.tab("Next")
    console.search("nothing")
    expect(console.page.get_by_text("Nothing found")).to_be_visible()
    yield "nothing found"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [{}, PHONE], ids=["desk", "phone"])
def test_axe_finds_nothing_serious(new_page, api, scheme, device):
    schedule(api, "order/1", "order/2")
    fail(api)
    console = new_page(color_scheme=scheme, reduced_motion="reduce", **device)
    console.visit()
    found = {"gate": serious_findings(console)}
    console.open()
    for name in every_view(console, api):
        found[name] = serious_findings(console)
    assert {name: [] for name in found} == found


def fail(api):
    def act(stack):
        stack.answer("api.example.com", status=410)
        stack.schedule({"delay": 5, "data": "x", "name": "hook", "target": {"url": "https://api.example.com/"}})
        stack.advance(minutes=5)

    api.run(act)


def test_dark_is_dark_and_light_is_light(new_page, api):
    schedule(api, "order/1")
    shades = {}
    for scheme in ("light", "dark"):
        console = new_page(color_scheme=scheme)
        console.open()
        colour = console.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        shades[scheme] = sum(int(each) for each in re.findall(r"\d+", colour)[:3])
    assert shades["dark"] < 120
    assert shades["light"] > 600


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_is_wider_than_a_phone(new_page, api, width):
    schedule(api, "order/" + "a-very-long-name-" * 6, "order/2", target={"url": "https://api.example.com/" + "x" * 300})
    console = new_page(**{**PHONE, "viewport": {"width": width, "height": 700}})
    console.open()

    def overflow():
        return console.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    assert 0 == overflow()
    drawer = console.show("order/2")
    assert 0 == overflow()
    assert drawer.evaluate("(drawer) => drawer.scrollWidth - drawer.clientWidth") == 0
    console.press("Move", drawer)
    console.editor.get_by_role("radio", name="At", exact=True).check()
    assert console.editor.evaluate("(editor) => editor.scrollWidth - editor.clientWidth") == 0
    console.press("Discard", console.editor)
    console.press("Close", drawer)
    console.page.tap("#create")
    expect(console.editor).to_be_visible()


def test_everything_works_by_keyboard_alone(console, api):
    schedule(api, "order/1", "order/2")
    keyboard = console.page.keyboard
    console.visit()
    expect(console.page.get_by_label("Control key")).to_be_focused()
    keyboard.type(console.key)
    keyboard.press("Enter")
    expect(console.rows).to_have_count(2)
    console.settle()

    keyboard.press("c")
    expect(console.chart).to_be_focused()
    keyboard.press("ArrowUp")
    expect(console.chart).to_have_attribute("aria-valuetext", re.compile("2 pending"))
    keyboard.press("Enter")
    expect(console.page.locator(".picked")).to_contain_text("2 pending")
    keyboard.press("+")
    expect(console.page).to_have_url(re.compile("zoom="))
    keyboard.press("Escape")
    expect(console.page).not_to_have_url(re.compile("zoom="))
    expect(console.rows).to_have_count(2)

    keyboard.press("/")
    expect(console.page.get_by_role("searchbox")).to_be_focused()
    keyboard.type("order/2")
    expect(console.rows).to_have_count(1)
    keyboard.press("Tab")
    while not console.page.evaluate("document.activeElement.matches('button.open')"):
        keyboard.press("Tab")
    keyboard.press("Enter")
    expect(console.drawer).to_contain_text("What happened")
    keyboard.press("Escape")
    expect(console.drawer).to_have_count(0)
    expect(console.row("order/2").locator("button.open")).to_be_focused()

    keyboard.press("n")
    expect(console.editor.get_by_label("Data")).to_be_focused()
    keyboard.type("typed")
    keyboard.press("Tab")
    keyboard.type("order/23")
    keyboard.press("Enter")
    expect(console.editor).to_have_count(0)
    expect(console.rows).to_have_count(2)


def test_the_focus_stays_in_a_dialog(console, api):
    schedule(api, "order/1")
    console.open()
    console.show("order/1")
    for _ in range(12):
        console.page.keyboard.press("Tab")
        inside = "document.activeElement === document.body || Boolean(document.activeElement.closest('dialog'))"
        assert console.page.evaluate(inside)
