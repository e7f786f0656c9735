"""The bench's report of its figures."""

import json
import xml.etree.ElementTree as ET

from bench import report
from bench.laboratory.payloads import BYTES, payload
from bench.trials import Figure, Series, at_least, at_most

FIGURES = [
    Figure("Feed", "schedules per second", "", 5000.4, 4000.0, 1.25, at_least(0.95)),
    Figure("Feed", "write units per schedule", "", 0.5, None, None, at_most(0.35, of_ratio=False)),
    Figure("Growth over schedules", "1,000 schedules: CPU per 1,000 schedules", "s", 0.25, 0.3, 0.833),
    Figure("Growth over schedules", "10,000 schedules: CPU per 1,000 schedules", "s", 0.24, 0.3, 0.8),
]


def test_a_missed_bound_is_bold():
    """A met bound is not bold."""
    text = report.markdown(FIGURES, "Once.")
    assert "| schedules per second | ≥ 0.95 x | 5,000 | 4,000 | 1.250 |" in text
    assert "| write units per schedule | **≤ 0.35** | 0.5 |  |  |" in text


def test_the_ratio_is_the_median_of_the_rounds(tmp_path):
    """One round on a busy machine does not distort the ratio."""
    series = Series([{"reference": {"s": 1}, "ours": {"s": ours}} for ours in (1, 2, 9)])
    assert 2 == series.ratio("ours", lambda outcome: outcome["s"])


def test_the_report_can_be_read_again(tmp_path):
    """The report is JSON, Markdown and a valid picture."""
    report.write(FIGURES, tmp_path, "Once.")
    assert 4 == len(json.loads((tmp_path / "results.json").read_text())["figures"])
    assert "## Feed" in (tmp_path / "results.md").read_text()
    picture = ET.parse(tmp_path / "growth.svg").getroot()
    assert picture.tag.endswith("svg")
    assert 4 == len(picture.findall(".//{http://www.w3.org/2000/svg}circle"))


def test_payloads_are_a_hundred_bytes_and_the_same_every_time():
    """No two payloads are equal."""
    for kind in ("hex", "json"):
        made = [payload(kind, index) for index in range(100)]
        assert {BYTES} == {len(each) for each in made}
        assert 100 == len(set(made))
        assert made == [payload(kind, index) for index in range(100)]
    json.loads(payload("json", 1))
