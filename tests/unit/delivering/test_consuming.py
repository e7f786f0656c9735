"""The consumer handles each schedule on its own and logs its lateness."""

import json
from pathlib import Path

from scheduler.delivering import consuming

EVENT = json.loads((Path(__file__).parents[3] / "events" / "consumer.json").read_text())


def consume(handle, now_s=1893456000.25):
    return consuming.consume(EVENT["Records"], handle, lambda: now_s)


def test_each_schedule_is_handled_with_its_id_due_time_and_data(capsys):
    """The consumer logs one line per schedule, with the lateness in milliseconds and without the data."""
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


def test_a_named_schedule_is_handled_with_its_name():
    """Other schedules have no name."""
    record = json.loads(json.dumps(EVENT["Records"][0]))
    record["messageAttributes"]["name"] = {"dataType": "String", "stringValue": "order/4711"}
    handed = []
    consuming.consume([record, EVENT["Records"][1]], handed.append, lambda: 1893456000.25)
    assert ["order/4711", None] == [due.name for due in handed]


def test_a_failed_schedule_comes_again_alone(capsys):
    """The other schedules of its batch are not handled twice."""

    def handle(due):
        if due.user == "me":
            raise ValueError("secret")

    assert {"batchItemFailures": [{"itemIdentifier": EVENT["Records"][1]["messageId"]}]} == consume(handle)
    assert "ValueError" in (out := capsys.readouterr().out)
    assert "secret" not in out


def test_a_message_that_is_no_schedule_fails_alone():
    """Another sender wrote it to the queue. It ends in the dead-letter queue and delays no other message."""
    foreign = {"messageId": "x", "body": "?", "messageAttributes": {}}
    answer = consuming.consume([foreign, *EVENT["Records"]], lambda due: None, lambda: 0.0)
    assert {"batchItemFailures": [{"itemIdentifier": "x"}]} == answer
