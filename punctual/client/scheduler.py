"""The class that users work with."""

from __future__ import annotations

from collections.abc import Mapping

from punctual.client import answers, request
from punctual.client.managing import Manager
from punctual.client.times import Duration, Moment
from punctual.client.values import UNSET, IfExists, Scheduled, Target


class Scheduler(Manager):
    """Schedules data for a time, and manages what is scheduled.

        scheduler = Scheduler("punctual")
        scheduler.schedule({"order": 7}, delay=timedelta(hours=2), name="order/7")

    `stack` is the name of the CloudFormation stack, or a `punctual.testing.Stack`. Without it, `PUNCTUAL_STACK` counts,
    or else `punctual`. Region, profile and endpoint are those of boto3, or those of the `session` and `endpoint_url`.

    One scheduler serves all threads of a process, and works after a fork. `close()` or `with` closes its connections.
    """

    def schedule(  # noqa: PLR0913 - One argument for each field of a request.
        self,
        data: object = UNSET,
        *,
        at: Moment | None = None,
        delay: Duration | None = None,
        name: str | None = None,
        if_exists: IfExists | None = None,
        target: Target | None = None,
        token: str | None = None,
        user: str | None = None,
        retry: Mapping[str, object] | None = None,
        failure_target: str | None = None,
        expires_after: Duration | None = None,
        zone: str | None = None,
        spread: Duration | None = None,
    ) -> Scheduled:
        """Schedule the data for a time: `at` a datetime with a time zone, or after a `delay`.

        A `str` is sent as it is, and anything else as compact JSON. Only a webhook may do without data. The client
        repeats the call under a token until AWS confirms it, so a repeat makes no second schedule.
        """
        request.one_time(at, delay)
        given: dict[str, object] = {
            "at": at,
            "delay": delay,
            "name": name,
            "if_exists": if_exists,
            "target": target,
            "token": token,
            "user": user,
            "retry": retry,
            "failure_target": failure_target,
            "expires_after": expires_after,
            "zone": zone,
            "spread": spread,
        }
        fields = {field: value for field, value in given.items() if value is not None}
        fields = request.schedule_fields({"data": data, **fields}, self._backend.now())
        fields.setdefault("token", self._backend.new_token())
        return answers.scheduled(self._invoker.schedule(request.encoded(fields)), name)
