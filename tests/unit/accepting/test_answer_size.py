"""The answer to a batch of 10,000 fits Lambda's limit, whatever is wrong with its members."""

import json

import pytest

from fakes import Clock, FakeQueues, FakeTable, scheduling_dependencies
from scheduler.accepting import request, scheduling
from scheduler.wiring import config

ANSWER_BYTES_MAX = 6_291_556
"""AWS Lambda, "quotas": the answer of a synchronous invocation."""
FACE = "\U0001f600" * 60


@pytest.mark.parametrize(
    "member",
    [
        {"target": FACE},
        {"target": "://" + "é" * 60},
        {"target": "arn:aws:sqs:eu-central-1:123456789012:" + "a" * 75 + ".fifo"},
        {"target": {"url": "https://api.example.com/", "headers": {FACE: "x"}}},
        {"target": {"url": "https://api.example.com/", "headers": {"a" * 256: FACE}}},
        {"target": {"url": "https://" + FACE}},
        {"date": 1, "payload": "x"},
        {"name": FACE},
        {"timestamp": FACE},
        {FACE: 1},
    ],
    ids=lambda member: next(iter(member))[:9],
)
def test_ten_thousand_refusals_fit_an_answer(member):
    """The answer fits as UTF-8 and as ASCII."""
    listed = config.from_environment(
        environment={"WEBHOOK_HOSTS": "api.example.com", "AWS_REGION": "eu-central-1"}
    ).listed
    dependencies = scheduling_dependencies(FakeTable(), FakeQueues(), request.AcceptRules(listed))
    answer = scheduling.accept([{"timestamp": 1, "data": "x", **member}], dependencies, Clock().deadline())
    assert 1 == answer["rejected"]
    assert 10_000 * (len(json.dumps(answer["results"][0])) + len(", ")) + 100 < ANSWER_BYTES_MAX
