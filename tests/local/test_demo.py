"""The demonstration counts only what it has seen, and reports what is missing."""

import concurrent.futures
import re
import urllib.error
import urllib.request
from typing import Any

import pytest
from rich.console import Console

from punctual.local.demo import (
    AT_LAST,
    BURST,
    FAR,
    REFUSALS,
    SINGLES,
    WEBHOOKS,
    Accepted,
    Arrival,
    DemonstrationFailed,
    Plan,
    Progress,
    accept,
    demonstrate,
)
from punctual.local.deployment import Stack
from punctual.local.emulator import Emulator
from punctual.local.receiver import Receiver
from punctual.local.view import PlainView, picture

PATIENCE_S = 60.0


def progress_of(*accepted: Accepted) -> Progress:
    progress = Progress()
    for one in accepted:
        progress.accept(one)
    progress.complete()
    return progress


def near(id: str, due_s: float, part: str = SINGLES) -> Accepted:
    return Accepted(id, due_s, part, "queued")


def test_a_summary_of_all_schedules_in_time_is_good() -> None:
    """All schedules came and none was early. One line says so."""
    progress = progress_of(near("a", 100.0), near("b", 100.0), near("c", 101.0))
    for id, received_s in (("a", 100.1), ("b", 100.3), ("c", 101.2)):
        progress.arrive(Arrival(id, 101.0 if id == "c" else 100.0, received_s))
    summary = progress.summary()
    assert summary.is_good
    assert "released 3 of 3 accepted, 0 early, worst lateness 0.300 s, median 0.200 s, 0 duplicates" == str(summary)


def test_a_duplicate_is_counted_and_is_not_bad() -> None:
    """The guarantee is at-least-once."""
    progress = progress_of(near("a", 100.0))
    progress.arrive(Arrival("a", 100.0, 100.1))
    progress.arrive(Arrival("a", 100.0, 105.0))
    assert progress.summary().is_good
    assert "released 1 of 1 accepted" in str(progress.summary())
    assert str(progress.summary()).endswith("1 duplicates")


def test_webhooks_and_cancelled_schedules_are_reported_separately() -> None:
    """A webhook that is accepted at the third attempt is not late. A cancelled schedule must stay away."""
    progress = progress_of(near("a", 100.0), near("w", 100.0, WEBHOOKS), near("x", 100.0, WEBHOOKS))
    progress.cancel(near("c", 100.0))
    for id, received_s in (("a", 100.1), ("w", 100.2), ("x", 125.0)):
        progress.arrive(Arrival(id, 100.0, received_s))
    progress.request(4)
    assert progress.summary().is_good
    assert (
        "released 1 of 1 accepted, 0 early, worst lateness 0.100 s, median 0.100 s, 0 duplicates"
        "; webhooks delivered 2 of 2 in 4 requests; 1 cancelled, 0 of them came"
    ) == str(progress.summary())


def test_a_delivered_cancelled_schedule_is_bad() -> None:
    """Other successes do not help, and it does not count as a foreign message."""
    progress = progress_of(near("a", 100.0))
    progress.cancel(near("c", 100.0))
    for id in ("a", "c"):
        progress.arrive(Arrival(id, 100.0, 100.1))
    assert not progress.summary().is_good
    assert [] == progress.strangers()
    assert str(progress.summary()).endswith("1 cancelled, 1 of them came")


def test_an_undelivered_webhook_is_missing() -> None:
    """The demonstration waits for it as for a message."""
    progress = progress_of(near("a", 100.0), near("w", 100.0, WEBHOOKS))
    progress.arrive(Arrival("a", 100.0, 100.1))
    assert ("w",) == progress.summary().missing
    assert not progress.summary().is_good
    assert progress.is_expecting(lost_s=50.0)


def test_the_receiver_refuses_as_often_as_configured() -> None:
    """It refuses at that path only and keeps all requests."""
    with Receiver({"/twice": 2}) as receiver:
        statuses = [post(f"{receiver.origin}{path}") for path in ("/twice", "/", "/twice", "/twice")]
        requests = receiver.requests()
    assert [503, 200, 503, 200] == statuses
    assert [(False, "i", 5.25), (True, "i", 5.25)] == [(each.taken, each.id, each.due_s) for each in requests[:2]]


def post(url: str) -> int:
    request = urllib.request.Request(url, b"x", {"punctual-id": "i", "punctual-due": "5.25"})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


def test_a_missing_schedule_is_named() -> None:
    """It is bad, whatever came in its place."""
    progress = progress_of(near("a", 100.0), near("b", 100.0))
    progress.arrive(Arrival("a", 100.0, 100.1))
    progress.arrive(Arrival("somebody else's", 100.0, 100.1))
    assert ("b",) == progress.summary().missing
    assert not progress.summary().is_good
    assert "released 1 of 2 accepted" in str(progress.summary())


def test_an_early_schedule_is_bad() -> None:
    """A millisecond is enough."""
    progress = progress_of(near("a", 100.0))
    progress.arrive(Arrival("a", 100.0, 99.999))
    assert not progress.summary().is_good
    assert "released 1 of 1 accepted, 1 early" in str(progress.summary())


def test_an_empty_demonstration_is_bad() -> None:
    """It had no accepted schedule and shows nothing."""
    assert not progress_of().summary().is_good
    assert "released 0 of 0 accepted" in str(progress_of().summary())


def test_it_waits_for_the_last_schedule() -> None:
    """It continues while a schedule may still come or is still to be sent."""
    progress = Progress()
    assert progress.is_expecting(lost_s=1000.0)
    progress.accept(near("a", 100.0))
    progress.accept(near("b", 200.0))
    progress.complete()
    assert progress.is_expecting(lost_s=150.0)
    assert not progress.is_expecting(lost_s=200.0)
    progress.arrive(Arrival("b", 200.0, 200.1))
    assert not progress.is_expecting(lost_s=150.0)


def test_an_arrival_may_overtake_its_own_answer() -> None:
    """A message that comes before its request's answer is not a foreign message."""
    progress = Progress()
    progress.arrive(Arrival("a", 100.0, 100.1))
    assert [] == progress.strangers()
    progress.accept(near("a", 100.0))
    progress.complete()
    assert [] == progress.strangers()
    assert progress.summary().is_good


def test_a_refusal_stops_the_demonstration() -> None:
    """All of its requests are valid. The error names the refused one."""
    with pytest.raises(DemonstrationFailed, match="InvalidSchedule: no such moment"):
        accept({"error": "InvalidSchedule", "message": "no such moment"}, BURST, Progress())


def test_plain_lines_show_each_arrival_once_and_a_burst_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand lines would be unreadable."""
    progress = progress_of(near("a", 100.0), *(near(f"b{index}", 100.0, BURST) for index in range(1000)))
    shown = PlainView()
    progress.arrive(Arrival("a", 100.0, 100.25))
    shown.update(progress, now_s=0.0)
    for index in range(1000):
        progress.arrive(Arrival(f"b{index}", 100.0, 100.5))
    shown.update(progress, now_s=0.0)
    shown.update(progress, now_s=0.0)
    lines = [re.sub(r"^\d\d:\d\d:\d\d  ", "", line) for line in capsys.readouterr().out.splitlines()]
    assert [
        "came  a  queued  0.250 s late",
        "came  a burst of 1000, queued: median 0.500 s, worst 0.500 s late",
    ] == lines


def test_plain_lines_sometimes_show_what_is_pending(capsys: pytest.CaptureFixture[str]) -> None:
    """They show the number per kind, and when the next schedule is due."""
    progress = progress_of(near("a", 4e9), near("b", 4e9 + 1), Accepted("c", 4e9 + 90, FAR, "stored"))
    PlainView().update(progress, now_s=4e9 - 2.5)
    assert "pending 3 (2 queued, 1 stored), next due in 2.5 s" in capsys.readouterr().out


def test_a_cancelled_schedule_is_reported_once_as_not_delivered(capsys: pytest.CaptureFixture[str]) -> None:
    """The line comes after its due time."""
    progress = progress_of(near("a", 110.0))
    progress.cancel(Accepted("c", 100.0, SINGLES, "named, cancelled"))
    shown = PlainView()
    for now_s in (101.0, 104.0, 105.0):
        shown.update(progress, now_s)
    assert 1 == capsys.readouterr().out.count("quiet c  named, cancelled")
    console = Console(width=120)
    with console.capture() as captured:
        console.print(picture(progress, now_s=104.0))
    assert "c named, cancelled did not come" in " ".join(captured.get().split())


def test_the_live_view_shows_everything() -> None:
    """Delivered schedules with their lateness, pending ones with a countdown, and those of an earlier run."""
    progress = progress_of(near("a", 100.0), near("b", 104.0), near("c", 103.0, BURST), near("d", 103.0, BURST))
    progress.arrive(Arrival("a", 100.0, 100.25))
    progress.arrive(Arrival("z", 90.0, 101.0))
    console = Console(width=120)
    with console.capture() as captured:
        console.print(picture(progress, now_s=101.0))
    text = " ".join(captured.get().split())
    assert "pending 3 (3 queued), next due in 2.0 s" in text
    assert "a queued 0.250 s late" in text
    assert "b queued due in 3.0 s" in text
    assert "a burst of 2 queued due in 2.0 s" in text
    assert "z from an earlier run 11.000 s late" in text


def test_a_small_demonstration_of_the_real_template(real_stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Near and far schedules, single and in batches, webhooks and names: all are delivered, and none early.

    The test starts the feeds by hand.
    """
    reach_s = 3
    plan = Plan(
        single_delays_s=(1.0, 2.0),
        burst_count=50,
        burst_delay_s=2.0,
        far_delays_s=(reach_s + 2.0, reach_s + 2.5),
        patience_s=PATIENCE_S,
        webhook_delay_s=2.0,
        moved_delays_s=(60.0, 2.5),
        cancelled_delay_s=20.0,
    )
    with Receiver(REFUSALS) as receiver, concurrent.futures.ThreadPoolExecutor(1) as pool:
        parameters = {"ReachSeconds": reach_s, "DeliveryLeadSeconds": 3, "WebhookHosts": receiver.origin}
        stack = real_stack.update(parameters)
        running = pool.submit(demonstrate, stack, plan, PlainView(), receiver)
        while not running.done():
            stack.invoke("TriggerFunction", {})
            concurrent.futures.wait([running], timeout=1)
    assert running.result().is_good, running.result()
    said = str(running.result())
    assert said.startswith("released 55 of 55 accepted, 0 early")
    assert said.endswith(f"webhooks delivered 2 of 2 in {2 + REFUSALS[AT_LAST]} requests; 1 cancelled, 0 of them came")
    assert 2 == len(re.findall(r"came .* stored ", capsys.readouterr().out))


def test_the_plan_follows_the_stack() -> None:
    """Far schedules are beyond the reach of this stack, and near ones within it."""
    parameters = {"ReachSeconds": "90", "FeedIntervalMinutes": "1"}
    stack: Any = Stack("punctual", parameters, {}, Emulator(), {})
    plan = Plan.for_stack(stack)
    assert 90 < min(plan.far_delays_s)
    assert max(*plan.single_delays_s, plan.burst_delay_s) < 90
