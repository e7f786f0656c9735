"""The class that users work with."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping

from punctual.client import answers, request
from punctual.client.backend import CONNECTIONS_MAX
from punctual.client.errors import InvalidSchedule
from punctual.client.managing import Manager
from punctual.client.times import Duration, Moment
from punctual.client.values import UNSET, IfExists, Rejected, Scheduled, Target, Unconfirmed
from punctual.receiving.consume import WORKERS_DEFAULT, consume
from punctual.receiving.dedupe import Dedupe
from punctual.receiving.handling import Handler
from punctual.receiving.messages import Messages


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

    def schedule_many(
        self, requests: Iterable[Mapping[str, object]], *, batch_size: int = 1_000, workers: int = 8
    ) -> Generator[Scheduled | Rejected | Unconfirmed, None, None]:
        """Schedule a stream of requests, and yield their results in the order of the input.

        A request is a dict with the fields of the schedule function. `timestamp` may be a datetime, and `delay` a
        timedelta. The input is read as results are taken, so memory stays bounded. Requests for one name keep their
        order. A missing stack, credentials or rights raise, after the results of what was under way. Closing the
        iterator starts nothing new.
        """
        from punctual.client.many import batch, pipeline, sending  # noqa: PLC0415 - `import punctual` stays cheap.

        bounds = {"batch_size": (batch_size, batch.SCHEDULES_MAX), "workers": (workers, CONNECTIONS_MAX)}
        for field, (value, most) in bounds.items():
            if not 1 <= value <= most:
                raise InvalidSchedule(f"{field} is {value}; wanted: 1 to {most}", field=field)
        sender = sending.Sender(self._invoker, self._backend)
        batches = batch.gathered(requests, batch_size, self._backend.now, self._backend.new_token)
        parallel = self._backend.parallel
        return pipeline.Pipeline(batches, sender.send, sender.stop, workers, parallel).results()

    def messages(self, *, wait: bool = True, dedupe: bool = False) -> Messages:
        """Return the messages of the output queue, as an iterator and context manager.

            with scheduler.messages() as messages:
                for message in messages:
                    remind(message.json)

        Asking for the next message deletes the last one. Leaving the loop deletes nothing, so a message whose handling
        failed comes again within a minute. `message.delete()` deletes at once, and closing releases what was received
        and not shown. A thread keeps the messages hidden from other consumers meanwhile, for 12 hours at most.

        `wait=False` ends the loop when the queue is empty. `dedupe=True` drops repeats of the last 100,000 ids.
        """
        return Messages(self._backend, self._outputs.get("OutputQueueUrl"), wait=wait, dedupe=dedupe)

    def consume(
        self, handler: Handler, *, workers: int = WORKERS_DEFAULT, dedupe: Dedupe = False, wait: bool = True
    ) -> None:
        """Call the handler with each message of the output queue, in `workers` threads at once.

        A message is deleted after the handler has returned. If the handler raises, the message comes again within a
        minute. The first SIGTERM or SIGINT ends the call: it finishes what is in hand and releases the rest.

        `wait=False` returns when the queue is empty. `dedupe` is True for the ids of this process, or a `Table`.
        """
        queue_url = self._outputs.get("OutputQueueUrl")
        consume(self._backend, queue_url, handler, workers=workers, dedupe=dedupe, wait=wait)
