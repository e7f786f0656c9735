"""Hostile SQS records for every function that reads records."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from fakes import NOON_MS, OTHER_ARN, schedule
from scheduler.accepting import request
from scheduler.accepting.from_queue.input_message import REQUEUE_ATTRIBUTE

TOPIC_ARN = "arn:aws:sns:eu-central-1:123456789012:topic"
ID = schedule(1).id

FIELDS_OF_OTHERS = (
    "id",
    "due",
    "terms",
    "attempt",
    "turn",
    "arn",
    "envelope",
    "Type",
    "MessageId",
    "Message",
    "TopicArn",
)
DIGITS = st.sampled_from(
    ["9" * 4_300, "9" * 4_301, "9" * 20, "-1", "0", "1", "100", str(NOON_MS), "1e400", "٣", "²", "+1"]
)
NUMBERS = st.sampled_from(
    [0, 1, -1, True, 1.5, 10**15, 10**18, 2**70, 10**4_299, float("nan"), float("inf"), -0.0, 1e308, NOON_MS, 80, 99]
)
ODD = st.sampled_from(["", "x", "\ud800", "\x00", "\ufffe", "ünï", "a" * 5_000, "9999-12-31T23:59:59.999Z", "2030"])
LIKE_OURS = st.sampled_from(
    [ID, OTHER_ARN, TOPIC_ARN, "arn", "https://[", "n1", '{"url":"https://a.b/"}', '{"retry":{"attempts":1e3}}']
)
TEXTS = ODD | LIKE_OURS
SCALARS = st.none() | NUMBERS | TEXTS | DIGITS
NAMES = st.sampled_from(
    [*request.SCHEDULE_FIELDS, *request.OLDER_FIELDS, *FIELDS_OF_OTHERS, "schedules", "\ud800", "zzz"]
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)

SCHEDULES = st.builds(
    lambda good, more: {**good, **more},
    st.sampled_from([{"delay": 5, "data": "bad"}, {"timestamp": 1, "data": "bad"}, {"data": "bad"}, {}]),
    st.dictionaries(NAMES, VALUES, max_size=3) | st.just({"failure_target": OTHER_ARN}),
)
JOBS = st.builds(
    lambda good, more: {**good, **more},
    st.just({"id": ID, "due": NOON_MS, "data": "bad"}),
    st.dictionaries(NAMES, VALUES, max_size=3),
)
DEEP = ["[" * 100_000, '{"a":' * 3_000 + "1" + "}" * 3_000, "[" * 150 + "]" * 150]
RAW = st.sampled_from(
    [*DEEP, "", "{", "null", "9" * 5_000, "[]", "NaN", "\ud800", "[{}" + ",{}" * 10_001 + "]", "\ufeff{}"]
)


def _enveloped(text: str, parts: dict[str, Any]) -> str:
    whole = {"Type": "Notification", "MessageId": "m", "TopicArn": "t", "Message": text}
    return json.dumps({**whole, "Timestamp": "2030-01-01T00:00:00.000Z", **parts})


CONTENTS = SCHEDULES | JOBS | VALUES | st.lists(SCHEDULES | VALUES, max_size=4)
BATCHES = st.fixed_dictionaries({"schedules": st.lists(SCHEDULES, max_size=4)}, optional={"token": VALUES})
BARE = RAW | (CONTENTS | BATCHES).map(json.dumps)
BODIES = BARE | st.builds(_enveloped, BARE, st.dictionaries(st.sampled_from(["MessageId", "Timestamp"]), TEXTS))

PLACES = st.sampled_from([[0], [0, 1], [1, 0], [5], [10**9], [-1], [True], [0.0], {}, "0", {"0": 1}, [], [0, [1]]])
ERRORS = st.sampled_from(["e", "", "\x00", "\ud800", "e" * 5_000])
HEARD_OF = PLACES | st.dictionaries(st.sampled_from([OTHER_ARN, TOPIC_ARN, "arn", ""]), PLACES, max_size=2) | st.just(5)
UNTOLD = st.dictionaries(ERRORS, HEARD_OF, max_size=2)
NOTES = st.fixed_dictionaries(
    {"id": TEXTS | NUMBERS, "sent": NUMBERS, "tries": NUMBERS, "places": PLACES | VALUES},
    optional={"untold": UNTOLD | VALUES, "rules": NUMBERS, "zones": VALUES},
)
GOOD_NOTES = st.fixed_dictionaries(
    {
        "id": st.just("a"),
        "sent": st.sampled_from([0, NOON_MS, 10**15]),
        "tries": st.sampled_from([0, 4, 79, 80, 10**6]),
    },
    optional={"places": PLACES, "untold": UNTOLD, "rules": st.just(2), "zones": st.just(True)},
)
BIG_TRIES = DIGITS.map(lambda digits: f'{{"id":"a","sent":{NOON_MS},"tries":{digits},"places":[0]}}')
AGAINS = BIG_TRIES | GOOD_NOTES.map(json.dumps) | (NOTES | VALUES).map(json.dumps) | TEXTS | st.sampled_from(DEEP)


def _attribute(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    whole = st.fixed_dictionaries({"dataType": TEXTS, "stringValue": values})
    return whole | st.just({"dataType": "Binary", "binaryValue": "AAEC"}) | SCALARS


ODD_ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        REQUEUE_ATTRIBUTE: _attribute(AGAINS),
        "id": _attribute(TEXTS),
        "due": _attribute(DIGITS | TEXTS),
        "user": _attribute(VALUES),
    },
)
MESSAGE_ATTRIBUTES = ODD_ATTRIBUTES | st.builds(lambda again: {REQUEUE_ATTRIBUTE: {"stringValue": again}}, AGAINS)
SYSTEM_ATTRIBUTES = st.fixed_dictionaries(
    {}, optional={"SentTimestamp": DIGITS | VALUES, "ApproximateReceiveCount": DIGITS | VALUES}
)
WELL_SENT = st.fixed_dictionaries(
    {"SentTimestamp": st.just(str(NOON_MS)), "ApproximateReceiveCount": st.sampled_from(["1", "5", "80", "100"])}
)
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "body": BODIES | VALUES,
        "attributes": WELL_SENT | SYSTEM_ATTRIBUTES | VALUES,
        "messageAttributes": MESSAGE_ATTRIBUTES | VALUES,
    },
)
LIKELY = st.fixed_dictionaries({"body": BODIES, "attributes": WELL_SENT, "messageAttributes": MESSAGE_ATTRIBUTES})


def batches(good: dict[str, Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return batches of hostile records with the good one among them. Each has the id that SQS assigned."""

    def mixed(hostile: list[dict[str, Any]], place: int) -> list[dict[str, Any]]:
        records = [*hostile[:place], good, *hostile[place:]]
        return [{**record, "messageId": "good" if record is good else f"bad {n}"} for n, record in enumerate(records)]

    return st.builds(mixed, st.lists(LIKELY | LIKELY | FACTS, min_size=1, max_size=5), st.integers(0, 5))
