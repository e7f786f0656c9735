"""Builds what the canary function needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.wiring.resources import Resources

if TYPE_CHECKING:
    from scheduler.canary.watching import CanaryDependencies


class CanaryResources(Resources):
    def for_watching(self) -> CanaryDependencies:
        from scheduler.aws.canary import CanaryQueue, CanaryTable, ScheduleFunction
        from scheduler.canary.watching import CanaryDependencies

        its = self.settings
        return CanaryDependencies(
            table=CanaryTable(self.client("dynamodb"), its.table_name),
            queue=CanaryQueue(self.client("sqs"), its.canary_queue_url),
            queue_arn=its.canary_queue_arn,
            schedule_function=ScheduleFunction(self.client("lambda"), its.schedule_function),
            new_id=f"{self.runtime.randomness.getrandbits(32):08x}",
            stack_name=its.stack_name,
            reach_ms=its.reach_ms,
        )
