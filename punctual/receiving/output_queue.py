"""The output queue: receive, delete and hide its messages. It raises Punctual's own errors instead of boto3's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from punctual.client.backend import Backend
from punctual.client.calling import aws_errors
from punctual.client.errors import PunctualError, StackNotFound

BATCH_MAX = 10
"""How many messages SQS takes or gives in one request."""
NOT_OURS = frozenset({"ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight"})
"""The errors that say that a message is deleted, or visible to other consumers again."""
NO_QUEUE = frozenset({"NonExistentQueue", "QueueDoesNotExist"})


class OutputQueue:
    """One queue. Threads may share it, because they may share the clients of the backend."""

    def __init__(self, backend: Backend, url: str) -> None:
        self._backend, self.url = backend, url

    def receive(self, most: int, wait_s: int, hidden_s: int) -> list[Mapping[str, Any]]:
        """Return up to `most` messages, and hide them from others. Wait up to `wait_s` for the first one."""
        answer = self._call(
            "ReceiveMessage",
            "receive_message",
            MaxNumberOfMessages=min(most, BATCH_MAX),
            WaitTimeSeconds=wait_s,
            VisibilityTimeout=hidden_s,
            MessageAttributeNames=["All"],
            AttributeNames=["SentTimestamp"],
        )
        received: list[Mapping[str, Any]] = answer.get("Messages", [])
        return received

    def delete(self, receipt: str) -> None:
        """Delete a message. It is no error if the message is deleted already."""
        try:
            self._call("DeleteMessage", "delete_message", ReceiptHandle=receipt)
        except aws_errors.Refused as error:
            if _aws_code(error) not in NOT_OURS:
                raise

    def delete_many(self, receipts: Sequence[str]) -> list[str]:
        """Delete up to ten messages. Return the receipts of those that SQS did not delete."""
        entries = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(receipts)]
        answer = self._call("DeleteMessage", "delete_message_batch", Entries=entries)
        return [receipt for receipt, code in _failed(answer, receipts).items() if code not in NOT_OURS]

    def hide(self, timeouts_s: Mapping[str, int]) -> tuple[list[str], list[str]]:
        """Set how long up to ten messages stay hidden from now on.

        Return the receipts of the messages that SQS changed, and of those that are no longer ours. SQS may also fail
        to change a message. It keeps its timeout, and a later call may succeed.
        """
        receipts = list(timeouts_s)
        entries = [
            {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": timeouts_s[receipt]}
            for number, receipt in enumerate(receipts)
        ]
        answer = self._call("ChangeMessageVisibility", "change_message_visibility_batch", Entries=entries)
        failed = _failed(answer, receipts)
        changed = [receipt for receipt in receipts if receipt not in failed]
        return changed, [receipt for receipt, code in failed.items() if code in NOT_OURS]

    def _call(self, action: str, method: str, **parameters: Any) -> Mapping[str, Any]:
        with self._translated(f"sqs:{action}"):
            call: Callable[..., Mapping[str, Any]] = getattr(self._backend.client("sqs"), method)
            return call(QueueUrl=self.url, **parameters)

    @contextmanager
    def _translated(self, action: str) -> Iterator[None]:
        try:
            with aws_errors.translated(action):
                yield
        except aws_errors.Refused as error:
            if _aws_code(error) not in NO_QUEUE:
                raise
            raise StackNotFound(
                f"the queue {self.url} does not exist; the stack was removed or replaced: make a new Scheduler",
                request_id=error.request_id,
            ) from error


def _failed(answer: Mapping[str, Any], receipts: Sequence[str]) -> dict[str, str]:
    """Return the code of each failed entry by its receipt."""
    return {receipts[int(each["Id"])]: _bare(each["Code"]) for each in answer.get("Failed", [])}


def _aws_code(error: PunctualError) -> str:
    """Return the code in the answer of AWS that caused the error."""
    response: Any = getattr(error.__cause__, "response", {})
    return _bare(response.get("Error", {}).get("Code", ""))


def _bare(code: str) -> str:
    """Return a code of SQS without its older prefix."""
    return code.rpartition(".")[2]
