"""The canary's state and application in the table, its queue, and its way to the schedule function."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from scheduler.administering.dependencies import DONE
from scheduler.aws import items
from scheduler.aws.applications.administered import AdministeredApplications
from scheduler.aws.applications.stored import APPLICATION_NAME, application_item
from scheduler.aws.calls import ConditionFailed, conditional, confirmed
from scheduler.aws.items import META
from scheduler.canary.probes import Came
from scheduler.errors import NotConfirmed
from scheduler.limits import SQS_BATCH_MESSAGES_MAX
from scheduler.model.application import Application

RUN, STATE = "canary", "canary-state"
"""The items under `meta`: the minute of the last run, and the schedules that the canary awaits."""
CANARY_RECEIVES_MAX = 10
"""Three messages come in a minute. After an outage more are waiting, and the next runs receive the rest."""
CANARY_WAIT_S = 1
"""A receive that waits asks all servers of SQS. One that does not wait may find nothing although there is something."""


class CanaryTable(AdministeredApplications):
    def claim(self, minute: int) -> bool:
        """Return whether no other run has claimed this minute or a later one."""
        try:
            conditional(
                self._client.put_item,
                TableName=self._table_name,
                Item={**items.key(META, RUN), "minute": {"N": str(minute)}},
                ConditionExpression="attribute_not_exists(#minute) OR #minute < :minute",
                ExpressionAttributeNames={"#minute": "minute"},
                ExpressionAttributeValues={":minute": {"N": str(minute)}},
            )
        except ConditionFailed:
            return False
        return True

    def state(self) -> str:
        """Return the text that the last run saved, or nothing."""
        item = self._item(META, STATE)
        return "" if item is None else str(item["state"]["S"])

    def save(self, text: str) -> None:
        item = {**items.key(META, STATE), "state": {"S": text}}
        confirmed(self._client.put_item, TableName=self._table_name, Item=item)

    def ensure_application(self, name: str, target_arn: str, new_id: str, now_ms: int) -> None:
        """Make sure that the application exists and may use its queue. It has no keys.

        A table from a backup has the application of another stack, with another queue.
        """
        item = self._item(META, APPLICATION_NAME + name)
        found = None if item is None else self.get(item["application"]["S"])
        if found is None:
            made = Application(new_id, name, (target_arn,), default_target=target_arn, created_ms=now_ms)
            if self.create(made, [], "") != DONE:
                raise NotConfirmed("the canary's application was not created; the next run tries again")
        elif found.targets != (target_arn,) or found.default_target != target_arn:
            mended = replace(found, targets=(target_arn,), default_target=target_arn)
            confirmed(self._client.put_item, TableName=self._table_name, Item=application_item(mended))


class CanaryQueue:
    def __init__(self, client: Any, queue_url: str) -> None:
        self._client, self._queue_url = client, queue_url
        self._receipts: list[str] = []

    def receive(self, now_ms: int) -> list[Came]:
        """Return the messages that are in the queue. `delete` deletes them."""
        found: list[Came] = []
        self._receipts = []
        for _ in range(CANARY_RECEIVES_MAX):
            messages = self._messages(bool(found))
            if not messages:
                break
            for each in messages:
                found.append(Came(each["MessageId"], each["Body"], int(each["Attributes"]["SentTimestamp"]), now_ms))
                self._receipts.append(each["ReceiptHandle"])
        return found

    def _messages(self, some_found: bool) -> list[Any]:
        """Return up to ten messages. If SQS does not answer, what was found before is enough."""
        try:
            answer = confirmed(
                self._client.receive_message,
                QueueUrl=self._queue_url,
                MaxNumberOfMessages=SQS_BATCH_MESSAGES_MAX,
                WaitTimeSeconds=CANARY_WAIT_S,
                MessageSystemAttributeNames=["SentTimestamp"],
            )
        except NotConfirmed:
            if not some_found:
                raise
            return []
        messages: list[Any] = answer.get("Messages", [])
        return messages

    def delete(self) -> None:
        """Delete what `receive` returned. A message that is not deleted comes again."""
        for start in range(0, len(self._receipts), SQS_BATCH_MESSAGES_MAX):
            receipts = self._receipts[start : start + SQS_BATCH_MESSAGES_MAX]
            entries = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(receipts)]
            confirmed(self._client.delete_message_batch, QueueUrl=self._queue_url, Entries=entries)


class ScheduleFunction:
    def __init__(self, client: Any, name: str) -> None:
        self._client, self._name = client, name

    def ask(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return the answer of the function. An error of the function is an answer with `error` and `message`."""
        answer = confirmed(self._client.invoke, FunctionName=self._name, Payload=json.dumps(event).encode())
        content = json.loads(answer["Payload"].read())
        if answer.get("FunctionError") or not isinstance(content, dict):
            facts = content if isinstance(content, dict) else {}
            return {"error": facts.get("errorType", "Error"), "message": str(facts.get("errorMessage", content))}
        return content
