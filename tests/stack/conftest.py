"""The real template on a local AWS that enforces the roles of its functions.

All tests of a run share one stack. Its rule fires every ten minutes and does not disturb them: a test that needs a feed
invokes the trigger. A test that needs another stack calls `make_stack`. All stacks end with the test run, even after
failures.
"""

import base64
import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import receivers as beside
from punctual.local.deployment import Stack, deploy
from punctual.local.emulation.emulator import Emulator
from receiver import Receiver, answer
from scheduler.model.schedule import sort_from

TEMPLATE_PATH = Path(__file__).parents[2] / "template.yml"
PARAMETERS = {"FeedIntervalMinutes": 10, "DeliveryLeadSeconds": 3}

WITHIN_S = 10.0
POLL_S = 1
MESSAGES_MAX = 10  # SQS returns no more at once.
RECORDS_OF_THE_STACK = ("meta", "runs#")  # Partitions of the table that stay between tests begin like this.


@dataclasses.dataclass(frozen=True)
class Message:
    """A message from a queue, and when it came by this machine's clock."""

    body: str
    attributes: dict[str, str]
    received_s: float

    @property
    def id(self) -> str:
        return self.attributes["id"]

    @property
    def due_s(self) -> float:
        return float(self.attributes["due"])

    @property
    def lateness_s(self) -> float:
        return self.received_s - self.due_s


@dataclasses.dataclass(frozen=True)
class Queue:
    """A queue on the local AWS, as its owner sees it."""

    url: str
    arn: str
    client: Any

    def receive(self, count: int = 1, within_s: float = WITHIN_S) -> list[Message]:
        """Take and delete messages until there are `count` of them, or time is over."""
        messages: list[Message] = []
        deadline_s = time.time() + within_s
        while len(messages) < count and time.time() < deadline_s:
            messages += self._receive(min(POLL_S, within_s))
        return messages

    def count(self) -> int:
        """Return how many messages it holds, delayed ones included."""
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed")
        answer = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(names))
        return sum(int(answer["Attributes"][name]) for name in names)

    def send(self, body: str, **fields: Any) -> None:
        self.client.send_message(QueueUrl=self.url, MessageBody=body, **fields)

    def empty(self) -> None:
        self.client.purge_queue(QueueUrl=self.url)

    def _receive(self, wait_s: float) -> list[Message]:
        answer = self.client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=MESSAGES_MAX,
            WaitTimeSeconds=int(wait_s),
            MessageAttributeNames=["All"],
        )
        received_s = time.time()
        received = answer.get("Messages", [])
        if received:
            entries = [{"Id": str(each), "ReceiptHandle": got["ReceiptHandle"]} for each, got in enumerate(received)]
            assert not self.client.delete_message_batch(QueueUrl=self.url, Entries=entries).get("Failed")
        return [Message(message["Body"], values(message), received_s) for message in received]


def values(message: dict[str, Any]) -> dict[str, str]:
    return {name: value["StringValue"] for name, value in message.get("MessageAttributes", {}).items()}


@dataclasses.dataclass(frozen=True)
class Table:
    """The stack's table, as DynamoDB shows it."""

    name: str
    client: Any

    def items(self) -> list[dict[str, Any]]:
        """Return all stored schedules in the notation of DynamoDB's API."""
        pages = self.client.get_paginator("scan").paginate(TableName=self.name, ConsistentRead=True)
        found = [item for page in pages for item in page["Items"]]
        return [item for item in found if not item["partition"]["S"].startswith(RECORDS_OF_THE_STACK)]

    def put_due(self, number: int, due_s: float, partition: str = "0", **fields: Any) -> str:
        """Store a far schedule that has come within reach, so that no test waits 15 minutes. Return its id."""
        sort = f"{sort_from(round(due_s * 1000))}#{number:016x}"
        item = {"partition": {"S": partition}, "sort": {"S": sort}, "data": {"S": f"data {number}"}, **fields}
        self.client.put_item(TableName=self.name, Item=item)
        return f"{partition}-{sort.replace('#', '-')}"

    def empty(self) -> None:
        for item in self.items():
            self.client.delete_item(TableName=self.name, Key={key: item[key] for key in ("partition", "sort")})


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """The local AWS of the shared stack."""
    with Emulator(auth=True) as emulator:
        yield emulator


@pytest.fixture(scope="session")
def target_queues(emulator: Emulator) -> list[Queue]:
    """Two queues outside the stack that it may send to."""
    client = emulator.client("sqs")
    urls = [client.create_queue(QueueName=name)["QueueUrl"] for name in ("target", "other-target")]
    return [queue(client, url) for url in urls]


@pytest.fixture(scope="session")
def shared_stack(emulator: Emulator, target_queues: list[Queue]) -> Stack:
    parameters = PARAMETERS | {"TargetArns": [target.arn for target in target_queues]}
    return deploy(emulator, TEMPLATE_PATH, parameters=parameters)


@pytest.fixture
def stack(shared_stack: Stack, target_queues: list[Queue]) -> Stack:
    """The shared stack, with an empty table and empty queues."""
    emptied_stack(shared_stack, target_queues)
    return shared_stack


OLDER_TOPIC = ("256608350746", "scheduler-output-prod")
PUBLISHER = "111122223333"
"""An account that may publish to the input topic."""
KEYS = (b"the newer secret of these tests", b"the older secret of these tests")
SIGNED_WITH = tuple(f"whsec_{base64.b64encode(key).decode()}" for key in KEYS)
"""A receiver may still know only the older secret."""


@dataclasses.dataclass(frozen=True)
class Receivers:
    """One receiver of each kind, outside the stack that delivers to them."""

    queue: Queue
    unlisted: Queue
    topic_arn: str
    of_topic: Queue
    unlisted_topic_arn: str
    of_unlisted_topic: Queue
    bus_arn: str
    of_bus: Queue
    function_arn: str
    of_function: Queue
    machine_arn: str
    failures: Queue
    """The failure target."""
    server: Receiver
    """The receiver of webhooks."""
    other_server: Receiver
    older_topic_arn: str
    """A topic in another account: the one that the README of an older system names."""
    of_older_topic: Queue
    emulator: Emulator
    secrets: tuple[str, ...] = SIGNED_WITH

    @property
    def gone_arn(self) -> str:
        """Return the ARN of a missing queue."""
        return f"{self.queue.arn}-that-is-gone"

    def url(self, path: str = "/") -> str:
        return url_of(self.server) + path

    def queues(self) -> list[Queue]:
        found = (getattr(self, each.name) for each in dataclasses.fields(self))
        return [each for each in found if isinstance(each, Queue)]


def url_of(server: Receiver) -> str:
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture(scope="session")
def all_receivers(emulator: Emulator) -> Iterator[Receivers]:
    def made(name: str) -> Queue:
        return queue(emulator.client("sqs"), beside.make_queue(emulator, name))

    of_topic, of_unlisted_topic, of_bus, of_function, of_older_topic = (
        made(name) for name in ("of-topic", "of-unlisted-topic", "of-bus", "of-function", "of-older-topic")
    )
    with contextlib.closing(Receiver([answer(200)])) as server, contextlib.closing(Receiver([answer(200)])) as other:
        yield Receivers(
            queue=made("receiver"),
            unlisted=made("unlisted"),
            topic_arn=beside.make_topic(emulator, "topic", of_topic.url),
            of_topic=of_topic,
            unlisted_topic_arn=beside.make_topic(emulator, "unlisted-topic", of_unlisted_topic.url),
            of_unlisted_topic=of_unlisted_topic,
            bus_arn=beside.make_bus(emulator, "orders", of_bus.url),
            of_bus=of_bus,
            function_arn=beside.make_function(emulator, "worker", of_function.url),
            of_function=of_function,
            machine_arn=beside.make_machine(emulator, "orders"),
            failures=made("failures-of-ours"),
            server=server,
            other_server=other,
            older_topic_arn=beside.make_topic_of_another(emulator, *OLDER_TOPIC, of_older_topic.url),
            of_older_topic=of_older_topic,
            emulator=emulator,
        )


@pytest.fixture(scope="session")
def shared_delivering_stack(emulator: Emulator, all_receivers: Receivers) -> Stack:
    """A stack that may deliver to all receivers but the unlisted ones."""
    far = all_receivers
    listed = [far.queue.arn, far.topic_arn, far.bus_arn, far.function_arn, far.machine_arn, far.failures.arn]
    listed += [far.older_topic_arn, far.gone_arn]
    parameters = PARAMETERS | {
        "TargetArns": listed,
        "WebhookHosts": [url_of(far.server), url_of(far.other_server), "api.example.com"],  # The last is in events/.
        "AllowedPublishers": PUBLISHER,
        "WebhookSecretArn": beside.make_secret(emulator, "signing", " ".join(far.secrets)),
    }
    return deploy(emulator, TEMPLATE_PATH, "delivering", parameters)


@pytest.fixture
def delivering_stack(shared_delivering_stack: Stack, all_receivers: Receivers) -> Stack:
    """The shared delivering stack, with an empty table and empty queues."""
    emptied_stack(shared_delivering_stack, all_receivers.queues())
    return shared_delivering_stack


@pytest.fixture
def receivers(all_receivers: Receivers, delivering_stack: Stack) -> Receivers:
    """The receivers, without any messages so far."""
    for server in (all_receivers.server, all_receivers.other_server):
        server.turn(answer(200))
    return all_receivers


@pytest.fixture
def output_queue(stack: Stack) -> Queue:
    return stack_queue(stack, "OutputQueueUrl")


@pytest.fixture
def failure_queue(stack: Stack) -> Queue:
    return stack_queue(stack, "FailureQueueUrl")


@pytest.fixture
def dead_letter_queue(stack: Stack) -> Queue:
    return stack_queue(stack, "DeadLetterQueueUrl")


@pytest.fixture
def target_queue(stack: Stack, target_queues: list[Queue]) -> Queue:
    """A queue outside the stack that it may send to."""
    return target_queues[0]


@pytest.fixture
def table(stack: Stack) -> Table:
    return stack_table(stack)


@pytest.fixture
def make_stack() -> Iterator[Callable[..., Stack]]:
    """Make a stack on its own local AWS: `make_stack(ReachSeconds=90, PartitionCount=8)`."""
    with contextlib.ExitStack() as running:

        def make(async_retry_s: float = 1.0, **parameters: object) -> Stack:
            emulator = running.enter_context(Emulator(auth=True, async_retry_s=async_retry_s))
            return deploy(emulator, TEMPLATE_PATH, parameters=PARAMETERS | parameters)

        yield make


@pytest.fixture
def queue_of() -> Callable[[Stack, str], Queue]:
    """Return the queue that an output of any stack names: `queue_of(stack, "OutputQueueUrl")`."""
    return stack_queue


@pytest.fixture
def table_of() -> Callable[[Stack], Table]:
    """Return the table of any stack."""
    return stack_table


def emptied_stack(stack: Stack, queues_beside: list[Queue]) -> None:
    for emptied in [*queues_beside, *(stack_queue(stack, name) for name in queue_outputs(stack))]:
        emptied.empty()
    stack_table(stack).empty()


def queue(client: Any, url: str) -> Queue:
    attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    return Queue(url, attributes["QueueArn"], client)


def stack_queue(stack: Stack, output: str) -> Queue:
    return queue(stack.emulator.client("sqs"), stack.outputs[output])


def queue_outputs(stack: Stack) -> list[str]:
    return [name for name in stack.outputs if name.endswith("QueueUrl")]


def stack_table(stack: Stack) -> Table:
    return Table(stack.outputs["TableName"], stack.emulator.client("dynamodb"))
