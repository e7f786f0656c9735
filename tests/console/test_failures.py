"""A reader sees the reason of each failure, and redrives it."""

import re

import pytest
from playwright.sync_api import expect

TARGET = {"url": "https://api.example.com/orders", "headers": {"x-key": "k"}}
pytestmark = pytest.mark.slow


def fail(api, *names):
    """Schedule webhooks whose host refuses them for good."""

    def act(stack):
        stack.answer("api.example.com", status=410)
        stack.schedule([{"delay": 5, "data": f"data of {name}", "target": TARGET, "name": name} for name in names])
        stack.schedule({"delay": 5, "data": "no name", "target": TARGET})
        stack.advance(minutes=5)
        stack.answer("api.example.com", status=200)

    api.run(act)


def test_a_failure_shows_its_reason_and_can_be_redriven(console, api):
    fail(api, "hook/1", "hook/2")
    console.open("#view=failures")
    expect(console.rows).to_have_count(3)
    expect(console.row("hook/1")).to_contain_text(re.compile("failed.*410", re.DOTALL))
    expect(console.row("hook/1")).to_contain_text("api.example.com")

    console.choose("hook/1")
    console.press("Redrive")
    console.confirm("Redrive")
    console.expect_toast("1 failure redriven.")
    expect(console.rows).to_have_count(2)
    api.run(lambda stack: stack.advance(minutes=1))
    assert ["data of hook/1"] == [each.data for each in api.run(lambda stack: stack.delivered())]


def test_all_failures_are_redriven_after_a_yes(console, api):
    fail(api, "hook/1", "hook/2")
    console.open("#view=failures")
    console.press("Redrive all …")
    console.press("Keep as it is", console.question)
    expect(console.rows).to_have_count(3)
    console.press("Redrive all …")
    console.confirm("Redrive all")
    console.expect_toast("3 failures redriven.")
    expect(console.page.get_by_text("Nothing has failed")).to_be_visible()
    api.run(lambda stack: stack.advance(minutes=1))
    data = sorted(each.data for each in api.run(lambda stack: stack.delivered()))
    assert ["data of hook/1", "data of hook/2", "no name"] == data


def test_the_story_of_a_failed_schedule_tells_its_error(console, api):
    fail(api, "hook/1")
    console.open("#view=failures")
    drawer = console.show("hook/1")
    expect(drawer).to_contain_text("Last error")
    expect(drawer).to_contain_text("410")
    expect(drawer).to_contain_text("Attempt 1")
    expect(drawer.get_by_role("button", name="Fire now")).to_have_count(0)


def test_retries_show_their_attempts_and_the_next(console, api):
    def act(stack):
        stack.answer("api.example.com", status=503)
        stack.schedule({"delay": 5, "data": "x", "target": TARGET, "name": "hook/1"})
        stack.advance(seconds=40)

    api.run(act)
    console.open("#q=hook/1")
    drawer = console.show("hook/1")
    expect(drawer.locator(".story")).to_contain_text(re.compile("Attempt 1.*Attempt 2.*Next attempt", re.DOTALL))
