"""Each application of examples/ works as its README says, on a local AWS with one stack of Punctual for all."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import receivers as beside
from example_reader import ROOT, Reader
from punctual.local.deployment import Stack, deploy
from punctual.local.emulation.emulator import Emulator
from receiver import Receiver, answer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not all(map(shutil.which, ("aws", "curl", "openssl"))), reason="needs aws, curl and openssl"),
]

PUNCTUAL = {"DeliveryLeadSeconds": 3, "WebhookAllowPrivate": True}
"""The local AWS polls slowly, and is reached only at a private address."""
CHANGED: dict[str, dict[str, object]] = {
    "order_reminders": {},
    "retry_later": {"FirstDelaySeconds": 1, "AttemptsMax": 3},  # A second and five, instead of hours.
    "midnight_million": {},
    "dead_mans_switch": {},
    "webhook_receiver": {},
}
WITHIN_S = 120.0
POLL_S = 0.2


@dataclass(frozen=True)
class Deployed:
    """An example that runs beside Punctual."""

    reader: Reader
    stack: Stack
    punctual: Stack

    @property
    def emulator(self) -> Emulator:
        return self.stack.emulator

    def mailbox(self, output: str) -> str:
        """Subscribe a queue to the topic of this output, and return its URL."""
        topic = self.stack.outputs[output]
        url = beside.make_queue(self.emulator, f"{self.stack.name}-mailbox")
        beside.admit(self.emulator, url, "sns.amazonaws.com", topic)
        queue = beside.arn_of_queue(self.emulator, url)
        raw = {"RawMessageDelivery": "true"}
        self.emulator.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes=raw)
        return url

    def receive(self, url: str) -> str:
        """Wait for a message of this queue, and return its body."""
        found: list[dict[str, Any]] = []

        def came() -> bool:
            found.extend(
                self.emulator.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", [])
            )
            return bool(found)

        wait_until(came)
        (message,) = found
        return str(message["Body"])

    def waiting(self, url: str) -> int:
        """Return how many messages of a queue can be received."""
        name = "ApproximateNumberOfMessages"
        answered = self.emulator.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[name])
        return int(answered["Attributes"][name])


def wait_until(done: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while not done():
        assert time.monotonic() < deadline_s, f"it did not happen within {WITHIN_S:.0f} s"
        time.sleep(POLL_S)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Deployed]]:
    """All applications, deployed by the commands of their pages. Then Punctual allows all of their targets."""
    folder = tmp_path_factory.mktemp("examples")
    with Emulator(auth=True) as emulator, contextlib.ExitStack() as ending:
        punctual = deploy(emulator, ROOT / "template.yml", parameters=PUNCTUAL)
        readers, stacks, allowed = [], [], dict[str, list[str]]()
        for name, changed in CHANGED.items():
            reader = Reader(name, emulator, folder)
            ending.callback(reader.close)
            readers.append(reader)
            stacks.append(reader.deploy(changed))
            for parameter, value in reader.allowed().items():
                allowed.setdefault(parameter, []).append(value)
        punctual = punctual.update({parameter: ",".join(values) for parameter, values in allowed.items()})
        yield {reader.name: Deployed(reader, stack, punctual) for reader, stack in zip(readers, stacks, strict=True)}


def fields(output: str, field: str) -> list[Any]:
    """Return the values of a field of all JSON objects in an output, in their order."""
    decoder, found, place = json.JSONDecoder(), [], output.find("{")
    while place >= 0:
        with contextlib.suppress(ValueError):
            document, end = decoder.raw_decode(output, place)
            found += [document[field]] if isinstance(document, dict) and field in document else []
            place = end - 1
        place = output.find("{", place + 1)
    return found


def test_the_reminder_of_an_order_moves_and_is_cancelled_or_sent(examples: dict[str, Deployed]) -> None:
    """The mail is the one of the second order. The first one is paid."""
    example = examples["order_reminders"]
    mailbox = example.mailbox("RemindersTopicArn")
    changing, sending = example.reader.blocks

    told = example.reader.run(changing)
    assert ["stored", "stored", "cancelled"] == fields(told, "state")
    assert ["2030-01-31T08:00:00+00:00", "2030-02-07T08:00:00+00:00"] == fields(told, "due")
    example.reader.run(sending)
    assert "Your order 8 waits for its payment." == example.receive(mailbox)


def test_a_failed_job_is_tried_again_until_it_works_or_has_failed_for_good(examples: dict[str, Deployed]) -> None:
    """One address answers at the second attempt, and the other never."""
    example = examples["retry_later"]
    sending, failed = example.reader.blocks
    with (
        contextlib.closing(Receiver([answer(503)])) as down,
        contextlib.closing(Receiver([answer(503), answer(200)])) as slow,
    ):
        for server in (down, slow):
            example.reader.run(sending.replace("https://api.example.com", f"http://127.0.0.1:{server.port}"))
        failed_jobs = example.stack.outputs["FailedQueueUrl"]
        wait_until(lambda: example.waiting(failed_jobs) > 0 and len(slow.requests) > 1)
        assert 3 == len(down.requests)
        assert 2 == len(slow.requests)
    (body,) = [message["Body"] for message in fields(example.reader.run(failed), "Messages")[0]]
    job = json.loads(body)
    assert (f"http://127.0.0.1:{down.port}/orders/7", 3) == (job["url"], job["attempts"])
    assert "503" in job["reason"]


def test_a_campaign_is_stored_for_midnight_and_a_trial_arrives(examples: dict[str, Deployed]) -> None:
    """Two thousand recipients stand for a million. A worker handles each message of the trial."""
    example = examples["midnight_million"]
    planning, looking, trying, receiving = example.reader.blocks
    assert "pip install punctual-aws\npython worker.py\n" == receiving

    told = example.reader.run(planning.replace("seq 1000000", "seq 2000"))
    assert [2_000] == fields(told, "accepted")
    assert "2,000 schedules" in example.reader.run(looking)
    minutes = {"operation": "forecast", "from": "2029-12-31T23:00Z", "to": "2029-12-31T23:10Z", "bucket": 60}
    assert 10 == len([each for each in example.punctual.invoke("ViewFunction", minutes)["buckets"] if each["count"]])
    assert [1_000] == fields(example.reader.run(trying), "accepted")

    command = [sys.executable, "worker.py"]
    handled: set[str] = set()
    with subprocess.Popen(
        command, env=example.reader.environment, cwd=example.reader.folder, stdout=subprocess.PIPE, text=True
    ) as worker:
        try:
            assert worker.stdout is not None
            for line in worker.stdout:
                before = len(handled)
                handled.add(line.split("}")[0])
                if before < len(handled) == 1_000:
                    worker.send_signal(signal.SIGINT)
            assert 0 == worker.wait()
        finally:
            worker.kill()
    assert {f'{{"user": {number}' for number in range(1, 1_001)} == handled


def test_an_alarm_is_replaced_by_each_heartbeat_and_raised_without(examples: dict[str, Deployed]) -> None:
    """The page fires it, so that no test waits for five minutes. Another alarm is cancelled."""
    example = examples["dead_mans_switch"]
    mailbox = example.mailbox("AlarmsTopicArn")
    beating, firing, ending = example.reader.blocks

    assert ["created", "replaced"] == fields(example.reader.run(beating), "result")
    example.reader.run(firing)
    assert "boiler-7 has sent no heartbeat for 300 seconds" == example.receive(mailbox)
    assert "cancelled" in example.reader.run(ending)


def test_a_signed_webhook_is_delivered_and_an_unsigned_request_refused(examples: dict[str, Deployed]) -> None:
    """The state is `delivered` only if the function answered 204."""
    example = examples["webhook_receiver"]
    scheduling, looking, forging = example.reader.blocks

    def state() -> str:
        return str(example.punctual.invoke("ViewFunction", {"operation": "get", "name": "order/7/webhook"})["state"])

    example.reader.run(scheduling)
    wait_until(lambda: state() != "queued")
    assert "delivered" in example.reader.run(looking)
    assert "401" in example.reader.run(forging)
