"""A reader creates, moves, changes, fires and cancels schedules, one and several."""

import re

import pytest
from playwright.sync_api import expect

HOUR_S = 3_600
pytestmark = pytest.mark.slow


def schedule(api, *names, delay=10 * HOUR_S, **fields):
    members = [{"delay": delay, "data": f"data of {name}", "name": name, **fields} for name in names]
    api.run(lambda stack: stack.schedule(members))


def stored(api, name):
    return api.run(lambda stack: stack.manage("get", name=name, full=True))


def change_by(console, way):
    """Open the form for order/1: from its tick in the list, or from its details."""
    if way == "ticked":
        console.choose("order/1")
    console.press("Change", None if way == "ticked" else console.show("order/1"))


def test_a_new_schedule_appears_at_once(console, api):
    console.open()
    console.press("New schedule")
    console.editor.get_by_label("Data").fill('{"order": 7}')
    console.editor.get_by_label("Name", exact=True).fill("order/7")
    console.editor.get_by_label("How long from now").fill("90")
    console.editor.get_by_label("Unit", exact=True).select_option("minutes")
    console.save("Schedule")
    console.expect_toast("Scheduled, due in 1 h")
    expect(console.row("order/7")).to_be_visible()
    expect(console.count).to_have_text("1")

    answer = stored(api, "order/7")
    assert '{"order": 7}' == answer["data"]
    assert 5_390 <= answer["timestamp"] - api.run(lambda stack: stack.now) <= 5_410

    api.run(lambda stack: stack.advance(hours=2))
    (message,) = api.run(lambda stack: stack.released())
    assert {"order": 7} == message.json


def test_a_time_of_day_counts_in_the_zone_that_is_written(console, api):
    console.open()
    console.press("New schedule")
    console.editor.get_by_label("Data").fill("good morning")
    console.editor.get_by_label("Name", exact=True).fill("morning")
    console.editor.get_by_role("radio", name="At", exact=True).check()
    console.editor.get_by_label("Date and time").fill("2030-07-01T09:00:00")
    expect(console.editor.get_by_label("Time zone")).to_have_value("Europe/Berlin")
    console.editor.get_by_label("Time zone").fill("America/New_York")
    console.save("Schedule")
    expect(console.row("morning")).to_contain_text("15:00:00")
    assert 1_909_141_200 == stored(api, "morning")["timestamp"]


def test_a_refusal_is_shown_at_its_field_and_nothing_is_lost(console):
    console.open()
    console.press("New schedule")
    console.editor.get_by_label("Data").fill("x")
    console.editor.get_by_label("Target", exact=True).fill("arn:aws:sqs:eu-central-1:123456789012:not-listed")
    console.press("Schedule", console.editor)
    expect(console.editor.get_by_role("alert")).to_contain_text("target")
    expect(console.editor.get_by_label("Target", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(console.editor.get_by_label("Target", exact=True)).to_be_focused()
    expect(console.editor.get_by_label("Data")).to_have_value("x")


def test_a_reader_moves_a_schedule(console, api):
    schedule(api, "order/1")
    before = stored(api, "order/1")["timestamp"]
    console.open()
    console.press("Move", console.show("order/1"))
    console.editor.get_by_role("radio", name="Later by").check()
    console.editor.get_by_label("How much later").fill("2")
    console.save("Move")
    console.expect_toast("Moved.")
    expect(console.drawer).to_contain_text("in 11 h")
    assert before + 2 * HOUR_S == stored(api, "order/1")["timestamp"]


def test_a_reader_changes_the_data_and_keeps_the_rest(console, api):
    schedule(api, "order/1", user="ada", retry={"attempts": 3})
    console.open()
    console.press("Change", console.show("order/1"))
    expect(console.editor.get_by_label("Data")).to_have_value("data of order/1")
    console.editor.get_by_label("Data").fill("other data")
    console.save("Change")
    console.expect_toast("Changed.")
    answer = stored(api, "order/1")
    assert ("other data", "ada", {"attempts": 3}) == (answer["data"], answer["user"], answer["retry"])


def test_one_that_is_ticked_is_changed_from_all_of_its_data_and_fields(console, api):
    """The list shows 256 characters of the data, and neither retry nor user."""
    data = "0123456789" * 100
    schedule(api, "order/1", data=data, user="ada", retry={"attempts": 3, "max_age_s": 500}, expires_after=900)
    console.open()
    console.choose("order/1")
    console.press("Change")
    expect(console.editor.get_by_label("Data")).to_have_value(data)
    console.editor.get_by_label("Data").fill("X" + data[1:])
    console.save("Change")
    console.expect_toast("1 schedule changed.")
    answer = stored(api, "order/1")
    assert "X" + data[1:] == answer["data"]
    assert ({"attempts": 3, "max_age_s": 500}, "ada", 900) == (answer["retry"], answer["user"], answer["expires_after"])


def change_attempts(console):
    console.press("Change")
    console.editor.get_by_text("More", exact=True).click()
    console.editor.get_by_label("Attempts").fill("5")
    console.save("Change")


def test_one_that_is_ticked_keeps_the_other_part_of_its_retry(console, api):
    schedule(api, "order/1", retry={"attempts": 3, "max_age_s": 500})
    console.open()
    console.choose("order/1")
    change_attempts(console)
    console.expect_toast("1 schedule changed.")
    assert {"attempts": 5, "max_age_s": 500} == stored(api, "order/1")["retry"]


def test_of_several_each_keeps_the_other_part_of_its_retry(console, api):
    schedule(api, "a/1", retry={"attempts": 3, "max_age_s": 500})
    schedule(api, "a/2", retry={"max_age_s": 700})
    schedule(api, "a/3")
    console.open()
    console.choose("a/1", "a/2", "a/3")
    change_attempts(console)
    console.expect_toast("3 schedules changed.")
    assert {"attempts": 5, "max_age_s": 500} == stored(api, "a/1")["retry"]
    assert {"attempts": 5, "max_age_s": 700} == stored(api, "a/2")["retry"]
    assert {"attempts": 5} == stored(api, "a/3")["retry"]


def test_one_that_cannot_be_read_whole_is_not_changed(console, api):
    (answer,) = api.run(lambda stack: stack.schedule([{"delay": 10 * HOUR_S, "data": "x"}]))["results"]
    console.open()
    console.rows.get_by_role("checkbox").check()
    api.run(lambda stack: stack.manage("cancel", id=answer["id"]))
    console.press("Change")
    console.expect_toast(re.compile("it was cancelled"))
    expect(console.editor).to_have_count(0)


@pytest.mark.parametrize("data", ["a\r\nb\r\n", "a\r\nb\nc\rd"], ids=["crlf", "mixed"])
@pytest.mark.parametrize("way", ["ticked", "shown"])
def test_a_change_of_the_target_alone_leaves_the_ends_of_lines(console, api, data, way):
    schedule(api, "order/1", data=data)
    console.open()
    change_by(console, way)
    console.editor.get_by_label("Target", exact=True).fill("https://api.example.com/in")
    console.save("Change")
    console.expect_toast(re.compile("hanged"))
    answer = stored(api, "order/1")
    assert ({"url": "https://api.example.com/in"}, data) == (answer["target"], answer["data"])


def test_a_change_of_the_data_keeps_its_kind_of_line_ends(console, api):
    schedule(api, "crlf", data="a\r\nb\r\n")
    schedule(api, "lf", data="a\nb\n")
    console.open()
    for name in ("crlf", "lf"):
        console.press("Change", console.show(name))
        console.editor.get_by_label("Data").fill("a\nc\n")
        console.save("Change")
        console.press("Close", console.drawer)
    assert ("a\r\nc\r\n", "a\nc\n") == (stored(api, "crlf")["data"], stored(api, "lf")["data"])


def test_a_field_that_is_emptied_is_removed(console, api):
    schedule(api, "order/1", user="ada")
    console.open()
    console.press("Change", console.show("order/1"))
    console.editor.get_by_text("More", exact=True).click()
    console.editor.get_by_label("User").fill("")
    console.save("Change")
    assert stored(api, "order/1")["user"] is None


def test_an_unnamed_schedule_is_followed_to_its_new_id(console, api):
    (answer,) = api.run(lambda stack: stack.schedule([{"delay": 10 * HOUR_S, "data": "x"}]))["results"]
    console.open()
    console.press("Change", console.show(answer["id"]))
    console.editor.get_by_label("Data").fill("y")
    console.save("Change")
    expect(console.drawer.locator("header .id")).not_to_contain_text(answer["id"])
    console.press("Show data (1 byte)", console.drawer)
    expect(console.drawer.locator("pre")).to_have_text("y")
    console.press("Close", console.drawer)
    expect(console.rows).to_have_count(1)


def test_nothing_is_cancelled_without_a_yes(console, api):
    schedule(api, "order/1")
    console.open()
    console.press("Cancel schedule", console.show("order/1"))
    console.press("Keep as it is", console.question)
    expect(console.question).to_have_count(0)
    assert "stored" == stored(api, "order/1")["state"]

    console.press("Cancel schedule", console.drawer)
    console.confirm("Cancel schedule")
    console.expect_toast("Cancelled.")
    expect(console.drawer).to_contain_text("cancelled")
    console.press("Close", console.drawer)
    expect(console.rows).to_have_count(0)
    assert "cancelled" == stored(api, "order/1")["state"]


def test_a_reader_fires_a_schedule(console, api):
    schedule(api, "order/1")
    console.open()
    console.press("Fire now", console.show("order/1"))
    console.confirm("Fire now")
    console.expect_toast("Fired.")
    api.run(lambda stack: stack.advance(seconds=30))
    (message,) = api.run(lambda stack: stack.released())
    assert "data of order/1" == message.data


def test_several_are_moved_and_cancelled_at_once(console, api):
    schedule(api, "a/1", "a/2", "b/1", "b/2", "b/3")
    console.open()
    console.choose("b/1", "b/2")
    expect(console.page.get_by_text("2 selected")).to_be_visible()
    console.press("Move")
    console.editor.get_by_role("radio", name="Later by").check()
    console.save("Move")
    console.expect_toast("2 schedules moved.")
    assert stored(api, "b/1")["timestamp"] == stored(api, "a/1")["timestamp"] + HOUR_S

    console.page.get_by_label("Select all that are shown").check()
    console.press("Cancel")
    console.confirm("Cancel 5 schedules")
    console.expect_toast("5 schedules cancelled.")
    expect(console.page.get_by_text("Nothing is pending")).to_be_visible()


def test_several_are_fired_and_changed_at_once(console, api):
    schedule(api, "a/1", "a/2", "a/3")
    console.open()
    console.choose("a/1", "a/2")
    console.press("Change")
    console.editor.get_by_label("Data").fill("the same")
    console.save("Change")
    console.expect_toast("2 schedules changed.")
    console.choose("a/1", "a/2", "a/3")
    expect(console.page.get_by_text("3 selected")).to_be_visible()
    console.press("Fire now")
    console.confirm("Fire now")
    console.expect_toast("3 schedules fired.")
    api.run(lambda stack: stack.advance(seconds=30))
    data = sorted(message.data for message in api.run(lambda stack: stack.released()))
    assert ["data of a/3", "the same", "the same"] == data


def test_one_of_several_that_cannot_be_changed_is_named(console, api):
    schedule(api, "a/1", "a/2")
    console.open()
    console.choose("a/1", "a/2")
    api.run(lambda stack: stack.manage("cancel", name="a/1"))
    console.press("Fire now")
    console.press("Fire now", console.question)
    expect(console.page.get_by_role("heading", name="1 schedule not fired")).to_be_visible()
    expect(console.question.filter(has_text="not fired")).to_contain_text("a/1")
    console.expect_toast("1 schedule fired.")


def test_all_that_a_search_finds_are_counted_then_cancelled(console, api):
    schedule(api, *[f"order/{each}" for each in range(120)])
    schedule(api, "invoice/1")
    console.open("#q=order/")
    console.press("Cancel all found …")
    expect(console.question).to_contain_text("Cancel 120 schedules?")
    assert "stored" == stored(api, "order/7")["state"]
    console.confirm("Cancel 120 schedules")
    console.expect_toast(re.compile("120 schedules cancelled"))
    expect(console.page.get_by_text("Nothing found")).to_be_visible()
    assert "cancelled" == stored(api, "order/7")["state"]
    assert "stored" == stored(api, "invoice/1")["state"]
