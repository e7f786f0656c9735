"""The checks that run when the faults have stopped, and at the end of a run.

Every accepted schedule was released (1). It was released on time if a healthy feed had the time for it (3), and twice
only for a known reason (1). The table holds nothing that is overdue (4).

Promise 7 says that the dead target of one caller delays no other caller. It follows from promise 3, because promise 3
does not accept a dead target as an excuse.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from punctual.testing.timeline import US
from simulator.checks.decoding import contents, partition_of
from simulator.checks.names import ASKED_AGAIN, STOPPED, UNCONFIRMED
from simulator.checks.releases import LEASE_IN_DOUBT, Checker
from simulator.faults.faults import SKEW_US_MAX
from simulator.workload.expected import ExpectedSchedule, Sent

GRACE_S = 240
"""A feed that begins this long before a due time releases the schedule in time, even if single calls fail. Lambda makes
three attempts, 60 and 120 s apart.
"""
GRACE_QUIET_S = 15
"""The same limit for a slow day on which nothing fails."""
GRACE_LEDGER_S = 6
"""A feed writes its counts with a call for each page, and one in the end. On a slow day a call takes two seconds."""
LEASE_WAIT_S_MAX = 3
"""A feed that waits longer for its lease, in vain, has little time left for its work. So has each feed of its chain."""
BUNDLE_SPAN_S = 60
"""A bundle comes within reach with its latest member. This is the longest time that a member waits for that."""
OUTAGE_BORNE_S = 60
"""An outage up to this length ends before the second attempt and delays nothing."""


class FinalChecks:
    def __init__(self, checker: Checker) -> None:
        self._its = checker

    def unsettled(self, until_ms: int) -> list[ExpectedSchedule]:
        """Return the accepted schedules that are due by then and have not been released."""
        return [
            expected
            for expected in self._its.expected_schedules.values()
            if expected.name is None
            and any(
                expected.due_of(schedule_id) <= until_ms and not expected.settled(schedule_id)
                for schedule_id in [*expected.accepted, *expected.stored]
            )
        ]

    def pending_ms(self) -> Iterable[int]:
        """Yield the due times of all accepted or stored schedules that are not settled."""
        yield from self._its.names.pending_ms()
        for expected in self._its.expected_schedules.values():
            if expected.name is not None:
                continue
            for schedule_id in [*expected.accepted, *expected.stored]:
                if not expected.settled(schedule_id):
                    yield expected.due_of(schedule_id)

    def check_drained(self, until_ms: int, items: Iterable[dict[str, Any]]) -> None:
        """Check promise 4, and promise 1 for every schedule that is due by now."""
        for expected in self.unsettled(until_ms):
            if any(self._its.names.is_to_be_tried_again(schedule_id) for schedule_id in expected.on_its_way):
                continue
            self._its.report_violation(
                1, expected.tag, "it was accepted and did not come out, though the faults have stopped"
            )
            return
        self._its.names.check_drained(until_ms)
        for item in items:
            if not partition_of(item).isdigit():
                continue
            for lying in contents(item).values():
                expected = self._its.expected_schedules[lying.tag]
                unconfirmed = lying.id not in expected.accepted and lying.id not in expected.moved
                unconfirmed = unconfirmed and not expected.spread_ms
                due_ms = expected.due_ms if unconfirmed and expected.due_ms is not None else lying.due_ms
                if due_ms <= until_ms:
                    self._its.report_violation(
                        4, lying.tag, f"{lying.id} is still in the table, though the faults have stopped"
                    )
                    return

    def check_all(self) -> None:
        for outage in self._its.faults.outages:
            if outage.end_us - outage.begin_us > OUTAGE_BORNE_S * US:
                self._its.troubles.append((outage.begin_us, outage.end_us))
        spans = [*self._its.troubles, *self._its.names.crashes, *self._its.faults.spans()]
        for expected in self._its.expected_schedules.values():
            self._its.stats.schedules += 1
            if expected.target is not None:
                self._its.deliveries.check(expected, spans)
                for schedule_id in sorted(expected.on_its_way) if expected.name is None else []:
                    self._check_jobs(expected, schedule_id)
            self._check_token(expected)
            for schedule_id, sends in expected.sends.items():
                self._its.stats.released += 1
                self._its.stats.repeats += len(sends) - 1
                if expected.queue_url == self._its.consumed_from and schedule_id not in self._its.consumed:
                    self._its.report_violation(
                        1, expected.tag, f"{schedule_id} was released, and the consumer never saw it"
                    )
                if expected.name is None:
                    self._check_repeats(expected, schedule_id, sends)
                if expected.name is None and expected.target is None:
                    self._check_lateness(expected, schedule_id, sends[0])
        self._its.names.check_all(self._its.troubles)
        self._its.stats.causes += self._its.names.causes
        self._its.stats.lateness_s_max = max(self._its.stats.lateness_s_max, self._its.names.late_s_max)

    def _check_token(self, expected: ExpectedSchedule) -> None:
        """Check that repeating a request with the same token gave the same id.

        A repeat across a change of `PartitionCount` may get a second id.
        """
        unknown = {""}  # A function that receives no envelope does not see the id.
        ids = sorted(
            {*expected.accepted, *expected.stored, *expected.sends}
            - self._its.names.moved_ids
            - expected.moved
            - unknown
        )
        if expected.repeatable and len(ids) > 1 and not self._its.partitions_changed:
            self._its.report_violation(1, expected.tag, f"one request with one token has become {', '.join(ids)}")

    def _check_repeats(self, expected: ExpectedSchedule, schedule_id: str, sends: list[Sent]) -> None:
        # Sort by the start of the call. The order of arrival differs if AWS held one call up.
        tried = sorted(sends, key=lambda sent: sent.call.begun_us)
        cause_of = self._cause if expected.target is None else self._its.names.cause
        for first, second in pairwise(tried):
            cause = cause_of(expected, schedule_id, first, second)
            if cause is None:
                self._its.report_violation(
                    1, expected.tag, f"{schedule_id} is sent twice, and nothing went wrong in between"
                )
                return
            self._its.stats.causes[cause] += 1

    def _check_jobs(self, expected: ExpectedSchedule, schedule_id: str) -> None:
        """Check that each delivery job is sent once, or again only for a known reason."""
        first = [
            timer_message
            for timer_message in self._its.names.timer_messages.get(schedule_id, [])
            if timer_message.is_first
        ]
        sends = [
            Sent(each.message.sent_us, each.visible_us, each.call, each.invocation, each.confirmed)
            for each in sorted(first, key=lambda timer_message: timer_message.call.begun_us)
        ]
        for one, other in pairwise(sends):
            if self._cause(expected, schedule_id, one, other) is None:
                self._its.report_violation(
                    1, expected.tag, f"its delivery job {schedule_id} is sent twice, and nothing went wrong in between"
                )

    def _cause(self, expected: ExpectedSchedule, schedule_id: str, first: Sent, second: Sent) -> str | None:
        """Return the cause of a repeat, or None if nothing explains it.

        A repeat is allowed if a crash or an unknown outcome lies between a send and its delete. It is also allowed if
        the caller sent the request twice.
        """
        if not first.confirmed:
            return UNCONFIRMED
        if expected.asked > 1:
            return ASKED_AGAIN
        if first.invocation is None or second.invocation is None:
            return "sent by a caller"
        if {first.invocation.id, second.invocation.id} & self._its.doubtful_leases:
            return LEASE_IN_DOUBT
        if expected.application and _fed_for(first) != _fed_for(second):
            return "glance beside its own feed"
        if any(at_us > first.at_us for at_us in expected.stored.get(schedule_id, [])):
            # A call with an unknown outcome wrote it again, after a feed had sent and deleted it.
            return "written once more, late"
        deletes = [
            (known and at_us < second.at_us)
            for at_us, invocation, known in expected.deleted.get(schedule_id, [])
            if invocation is first.invocation
        ]
        if any(deletes):
            return None
        if deletes:
            return "delete unanswered"
        if first.invocation.outcome == "timed out" and not self._its.faults.rates:
            quiet = self._stays_quiet(first.at_us, first.invocation.end_us)
            # On a day that is only slow, the function ends in time.
            return None if quiet else STOPPED
        return STOPPED if first.invocation.outcome in ("crashed", "timed out") else None

    def _check_lateness(self, expected: ExpectedSchedule, schedule_id: str, sent: Sent) -> None:
        """Check lateness by the clock of the sender, without the time that AWS took for the send."""
        due_us = expected.due_of(schedule_id) * 1000
        stored = expected.stored.get(schedule_id)
        begun_us = sent.invocation.begun_us if sent.invocation is not None else sent.call.begun_us
        way_us = sent.at_us - sent.call.begun_us - sent.call.process.skew_us
        late_s = (sent.visible_us - way_us - max(due_us, begun_us if stored is None else 0)) / US
        excused = stored is None or not self._had_its_feed(schedule_id, due_us, stored[0])
        excused = excused or self._was_closed(expected.queue_url, due_us)
        if excused:
            self._its.stats.lateness_excused_s_max = max(self._its.stats.lateness_excused_s_max, late_s)
            return
        self._its.stats.lateness_s_max = max(self._its.stats.lateness_s_max, late_s)
        if sent.call.begun_us > due_us + SKEW_US_MAX:
            self._its.report_violation(
                3, expected.tag, f"{schedule_id} comes out {late_s:.3f} s late, though a feed had the time for it"
            )

    def _was_closed(self, queue_url: str, due_us: int) -> bool:
        """Return whether the queue of the schedule was closed at some time while the schedule was within reach."""
        moments_us = [at_us for at_us, url in self._its.closed if url == queue_url]
        return any(
            begin_us <= due_us and end_us >= due_us - self._its.reach_ms * 1000
            for begin_us, end_us in zip(moments_us[::2], moments_us[1::2], strict=False)
        )

    def _stays_quiet(self, from_us: int, to_us: int) -> bool:
        faulty = any(from_us <= begun_us <= to_us for begun_us in self._its.faults.begun)
        outages = any(each.begin_us <= to_us and each.end_us >= from_us for each in self._its.faults.outages)
        return not faulty and not outages

    def _had_its_feed(self, schedule_id: str, due_us: int, stored_us: int) -> bool:
        """Return whether a feed of the partition began in time and nothing kept it from its work."""
        partition = schedule_id.partition("-")[0]
        in_bundle = schedule_id.count("-") > 2
        span_us = BUNDLE_SPAN_S * US if in_bundle else 0
        from_us = max(due_us + span_us - self._its.reach_ms * 1000 + 2 * SKEW_US_MAX, stored_us)
        for feed in self._its.feeds_begun.get(partition, {}).values():
            quiet_s = GRACE_QUIET_S + (GRACE_LEDGER_S if self._its.ledger.on else 0)
            grace_us = (quiet_s if feed.quiet and self._stays_quiet(feed.at_us, due_us) else GRACE_S) * US
            if self._its.lease_waits_us[feed.id] > LEASE_WAIT_S_MAX * US:
                continue
            if from_us <= feed.at_us <= due_us - grace_us and not any(
                begin_us <= due_us and end_us >= feed.at_us for begin_us, end_us in self._its.troubles
            ):
                return True
        return False


def _fed_for(sent: Sent) -> str:
    """Return the application whose own feed sent a message. The feed of a partition looks at all of them."""
    payload = json.loads(sent.invocation.payload) if sent.invocation is not None else {}
    return str(payload.get("application", ""))
