"""Each check that Checkov omits has a reason beside it, and on the page about operations."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / ".checkov.yml").read_text()
PAGE = (ROOT / "docs" / "operations.md").read_text().split("\n## Check the template with linters\n")[1]


def test_every_omitted_check_has_a_reason_beside_it():
    omitted = yaml.safe_load(TEXT)["skip-check"]
    reasons = dict(re.findall(r"^  - (CKV_\w+) # (.{20,})$", TEXT, re.MULTILINE))
    assert omitted == list(reasons)
    assert omitted == sorted(omitted, key=lambda name: int(name.rpartition("_")[2]))


def test_the_page_has_the_same_checks_with_a_reason():
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines() if line.startswith("| ")][1:]
    assert set(yaml.safe_load(TEXT)["skip-check"]) == {checkov for _, checkov, _, _ in rows if checkov}
    assert all(len(reason) > 20 for *_, reason in rows)


def test_checkov_calls_no_service():
    assert yaml.safe_load(TEXT)["skip-download"] is True


def test_every_function_that_is_invoked_asynchronously_has_a_queue_for_failures(template):
    """So the check for a dead-letter queue may be left out."""
    functions = {n: each for n, each in template["Resources"].items() if each["Type"] == "AWS::Serverless::Function"}
    without = {name for name, each in functions.items() if "EventInvokeConfig" not in each["Properties"]}
    assert {"ApiFunction", "ConsumerFunction", "DeliverFunction"} == without, "API Gateway and queues invoke these"


def test_every_queue_is_encrypted(template):
    """So the check for a key may be left out."""
    queues = [each for each in template["Resources"].values() if each["Type"] == "AWS::SQS::Queue"]
    assert all(each["Properties"]["SqsManagedSseEnabled"] is True for each in queues)
