"""The plan of `verify`: which ways the stack allows, which queue is read, and what cannot be tested."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from punctual.cli import times
from punctual.cli.errors import CommandFailed, WrongUsage
from punctual.cli.inspecting.subject import Subject
from punctual.cli.inspecting.verify import idle
from punctual.cli.inspecting.verify.idle import Queue
from punctual.cli.inspecting.verify.ways import FAR_MARGIN_S
from punctual.client.errors import PunctualError

FAR_S_MAX = 25 * 60
"""The longest wait for far schedules."""
FAR_S_SHORT = 180
"""Far schedules that are due so soon need no --far."""
FEED_S = 60
NEVER = (
    ("input queue, input topic", "verify sends requests through the schedule function"),
    ("retries, failures, expiry", "verify provokes no failures"),
)


@dataclass
class Plan:
    """The plan of a run. It reads `queues`, and sends every way through the first one."""

    queue: Queue
    via: str | None
    reach_s: int
    interval_s: int
    far: bool = False
    read: list[Queue] = field(default_factory=list)
    held: list[tuple[str, str | dict[str, str]]] = field(default_factory=list)
    """The label and the target of what is accepted and cancelled."""
    untested: list[tuple[str, str]] = field(default_factory=list)

    @property
    def far_s(self) -> int:
        return self.reach_s + FAR_MARGIN_S

    @property
    def feed_is_in_time(self) -> bool:
        """Whether the feed moves every schedule before its time. With a short reach it need not."""
        return self.reach_s >= self.interval_s + FEED_S

    @property
    def queues(self) -> list[Queue]:
        return [self.queue, *self.read]


def make(subject: Subject, via: str | None, *, far: bool) -> Plan:
    """Return the plan. Raise CommandFailed if there is no idle queue to read."""
    listed = [each for each in subject.parameter("TargetArns", "").split(",") if each]
    plan = Plan(_queue(subject, via, listed), via, subject.reach_s, subject.interval_s)
    _add_far(plan, far)
    for arn in listed:
        if arn != via:
            _add_target(plan, subject, arn)
    for host in subject.parameter("WebhookHosts", "").split(","):
        _add_host(plan, host)
    plan.untested += NEVER
    return plan


def _queue(subject: Subject, via: str | None, listed: list[str]) -> Queue:
    if via is not None:
        if via not in listed or _service(via) != "sqs":
            known = ", ".join(each for each in listed if _service(each) == "sqs") or "none"
            raise WrongUsage(f"--via {via} is no queue that the stack lists as a target; it lists {known}")
        queue = idle.listed_queue(subject, via)
    else:
        queue = idle.output_queue(subject)
    if queue.busy:
        way_out = "name an idle queue" if via is not None else "name an idle queue that the stack lists"
        raise CommandFailed(
            f"{queue.label} is in use: {queue.busy}. verify would take its messages; {way_out} with --via ARN",
            code="QueueInUse",
        )
    return queue


def _add_far(plan: Plan, far: bool) -> None:
    wait = seconds(plan.far_s)
    if plan.far_s > FAR_S_MAX:
        plan.untested.append(("far", f"ReachSeconds is {plan.reach_s}, so that takes {wait}"))
    elif not far and plan.far_s > FAR_S_SHORT:
        plan.untested.append(("far", f"add --far to wait {wait} for it"))
    else:
        plan.far = True


def _add_target(plan: Plan, subject: Subject, arn: str) -> None:
    label = f"{_service(arn)} {arn.rpartition(':')[2].rpartition('/')[2]}"
    if _service(arn) == "sqs":
        queue = idle.listed_queue(subject, arn)
        if not queue.busy:
            plan.read.append(queue)
            return
    plan.held.append((label, arn))


def _add_host(plan: Plan, host: str) -> None:
    if not host:
        return
    if "*" in host:
        plan.untested.append((f"webhooks of {host}", "verify knows no address there"))
    else:
        plan.held.append((f"webhook {host}", {"url": host if "://" in host else f"https://{host}/"}))


def _service(arn: str) -> str:
    return arn.split(":")[2] if arn.count(":") > 1 else ""


def shown(plan: Plan, subject: Subject, run_id: str, prefix: str) -> Iterator[str]:
    """Yield the lines that a person reads before the question."""
    yield f"stack {subject.stack}, {_account(subject)}"
    yield f"run {run_id}: names begin with {prefix}"
    via = f", named by --via ({plan.via})" if plan.via else ""
    yield f"reads and empties of its own messages: {', '.join(each.label for each in plan.queues)}{via}"
    for label, _ in plan.held:
        yield f"accepts and cancels at once, so that nothing arrives: {label}"
    for what, why in plan.untested:
        yield f"does not test: {what} ({why})"
    yield f"takes about {seconds(plan.far_s + 10 if plan.far else 40)}, costs less than $0.01, cleans up"


def _account(subject: Subject) -> str:
    try:
        caller = subject.ask("sts:GetCallerIdentity", "sts", "get_caller_identity")
        region = getattr(subject.run.client("sts").meta, "region_name", "?")
    except (PunctualError, LookupError, NotImplementedError):
        return "in an account that cannot be told"
    return f"account {caller['Account']}, region {region}"


def seconds(number: float) -> str:
    return times.words(timedelta(seconds=number))
