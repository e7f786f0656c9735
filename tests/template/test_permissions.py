"""The managed policies of the stack permit what their page says, and nothing more."""

import json
import re
from pathlib import Path

import pytest

from punctual.client.calling import rights
from punctual.testing.template import Template
from tools.publishing import sar

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "permissions.md").read_text()
POLICIES = ("CallerPolicy", "ViewerPolicy", "OperatorPolicy")
WITHOUT_RESOURCES = {
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "cloudwatch:GetMetricStatistics",
    "lambda:GetAccountSettings",
    "lambda:ListEventSourceMappings",
    "logs:DescribeLogGroups",
    "logs:GetQueryResults",
}
"""Actions that only read, for which IAM takes no resource of the stack."""
CHARACTERS_MAX = 6_144
"""IAM, "quotas": the size of a managed policy, without white space."""
NEEDS_NOTHING = {"sts:GetCallerIdentity"}


@pytest.fixture(scope="module")
def policies():
    """The statements of each policy, with references resolved, in a stack with a key of its own."""
    made = Template(ROOT / "template.yml", {"TableKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/" + "0" * 36})
    found = made.of_type("AWS::IAM::ManagedPolicy")
    return {name: properties["PolicyDocument"]["Statement"] for name, properties in found.items()}


def listed(value):
    return value if isinstance(value, list) else [value]


def actions(statements):
    return {action for statement in statements for action in listed(statement["Action"])}


def invoked(statements):
    """Return the functions that the policy may invoke."""
    return {
        resource.rpartition(":function:virtual-")[2]
        for statement in statements
        if "lambda:InvokeFunction" in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


def test_each_policy_is_an_output(policies, template):
    assert set(POLICIES) == set(policies)
    for name in POLICIES:
        assert {"Ref": name} == template["Outputs"][name]["Value"]
    assert (
        f"arn:aws:iam::123456789012:policy/virtual-{POLICIES[0]}"
        == Template(ROOT / "template.yml", {}).outputs[POLICIES[0]]
    )


def test_the_policies_need_no_other_capability_than_the_roles(template):
    """A name would need CAPABILITY_NAMED_IAM. SAR takes the type."""
    for name in POLICIES:
        assert {"PolicyDocument"} == set(template["Resources"][name]["Properties"])
    assert "CAPABILITY_NAMED_IAM" not in sar.capabilities(template)


def test_actions_are_listed_one_by_one_and_a_star_stands_only_where_aws_takes_no_resource(policies):
    for name, statements in policies.items():
        for statement in statements:
            assert "Allow" == statement["Effect"]
            assert all(re.fullmatch(r"[a-z]+:[A-Za-z]+", each) for each in listed(statement["Action"])), name
            if "*" in listed(statement["Resource"]):
                assert WITHOUT_RESOURCES == set(listed(statement["Action"]))
                assert "OperatorPolicy" == name
            else:
                assert all(
                    "virtual-" in each or "/virtual/" in each or ":key/" in each
                    for each in listed(statement["Resource"])
                )


def test_a_caller_schedules_and_handles_its_own(policies):
    """It may not invoke the manage function, which takes the empty prefix."""
    assert {"ScheduleFunction", "CallerFunction"} == invoked(policies["CallerPolicy"])
    assert {
        "lambda:InvokeFunction",
        "sqs:SendMessage",
        "sns:Publish",
        "cloudformation:DescribeStacks",
    } == actions(policies["CallerPolicy"])


def test_a_viewer_changes_nothing(policies):
    assert {"ViewFunction"} == invoked(policies["ViewerPolicy"])
    changing = actions(policies["ViewerPolicy"]) - {"lambda:InvokeFunction"}
    assert all(re.match(r"[a-z]+:(Get|Describe|List)", each) for each in changing)


def test_only_an_operator_may_invoke_the_manage_and_the_admin_function(policies):
    for function in ("ManageFunction", "AdminFunction"):
        assert ["OperatorPolicy"] == [name for name, each in policies.items() if function in invoked(each)]


def test_the_error_of_the_client_names_the_policies_that_allow_a_call(policies):
    for function in set().union(*(invoked(each) for each in policies.values())):
        allowing = {name for name, each in policies.items() if function in invoked(each)}
        assert allowing == set(rights.POLICIES.get(function, ("OperatorPolicy",))), function


def test_an_operator_may_do_whatever_doctor_checks(policies):
    """The commands name the IAM action of each call, for the error that asks for it."""
    folder = ROOT / "punctual" / "cli" / "inspecting"
    files = [*folder.rglob("*.py"), ROOT / "punctual" / "cli" / "queue_state.py"]
    named = set().union(*(re.findall(r'"([a-z0-9]+:[A-Z][A-Za-z]+)"', path.read_text()) for path in files))
    assert len(named) > 10
    assert named - NEEDS_NOTHING <= actions(policies["OperatorPolicy"])


def test_an_operator_may_do_what_the_page_about_operations_shows(policies):
    """Reading queues, moving dead letters, and looking at the quarantine."""
    assert {
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:StartMessageMoveTask",
        "dynamodb:Query",
        "logs:FilterLogEvents",
    } <= actions(policies["OperatorPolicy"])


def test_every_policy_fits_into_the_quota(policies):
    """Names are longest in a region with a long name, and in a stack with a long name."""
    for name, statements in policies.items():
        text = json.dumps(statements, separators=(",", ":"))
        longest = text.replace("virtual-", "v" * 38 + "-").replace("eu-central-1", "ap-northeast-1-long")
        assert len(longest) < CHARACTERS_MAX, name


def test_a_table_with_its_own_key_can_be_read(policies):
    assert "kms:Decrypt" in actions(policies["OperatorPolicy"])
    made = Template(ROOT / "template.yml", {}).of_type("AWS::IAM::ManagedPolicy")["OperatorPolicy"]
    assert "kms:Decrypt" not in actions(made["PolicyDocument"]["Statement"])


def test_the_policy_for_deploying_covers_every_service_of_the_template(template):
    """The page has a policy document, with an action of each service that a resource of the template belongs to."""
    (document,) = [
        json.loads(each) for each in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) if "CreateChangeSet" in each
    ]
    services = {action.partition(":")[0] for action in actions(document["Statement"])}
    needed = {
        "ApiGateway": "apigateway",
        "ApplicationAutoScaling": "application-autoscaling",
        "CloudWatch": "cloudwatch",
        "DynamoDB": "dynamodb",
        "Events": "events",
        "IAM": "iam",
        "Lambda": "lambda",
        "Logs": "logs",
        "SNS": "sns",
        "SQS": "sqs",
    }
    families = {each["Type"].split("::")[1] for each in template["Resources"].values()}
    wanted = {needed["ApiGateway" if family == "Serverless" else family] for family in families}
    assert wanted | {"cloudformation", "s3"} <= services
    assert len(json.dumps(document, separators=(",", ":"))) < CHARACTERS_MAX


def test_the_page_says_which_policy_each_command_needs():
    """The help of the command has the same."""
    from punctual.cli.app import SECTIONS  # noqa: PLC0415

    rows = dict(re.findall(r"^\| (`punctual .+?) \| (.+?) \|$", PAGE, re.MULTILINE))
    told = {name: policy for names, policy in rows.items() for name in re.findall(r"`punctual (\w+)", names)}
    entries = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
    assert {name: entry.needs for name, entry in entries.items() if entry.needs} == told
