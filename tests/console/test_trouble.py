"""Wrong keys, lost connections, and content that means harm."""

import json
import re

import pytest
from playwright.sync_api import expect

HOUR_S = 3_600
HTML = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script><b>bold</b>"
REVERSED = "invoice\u202egpj.exe\u2066\u200fabc\u2069"
pytestmark = pytest.mark.slow


def schedule(api, *members):
    api.run(lambda stack: stack.schedule([{"delay": 10 * HOUR_S, **each} for each in members]))


# ------------------------------------------------------------------------------------------------------------- keys


def test_a_wrong_key_is_refused_in_one_sentence(console):
    console.visit()
    console.paste("wrong")
    expect(console.page.get_by_role("alert").filter(has_text="key")).to_be_visible()
    expect(console.page.get_by_label("Control key")).to_be_focused()
    console.paste(console.key)
    expect(console.count).to_have_text("0")


@pytest.mark.parametrize("key", ["", "   ", "two words", "schlüssel"])
def test_what_cannot_be_a_key_is_not_sent(console, key):
    requests = []
    console.page.on("request", lambda request: requests.append(request.url))
    console.visit()
    requests.clear()
    console.paste(key)
    expect(console.page.locator(".gate .problem")).to_be_visible()
    assert [] == requests


def test_the_key_stays_in_its_tab_and_is_forgotten_on_demand(console, new_page):
    console.open()
    console.page.reload()
    expect(console.count).to_have_text("0")
    stored = console.page.evaluate("[JSON.stringify(localStorage), document.cookie, location.href]")
    assert not [each for each in stored if console.key in each]

    console.press("Forget key")
    expect(console.page.get_by_label("Control key")).to_be_visible()
    console.page.reload()
    expect(console.page.get_by_label("Control key")).to_be_visible()


def test_a_key_that_is_disabled_meanwhile_leads_back_to_the_gate(console):
    console.open()
    problem = {"type": "urn:punctual:error:KeyRefused", "title": "x", "status": 403, "detail": "the key is disabled"}
    console.page.route(
        "**/schedules*",
        lambda route: route.fulfill(status=403, content_type="application/problem+json", body=json.dumps(problem)),
    )
    console.refresh()
    expect(console.page.get_by_label("Control key")).to_be_visible()
    expect(console.page.get_by_text("the key is disabled")).to_be_visible()


# ------------------------------------------------------------------------------------------------------- connection


def test_a_lost_connection_is_said_and_what_was_seen_stays(console, api):
    schedule(api, {"name": "order/1", "data": "x"})
    console.open()
    console.page.context.set_offline(True)
    console.refresh()
    expect(console.page.get_by_text("The connection is lost.")).to_be_visible()
    expect(console.row("order/1")).to_be_visible()

    schedule(api, {"name": "order/2", "data": "x"})
    console.page.context.set_offline(False)
    expect(console.page.get_by_text("The connection is lost.")).to_be_hidden()
    expect(console.row("order/2")).to_be_visible()


def test_a_schedule_that_was_sent_twice_is_one(console, api):
    """The answer to the first is lost. The second has the same token."""
    console.open()
    lost = []

    def lose(route):
        if route.request.method == "POST" and not lost:
            lost.append(route.fetch())
            route.abort()
        else:
            route.continue_()

    console.page.route("**/schedules", lose)
    console.press("New schedule")
    console.editor.get_by_label("Data").fill("only once")
    console.press("Schedule", console.editor)
    expect(console.editor.get_by_role("alert")).to_contain_text("it makes no second schedule")
    console.save("Schedule")
    assert 201 == lost[0].status
    expect(console.rows).to_have_count(1)
    assert 1 == len(api.run(lambda stack: stack.manage("list"))["schedules"])


@pytest.mark.parametrize("status", [500, 503])
def test_an_error_of_the_api_is_shown_and_can_be_tried_again(console, api, status):
    schedule(api, {"name": "order/1", "data": "x"})
    console.open()
    body = json.dumps({"message": "Internal server error"})
    console.page.route("**/schedules?*", lambda route: route.fulfill(status=status, body=body))
    console.search("order")
    alert = console.page.locator("#panel [role=alert]")
    expect(alert).to_contain_text("Internal server error")
    console.page.unroute("**/schedules?*")
    alert.get_by_role("button", name="Try again").click()
    expect(console.row("order/1")).to_be_visible()


# ---------------------------------------------------------------------------------------------------------- content


def test_html_scripts_and_marks_show_as_text(console, api):
    url = "https://api.example.com/<script>document.title='taken'</script>"
    schedule(
        api,
        {"name": "html", "data": HTML, "user": HTML},
        {"name": "marks", "data": REVERSED, "user": REVERSED},
        {"name": "hook", "data": "x", "target": {"url": url.replace("<", "%3C"), "headers": {"x-html": HTML}}},
    )
    console.open()
    drawer = console.show("html")
    drawer.get_by_role("button", name=re.compile("Show data")).click()
    expect(drawer.locator("pre code")).to_have_text(HTML)
    expect(drawer.locator("dd").filter(has_text="<b>bold</b>")).to_be_visible()
    assert 0 == drawer.locator("img, script, b").count()
    console.press("Close", drawer)

    drawer = console.show("marks")
    drawer.get_by_role("button", name=re.compile("Show data")).click()
    expect(drawer.locator("pre code")).to_have_text(r"invoice\u202egpj.exe\u2066\u200fabc\u2069")
    console.press("Close", drawer)

    drawer = console.show("hook")
    drawer.get_by_text("The whole target").click()
    expect(drawer.locator("details pre")).to_contain_text("<b>bold</b>")
    assert 0 == console.page.locator("main img, main script").count()
    expect(console.page).to_have_title("Punctual")


def test_data_is_hidden_until_a_reader_asks_for_it(console, api):
    schedule(api, {"name": "order/1", "data": "the secret of order 1"})
    console.open()
    drawer = console.show("order/1")
    expect(console.page.get_by_text("the secret of order 1")).to_have_count(0)
    console.press("Show data (21 bytes)", drawer)
    expect(drawer.get_by_text("the secret of order 1")).to_be_visible()


@pytest.mark.parametrize("data", ["x" * 262_144, "line\n" * 10_000], ids=["256 KiB", "10,000 lines"])
def test_large_data_is_shown_whole_and_the_page_stays_usable(console, api, data):
    schedule(api, {"name": "large", "data": data})
    console.open()
    drawer = console.show("large")
    drawer.get_by_role("button", name=re.compile("Show data")).click()
    assert data == drawer.locator("pre code").evaluate("(code) => code.textContent")
    console.press("Close", drawer)
    expect(console.row("large")).to_be_visible()


def test_the_page_runs_no_inline_script_and_no_eval(console):
    console.open()
    console.page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.a = 1'}))"
    )
    assert console.page.evaluate("window.a") is None
    violated = """(act) => new Promise((done) => {
        addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective), {once: true});
        act === 'eval' ? setTimeout('window.b = 1') : (new Image().src = 'https://example.com/x.png');
    })"""
    assert "script-src" == console.page.evaluate(violated, "eval")
    assert "img-src" == console.page.evaluate(violated, "image")
    assert console.page.evaluate("window.b") is None
    console.complaints.clear()  # The browser complained, as it should.
