"""How the client finds the resources of a stack, and what it says if it cannot."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from punctual import AccessDenied, Scheduler, StackNotFound
from punctual.client.backend import AwsBackend
from punctual.client.outputs import Outputs, variable


class Account:
    """A session of an account with these stacks, each with the names of its outputs. It counts the calls.

    CloudFormation answers with two stacks to a page.
    """

    def __init__(self, stacks=None, error=None):
        self.stacks = (
            {"billing": ("ScheduleFunction", "ManageFunction", "OutputQueueUrl")} if stacks is None else stacks
        )
        self.error, self.asked = error, 0
        self.meta = SimpleNamespace(region_name="eu-central-1")

    def client(self, service, **_):
        assert service == "cloudformation"
        return self

    def describe_stacks(self, StackName=None, NextToken="0"):  # noqa: N803 - As boto3 has it.
        self.asked += 1
        if self.error is not None:
            raise self.error
        if StackName is None:
            start = int(NextToken)
            page = list(self.stacks)[start : start + 2]
            more = {"NextToken": str(start + 2)} if start + 2 < len(self.stacks) else {}
            return {"Stacks": [self._described(name) for name in page], **more}
        if StackName not in self.stacks:
            missing = {"Code": "ValidationError", "Message": f"Stack with id {StackName} does not exist"}
            raise ClientError({"Error": missing}, "DescribeStacks")
        return {"Stacks": [self._described(StackName)]}

    def _described(self, name):
        outputs = [{"OutputKey": output, "OutputValue": f"the-{output}"} for output in self.stacks[name]]
        return {"StackName": name, **({"Outputs": outputs} if outputs else {})}


def found(stack, output="ScheduleFunction", account=None):
    return Scheduler(stack, session=account or Account())._outputs.get(output)


def test_the_outputs_of_the_stack_are_found_by_its_name(bare):
    assert "the-ScheduleFunction" == found("billing")
    assert "the-OutputQueueUrl" == found("billing", "OutputQueueUrl")


def test_nothing_is_asked_before_the_first_use(bare):
    account = Account()
    Scheduler("billing", session=account)
    assert 0 == account.asked


def test_cloudformation_is_asked_once_by_all_threads(bare):
    account = Account()
    scheduler = Scheduler("billing", session=account)
    threads = [threading.Thread(target=scheduler._outputs.get, args=["ScheduleFunction"]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == account.asked


def test_a_stack_that_does_not_exist_is_an_error_that_lists_the_stacks_there_are(bare):
    ours = ("ScheduleFunction", "ManageFunction")
    account = Account({"a": ours, "website": ("Url",), "new": (), "b": ours, "c": ours})
    with pytest.raises(StackNotFound, match=r"no stack 'biling' in eu-central-1; there is a, b, c$"):
        found("biling", account=account)


def test_without_any_stack_the_error_says_what_to_do(bare):
    with pytest.raises(StackNotFound, match=r"deploy it, give another name or region, or use Scheduler\.from_outputs"):
        found("punctual", account=Account({}))


def test_the_stack_of_somebody_else_is_an_error_that_lists_its_outputs(bare):
    with pytest.raises(StackNotFound, match=r"'website' has no output ScheduleFunction; .* It has Url"):
        found("website", account=Account({"website": ("Url",)}))


def test_a_stack_that_is_still_being_deployed_has_no_outputs_yet(bare):
    with pytest.raises(StackNotFound, match="no outputs yet: wait until it is deployed"):
        found("new", account=Account({"new": ()}))


def test_an_empty_name_is_refused():
    with pytest.raises(StackNotFound, match="is empty"):
        Scheduler("")


def test_a_caller_who_may_not_describe_stacks_is_told_the_other_ways(bare):
    denied = {"Error": {"Code": "AccessDenied", "Message": "not authorized"}, "ResponseMetadata": {"RequestId": "r-1"}}
    scheduler = Scheduler("billing", session=Account(error=ClientError(denied, "DescribeStacks")))
    with pytest.raises(AccessDenied, match=r"cloudformation:DescribeStacks: not authorized; .*from_outputs") as caught:
        scheduler.schedule("x", delay=1)
    assert "r-1" == caught.value.request_id


# ------------------------------------------------------------------------------------- without a call to CloudFormation


def test_from_outputs_asks_nobody(bare):
    scheduler = Scheduler.from_outputs({"ScheduleFunction": "mine"}, session=Account())
    assert "mine" == scheduler._outputs.get("ScheduleFunction")


def test_an_output_that_was_not_given_is_named_with_those_that_were(bare):
    scheduler = Scheduler.from_outputs({"ScheduleFunction": "mine"})
    with pytest.raises(
        StackNotFound, match="the outputs that you gave lack ManageFunction; they have ScheduleFunction"
    ):
        scheduler.get("n")


def test_the_environment_gives_outputs(bare):
    bare.setenv("PUNCTUAL_SCHEDULE_FUNCTION", "mine")
    assert "mine" == found(None)
    assert "mine" == found("punctual")


def test_the_environment_names_the_stack(bare):
    bare.setenv("PUNCTUAL_STACK", "billing")
    assert "the-ScheduleFunction" == found(None)
    bare.setenv("PUNCTUAL_SCHEDULE_FUNCTION", "mine")
    assert "mine" == found(None)
    assert "mine" == found("billing")


def test_the_environment_says_nothing_about_another_stack(bare):
    """A test environment must not catch the schedules of a stack that is named."""
    bare.setenv("PUNCTUAL_SCHEDULE_FUNCTION", "mine")
    assert "the-ScheduleFunction" == found("billing")


@pytest.mark.parametrize(
    ("output", "name"),
    [
        ("ScheduleFunction", "PUNCTUAL_SCHEDULE_FUNCTION"),
        ("OutputQueueUrl", "PUNCTUAL_OUTPUT_QUEUE_URL"),
        ("InputTopicArn", "PUNCTUAL_INPUT_TOPIC_ARN"),
        ("Version", "PUNCTUAL_VERSION"),
    ],
)
def test_the_variable_of_an_output_is_its_name_in_capitals(output, name):
    assert name == variable(output)


def test_forgotten_outputs_are_asked_for_again(bare):
    account = Account()
    outputs = Outputs("billing", AwsBackend(account))
    outputs.get("ScheduleFunction")
    outputs.forget()
    outputs.get("ScheduleFunction")
    assert 2 == account.asked
