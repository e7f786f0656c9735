"""Lines of a file and the requests that they become."""

from __future__ import annotations

import io
import json

import pytest

from punctual.cli.bulk.reading.csv_rows import FIELDS, BadHeader, CsvRows
from punctual.cli.bulk.reading.lines import LINE_BYTES_MAX, LineReader
from punctual.cli.bulk.reading.rows import NdjsonRows
from scheduler.accepting import request

NOW_MS = 1_893_456_000_000


def every(rows) -> list:
    found = []
    while (row := rows.next()) is not None:
        found.append(row)
    return found


def ndjson(content: bytes) -> list:
    return every(NdjsonRows(LineReader(io.BytesIO(content)), NOW_MS))


def table(content: str) -> list:
    return every(CsvRows(LineReader(io.BytesIO(content.encode())), NOW_MS))


def requests(rows) -> list:
    assert [] == [row.fault for row in rows if row.fault]
    return [json.loads(row.encoded) for row in rows]


def test_a_line_goes_as_it_is():
    line = '{"timestamp": 1893456000, "data": {"ö": [1.50, null]}, "name": "a/1"}'.encode()
    (row,) = ndjson(line + b"\n")
    assert (1, line, "a/1") == (row.number, row.encoded, row.name)


def test_blank_lines_and_a_byte_order_mark_are_passed_over():
    rows = ndjson(b'\xef\xbb\xbf{"data": 1}\r\n\n  \n{"data": 2}')
    assert [(1, {"data": 1}), (4, {"data": 2})] == [(row.number, json.loads(row.encoded)) for row in rows]


@pytest.mark.parametrize(
    ("delay", "timestamp"), [(0, 1893456000), (90, 1893456090), (1.5, 1893456001.5), (0.0001, 1893456000.001)]
)
def test_a_delay_becomes_a_timestamp(delay, timestamp):
    """A fraction of a millisecond is rounded up, as the function does."""
    (row,) = ndjson(json.dumps({"delay": delay, "data": "x"}).encode())
    assert {"timestamp": timestamp, "data": "x"} == json.loads(row.encoded)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"no json", "it is not JSON: Expecting value at character 1"),
        (b'{"data": 1', "it is not JSON: Expecting ',' delimiter at character 11"),
        (b'{"data": NaN}', "it holds NaN, which JSON has no way to write"),
        (b'{"data": "\xff"}', "it is not UTF-8: byte 11 does not belong there"),
        (b"[1]", "it is a list; wanted: a JSON object with the fields of a schedule"),
        (b"7", "it is a number; wanted"),
        (b'{"delay": "1h"}', 'delay is "1h"; wanted: a number of seconds from now, 0 or more'),
        (b'{"delay": -1}', "delay is -1; wanted"),
        (b'{"delay": true}', "delay is true; wanted"),
        (b'{"delay": 1e999}', "delay is Infinity; wanted"),
        (b'{"delay": 1, "timestamp": 2}', "timestamp and delay are both given"),
        (b'{"delay": 1, "token": "t"}', "delay and token are both given"),
        (b'{"data": ' + b"[" * 300 + b"]" * 300 + b"}", "it is nested more than 200 levels deep"),
        (b'{"data": ' + b"1" * 5000 + b"}", "Exceeds the limit"),
    ],
)
def test_a_broken_line_is_named_and_its_neighbours_are_read(line, fault):
    first, broken, last = ndjson(b'{"data": 1}\n' + line + b'\n{"data": 3}\n')
    assert (2, True) == (broken.number, broken.fault.startswith(fault)), broken.fault
    assert [{"data": 1}, {"data": 3}] == requests([first, last])


def strictly(encoded: bytes) -> object:
    """Read JSON as Lambda does, which knows no Infinity and no broken UTF-8."""

    def constant(name: str) -> None:
        raise AssertionError(name)

    return json.loads(encoded.decode(), parse_constant=constant)


@pytest.mark.parametrize("data", ['"\\ud800"', "1e999", "[-1e999]", '{"\\udfff": 1}'])
def test_a_line_is_valid_json_in_utf_8_or_has_a_fault(data):
    """Lambda refuses the whole batch for one line that is not."""
    rows = ndjson(b'{"delay": 5, "data": %s}\n{"delay": 5, "data": 1}' % data.encode())
    rows += table('timestamp,data:json\n5,"{}"\n5,1'.format(data.replace('"', '""')))
    assert 4 == len(rows)
    for row in rows:
        assert row.fault is not None or strictly(row.encoded)
    assert [None, None] == [row.fault for row in rows[1::2]]


def test_a_number_too_large_for_json_has_its_line():
    (row, good) = table(f"timestamp,data\n{'1' * 400}.0,x\n5,x")
    assert "too large" in row.fault
    assert good.fault is None


def test_brackets_within_texts_are_not_nesting():
    (row,) = ndjson(json.dumps({"data": "[{" * 300 + '\\"'}).encode())
    assert row.fault is None


def test_a_torn_line_with_json_in_its_data_is_read_in_one_go():
    """A crash of the program that wrote the file leaves one. It took minutes for 100 kB, and hours for a megabyte."""
    data = json.dumps([{"id": number} for number in range(50_000)])
    line = json.dumps({"timestamp": 5, "data": data})[:-100]
    torn, good = ndjson(line.encode() + b'\n{"data": 1}')
    assert "Unterminated string" in torn.fault
    assert good.fault is None


def test_a_line_without_an_end_takes_no_memory():
    rows = ndjson(b'{"data": 1}\n' + b"x" * 5 * LINE_BYTES_MAX + b'\n{"data": 3}\n')
    assert [None, f"it is longer than {LINE_BYTES_MAX:,} bytes", None] == [row.fault for row in rows]
    assert [1, 2, 3] == [row.number for row in rows]
    assert len(rows[1].text) < 1_000


def test_the_header_of_a_table_names_the_fields():
    rows = table(
        "timestamp,data,name,expires_after,target.url,target.headers:json,retry.attempts\n"
        '2030-06-01T08:00:00Z,"hello, you",a/1,60,https://example.com,"{""X-Key"": ""7""}",3\n'
        "1893456000,007,,,,,\n"
    )
    assert requests(rows) == [
        {
            "timestamp": "2030-06-01T08:00:00Z",
            "data": "hello, you",
            "name": "a/1",
            "expires_after": 60,
            "target": {"url": "https://example.com", "headers": {"X-Key": "7"}},
            "retry": {"attempts": 3},
        },
        {"timestamp": 1893456000, "data": "007"},
    ]


def test_cells_may_be_json():
    rows = table('delay,data:json\n1.5,"{""order"": 7}"\n0,"""text"""\n')
    assert [{"order": 7}, "text"] == [request["data"] for request in requests(rows)]


def test_columns_make_an_object():
    rows = table("timestamp,data.order,data.total:json,target.arn,target.envelope\n1,7,19.9,arn:x,True\n")
    wanted = {"timestamp": 1, "data": {"order": "7", "total": 19.9}, "target": {"arn": "arn:x", "envelope": True}}
    assert [wanted] == requests(rows)


def test_a_cell_may_hold_line_breaks():
    """The number of a row is that of its first line."""
    rows = table('timestamp,data\r\n1,"two\r\nlines"\r\n2,one\r\n')
    assert [(2, "two\r\nlines"), (4, "one")] == [(row.number, json.loads(row.encoded)["data"]) for row in rows]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("1", "it has 1 cells, and the header has 2"),
        ("1,x,y", "it has 3 cells, and the header has 2"),
        ('1,"x"y', "it is not CSV: ',' expected after '\"'"),
        ("soon,x", "delay: 'soon' is not a number"),
        ("-1,x", "delay: '-1' is not a number"),
    ],
)
def test_a_broken_row_is_named_and_its_neighbours_are_read(row, fault):
    first, broken, last = table(f"delay,data\n1,a\n{row}\n3,c\n")
    assert (3, fault) == (broken.number, broken.fault)
    assert ["a", "c"] == [request["data"] for request in requests([first, last])]


def test_a_quote_that_is_not_closed_names_where_it_opens():
    rows = table('delay,data\n1,a\n2,"b\n3,c\n')
    assert "a quote that opens in line 3 is not closed up to line 4" == rows[1].fault


@pytest.mark.slow
def test_a_quote_that_is_not_closed_takes_no_memory():
    rows = table('delay,data\n2,"b\n' + "3,c\n" * (LINE_BYTES_MAX // 4 + 10))
    assert rows[0].fault.startswith("a quote that opens in line 2 is not closed")
    assert rows[1].fault is None
    assert len(rows[0].text) < 1_000


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("time,data", "'time' is not a field"),
        ("timestamp,data,data.order", "two columns give data"),
        ("timestamp,name,name", "two columns give name"),
        ("timestamp,target..url", "'target..url' is not a field"),
        ("timestamp,", "'' is not a field"),
        ('timestamp,"', "a quote that opens in line 1 is not closed"),
    ],
)
def test_a_wrong_header_is_refused_as_a_whole(header, fault):
    """Otherwise each line would be rejected."""
    with pytest.raises(BadHeader, match=fault):
        table(f"{header}\n1,2\n")


def test_a_header_may_name_every_field_of_a_request():
    assert set(request.SCHEDULE_FIELDS) <= set(FIELDS)


def test_empty_lines_before_a_header_are_passed_over():
    assert [{"timestamp": 5, "data": "x"}] == requests(table("\ufeff\r\n\n \ntimestamp,data\n5,x\n"))


def test_reading_stops_at_a_limit_that_is_passed_already():
    """A header that became longer is not the one of the journal. Nothing behind it is read."""
    stream = io.BytesIO(b"timestamp,data,name\n" + b"5,x,\n" * 10)
    reader = LineReader(stream)
    rows = CsvRows(reader, NOW_MS)
    reader.limit = 10
    assert rows.next() is None
    assert 20 == stream.tell()


def test_an_empty_table_has_no_rows():
    assert [] == table("")
    assert [] == table("timestamp,data\n")
