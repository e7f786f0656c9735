"""The first thing that a reader sees: how much is pending, and when."""

import re

import pytest
from playwright.sync_api import expect

HOUR_S = 3_600
DAY_S = 86_400


def schedule(api, *delays_s, prefix="order", **fields):
    members = [{"delay": each, "data": "x", "name": f"{prefix}/{each}", **fields} for each in delays_s]
    api.run(lambda stack: stack.schedule(members))


def bar(console, number, of):
    """Return the place of a bar on the page."""
    box = console.page.locator(".u-over").bounding_box()
    return box["x"] + box["width"] * (number + 0.5) / of, box["y"] + box["height"] * 0.7


def test_a_reader_pastes_a_key_and_sees_what_is_pending(console, api):
    schedule(api, HOUR_S, 2 * HOUR_S, 30 * HOUR_S)
    console.open()
    expect(console.count).to_have_text("3")
    expect(console.rows).to_have_count(3)
    expect(console.row("order/3600")).to_contain_text("in ")
    expect(console.page.get_by_role("button", name="The next 7 days")).to_have_attribute("aria-pressed", "true")


@pytest.mark.slow
def test_an_empty_stack_says_so_and_offers_to_schedule(console):
    console.open()
    expect(console.count).to_have_text("0")
    expect(console.page.get_by_text("Nothing is pending")).to_be_visible()
    expect(console.page.get_by_text("Nothing is due in this time.")).to_be_visible()
    console.press("Schedule something")
    expect(console.editor).to_be_visible()


@pytest.mark.slow
def test_a_reader_zooms_by_dragging_and_back(console, api):
    schedule(api, *range(HOUR_S, 20 * HOUR_S, HOUR_S))
    console.open("#range=day")
    expect(console.count).to_have_text("19")
    (from_x, y), (to_x, _) = bar(console, 0, 96), bar(console, 24, 96)
    console.page.mouse.move(from_x, y)
    console.page.mouse.down()
    console.page.mouse.move(to_x, y, steps=5)
    console.page.mouse.up()
    expect(console.page).to_have_url(re.compile(r"#zoom=\d+-\d+"))
    expect(console.count).not_to_have_text("19")
    console.settle()
    assert 3 <= int(console.count.inner_text()) <= 7
    expect(console.rows).to_have_count(int(console.count.inner_text()))
    console.page.get_by_role("button", name="The next 24 hours").click()
    expect(console.count).to_have_text("19")
    console.page.go_back()
    expect(console.count).not_to_have_text("19")


@pytest.mark.slow
def test_a_click_on_a_bar_shows_its_schedules(console, api):
    schedule(api, 2 * HOUR_S + 60, 2 * HOUR_S + 120, 8 * HOUR_S)
    console.open("#range=day")
    console.page.mouse.click(*bar(console, 8, 96))
    expect(console.page.locator(".picked")).to_contain_text("2 pending")
    expect(console.rows).to_have_count(2)
    console.press("Clear the bar")
    expect(console.rows).to_have_count(3)


@pytest.mark.slow
def test_ten_thousand_are_an_estimate_and_exact_on_click(console, api):
    for first in (0, 5_000):
        members = [{"delay": DAY_S + (first + each) * 30, "data": "x"} for each in range(5_000)]
        api.run(lambda stack, members=members: stack.schedule(members))
    console.open()
    expect(console.count).to_have_text(re.compile("≈ "))
    expect(console.page.locator(".tag").first).to_have_text("estimate")
    about = int(re.sub(r"\D", "", console.count.inner_text()))
    assert 5_000 < about < 20_000

    console.page.mouse.click(*bar(console, 24, 84))  # The bars are of two hours: 240 schedules.
    expect(console.page.locator(".picked")).to_contain_text("240 pending")
    expect(console.page.locator(".picked")).to_contain_text("exact")
    expect(console.rows).to_have_count(50)
    console.press("Show more")
    expect(console.rows).to_have_count(100)

    console.press("Count exactly")
    expect(console.count).to_have_text("10,000")


@pytest.mark.slow
def test_search_finds_by_the_beginning_of_a_name_and_by_id(console, api):
    schedule(api, HOUR_S, 2 * HOUR_S)
    schedule(api, HOUR_S, prefix="invoice")
    (answer,) = api.run(lambda stack: stack.schedule([{"delay": DAY_S, "data": "no name"}]))["results"]
    console.open()
    expect(console.rows).to_have_count(4)
    console.search("order/")
    expect(console.rows).to_have_count(2)
    expect(console.page).to_have_url(re.compile(r"#q=order/"))
    console.search(answer["id"])
    expect(console.rows).to_have_count(1)
    expect(console.rows).to_contain_text(answer["id"])
    console.search("nothing/like/this")
    expect(console.page.get_by_text("Nothing found")).to_be_visible()
    console.search("invoice/")
    expect(console.rows).to_have_count(1)
    console.page.reload()
    expect(console.rows).to_have_count(1)


@pytest.mark.slow
def test_a_name_in_full_is_found_after_its_delivery(console, api):
    schedule(api, HOUR_S)
    api.run(lambda stack: stack.advance(hours=2))
    console.open("#q=order/3600")
    expect(console.row("order/3600")).to_contain_text("delivered")
    drawer = console.show("order/3600")
    expect(drawer).to_contain_text("Delivered")
    expect(drawer).to_contain_text("Accepted")


@pytest.mark.slow
def test_recent_deliveries_show_how_late_they_were(console, api):
    schedule(api, HOUR_S)
    console.open("#view=deliveries")
    expect(console.page.get_by_text("No deliveries yet")).to_be_visible()
    api.run(lambda stack: stack.advance(hours=2))
    console.page.reload()
    expect(console.rows).to_have_count(1)
    expect(console.rows).to_contain_text("order/3600")
    expect(console.rows).to_contain_text(re.compile(r"\d+ ms late|on time"))
