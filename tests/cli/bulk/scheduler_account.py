"""The virtual stack, with moto's EventBridge Scheduler beside it."""

from __future__ import annotations

from typing import Any

from punctual.testing import Stack

REGION = "eu-central-1"
ROLE = "arn:aws:iam::123456789012:role/scheduler"


class Account:
    """A world for the command."""

    def __init__(self, stack: Stack, scheduler: Any) -> None:
        self.stack, self.scheduler = stack, scheduler

    def outputs(self) -> dict[str, str]:
        return self.stack.outputs()

    def parameters(self) -> dict[str, str]:
        return self.stack.parameters()

    def backend(self) -> Any:
        virtual: Any = self.stack.backend()
        scheduler = self.scheduler

        class Backend(type(virtual)):  # type: ignore[misc]
            def client(self, service: str) -> Any:
                return scheduler if service == "scheduler" else super().client(service)

        return Backend(self.stack._cloud, virtual._tokens)

    def put(self, name: str, at: str = "2030-06-01T09:00:00", zone: str = "UTC", target: str = "", **more: Any) -> None:
        """Create a schedule. `more` are fields of the schedule or of its target."""
        fields = {key: more.pop(key) for key in list(more) if key in ("State", "FlexibleTimeWindow", "GroupName")}
        has_input = more.pop("has_input", "Input" not in more)
        arn = target or self.stack.output("OutputQueueArn")
        self.scheduler.create_schedule(
            Name=name,
            ScheduleExpression=at if "(" in at else f"at({at})",
            ScheduleExpressionTimezone=zone,
            Target={"Arn": arn, "RoleArn": ROLE, **({"Input": name} if has_input else {}), **more},
            **({"FlexibleTimeWindow": {"Mode": "OFF"}} | fields),
        )

    def state(self, name: str, group_name: str = "default") -> str:
        return str(self.scheduler.get_schedule(Name=name, GroupName=group_name)["State"])
