"""`punctual doctor` on a virtual stack: each check says ok, a fault with its remedy, or why it was not checked."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError

import punctual as client
from punctual.cli import group
from punctual.cli.inspecting.checks import ALL, ledger
from punctual.cli.run import Run
from punctual.local.loopback import LoopbackServer
from punctual.testing import Stack
from tests.cli.conftest import Ended
from tests.cli.services import Aws, payload, refusal

Doctor = Callable[..., Ended]
ASKED = ("ScheduleFunction", "ManageFunction", "ViewFunction", "CallerFunction", "AdminFunction")
FED_S = 25 * 60
"""Two feeds of every partition, by the rule."""


@pytest.fixture
def aws(stack: Stack) -> Aws:
    stack.backend().sleep(FED_S)
    return Aws(stack)


@pytest.fixture
def doctor(aws: Aws, capsys: pytest.CaptureFixture[str]) -> Doctor:
    def called(*arguments: str) -> Ended:
        status = group.run(["doctor", *arguments], Run(world=aws))
        captured = capsys.readouterr()
        return Ended(status, captured.out, captured.err)

    return called


def of_state(ended: Ended, state: str) -> dict[str, Any]:
    return {each["check"]: each for each in ended.objects if each["state"] == state}


def only_fault(ended: Ended) -> dict[str, Any]:
    assert 1 == ended.status
    (found,) = of_state(ended, "fault").values()
    return dict(found)


def test_a_healthy_stack_has_no_fault(doctor: Doctor) -> None:
    ended = doctor("--json")
    assert (0, {}) == (ended.status, of_state(ended, "fault"))
    assert {} == of_state(ended, "not checked")
    assert [check.name for check in ALL] == list(of_state(ended, "ok"))
    assert "no fault\n" == ended.err


def test_a_person_sees_a_mark_and_a_remedy(doctor: Doctor, aws: Aws) -> None:
    aws.answers["events", "describe_rule"] = {"State": "DISABLED"}
    ended = doctor()
    assert "FAULT rule               the rule the-rule is disabled: no far schedule is released" in ended.out
    assert "-> aws events enable-rule --name the-rule" in ended.out
    assert "1 fault\n" == ended.err


def test_it_only_reads(doctor: Doctor, aws: Aws, stack: Stack) -> None:
    """It invokes the schedule function with a batch that is rejected, and the manage function to read."""
    doctor()
    for _, method, arguments in aws.calls:
        assert method.startswith(("get_", "describe_", "list_", "invoke", "query")), method
        if method == "invoke" and "Payload" in arguments:
            request = json.loads(arguments["Payload"])
            assert request == [{}] or request["operation"] in ("list", "runs", "status")
    assert ([], []) == (stack.failures(), stack.manage("list")["schedules"])


def test_its_own_calls_are_no_errors_of_the_functions(doctor: Doctor, aws: Aws) -> None:
    """CloudWatch counts an error that a function raises, and the next run would report it."""
    answered: list[dict[str, Any]] = []
    real = _virtual(aws, "lambda", "invoke")

    def invoke(**arguments: Any) -> dict[str, Any]:
        answered.append(real(**arguments))
        return answered[-1]

    aws.answers["lambda", "invoke"] = invoke
    assert 0 == doctor().status
    assert answered
    assert not any(each.get("FunctionError") for each in answered)


def test_every_function_that_answers_requests_is_asked(doctor: Doctor) -> None:
    texts = [each["text"] for each in doctor("--json").objects if each["check"] == "functions answer"]
    assert [f"{function} answers" for function in ASKED] == texts


def test_a_stack_of_an_earlier_version_has_fewer_functions(
    doctor: Doctor, aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a stack does not have is no fault of it."""
    older = {name: value for name, value in aws.outputs().items() if not name.startswith(("View", "Caller", "Admin"))}
    monkeypatch.setattr(aws, "outputs", lambda: older)
    ended = doctor("--json")
    assert (0, {}) == (ended.status, of_state(ended, "fault"))
    texts = [each["text"] for each in ended.objects if each["check"] == "functions answer"]
    assert ["ScheduleFunction answers", "ManageFunction answers"] == texts


def test_a_function_that_the_caller_may_not_invoke_is_not_checked(doctor: Doctor, aws: Aws) -> None:
    """Few people may invoke the admin function. The others are checked all the same."""
    real = _virtual(aws, "lambda", "invoke")

    def invoke(**arguments: Any) -> Any:
        if arguments["FunctionName"] == aws.stack.output("AdminFunction"):
            raise refusal("AccessDeniedException", "not authorized to perform: lambda:InvokeFunction")
        return real(**arguments)

    aws.answers["lambda", "invoke"] = invoke
    ended = doctor("--json")
    assert 0 == ended.status
    found = [each for each in ended.objects if each["check"] == "functions answer"]
    assert [*["ok"] * 4, "not checked"] == [each["state"] for each in found]
    assert found[-1]["text"].startswith("AdminFunction: needs a permission: you may not call lambda:InvokeFunction")


class Web(LoopbackServer):
    """The HTTP API of the stack, with one answer to every request."""

    def __init__(self, status: int, content: str) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response_only(status)
                self.end_headers()
                self.wfile.write(content.encode())

            def log_message(self, *_: Any) -> None:
                """Log nothing."""

        super().__init__(Handler)


DOCUMENT = '{"openapi": "3.1.0"}'


@pytest.fixture
def of_api(doctor: Doctor, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Run doctor on a stack whose API has this address. Return the finding about the API, the only possible fault."""

    def look(address: str) -> dict[str, Any]:
        monkeypatch.setattr(aws, "outputs", lambda: {**aws.stack.outputs(), "ApiUrl": address})
        ended = doctor("--json")
        assert {"api"} >= set(of_state(ended, "fault"))
        (found,) = [each for each in ended.objects if each["check"] == "api"]
        return dict(found)

    return look


def test_an_api_that_serves_its_document_answers(of_api: Callable[[str], dict[str, Any]]) -> None:
    """The document needs no key, and comes from the function."""
    with Web(200, DOCUMENT) as web:
        found = of_api(f"{web.origin}/v1")
        assert ("ok", f"the HTTP API answers at {web.origin}/v1") == (found["state"], found["text"])
        assert ["/v1/openapi.json"] == web.asked


@pytest.mark.parametrize(
    ("answer", "state", "text", "remedy"),
    [
        ((403, ""), "fault", "answers 403: its stage or this route is gone", "ApiEnabled=false"),
        ((404, ""), "fault", "answers 404: its stage", "punctual apps repair"),
        ((502, ""), "fault", "answers 502: its function fails", "that of ApiFunction"),
        ((200, "<html>"), "fault", "with something else than the document", "proxy"),
        ((200, "[]"), "fault", "with something else than the document", "proxy"),
        ((429, ""), "not checked", "too many requests at the moment; run doctor again", ""),
    ],
)
def test_an_api_that_does_not_serve_it_is_named(
    of_api: Callable[[str], dict[str, Any]], answer: tuple[int, str], state: str, text: str, remedy: str
) -> None:
    with Web(*answer) as web:
        found = of_api(f"{web.origin}/v1")
    assert state == found["state"]
    assert text in found["text"]
    assert remedy in found["remedy"]


def test_an_api_that_nobody_answers_for_is_named(of_api: Callable[[str], dict[str, Any]]) -> None:
    with Web(200, DOCUMENT) as web:
        gone = f"{web.origin}/v1"
    found = of_api(gone)
    assert f"the HTTP API at {gone} does not answer: " in found["text"]
    assert "check the network" in found["remedy"]


def test_a_rejected_request_is_no_fault_of_the_stack(doctor: Doctor, aws: Aws) -> None:
    """The function raised an error to its caller, and Lambda counted it."""
    aws.sums |= {f"Errors of {function}": 2.0 for function in ASKED} | {"Errors of ScheduleFunction": 7.0}
    ended = doctor()
    assert 0 == ended.status
    assert "Errors of ScheduleFunction in the last hour: 7, which counts rejected requests" in ended.out


def wrong(service: str, method: str, **answer: Any) -> Callable[[Aws], None]:
    def change(aws: Aws) -> None:
        aws.answers[service, method] = answer

    return change


def refused(service: str, method: str, code: str, message: str = "no") -> Callable[[Aws], None]:
    return lambda aws: aws.refuse(service, method, code, message)


def disabled_mapping(aws: Aws) -> None:
    off = aws.mapping("DeliverFunction", "DeliveryQueueArn", State="Disabled")
    aws.answers["lambda", "list_event_source_mappings"] = lambda **which: (
        {"EventSourceMappings": [off]}
        if which.get("FunctionName") == aws.stack.output("DeliverFunction")
        else aws.lambda_list_event_source_mappings(**which)
    )


def missing_mapping(aws: Aws) -> None:
    aws.answers["lambda", "list_event_source_mappings"] = lambda **which: (
        {"EventSourceMappings": []}
        if which.get("FunctionName") == aws.stack.output("DeliverFunction")
        else aws.lambda_list_event_source_mappings(**which)
    )


def consumer_without_partial_failures(aws: Aws) -> None:
    lacking = aws.mapping("ManageFunction", "OutputQueueArn", FunctionResponseTypes=[])
    aws.answers["lambda", "list_event_source_mappings"] = lambda **which: (
        {"EventSourceMappings": [lacking]}
        if which.get("EventSourceArn")
        else aws.lambda_list_event_source_mappings(**which)
    )


def failing(function: str) -> Callable[[Aws], None]:
    """The cold start of a function fails, as when a variable of its environment is missing."""
    failed = {"errorType": "KeyError", "errorMessage": "'TABLE_NAME'"}

    def change(aws: Aws) -> None:
        real = _virtual(aws, "lambda", "invoke")
        aws.answers["lambda", "invoke"] = lambda **arguments: (
            payload(failed)
            if arguments["FunctionName"] == aws.stack.output(function) and "Payload" in arguments
            else real(**arguments)
        )

    return change


def _virtual(aws: Aws, service: str, method: str) -> Callable[..., Any]:
    called = getattr(aws.stack.backend().client(service), method)

    def call(**arguments: Any) -> Any:
        return {"StatusCode": 204} if arguments.get("InvocationType") == "DryRun" else called(**arguments)

    return call


def overdue_schedules(aws: Aws) -> None:
    """The feeds go on, and an item stays behind its time all the same."""
    sort = f"{round((aws.stack.now - 3600) * 1000):015d}#{7:016x}"
    item = {"partition": {"S": "0"}, "sort": {"S": sort}, "data": {"S": "x"}}
    aws.stack.client("dynamodb").put_item(TableName=aws.stack.output("TableName"), Item=item)


def overdue_schedules_of_an_application(aws: Aws) -> None:
    """The owner's own are on time."""
    made = aws.stack.administer("create", name="billing", default_target="output")["application"]
    aws.stack.schedule({"delay": 86_400, "data": "x", "application": made})
    sort = f"{round((aws.stack.now - 3600) * 1000):015d}#{7:016x}"
    item = {"partition": {"S": f"2#{made}"}, "sort": {"S": sort}, "data": {"S": "x"}}
    aws.stack.client("dynamodb").put_item(TableName=aws.stack.output("TableName"), Item=item)


def dead_letter(aws: Aws) -> None:
    aws.stack.client("sqs").send_message(QueueUrl=aws.stack.output("DeadLetterQueueUrl"), MessageBody="{}")


def quarantined(aws: Aws) -> None:
    item = {"partition": {"S": "quarantine"}, "sort": {"S": f"{7:015d}#{7:016x}"}, "data": {"S": "x"}}
    aws.stack.client("dynamodb").put_item(TableName=aws.stack.output("TableName"), Item=item)


def feeds_that_do_not_run(aws: Aws) -> None:
    aws.stack._cloud.functions.rules.clear()
    aws.stack.backend().sleep(FED_S)


def old_output_messages(aws: Aws) -> None:
    moment = datetime.fromtimestamp(aws.stack.now, UTC)
    aws.answers["cloudwatch", "get_metric_statistics"] = lambda **asked: {
        "Datapoints": [{"Timestamp": moment, "Maximum": 20_000.0}] if "Output" in str(asked["Dimensions"]) else []
    }


def errors_of_a_function(aws: Aws) -> None:
    aws.sums["Errors of FeedFunction"] = 3.0


def throttles_of_the_table(aws: Aws) -> None:
    aws.sums["WriteThrottleEvents"] = 12.0


def no_rule(aws: Aws) -> None:
    whole = aws.cloudformation_list_stack_resources()["StackResourceSummaries"]
    aws.answers["cloudformation", "list_stack_resources"] = {
        "StackResourceSummaries": [each for each in whole if each["ResourceType"] != "AWS::Events::Rule"]
    }


def only_dry_run_refused(aws: Aws) -> None:
    """The dry run is refused. Every other call is allowed here, so that one fault remains."""
    real = _virtual(aws, "lambda", "invoke")

    def invoke(**arguments: Any) -> Any:
        if arguments.get("InvocationType") == "DryRun" and arguments["FunctionName"] == aws.stack.output(
            "ScheduleFunction"
        ):
            raise refusal("AccessDeniedException", "not authorized to perform: lambda:InvokeFunction")
        return real(**arguments)

    aws.answers["lambda", "invoke"] = invoke


TTL = {"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}}
NO_RECOVERY = {"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"}}
FAULTS: dict[str, tuple[Callable[[Aws], None], str, str, str]] = {
    "failed deployment": (
        lambda aws: aws.described.update(StackStatus="UPDATE_ROLLBACK_COMPLETE"),
        "stack",
        "its last deployment failed",
        "describe-stack-events",
    ),
    "deployment under way": (
        lambda aws: aws.described.update(StackStatus="UPDATE_IN_PROGRESS"),
        "stack",
        "UPDATE_IN_PROGRESS",
        "wait until",
    ),
    "caller who may not invoke": (
        only_dry_run_refused,
        "your rights",
        "you may not schedule",
        "allow lambda:InvokeFunction on",
    ),
    "low quota": (
        wrong("lambda", "get_account_settings", AccountLimit={"ConcurrentExecutions": 10}),
        "concurrency quota",
        "may run 10 functions at once; 4 partitions want 20",
        "Service Quotas",
    ),
    "no time to live": (wrong("dynamodb", "describe_time_to_live", **TTL), "table", "is DISABLED", "punctual deploy"),
    "table under way": (
        wrong("dynamodb", "describe_table", Table={"TableStatus": "UPDATING"}),
        "table",
        "is UPDATING",
        "wait",
    ),
    "no backups": (
        wrong("dynamodb", "describe_continuous_backups", ContinuousBackupsDescription=NO_RECOVERY),
        "backups",
        "no point-in-time recovery",
        "punctual deploy",
    ),
    **{
        f"{function} that fails": (failing(function), "functions answer", f"{function} fails: ", "aws logs tail")
        for function in ASKED
    },
    "function that is off": (
        wrong("lambda", "get_function_concurrency", ReservedConcurrentExecutions=0),
        "functions are on",
        "its reserved concurrency is 0",
        "delete-function-concurrency",
    ),
    "failed update": (
        wrong("lambda", "get_function_configuration", State="Active", LastUpdateStatus="Failed"),
        "functions are on",
        "its last update Failed",
        "punctual deploy",
    ),
    "mapping that is off": (
        disabled_mapping,
        "event sources",
        "is Disabled: nothing is read",
        "update-event-source-mapping --uuid uuid-of-DeliverFunction --enabled",
    ),
    "mapping that is missing": (missing_mapping, "event sources", "has no event source mapping", "punctual deploy"),
    "consumer": (
        consumer_without_partial_failures,
        "consumers",
        "lacks ReportBatchItemFailures",
        "--function-response-types",
    ),
    "recursion": (
        wrong("lambda", "get_function_recursion_config", RecursiveLoop="Terminate"),
        "recursion",
        "RecursiveLoop is Terminate",
        "put-function-recursion-config",
    ),
    "errors": (errors_of_a_function, "errors, throttles", "Errors of FeedFunction in the last hour: 3", "log"),
    "throttles": (throttles_of_the_table, "errors, throttles", "WriteThrottleEvents in the last hour: 12", "Partition"),
    "rule that is disabled": (wrong("events", "describe_rule", State="DISABLED"), "rule", "is disabled", "enable-rule"),
    "rule that is deleted": (
        refused("events", "describe_rule", "ResourceNotFoundException"),
        "rule",
        "was deleted",
        "FeedIntervalMinutes",
    ),
    "no rule": (no_rule, "rule", "has no rule", "punctual deploy"),
    "no feeds": (feeds_that_do_not_run, "last feeds", "partition 0, 1, 2, 3 was not fed", "invoke --function-name"),
    "overdue schedules": (overdue_schedules, "overdue", "by 1h, in partition 0", "feed all partitions now"),
    "overdue schedules of an application": (
        overdue_schedules_of_an_application,
        "overdue",
        "overdue in the table: 1 schedule, the oldest by 1h, in partition 2 of the application ",
        "feed all partitions now",
    ),
    "dead letters": (dead_letter, "queues", "1 message in the dead-letter queue", "Bring back dead letters"),
    "old messages": (old_output_messages, "oldest messages", "OutputQueue is 5h 33m old", "start the consumer"),
    "quarantine": (quarantined, "quarantine", "quarantined: 1 item", "punctual redrive"),
}


@pytest.mark.parametrize("breakage", FAULTS)
def test_a_fault_has_a_name_and_a_remedy(doctor: Doctor, aws: Aws, breakage: str) -> None:
    """No other check fails with it."""
    break_it, check, text, remedy = FAULTS[breakage]
    break_it(aws)
    found = only_fault(doctor("--json"))
    assert check == found["check"]
    assert text in found["text"]
    assert remedy in found["remedy"]


def test_a_stack_without_the_status_is_asked_for_its_overdue_schedules(doctor: Doctor, aws: Aws) -> None:
    """An earlier version does not know the operation."""
    real = _virtual(aws, "lambda", "invoke")
    unknown = {"errorType": "InvalidRequest", "errorMessage": "operation is 'status'; wanted: one of get, list"}
    aws.answers["lambda", "invoke"] = lambda **call: (
        payload(unknown) if b'"status"' in call.get("Payload", b"") else real(**call)
    )
    assert 0 == doctor("--json").status
    overdue_schedules(aws)
    assert "the oldest 0-" in only_fault(doctor("--json"))["text"]


def test_without_credentials_nothing_else_is_checked(doctor: Doctor, aws: Aws) -> None:
    aws.answers["sts", "get_caller_identity"] = NoCredentialsError()
    ended = doctor("--json")
    assert "there are no AWS credentials" in only_fault(ended)["text"]
    assert {"needs credentials"} == {each["text"] for each in of_state(ended, "not checked").values()}


def test_an_endpoint_that_does_not_answer_is_one_fault(doctor: Doctor, aws: Aws) -> None:
    aws.answers["sts", "get_caller_identity"] = EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
    assert "check your credentials, the region and the network" == only_fault(doctor("--json"))["remedy"]


def test_a_missing_stack_is_one_fault(doctor: Doctor, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the stacks of Punctual that are there."""
    outputs = [{"OutputKey": key, "OutputValue": value} for key, value in aws.outputs().items()]
    there = {"Stacks": [{"StackName": "other", "Outputs": outputs}]}

    def describe(**which: str) -> Any:
        if which:
            raise refusal("ValidationError", "Stack with id punctual does not exist")
        return there

    aws.answers["cloudformation", "describe_stacks"] = describe
    monkeypatch.setattr(aws, "outputs", lambda: None)
    ended = doctor("--json")
    found = only_fault(ended)
    assert "there is no stack 'punctual' in eu-central-1; there is other" == found["text"]
    assert "give --stack, --region or --profile" in found["remedy"]
    assert "needs stack" == of_state(ended, "not checked")["version"]["text"]


@pytest.mark.parametrize(
    ("deployed", "state", "part"),
    [
        (client.__version__, "ok", "the stack is"),
        ("0.0.9", "fault", "older than this client"),
        ("99.0.0", "fault", "newer than this client"),
        (None, "fault", "older than its output Version"),
    ],
)
def test_the_versions_of_stack_and_client_belong_together(
    doctor: Doctor, aws: Aws, monkeypatch: pytest.MonkeyPatch, deployed: str | None, state: str, part: str
) -> None:
    outputs = {name: value for name, value in aws.outputs().items() if name != "Version"}
    monkeypatch.setattr(aws, "outputs", lambda: outputs | ({"Version": deployed} if deployed else {}))
    assert part in of_state(doctor("--json"), state)["version"]["text"]


@pytest.mark.parametrize(
    ("service", "method", "check"),
    [
        ("cloudformation", "list_stack_resources", "rule"),
        ("events", "describe_rule", "rule"),
        ("cloudwatch", "get_metric_data", "errors, throttles"),
        ("lambda", "get_function_recursion_config", "recursion"),
        ("sqs", "get_queue_attributes", "queues"),
        ("dynamodb", "query", "quarantine"),
    ],
)
def test_a_check_without_permission_is_not_checked(
    doctor: Doctor, aws: Aws, service: str, method: str, check: str
) -> None:
    """It names the IAM action, and is no fault."""
    aws.refuse(service, method)
    ended = doctor("--json")
    assert 0 == ended.status, of_state(ended, "fault")
    action = "".join(word.capitalize() for word in method.split("_"))
    assert f"needs a permission: you may not call {service}:{action}" in of_state(ended, "not checked")[check]["text"]
    assert "not checked" in ended.err


def test_a_throttled_call_of_the_doctor_is_no_fault_of_the_stack(doctor: Doctor, aws: Aws) -> None:
    aws.refuse("cloudwatch", "get_metric_data", "Throttling")
    ended = doctor("--json")
    assert 0 == ended.status
    assert "run doctor again" in of_state(ended, "not checked")["errors, throttles"]["text"]


def test_a_new_stack_need_not_have_been_fed(doctor: Doctor, aws: Aws) -> None:
    feeds_that_do_not_run(aws)
    aws.created = datetime.fromtimestamp(aws.stack.now, UTC)
    ended = doctor("--json")
    assert 0 == ended.status
    assert "deployed less than two feed intervals ago" in of_state(ended, "not checked")["last feeds"]["text"]


def test_the_remedy_names_the_log_group_of_the_function(doctor: Doctor, aws: Aws) -> None:
    """The template makes log groups of its own, whose names CloudFormation draws."""
    failing("ScheduleFunction")(aws)
    logs = {"State": "Active", "LoggingConfig": {"LogGroup": "punctual-ScheduleLogs-XYZ"}}
    aws.answers["lambda", "get_function_configuration"] = logs
    assert "aws logs tail punctual-ScheduleLogs-XYZ --since 1h" in only_fault(doctor("--json"))["remedy"]


@pytest.fixture
def few_months(monkeypatch: pytest.MonkeyPatch) -> None:
    """The virtual table reads the rows of a year slowly."""
    monkeypatch.setattr(ledger, "MONTHS_KEPT", 1)


def ledger_of(doctor: Doctor) -> dict[str, Any]:
    found = [each for each in doctor("--ledger", "--json").objects if each["check"] == "ledger"]
    assert found, "the check was made"
    return dict(found[0])


def test_a_stack_without_a_ledger_says_how_to_begin_one(doctor: Doctor) -> None:
    assert "Ledger=true" in ledger_of(doctor)["text"]


@pytest.mark.usefixtures("few_months")
def test_the_ledger_balances(doctor: Doctor, stack: Stack) -> None:
    """Near and far schedules are pending until they leave."""
    stack.update(Ledger=True)
    assert ("ok", "owner: nothing was counted yet") == (ledger_of(doctor)["state"], ledger_of(doctor)["text"])
    stack.schedule([{"delay": 5, "data": "x"}, {"delay": 7200, "data": "x"}, {"delay": 7200, "data": "x", "name": "a"}])
    stack.advance(minutes=1)
    found = ledger_of(doctor)
    assert ("ok", "owner: 3 accepted, 1 released, 2 pending") == (found["state"], found["text"])
    stack.advance(hours=3)
    assert "owner: 3 accepted, 2 released, 1 delivered, 0 pending" == ledger_of(doctor)["text"]


@pytest.mark.usefixtures("few_months")
def test_a_schedule_that_vanished_is_a_fault(doctor: Doctor, stack: Stack) -> None:
    """Somebody deleted its item by hand."""
    stack.update(Ledger=True)
    stack.schedule({"delay": 7200, "data": "x"})
    client, name = stack.client("dynamodb"), stack.output("TableName")
    (table,) = stack._cloud.dynamodb.tables.values()
    (item,) = [item for key, items in table.items.items() if key.isdigit() for item in items.values()]
    client.delete_item(TableName=name, Key={"partition": item["partition"], "sort": item["sort"]})
    found = ledger_of(doctor)
    assert ("fault", True) == (found["state"], "1 more entered than left or are pending" in found["text"])
    assert "a crash" in found["remedy"]


@pytest.mark.usefixtures("few_months")
def test_the_ledger_of_each_application_is_compared(doctor: Doctor, stack: Stack) -> None:
    stack.update(Ledger=True)
    stack.administer("create", name="team", default_target="output")
    stack.schedule({"delay": 5, "data": "x", "application": "team"})
    found = [each["text"] for each in doctor("--ledger", "--json").objects if each["check"] == "ledger"]
    assert ["owner: nothing was counted yet", "team: 1 accepted, 1 released, 0 pending"] == found
