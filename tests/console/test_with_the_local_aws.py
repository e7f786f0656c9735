"""The console as it is served on the local AWS: API Gateway, real keys, real functions and their roles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from console_page import ConsolePage
from punctual.local.deployment import deploy
from punctual.local.emulation.emulator import Emulator

TEMPLATE_PATH = Path(__file__).parents[2] / "template.yml"
PARAMETERS = {"FeedIntervalMinutes": 10, "DeliveryLeadSeconds": 3, "ApiEnabled": True}
pytestmark = pytest.mark.slow


class Deployed:
    """A deployed API with what `ConsolePage` needs of it."""

    def __init__(self, emulator: Emulator) -> None:
        self.stack = deploy(emulator, TEMPLATE_PATH, "with-console", PARAMETERS)
        self.url = self.stack.outputs["ApiUrl"]

    def new_key(self) -> str:
        made = self.stack.invoke("AdminFunction", {"operation": "create", "name": "owner"})
        return str(made["control"]["key"])


@pytest.fixture
def api() -> Iterator[Deployed]:
    with Emulator(auth=True) as emulator:
        yield Deployed(emulator)


def test_a_schedule_is_created_changed_fired_and_cancelled(browser: Browser, api: Deployed) -> None:
    console = ConsolePage(browser.new_page(), api)
    console.open()
    for name in ("order/7/first", "order/7/second"):
        console.press("New schedule")
        console.editor.get_by_label("Data").fill("x")
        console.editor.get_by_label("Name", exact=True).fill(name)
        console.save("Schedule")
        expect(console.row(name)).to_be_visible()

    console.press("Change", console.show("order/7/first"))
    console.editor.get_by_label("Data").fill("changed")
    console.save("Change")
    console.press("Fire now", console.drawer)
    console.confirm("Fire now")
    console.expect_toast("Fired.")
    console.press("Close", console.drawer)

    console.search("order/7/s")
    expect(console.rows).to_have_count(1)
    console.choose("order/7/second")
    console.press("Cancel")
    console.confirm("Cancel 1 schedule")
    console.expect_toast("1 schedule cancelled.")

    sqs = api.stack.emulator.client("sqs")
    queue = {"QueueUrl": api.stack.outputs["OutputQueueUrl"], "WaitTimeSeconds": 20, "MaxNumberOfMessages": 10}
    assert ["changed"] == [message["Body"] for message in sqs.receive_message(**queue).get("Messages", [])]
    assert [] == console.complaints
    console.page.close()
