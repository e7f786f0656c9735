"""The demonstration counts only what it has seen, and reports what is missing."""

import concurrent.futures
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from punctual.local.demo import AT_LAST, REFUSALS, DemonstrationFailed, Plan, Queue, Queues, accept, demonstrate
from punctual.local.deployment import Stack
from punctual.local.emulation.emulator import Emulator
from punctual.local.progress import BURST, FAR, SINGLES, WEBHOOKS, Accepted, Arrival, Progress
from punctual.local.receiver import Receiver
from punctual.local.session import OWN_WEBHOOK_HOST, ConsoleAddress, Options, greeting, parameters
from punctual.local.view import PlainView, picture

pytestmark = pytest.mark.slow

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
    assert """\
released 3 of 3 accepted, 0 early, 0 duplicates
  in the queue  median 0.200 s, worst 0.300 s late (promised: 1 s and SQS)""" == str(summary)


def test_a_duplicate_is_counted_and_is_not_bad() -> None:
    """The guarantee is at-least-once."""
    progress = progress_of(near("a", 100.0))
    progress.arrive(Arrival("a", 100.0, 100.1))
    progress.arrive(Arrival("a", 100.0, 105.0))
    assert progress.summary().is_good
    assert "released 1 of 1 accepted, 0 early, 1 duplicates\n" in str(progress.summary())


def test_webhooks_and_cancelled_schedules_are_reported_separately() -> None:
    """A webhook that is accepted at the third request is not late. A cancelled schedule must stay away."""
    progress = progress_of(near("a", 100.0), near("w", 100.0, WEBHOOKS), near("x", 100.0, WEBHOOKS))
    progress.cancel(near("c", 100.0))
    progress.arrive(Arrival("a", 100.0, 100.1))
    progress.arrive(Arrival("w", 100.0, 100.01))
    progress.arrive(Arrival("x", 100.0, 100.03, requests=3, retried_s=28.0))
    progress.request(4)
    assert progress.summary().is_good
    assert """\
released 1 of 1 accepted, 0 early, 0 duplicates
  in the queue  median 0.100 s, worst 0.100 s late (promised: 1 s and SQS)
  webhooks      delivered 2 of 2 in 4 requests
                begun median 0.020 s, worst 0.030 s late (promised: 0.1 s)
  cancelled     1, 0 of them came""" == str(progress.summary())


def test_a_burst_is_as_late_as_its_queue_and_not_as_its_receivers() -> None:
    """Receiving a thousand messages takes seconds. All of them were in the queue before."""
    progress = progress_of(near("a", 100.0, BURST), near("b", 100.0, BURST), near("c", 100.0))
    for id, received_s in (("a", 100.2), ("b", 102.0), ("c", 101.5)):
        progress.arrive(Arrival(id, 100.0, received_s))
    progress.fill(100.5)
    assert [0.2, 0.5, 1.5] == sorted(round(late_s, 3) for late_s in progress.summary().latenesses_s)


def test_the_queue_says_nothing_about_a_burst_with_foreign_messages() -> None:
    """Messages of an earlier run, or duplicates, count as members. Then the figure of the receivers stands."""
    progress = progress_of(near("a", 100.0, BURST))
    progress.arrive(Arrival("a", 100.0, 102.0))
    progress.fill(100.5)
    progress.arrive(Arrival("z", 90.0, 101.0))
    assert (2.0,) == progress.summary().latenesses_s


def test_a_delivered_cancelled_schedule_is_bad() -> None:
    """Other successes do not help, and it does not count as a foreign message."""
    progress = progress_of(near("a", 100.0))
    progress.cancel(near("c", 100.0))
    for id in ("a", "c"):
        progress.arrive(Arrival(id, 100.0, 100.1))
    assert not progress.summary().is_good
    assert [] == progress.external_arrivals()
    assert str(progress.summary()).endswith("cancelled     1, 1 of them came")


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
    assert [] == progress.external_arrivals()
    progress.accept(near("a", 100.0))
    progress.complete()
    assert [] == progress.external_arrivals()
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
    assert "named, cancelled did not come" in " ".join(captured.get().split())


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
    assert "one by one 1 of 2 median 0.250 s, worst 0.250 s" in text
    assert "a burst 0 of 2 due in 2.0 s" in text
    assert "from an earlier run 1 up to 11.000 s late" in text
    assert "a 0.250 s late" in text


def test_a_retry_is_not_called_late() -> None:
    """Lateness ends with the first request. How long the retries took stands beside it."""
    progress = progress_of(Accepted("w", 100.0, WEBHOOKS, "webhook, refused twice"), near("a", 300.0))
    progress.refuse(Arrival("w", 100.0, 100.01))
    assert "webhook, refused twice 0 of 1 0.010 s late; comes again" in seen(progress, 128.0)
    assert "pending 2 (1 queued, 1 webhook), next due in 172.0 s" in seen(progress, 128.0)
    progress.arrive(Arrival("w", 100.0, 100.01, requests=3, retried_s=28.2))
    assert "webhook, refused twice 1 of 1 0.010 s late; 3 tries in 28 s" in seen(progress, 129.0)


def seen(progress: Progress, now_s: float) -> str:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(picture(progress, now_s))
    return " ".join(captured.get().split())


def test_the_screen_of_the_whole_demonstration_is_80_by_24(real_plan: Plan) -> None:
    """It shows every part in full, below the lines that come before it, also after an earlier run."""
    progress = Progress()
    for index in range(real_plan.burst_count):
        progress.accept(near(f"0-001795646385156-{index:016x}", 1e9, BURST))
    ways = [(SINGLES, "queued"), (SINGLES, "named, moved"), (FAR, "stored"), (WEBHOOKS, "webhook")]
    ways.append((WEBHOOKS, "webhook, refused twice"))
    for number, (part, way) in enumerate(ways * 10):
        progress.accept(Accepted(f"255-001795646385156-{number:016x}", 1e9, part, way))
    progress.cancel(Accepted("c", 1e9, SINGLES, "named, cancelled"))
    progress.complete()
    for accepted in progress.pending():
        progress.arrive(Arrival(accepted.id, 1e9, 1e9 + 12.345, requests=3, retried_s=28.0))
    progress.arrive(Arrival("z", 1e9, 1e9 + 3600))
    console = Console(width=80)
    with console.capture() as captured:
        console.print(picture(progress, now_s=1e9 + 100))
    url = "http://127.0.0.1:46259/restapis/0a1b2c3d4e/v1/_user_request_/console"
    address = ConsoleAddress(url, "pk" + "0" * 40)
    first = ["A local AWS is up at http://127.0.0.1:46259. Deploying template.yml ..."]
    first += greeting(Path(".punctual/env"), [OWN_WEBHOOK_HOST], address).splitlines()
    first += ["The demonstration has queues of its own. Its schedules are due in 2 to 100 s.", ""]
    lines = first + [line.rstrip() for line in captured.get().splitlines()]
    assert len(lines) <= 24, lines
    assert max(len(line) for line in [*lines, *str(progress.summary()).splitlines()]) <= 80
    assert "…" not in captured.get()


@pytest.mark.slow
def test_a_small_demonstration_of_the_real_template(real_stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """Near and far schedules, single and in batches, webhooks and names: all are delivered, and none early.

    A user's message stays in the output queue. The test starts the feeds by hand.
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
        queues = Queues.made(real_stack.emulator)
        given = Options({"ReachSeconds": str(reach_s)})
        stack = real_stack.update(parameters(given, queues, receiver))
        output_url = stack.outputs["OutputQueueUrl"]
        real_stack.emulator.client("sqs").send_message(QueueUrl=output_url, MessageBody="a user's")
        running = pool.submit(demonstrate, stack, queues, plan, PlainView(), receiver)
        while not running.done():
            stack.invoke("TriggerFunction", {})
            concurrent.futures.wait([running], timeout=1)
    assert running.result().is_good, running.result()
    said = str(running.result())
    assert said.startswith("released 55 of 55 accepted, 0 early")
    assert f"delivered 2 of 2 in {2 + REFUSALS[AT_LAST]} requests" in said
    assert said.endswith("1, 0 of them came")
    left = real_stack.emulator.client("sqs").receive_message(QueueUrl=output_url, MaxNumberOfMessages=10)
    assert ["a user's"] == [message["Body"] for message in left["Messages"]]
    assert 2 == len(re.findall(r"came .* stored ", capsys.readouterr().out))


@pytest.fixture
def real_plan() -> Plan:
    stack: Any = Stack("punctual", {"ReachSeconds": "90", "FeedIntervalMinutes": "1"}, {}, Emulator(), {})
    return Plan.for_stack(stack)


def test_the_plan_follows_the_stack(real_plan: Plan) -> None:
    """Far schedules are beyond the reach of this stack, and near ones within it."""
    assert 90 < min(real_plan.far_delays_s)
    assert max(*real_plan.single_delays_s, real_plan.burst_delay_s) < 90


def test_a_users_parameters_stand_beside_those_of_the_demonstration() -> None:
    """Both may list targets and hosts. A webhook host of one's own is allowed without any parameter."""
    queues = Queues(*(Queue(f"http://{name}", f"arn:aws:sqs:{name}") for name in ("singles", "burst")))
    hosts = {"WebhookHosts": "http://127.0.0.1:9000"}
    with Receiver({}) as receiver:
        assert f"{OWN_WEBHOOK_HOST},{receiver.origin}" == parameters(Options(), queues, receiver)["WebhookHosts"]
        given = parameters(Options({**hosts, "TargetArns": "arn:x", "ReachSeconds": "60"}), queues, receiver)
        assert f"http://127.0.0.1:9000,{receiver.origin}" == given["WebhookHosts"]
    assert ("arn:x,arn:aws:sqs:singles,arn:aws:sqs:burst", "60") == (given["TargetArns"], given["ReachSeconds"])
    assert "http://127.0.0.1:9000" == parameters(Options(hosts, shows=False), queues, None)["WebhookHosts"]


def test_the_console_is_named_only_if_the_stack_has_an_api() -> None:
    """The API is on unless the user's parameters turn it off."""
    assert "true" == parameters(Options(shows=False), Queues(*[Queue("u", "arn:x")] * 2), None)["ApiEnabled"]
    assert "console" not in greeting(Path("env"), ["http://127.0.0.1:1"], None)
    shown = greeting(Path("env"), ["http://127.0.0.1:1"], ConsoleAddress("http://127.0.0.1:2/v1/console", "pk12"))
    assert "http://127.0.0.1:2/v1/console" in shown
    assert "pk12" in shown
