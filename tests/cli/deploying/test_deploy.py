"""`punctual deploy` and `punctual destroy`, against a CloudFormation that answers as its documentation says."""

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from punctual import stack_files
from punctual.cli import group
from punctual.cli.deploying.package import Package
from punctual.cli.deploying.reasons import failures
from punctual.cli.run import Run
from punctual.local.emulation.emulator import Emulator

ACCOUNT, REGION = "111122223333", "eu-central-1"
BUCKET = f"punctual-deploy-{ACCOUNT}-{REGION}"
STACK_ID = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/punctual/1"
CHANGE_SET_ID = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:changeSet/punctual-1/1"
VERSION = Package.installed().version
KINDS = {"Table": "AWS::DynamoDB::Table", "OutputQueue": "AWS::SQS::Queue", "FeedFunction": "AWS::Lambda::Function"}


class Refusal(Exception):
    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.code, self.message, self.status = code, message, status


class Aws:
    """An account with S3 and one stack. boto3 checks the arguments, and its calls end here instead of at AWS."""

    parallel = True

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.objects: dict[str, bytes] | None = None
        self.settings: dict[str, Any] = {}
        self.stack: dict[str, Any] | None = None
        self.changes = [change("Add", name) for name in KINDS]
        self.events: list[dict[str, str]] = []
        self.ends_as: list[str] = []
        """The statuses after an execution, one for each time that the stack is described."""
        self.reason = ""
        """Why no change set can be made."""
        self._clients: dict[str, Any] = {}
        self._arguments: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            connect: Any = boto3.client
            client = connect(service, REGION, aws_access_key_id="x", aws_secret_access_key="x")
            client.meta.events.register("provide-client-params", self._remember)
            client.meta.events.register("before-call", self._answer)
            self._clients[service] = client
        return self._clients[service]

    def sleep(self, seconds: float) -> None:
        pass

    def _remember(self, params: dict[str, Any], **_: Any) -> None:
        self._arguments = dict(params)

    def _answer(self, model: Any, **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        arguments = self._arguments
        self.calls.append((model.name, arguments))
        try:
            found = getattr(self, re.sub(r"(?<!^)(?=[A-Z])", "_", model.name).lower(), self._other)
            answer, status = found(model.name, arguments) or {}, 200
        except Refusal as refusal:
            answer, status = {"Error": {"Code": refusal.code, "Message": refusal.message}}, refusal.status
        meta = {"HTTPStatusCode": status, "RequestId": "r"}
        headers: Any = {}
        return AWSResponse("", status, headers, None), {**answer, "ResponseMetadata": meta}

    def made(self, operation: str) -> list[dict[str, Any]]:
        """Return the arguments of every call of this operation."""
        return [arguments for name, arguments in self.calls if name == operation]

    def exist(self, status: str = "UPDATE_COMPLETE", version: str = VERSION, **parameters: str) -> None:
        """Have a stack of Punctual's with these parameters."""
        self.stack = {
            "StackName": "punctual",
            "StackId": STACK_ID,
            "StackStatus": status,
            "Description": "Punctual - point-in-time schedules.",
            "CreationTime": "2030-01-01T00:00:00Z",
            "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            "Outputs": [{"OutputKey": "Version", "OutputValue": version}],
        }

    # ------------------------------------------------------------------------------------------------- what AWS answers

    def get_caller_identity(self, *_: Any) -> dict[str, Any]:
        return {"Account": ACCOUNT}

    def head_bucket(self, *_: Any) -> None:
        if self.objects is None:
            raise Refusal("404", "Not Found", 404)

    def create_bucket(self, *_: Any) -> None:
        self.objects = {}

    def head_object(self, _: str, arguments: dict[str, Any]) -> None:
        if arguments["Key"] not in (self.objects or {}):
            raise Refusal("404", "Not Found", 404)

    def put_object(self, _: str, arguments: dict[str, Any]) -> None:
        assert self.objects is not None
        self.objects[arguments["Key"]] = arguments["Body"]

    def _other(self, name: str, arguments: dict[str, Any]) -> None:
        setting = name[3:]
        if name.startswith("Put"):
            self.settings[setting] = arguments
        elif name.startswith("Get") and setting not in self.settings:
            absent = {
                "PublicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
                "BucketOwnershipControls": "OwnershipControlsNotFoundError",
                "BucketEncryption": "ServerSideEncryptionConfigurationNotFoundError",
                "BucketPolicy": "NoSuchBucketPolicy",
            }
            raise Refusal(absent[setting], "There is none", 404)

    def describe_stacks(self, _: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if self.stack is None:
            raise Refusal("ValidationError", f"Stack with id {arguments['StackName']} does not exist")
        if self.ends_as and self.stack["StackStatus"].endswith("_IN_PROGRESS"):
            self.stack["StackStatus"] = self.ends_as.pop(0)
        return {"Stacks": [dict(self.stack)]}

    def create_change_set(self, _: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if arguments["ChangeSetType"] == "CREATE":
            self.exist("REVIEW_IN_PROGRESS")
        return {"Id": CHANGE_SET_ID, "StackId": STACK_ID}

    def describe_change_set(self, _: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if self.reason:
            return {"Status": "FAILED", "StatusReason": self.reason, "Changes": []}
        first = "NextToken" not in arguments
        page = self.changes[:2] if first else self.changes[2:]
        return {"Status": "CREATE_COMPLETE", "Changes": page, **({"NextToken": "2"} if first else {})}

    def execute_change_set(self, *_: Any) -> None:
        assert self.stack is not None
        self.stack["StackStatus"] = "UPDATE_IN_PROGRESS"

    def delete_stack(self, *_: Any) -> None:
        assert self.stack is not None
        empty = self.stack["StackStatus"] == "REVIEW_IN_PROGRESS"
        self.stack["StackStatus"] = "DELETE_IN_PROGRESS"
        if empty:
            self.stack = None

    def describe_stack_events(self, *_: Any) -> dict[str, Any]:
        # Nothing has happened before the execution.
        running = bool(self.made("ExecuteChangeSet")) or bool(self.made("DeleteStack"))
        return {"StackEvents": list(self.events) if running else []}

    def list_stack_resources(self, *_: Any) -> dict[str, Any]:
        return {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": name,
                    "PhysicalResourceId": f"punctual-{name}",
                    "ResourceType": kind,
                    "ResourceStatus": "CREATE_COMPLETE",
                }
                for name, kind in KINDS.items()
            ]
        }


def change(action: str, name: str, replacement: str = "False") -> dict[str, Any]:
    its = {"Action": action, "LogicalResourceId": name, "ResourceType": KINDS[name], "Replacement": replacement}
    return {"Type": "Resource", "ResourceChange": its}


def event(number: int, name: str, status: str, reason: str = "") -> dict[str, str]:
    return {
        "EventId": str(number),
        "LogicalResourceId": name,
        "ResourceType": KINDS[name],
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


@pytest.fixture
def aws() -> Aws:
    return Aws()


@pytest.fixture
def punctual(aws: Aws, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command line: status, standard output, standard error."""

    def called(*arguments: str) -> tuple[int, str, str]:
        run = Run()
        run.__dict__["backend"] = aws
        status = group.run(arguments, run)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return called


def test_a_first_deployment_makes_a_private_bucket_and_shows_what_it_does(aws: Aws, punctual: Any) -> None:
    """Code and template lie in the bucket under their hashes, and CloudFormation expands the transform."""
    aws.ends_as = ["CREATE_COMPLETE"]
    aws.events = [event(2, "FeedFunction", "CREATE_COMPLETE"), event(1, "Table", "CREATE_COMPLETE")]
    status, out, err = punctual("deploy", "--yes", "--parameter", "PartitionCount=8")
    assert 0 == status, err
    assert f"created the stack punctual, version {VERSION}" in out
    assert re.search(r"add +FeedFunction +AWS::Lambda::Function", out)
    assert ["create complete: Table", "create complete: FeedFunction"] == err.splitlines()[-2:]

    (made,) = aws.made("CreateBucket")
    assert "BucketOwnerEnforced" == made["ObjectOwnership"]
    assert {"BucketPolicy", "BucketEncryption", "BucketOwnershipControls", "PublicAccessBlock"} == {*aws.settings}
    assert all(aws.settings["PublicAccessBlock"]["PublicAccessBlockConfiguration"].values())
    (statement,) = json.loads(aws.settings["BucketPolicy"]["Policy"])["Statement"]
    assert ("Deny", {"Bool": {"aws:SecureTransport": "false"}}) == (statement["Effect"], statement["Condition"])

    (asked,) = aws.made("CreateChangeSet")
    assert ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"] == asked["Capabilities"]
    assert [{"ParameterKey": "PartitionCount", "ParameterValue": "8"}] == asked["Parameters"]
    assert aws.objects is not None
    code, template = sorted(aws.objects)
    assert asked["TemplateURL"].endswith(f"/{BUCKET}/{template}")
    assert template == f"templates/{hashlib.sha256(aws.objects[template]).hexdigest()}.yml"
    packaged = aws.objects[template].decode()
    assert 0 == packaged.count("CodeUri: functions/") < packaged.count(f"CodeUri: s3://{BUCKET}/{code}\n")
    names = zipfile.ZipFile(io.BytesIO(aws.objects[code])).namelist()
    assert {"schedule.py", "scheduler/limits.py"} <= {*names}
    assert not [name for name in names if "__pycache__" in name]


def test_every_call_to_the_bucket_names_its_owner(aws: Aws, punctual: Any) -> None:
    """A bucket of somebody else's with the same name gets nothing."""
    aws.ends_as = ["CREATE_COMPLETE"]
    assert 0 == punctual("deploy", "--yes")[0]
    to_bucket = [(name, call) for name, call in aws.calls if "Bucket" in call and name != "CreateBucket"]
    assert len(to_bucket) > 6
    assert {ACCOUNT} == {call.get("ExpectedBucketOwner") for _, call in to_bucket}


def test_a_bucket_of_somebody_elses_is_refused(aws: Aws, punctual: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to do."""

    def forbidden(*_: Any) -> None:
        raise Refusal("403", "Forbidden", 403)

    monkeypatch.setattr(aws, "head_bucket", forbidden)
    status, _, err = punctual("deploy", "--yes")
    assert (1, []) == (status, aws.made("PutObject"))
    assert f"error: the bucket {BUCKET} is not yours" in err
    assert "--bucket" in err


def test_settings_that_the_owner_has_made_stay(aws: Aws, punctual: Any) -> None:
    """A stricter encryption is not replaced. What is missing is added, as after an interrupted run."""
    aws.objects, aws.settings = {}, {"BucketEncryption": "a key of one's own"}
    aws.ends_as = ["CREATE_COMPLETE"]
    assert 0 == punctual("deploy", "--yes")[0]
    assert "a key of one's own" == aws.settings["BucketEncryption"]
    assert "BucketPolicy" in aws.settings
    assert [] == aws.made("CreateBucket")


def test_an_update_keeps_what_is_not_given(aws: Aws, punctual: Any) -> None:
    """A parameter that the stack does not have yet takes its default. Code that is there is not sent again."""
    aws.exist(PartitionCount="8", LogLevel="WARN")
    aws.ends_as = ["UPDATE_COMPLETE"]
    assert 0 == punctual("deploy", "--yes", "--parameter", "LogLevel=ERROR")[0]
    (asked,) = aws.made("CreateChangeSet")
    given = {"ParameterKey": "LogLevel", "ParameterValue": "ERROR"}
    kept = {"ParameterKey": "PartitionCount", "UsePreviousValue": True}
    assert ("UPDATE", [given, kept]) == (asked["ChangeSetType"], asked["Parameters"])
    aws.ends_as = ["UPDATE_COMPLETE"]
    assert 0 == punctual("deploy", "--yes")[0]
    assert 2 == len(aws.made("PutObject"))


@pytest.mark.parametrize(
    "reason",
    [
        "The submitted information didn't contain changes. Submit different information to create a change set.",
        "No updates are to be performed.",
    ],
)
def test_no_changes_is_success(reason: str, aws: Aws, punctual: Any) -> None:
    """Nothing is executed, and the change set is removed."""
    aws.exist()
    aws.reason = reason
    status, out, _ = punctual("deploy", "--yes")
    assert (0, "the stack punctual is up to date: no changes\n") == (status, out)
    assert ([], 1) == (aws.made("ExecuteChangeSet"), len(aws.made("DeleteChangeSet")))
    assert "unchanged" == json.loads(punctual("deploy", "--yes", "--json")[1])["outcome"]


def api_change(action: str, kind: str, *names: str) -> dict[str, Any]:
    details = [{"Target": {"Attribute": "Properties", "Name": name}} for name in names]
    its = {"Action": action, "LogicalResourceId": "Api", "ResourceType": f"AWS::ApiGateway::{kind}", "Details": details}
    return {"Type": "Resource", "ResourceChange": its}


AGAIN = [
    api_change("Add", "Deployment"),
    api_change("Remove", "Deployment"),
    api_change("Modify", "Stage", "DeploymentId"),
]


def test_one_more_deployment_of_the_same_api_is_no_change(aws: Aws, punctual: Any) -> None:
    """SAM gives the deployment of the HTTP API a new name each time."""
    aws.exist()
    aws.changes = AGAIN
    assert "unchanged" == json.loads(punctual("deploy", "--yes", "--json")[1])["outcome"]
    assert [] == aws.made("ExecuteChangeSet")


@pytest.mark.parametrize(
    "more",
    [
        api_change("Modify", "RestApi", "Body"),
        api_change("Modify", "Stage", "DeploymentId", "MethodSettings"),
        api_change("Add", "Stage"),
        change("Modify", "FeedFunction"),
    ],
    ids=["routes", "throttle", "stage", "function"],
)
def test_a_deployment_with_another_change_is_executed(aws: Aws, punctual: Any, more: dict[str, Any]) -> None:
    aws.exist()
    aws.changes, aws.ends_as = [*AGAIN, more], ["UPDATE_COMPLETE"]
    assert 0 == punctual("deploy", "--yes")[0]
    assert 1 == len(aws.made("ExecuteChangeSet"))


def test_declining_a_first_deployment_leaves_no_empty_stack(aws: Aws, punctual: Any, terminal: Any) -> None:
    """The question names account and region."""
    shown = terminal("n\n")
    assert 1 == punctual("deploy")[0]
    assert f"Create stack punctual, version {VERSION}, in account {ACCOUNT}, region {REGION}?" in shown.getvalue()
    assert ([], None) == (aws.made("ExecuteChangeSet"), aws.stack)


def test_declining_an_update_leaves_the_stack_alone(aws: Aws, punctual: Any, terminal: Any) -> None:
    """Only the change set is removed."""
    aws.exist()
    terminal("\n")
    assert 1 == punctual("deploy")[0]
    assert (1, []) == (len(aws.made("DeleteChangeSet")), aws.made("DeleteStack"))


def test_a_dry_run_shows_the_changes_and_makes_none(aws: Aws, punctual: Any) -> None:
    """It needs no terminal. It warns of a queue that the stack would no longer use."""
    aws.exist()
    aws.changes = [change("Modify", "OutputQueue", "True"), change("Modify", "FeedFunction")]
    status, out, err = punctual("deploy", "--dry-run")
    assert 0 == status
    assert re.search(r"modify +OutputQueue +AWS::SQS::Queue +replaced", out)
    assert out.endswith("2 changes; nothing was done\n")
    assert "warning: the stack may stop using OutputQueue" in err
    assert ([], 1) == (aws.made("ExecuteChangeSet"), len(aws.made("DeleteChangeSet")))


def test_an_upload_prints_the_address_of_the_template_and_touches_no_stack(aws: Aws, punctual: Any) -> None:
    """Terraform, the CDK and the console take the address. It needs no terminal, because it asks nothing."""
    status, out, err = punctual("deploy", "--upload-only")
    assert 0 == status, err
    address = out.strip()
    assert re.fullmatch(rf"https://s3\.{REGION}\.amazonaws\.com/{BUCKET}/templates/[0-9a-f]{{64}}\.yml", address)
    assert aws.objects is not None
    assert f"CodeUri: s3://{BUCKET}/functions/" in aws.objects[address.split(f"{BUCKET}/")[1]].decode()
    assert f"version {VERSION}, for stacks in account {ACCOUNT}, region {REGION}" in err
    assert {"GetCallerIdentity"} == {
        name for name, _ in aws.calls if not re.search("Bucket|Object|PublicAccessBlock", name)
    }


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "there is no terminal to ask: add --yes"),
        (["--yes", "--parameter", "Partitions=8"], "did you mean PartitionCount?"),
        (["--yes", "--parameter", "PartitionCount"], "write NAME=VALUE"),
        (["--yes", "--parameter", "LogLevel=INFO", "--parameter", "LogLevel=WARN"], "LogLevel is given twice"),
        (["--upload-only", "--parameter", "LogLevel=WARN"], "--parameter is about a stack, and --upload-only deploys"),
        (["--upload-only", "--dry-run"], "--dry-run is about a stack"),
    ],
)
def test_wrong_usage_calls_nothing(arguments: list[str], complaint: str, aws: Aws, punctual: Any) -> None:
    """The status is 2."""
    status, _, err = punctual("deploy", *arguments)
    assert (2, []) == (status, aws.calls)
    assert complaint in err


@pytest.mark.parametrize("given", ["WebhookHosts=api.example.com,http://127.0.0.1:8080", "WebhookAllowPrivate=true"])
def test_webhooks_to_loopback_are_for_the_local_stack(given: str, aws: Aws, punctual: Any) -> None:
    """In a real account that is the machine of the function."""
    status, _, err = punctual("deploy", "--yes", "--parameter", given)
    assert (2, []) == (status, aws.made("CreateChangeSet"))
    assert "for the local stack only" in err


def test_a_wrong_value_is_rejected_in_cloudformations_words(
    aws: Aws, punctual: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have the constraint of the template."""
    said = "Parameter 'PartitionCount' failed to satisfy constraint: a whole number from 1 to 256"

    def refuse(*_: Any) -> None:
        raise Refusal("ValidationError", said)

    monkeypatch.setattr(aws, "create_change_set", refuse)
    assert (4, "", f"error: {said}") == tuple(
        part.splitlines()[-1] if part and isinstance(part, str) else part
        for part in punctual("deploy", "--yes", "--parameter", "PartitionCount=0")
    )


def test_an_older_version_needs_downgrade(aws: Aws, punctual: Any) -> None:
    """Its code may not understand what the newer one has stored."""
    aws.exist(version="99.0.0")
    status, _, err = punctual("deploy", "--yes")
    assert (1, []) == (status, aws.made("CreateChangeSet"))
    assert f"has version 99.0.0, and this package brings the older {VERSION}" in err
    aws.ends_as = ["UPDATE_COMPLETE"]
    assert 0 == punctual("deploy", "--yes", "--downgrade")[0]


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("ROLLBACK_COMPLETE", "remove it with `punctual destroy`"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("UPDATE_IN_PROGRESS", "wait until that has ended"),
    ],
)
def test_a_stack_that_cannot_be_updated_is_told_with_the_way_out(
    status: str, advice: str, aws: Aws, punctual: Any
) -> None:
    """Nothing is uploaded."""
    aws.exist(status)
    ended, _, err = punctual("deploy", "--yes")
    assert (1, []) == (ended, aws.made("PutObject"))
    assert advice in err


@pytest.mark.parametrize("arguments", [("deploy", "--yes"), ("destroy", "--yes", "--stack", "punctual")])
def test_a_stack_of_somebody_elses_is_left_alone(arguments: tuple[str, ...], aws: Aws, punctual: Any) -> None:
    """A mistyped name must not replace a stack."""
    aws.exist()
    assert aws.stack is not None
    aws.stack["Description"] = "The shop"
    assert 1 == punctual(*arguments)[0]
    assert [] == aws.made("CreateChangeSet") + aws.made("DeleteStack")


def test_a_failure_is_explained_by_its_first_cause(aws: Aws, punctual: Any) -> None:
    """Resources that were cancelled because of it are not named."""
    aws.exist()
    aws.ends_as = ["UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"]
    reason = "Specified ReservedConcurrentExecutions decreases account's UnreservedConcurrentExecution below [100]."
    aws.events = [
        event(2, "Table", "UPDATE_FAILED", "Resource update cancelled"),
        event(1, "FeedFunction", "UPDATE_FAILED", reason),
    ]
    status, _, err = punctual("deploy", "--yes")
    assert 1 == status
    last = err.splitlines()[-1]
    assert "ended as UPDATE_ROLLBACK_COMPLETE; the stack is as it was before." in last
    assert f"FeedFunction (AWS::Lambda::Function): {reason} - the account has too little concurrency" in last
    assert "cancelled" not in last


def test_an_interrupted_deployment_says_that_it_goes_on(
    aws: Aws, punctual: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C ends the command, and not what CloudFormation does."""

    def interrupt(_: float) -> None:
        if aws.made("ExecuteChangeSet"):
            raise KeyboardInterrupt

    aws.exist()
    monkeypatch.setattr(aws, "sleep", interrupt)
    status, _, err = punctual("deploy", "--yes")
    assert 130 == status
    assert "CloudFormation goes on by itself" in err
    assert [] == aws.made("DeleteChangeSet")


def test_an_interrupted_question_leaves_nothing(aws: Aws, punctual: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C before the answer is a "no"."""

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("punctual.cli.output.Output.confirm", interrupt)
    assert (130, None) == (punctual("deploy", "--yes")[0], aws.stack)


def test_a_failure_without_advice_has_its_reason() -> None:
    """Nothing is made up."""
    (found,) = failures([event(1, "Table", "CREATE_FAILED", "Something new")])
    assert "Table (AWS::DynamoDB::Table): Something new" == str(found)


def test_destroy_wants_the_name_of_the_stack(aws: Aws, punctual: Any, terminal: Any) -> None:
    """It says first what is removed and what remains."""
    aws.exist()
    shown = terminal("yes\n")
    assert 1 == punctual("destroy")[0]
    assert "remains: Table punctual-Table\nremains: OutputQueue punctual-OutputQueue\n" in shown.getvalue()
    assert [] == aws.made("DeleteStack")

    aws.ends_as = ["DELETE_COMPLETE"]
    terminal("punctual\n")
    status, out, _ = punctual("destroy")
    assert (0, "removed the stack punctual; Table, OutputQueue remain\n") == (status, out)


@pytest.mark.parametrize("arguments", [(), ("--yes",)])
def test_destroy_without_a_terminal_needs_yes_and_the_name(
    arguments: tuple[str, ...], aws: Aws, punctual: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name from the environment does not count."""
    monkeypatch.setenv("PUNCTUAL_STACK", "punctual")
    assert (2, []) == (punctual("destroy", *arguments)[0], aws.calls)


def test_a_protected_stack_is_not_destroyed(aws: Aws, punctual: Any) -> None:
    """The error names the parameter to change first."""
    aws.exist(TableProtection="true")
    status, _, err = punctual("--stack", "punctual", "destroy", "--yes")
    assert (1, []) == (status, aws.made("DeleteStack"))
    assert "--parameter TableProtection=false" in err


def test_a_failed_first_deployment_can_be_destroyed_with_its_protection(aws: Aws, punctual: Any) -> None:
    """No update could switch the protection off."""
    aws.exist("ROLLBACK_COMPLETE", TableProtection="true")
    aws.ends_as = ["DELETE_COMPLETE"]
    assert 0 == punctual("destroy", "--yes", "--stack", "punctual")[0]


def test_a_stack_that_is_not_there_is_not_found(aws: Aws, punctual: Any) -> None:
    """The error says where it was sought."""
    status, _, err = punctual("destroy", "--yes", "--stack", "orders")
    assert (3, f"error: there is no stack orders in account {ACCOUNT}, region {REGION}\n") == (status, err)


@pytest.mark.parametrize("arguments", [("deploy", "--yes"), ("destroy", "--yes", "--stack", "punctual")])
def test_the_fields_of_json_are_documented(arguments: tuple[str, ...], aws: Aws, punctual: Any) -> None:
    """Fields are only ever added. So a field that is gone from the page breaks a user's script."""
    aws.exist()
    aws.ends_as = ["UPDATE_COMPLETE" if arguments[0] == "deploy" else "DELETE_COMPLETE"]
    page = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    (row,) = re.findall(rf"^\| `{arguments[0]}` \| (.*) \|$", page, re.MULTILINE)
    status, out, _ = punctual(*arguments, "--json")
    assert 0 == status
    assert re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", row)) == list(json.loads(out))


def test_the_parameters_are_read_as_yaml_reads_them() -> None:
    """The command has no YAML library."""
    yaml_parse = pytest.importorskip("samtranslator.yaml_helper").yaml_parse
    text = stack_files.stack_file("template.yml").read_text()
    template = yaml_parse(text)
    assert list(template["Parameters"]) == stack_files.parameter_names(text)
    assert template["Metadata"]["AWS::ServerlessRepo::Application"]["SemanticVersion"] == stack_files.version(text)


def test_leftovers_of_tools_change_no_hash(tmp_path: Path) -> None:
    """Only the code counts."""
    (tmp_path / "code.py").write_text("x = 1")
    before = stack_files.digest(tmp_path)
    for name in ("__pycache__/code.pyc", ".mypy_cache/x", "code.pyc", ".DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("left")
    assert before == stack_files.digest(tmp_path)
    assert ["code.py"] == zipfile.ZipFile(io.BytesIO(stack_files.zipped(tmp_path))).namelist()
    (tmp_path / "code.py").write_text("x = 2")
    assert before != stack_files.digest(tmp_path)


@pytest.fixture
def local_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    with Emulator() as emulator:
        for name, value in emulator.environment().items():
            monkeypatch.setenv(name, value)
        yield emulator


@pytest.mark.slow
def test_a_stack_is_made_updated_and_removed_on_a_local_aws(
    local_aws: Emulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real template goes through real change sets, and the deployed function answers."""

    def called(*arguments: str) -> Any:
        assert 0 == group.run([*arguments, "--json"]), capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    assert "dry run" == called("deploy", "--dry-run")["outcome"]
    assert [] == local_aws.client("cloudformation").describe_stacks()["Stacks"]
    created = called("deploy", "--yes", "--parameter", "PartitionCount=8")
    assert "created" == created["outcome"]
    function = created["outputs"]["ScheduleFunction"]
    answer = local_aws.client("lambda").invoke(FunctionName=function, Payload=b'{"delay": 3600, "data": "x"}')
    assert "stored" == json.loads(answer["Payload"].read())["state"]

    assert "updated" == called("deploy", "--yes", "--parameter", "RequireUser=true")["outcome"]
    described = local_aws.client("cloudformation").describe_stacks(StackName="punctual")["Stacks"][0]
    values = {each["ParameterKey"]: each["ParameterValue"] for each in described["Parameters"]}
    assert ("8", "true") == (values["PartitionCount"], values["RequireUser"])
    assert "unchanged" == called("deploy", "--yes")["outcome"]
    removed = called("destroy", "--stack", "punctual", "--yes")
    assert {"Table", "OutputQueue"} <= {each["resource"] for each in removed["kept"]}
