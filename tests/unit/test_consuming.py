"""The consumer: each schedule on its own, with its lateness in the log."""

import json
from pathlib import Path

from scheduler.delivering import consuming

EVENT = json.loads((Path(__file__).parents[2] / "events" / "consumer.json").read_text())


def consume(handle, now_s=1893456000.25):
    return consuming.consume(EVENT["Records"], handle, lambda: now_s)


def test_each_schedule_is_handed_over_with_its_id_due_and_data(capsys):
    """And logged in one line, with its lateness in milliseconds and without its data."""
    handed = []
    assert {"batchItemFailures": []} == consume(handed.append)
    assert [("some payload", 1893456000.0, None), ('{"order":42}', 1893456000.123, "me")] == [
        (due.data, due.due_s, due.user) for due in handed
    ]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [("consumed", handed[0].id, 250), ("consumed", handed[1].id, 127)] == [
        (line["outcome"], line["id"], line["lateness_ms"]) for line in lines
    ]
    assert "payload" not in str(lines)


def test_what_has_a_name_is_handed_over_with_it():
    """Others have none."""
    record = json.loads(json.dumps(EVENT["Records"][0]))
    record["messageAttributes"]["name"] = {"dataType": "String", "stringValue": "order/4711"}
    handed = []
    consuming.consume([record, EVENT["Records"][1]], handed.append, lambda: 1893456000.25)
    assert ["order/4711", None] == [due.name for due in handed]


def test_one_that_fails_comes_again_alone(capsys):
    """The others of its batch are not handed over twice."""

    def handle(due):
        if due.user == "me":
            raise ValueError("secret")

    assert {"batchItemFailures": [{"itemIdentifier": EVENT["Records"][1]["messageId"]}]} == consume(handle)
    assert "ValueError" in (out := capsys.readouterr().out)
    assert "secret" not in out


def test_a_message_that_is_no_schedule_fails_alone():
    """Somebody else wrote to the queue: it ends in the dead-letter queue, and holds up nobody."""
    foreign = {"messageId": "x", "body": "?", "messageAttributes": {}}
    answer = consuming.consume([foreign, *EVENT["Records"]], lambda due: None, lambda: 0.0)
    assert {"batchItemFailures": [{"itemIdentifier": "x"}]} == answer
