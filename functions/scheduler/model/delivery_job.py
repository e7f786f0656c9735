"""A job for the deliver function, and its format as a message of the delivery queue.

The job of an unnamed schedule holds the whole schedule. The job of a named schedule is a timer. It holds the name and
the id that it was set for. The record of the name has the rest.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, TypeGuard

from scheduler import formats
from scheduler.limits import DUE_MS_MAX, SQS_DELAY_S_MAX
from scheduler.model.name_record import ATTEMPTS_KEPT, DELIVERED, EXPIRED, FAILED
from scheduler.model.schedule import Schedule, index_of, is_id, key_of, sound
from scheduler.text import fault
from scheduler.value_class import value_class

ATTEMPT_MAX = 1_000_000
"""The largest count of attempts or turns: two years at one a minute. The stack's own queues are never given up."""

STEPS = KEEP, REPORT, NOTIFY, CLOSE = "keep", "report", "tell", "close"
"""In this order: store the failure, report it to the failure queue, notify the failure target, close the record."""


@value_class
class Conclusion:
    """The outcome of a finished delivery, and the steps that are left."""

    state: str
    attempts: int
    at_ms: int
    error: str
    left: tuple[str, ...]
    tries: int = 0
    """How many messages have carried it."""
    attempted_ms: tuple[int, ...] = ()
    """When the attempts began, for the record of a name."""

    def facts(self) -> dict[str, object]:
        """Return the conclusion in the format of the message."""
        return {
            "state": self.state,
            "attempts": self.attempts,
            "at": self.at_ms,
            "error": self.error,
            "left": list(self.left),
            "tries": self.tries,
            **({"attempted": list(self.attempted_ms)} if self.attempted_ms else {}),
        }


@value_class
class DeliveryJob:
    schedule: Schedule
    attempt: int = 1
    retry_ms: int | None = None
    """When to try again, after a failed attempt or a postponement."""
    wake_number: int = 1
    """How many times the delivery of a name was started, this time included, whether it was attempted or postponed.

    0 means unknown, because the version before counted only attempts.
    """
    begun_ms: int | None = None
    """When a function first started the delivery. Its age counts from here, or from its due time if that is later."""
    faults: int = 0
    """How many times a fault of this stack prevented the call to the target. These are not attempts."""
    conclusion: Conclusion | None = None
    application: str = ""
    """The application whose queues sent the message. It is empty for the owner."""

    @property
    def id(self) -> str:
        return self.schedule.id

    @property
    def wake_ms(self) -> int:
        return self.schedule.due_ms if self.retry_ms is None else self.retry_ms


def body(job: DeliveryJob, application: str = "") -> str:
    """Return the message of a job. The queues of an application say whose job it is."""
    schedule = job.schedule
    facts: dict[str, object] = {
        "id": schedule.id,
        "due": schedule.due_ms,
        "name": schedule.name,
        "data": schedule.data or None,
        "target": schedule.target,
        "user": schedule.user,
        "expires_after": schedule.expires_after_ms,
        "terms": schedule.terms,
        "attempt": job.attempt if job.attempt > 1 else None,
        "retry": job.retry_ms,
        "turn": job.wake_number if schedule.name is not None else None,
        "begun": job.begun_ms,
        "faults": job.faults or None,
        "conclusion": None if job.conclusion is None else job.conclusion.facts(),
        "application": application or None,
    }
    given = {field: value for field, value in facts.items() if value is not None}
    return json.dumps(given, ensure_ascii=False, separators=(",", ":"))


def read(text: str) -> DeliveryJob:
    """Return the job in a message body. Raise ValueError if the body is not a valid job.

    Raise NotConfirmed if only newer code can read it.

    Every permitted sender can write anything to the queue. A job that passes here can be delivered and reported.
    """
    facts = _facts(text)
    if formats.FIELD in facts:
        formats.check(facts[formats.FIELD])
    schedule_id = facts.get("id")
    if not is_id(schedule_id):
        raise ValueError("its id is none")
    retry_ms, begun_ms = moment(facts, "retry"), moment(facts, "begun")
    attempt, wake_number = facts.get("attempt", 1), facts.get("turn", 1 if facts.get("name") is None else 0)
    if not (is_count(attempt, 1) and is_count(wake_number)):
        raise ValueError("its attempt or its turn is none")
    faults = facts.get("faults", 0)
    if not is_count(faults):
        raise ValueError("its faults are no count")
    schedule, application = sound(_schedule(schedule_id, facts), or_timer=True), _application(facts)
    job = DeliveryJob(schedule, attempt, retry_ms, wake_number, begun_ms, faults, application=application)
    if "conclusion" not in facts:
        return job
    return replace(job, conclusion=_conclusion(facts["conclusion"]))


def _schedule(schedule_id: str, facts: dict[str, Any]) -> Schedule:
    return Schedule(
        key_of(schedule_id),
        facts.get("due", -1),
        facts.get("data", ""),
        facts.get("target"),
        facts.get("user"),
        facts.get("expires_after"),
        facts.get("terms"),
        index_of(schedule_id),
        facts.get("name"),
    )


def _conclusion(facts: object) -> Conclusion:
    """Return the conclusion, or raise ValueError. Any permitted sender may have written the message."""
    if not isinstance(facts, dict):
        raise ValueError("its conclusion is no object")
    state, error, left = facts.get("state"), facts.get("error"), facts.get("left")
    attempts, tries, at_ms = facts.get("attempts"), facts.get("tries"), moment(facts, "at")
    if state not in (DELIVERED, FAILED, EXPIRED) or at_ms is None:
        raise ValueError("its conclusion has no state or no moment")
    if not (is_count(attempts) and is_count(tries) and isinstance(error, str) and not fault(error)):
        raise ValueError("its conclusion has no counts or no error")
    if not (isinstance(left, list) and left and all(step in STEPS for step in left)):
        raise ValueError("its conclusion has no steps that are known")
    steps = tuple(step for step in STEPS if step in left)
    return Conclusion(state, attempts, at_ms, error, steps, tries, _attempted(facts))


def _application(facts: dict[str, Any]) -> str:
    """Return the application, or raise ValueError. The messages of the owner have none."""
    if "application" not in facts:
        return ""
    from scheduler.model.application import is_application_id

    application = facts["application"]
    if not is_application_id(application):
        raise ValueError("its application is none")
    return str(application)


def _attempted(facts: dict[str, Any]) -> tuple[int, ...]:
    """Return when the attempts began, or raise ValueError. A message of an earlier version does not tell."""
    found = facts.get("attempted", [])
    if not (isinstance(found, list) and len(found) <= ATTEMPTS_KEPT):
        raise ValueError("its conclusion has no list of attempts")
    if not all(type(each) is int and 0 <= each <= DUE_MS_MAX for each in found):
        raise ValueError("its conclusion has an attempt that is no moment")
    return tuple(found)


def moment(facts: dict[str, Any], field: str) -> int | None:
    value = facts.get(field)
    if value is None:
        return None
    if not (type(value) is int and 0 <= value <= DUE_MS_MAX):
        raise ValueError(f"its {field} is no moment")
    return value


def is_count(value: object, least: int = 0) -> TypeGuard[int]:
    return type(value) is int and least <= value <= ATTEMPT_MAX


def _facts(text: str) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except ValueError:  # Its message may quote the body.
        raise ValueError("it is no JSON") from None
    if not isinstance(facts, dict):
        raise ValueError("it is no object")
    return facts


def delay_s(job: DeliveryJob, now_ms: int, lead_ms: int) -> int:
    """Return the DelaySeconds of the message.

    The delay of a first attempt is rounded down and ends a lead early. The deliver function waits for the rest. A retry
    need not be exact, so its delay is rounded up, and the function does not wait. A job that is out of reach gets the
    longest delay, and is then sent again.
    """
    left_ms = job.wake_ms - now_ms
    left_s = (left_ms - lead_ms) // 1000 if job.retry_ms is None else -(-left_ms // 1000)
    return max(0, min(SQS_DELAY_S_MAX, left_s))
