"""The owner chooses the application whose schedules are seen. A key of an application sees its own, and no choice."""

import pytest
from playwright.sync_api import expect

HOUR_S = 3_600
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
pytestmark = pytest.mark.slow


@pytest.fixture
def made(api):
    """An application with one schedule, beside one of the owner."""

    def act(stack):
        made = stack.administer("create", name="billing", default_target="output")
        for whose, name in (({}, "mine/1"), ({"application": "billing"}, "order/1")):
            stack.schedule({"delay": 10 * HOUR_S, "data": "x", "name": name, **whose})
        return made

    return api.run(act)


def names(api, **whose):
    return {each["name"] for each in api.run(lambda stack: stack.manage("list", **whose))["schedules"]}


def test_the_owner_sees_and_changes_the_schedules_of_the_chosen_application(console, api, made):
    console.open()
    expect(console.row("mine/1")).to_be_visible()
    console.page.locator("#choose").click()
    console.question.get_by_label("Application").fill("billing")
    console.confirm("Show")
    expect(console.row("order/1")).to_be_visible()
    expect(console.rows).to_have_count(1)
    expect(console.count).to_have_text("1")
    expect(console.page.locator("#whose")).to_have_text("billing")
    assert "application=billing" in console.page.url

    console.press("New schedule")
    console.editor.get_by_label("Data").fill("x")
    console.editor.get_by_label("Name", exact=True).fill("order/2")
    console.save("Schedule")
    expect(console.row("order/2")).to_be_visible()
    console.press("Cancel schedule", console.show("order/1"))
    console.confirm("Cancel schedule")
    console.press("Close", console.drawer)
    expect(console.row("order/1")).to_have_count(0)
    assert {"order/2"} == names(api, application="billing")

    console.page.reload()
    expect(console.row("order/2")).to_be_visible()
    console.page.locator("#choose").click()
    console.question.get_by_label("Application").fill("")
    console.confirm("Show")
    expect(console.row("mine/1")).to_be_visible()
    expect(console.page.locator("#whose")).to_have_text("owner")
    assert "application" not in console.page.url
    assert {"mine/1"} == names(api)


@pytest.mark.parametrize(("typed", "told"), [("nobody", "no application has the name"), ("*", "Name one application.")])
def test_an_application_that_cannot_be_shown_is_told(console, made, typed, told):
    """The page goes on showing the schedules of the owner."""
    console.open()
    console.page.locator("#choose").click()
    console.question.get_by_label("Application").fill(typed)
    console.press("Show", console.question)
    expect(console.question.get_by_role("alert")).to_contain_text(told)
    console.press("Keep as it is", console.question)
    expect(console.row("mine/1")).to_be_visible()
    assert "application" not in console.page.url


def test_a_key_of_an_application_has_no_choice(console, made):
    """An application in the address has no effect, and no request names one."""
    requests = []
    console.page.on("request", lambda request: requests.append(request.url))
    console.key = made["control"]["key"]
    console.open("#application=owner")
    expect(console.row("order/1")).to_be_visible()
    expect(console.rows).to_have_count(1)
    expect(console.page.locator("#choose")).to_have_count(0)
    assert not [each for each in requests if "application=" in each.partition("#")[0]]


def test_the_choice_fits_a_phone(new_page, made):
    console = new_page(**PHONE)
    console.open("#application=billing")
    expect(console.page.locator("#choose")).to_be_visible()
    assert console.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
