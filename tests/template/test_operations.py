"""The template's resources on real AWS, with other parameters than the defaults."""

import copy
import dataclasses
import json
import re
from pathlib import Path

import pytest
from samtranslator.translator.transform import transform

from punctual.testing.template import Template
from scheduler import limits, log
from scheduler.feeding import jobs
from tests.template_document import template_document

PATH = Path(__file__).parents[2] / "template.yml"
DOCUMENT = template_document()
TARGET = "arn:aws:sqs:eu-central-1:123456789012:orders-of-a-shop"
KEEPERS = ("AWS::DynamoDB::Table", "AWS::SQS::Queue")
"""The resources that hold schedules."""


class NoManagedPolicies:
    """The template names no managed policies, so SAM never loads them."""

    def load(self):
        raise NotImplementedError


@pytest.fixture(scope="module")
def transformed():
    """The template as SAM passes it to CloudFormation."""
    document = copy.deepcopy(DOCUMENT)
    for resource in document["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
    defaults = {name: each["Default"] for name, each in document["Parameters"].items()}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        return transform(document, defaults, NoManagedPolicies())


def deployed(**parameters):
    """Return the template with these parameters, with conditions evaluated and references resolved."""
    return Template(PATH, parameters)


def takes(parameter, value):
    """Return whether CloudFormation would accept this value of a text parameter."""
    declared = DOCUMENT["Parameters"][parameter]
    text = str(value)
    return (
        re.fullmatch(declared.get("AllowedPattern", "(?s:.*)"), text) is not None
        and text in declared.get("AllowedValues", [text])
        and len(text) <= declared.get("MaxLength", len(text))
    )


def of_type(kind):
    return {name: each["Properties"] for name, each in DOCUMENT["Resources"].items() if each["Type"] == kind}


def mapping(function, **parameters):
    """Return the properties of the event source mapping of a function."""
    (event,) = deployed(**parameters).resources[function]["Properties"]["Events"].values()
    return event["Properties"]


def test_pollers_are_left_alone_set_or_removed():
    """Lambda keeps what an update omits. An empty configuration ends provisioned mode."""
    assert "ProvisionedPollerConfig" not in mapping("DeliverFunction", DeliveryPollers="0")
    assert {"MinimumPollers": "7"} == mapping("DeliverFunction", DeliveryPollers="7")["ProvisionedPollerConfig"]
    assert {} == mapping("DeliverFunction", DeliveryPollers="off")["ProvisionedPollerConfig"]


def test_sam_passes_the_empty_configuration_on(transformed):
    """SAM does not drop it."""
    config = transformed["Resources"]["DeliverFunctionDue"]["Properties"]["ProvisionedPollerConfig"]
    assert {"Fn::If": ["EndsPollers", {}, {"Ref": "AWS::NoValue"}]} == config["Fn::If"][2]


LIMITS = [
    ("DeliverFunction", "DeliverConcurrencyMax", {}),
    ("ScheduleFunction", "InputConcurrencyMax", {}),
    ("ConsumerFunction", "ConsumerConcurrencyMax", {"ConsumerEnabled": True}),
]


@pytest.mark.parametrize(("function", "parameter", "others"), LIMITS)
def test_a_concurrency_limit_is_left_alone_set_or_removed(function, parameter, others):
    """An empty configuration removes it, as for pollers."""
    assert "ScalingConfig" not in mapping(function, **others)
    assert {"MaximumConcurrency": "9"} == mapping(function, **{parameter: 9}, **others)["ScalingConfig"]
    assert {} == mapping(function, **{parameter: "off"}, **others)["ScalingConfig"]


@pytest.mark.parametrize(("function", "parameter", "others"), LIMITS)
def test_a_limit_is_from_2_to_1000(function, parameter, others):
    """A value that Lambda refuses would roll back the whole deployment."""
    accepted = [number for number in range(1_100) if takes(parameter, number)]
    assert [0, *range(2, 1_001)] == accepted
    assert not takes(parameter, "2.5")


def test_pollers_and_a_limit_are_never_set_together():
    """Lambda refuses a mapping with both."""
    both = mapping("DeliverFunction", DeliveryPollers=5, DeliverConcurrencyMax=20)
    assert {"MinimumPollers": "5"} == both["ProvisionedPollerConfig"]
    assert "ScalingConfig" not in both
    after = mapping("DeliverFunction", DeliveryPollers="off", DeliverConcurrencyMax=20)
    assert ({}, {"MaximumConcurrency": "20"}) == (after["ProvisionedPollerConfig"], after["ScalingConfig"])


@pytest.mark.parametrize("name", ["Feed", "Trigger"])
def test_concurrency_is_reserved_only_on_request(name):
    """A new account cannot reserve any."""
    parameter, function = f"{name}ConcurrencyReserved", f"{name}Function"
    assert "ReservedConcurrentExecutions" not in deployed().resources[function]["Properties"]
    reserved = deployed(**{parameter: 4}).resources[function]["Properties"]["ReservedConcurrentExecutions"]
    assert "4" == reserved


def test_a_feed_of_every_partition_can_be_reserved():
    """The largest PartitionCount, with as many continuations."""
    assert takes("FeedConcurrencyReserved", 2 * limits.PARTITIONS_MAX)


def test_deleting_the_stack_keeps_every_message_and_a_failed_first_deployment_leaves_nothing():
    """A deletion therefore never waits for a protected table after the queues are gone.

    The canary's queue goes with the stack: it has no message of a user.
    """
    keepers = {name for name, each in DOCUMENT["Resources"].items() if each["Type"] in KEEPERS} - {"CanaryQueue"}
    assert "Delete" == DOCUMENT["Resources"]["CanaryQueue"]["DeletionPolicy"]
    assert 6 == len(keepers)
    for name in keepers:
        policies = DOCUMENT["Resources"][name]
        assert ("RetainExceptOnCreate", "Retain") == (policies["DeletionPolicy"], policies["UpdateReplacePolicy"]), name


def test_a_first_deployment_creates_nothing_that_refuses_deletion():
    """Its rollback would fail otherwise. The owner protects the table after the first deployment."""
    protected = {
        name: deployed().resources[name]["Properties"].get("DeletionProtectionEnabled", "false")
        for name, each in DOCUMENT["Resources"].items()
        if each["Type"] in KEEPERS
    }
    assert {"false"} == set(protected.values())
    assert "true" == deployed(TableProtection=True).resources["Table"]["Properties"]["DeletionProtectionEnabled"]


def alarm(name, **parameters):
    return deployed(**parameters).resources[name]["Properties"]


@pytest.mark.parametrize("minutes", [1, 7, 10])
def test_two_intervals_without_a_feed_raise_an_alarm(minutes):
    """Lambda sends no zeros, so missing data counts as zero."""
    heartbeat = alarm("HeartbeatAlarm", FeedIntervalMinutes=minutes)
    assert (60 * minutes, 2) == (heartbeat["Period"], heartbeat["EvaluationPeriods"])
    assert (1, "LessThanThreshold") == (heartbeat["Threshold"], heartbeat["ComparisonOperator"])
    assert ("breaching", "Sum") == (heartbeat["TreatMissingData"], heartbeat["Statistic"])
    assert ("AWS/Lambda", "Invocations") == (heartbeat["Namespace"], heartbeat["MetricName"])
    assert [{"Name": "FunctionName", "Value": "virtual-FeedFunction"}] == heartbeat["Dimensions"]


def test_every_allowed_interval_has_its_seconds():
    """An update to it would fail otherwise."""
    table = DOCUMENT["Mappings"]["SecondsOfMinutes"]["FeedInterval"]
    assert {str(minutes): 60 * minutes for minutes in range(1, 11)} == table


def test_an_old_message_raises_an_alarm_long_before_sqs_deletes_it():
    """SQS stops sending the metric six hours after the last call to the queue."""
    output, delivery = alarm("OutputAgeAlarm"), alarm("DeliveryAgeAlarm")
    assert limits.SQS_DELAY_S_MAX < output["Threshold"] < 6 * 3600
    assert 2 * limits.SQS_DELAY_S_MAX == delivery["Threshold"]
    for each, queue in ((output, "OutputQueue"), (delivery, "DeliveryQueue")):
        kept_s = deployed().resources[queue]["Properties"]["MessageRetentionPeriod"]
        assert each["Threshold"] < kept_s / 14
        assert [{"Name": "QueueName", "Value": f"virtual-{queue}"}] == each["Dimensions"]
        assert ("ApproximateAgeOfOldestMessage", "Maximum") == (each["MetricName"], each["Statistic"])


def test_every_alarm_goes_to_the_topic_if_there_is_one():
    """No alarm needs a topic. tests/metrics has those that exist on request."""
    alarms = list(deployed().of_type("AWS::CloudWatch::Alarm"))
    assert 5 == len(alarms)
    topic = "arn:aws:sns:eu-central-1:123456789012:alarms"
    for name in alarms:
        assert "AlarmActions" not in alarm(name, Canary=True)
        assert [topic] == alarm(name, Canary=True, AlarmTopicArn=topic)["AlarmActions"]


ENVIRONMENT_BYTES_MAX = 4_096
"""The limit of Lambda for all variables of a function together."""
LONGEST = {
    "AWS::SQS::Queue": "https://sqs.ap-southeast-1.amazonaws.com.cn/123456789012/" + 80 * "q",
    "AWS::DynamoDB::Table": 148 * "t",
    "AWS::Serverless::Function": 64 * "f",
}
"""The longest value of Ref per resource type, in a region with a long name.

CloudFormation names the table: 128 characters of the stack's name, `Table`, 13 random ones, and two dashes.
"""


QUEUE_ARN = "arn:aws-cn:sqs:ap-southeast-1:123456789012:" + 80 * "q"
API_STAGE, STACK_NAME, QUEUE_NAME = 10 * "a" + ":v1", 128 * "s", 80 * "q"


def longest(value):
    """Return the longest value that the template allows for an environment variable."""
    if isinstance(value, str):
        return value
    if "Fn::If" in value:
        return max((longest(each) for each in value["Fn::If"][1:]), key=len)
    if "Fn::Sub" in value:
        return API_STAGE
    if "Fn::Join" in value:
        mark, parts = value["Fn::Join"]
        return mark.join(map(longest, parts))
    if "Fn::GetAtt" in value:
        return QUEUE_ARN if value["Fn::GetAtt"][-1] == "Arn" else QUEUE_NAME
    name = value["Ref"]
    if name == "AWS::StackName":
        return STACK_NAME
    if name in DOCUMENT["Resources"]:
        return LONGEST[DOCUMENT["Resources"][name]["Type"]]
    declared = DOCUMENT["Parameters"][name]
    if "MaxLength" in declared:
        return declared["MaxLength"] * "x"
    if "AllowedValues" in declared:
        return max(declared["AllowedValues"], key=len)
    return max((str(number) for number in range(1_001) if takes(name, number)), key=len)


@pytest.mark.parametrize(
    "function", [name for name, each in DOCUMENT["Resources"].items() if each["Type"] == "AWS::Serverless::Function"]
)
def test_the_longest_allowed_parameters_fit_into_the_environment(function):
    """The size as JSON is larger than names and values."""
    variables = DOCUMENT["Resources"][function]["Properties"].get("Environment", {}).get("Variables", {})
    text = json.dumps({name: longest(value) for name, value in variables.items()}, separators=(",", ":"))
    assert len(text.encode()) <= ENVIRONMENT_BYTES_MAX


@pytest.mark.parametrize("listed", ["", TARGET, f"{TARGET},{TARGET}"])
def test_targets_are_arns_separated_by_commas(listed):
    """The environment and the policies need this form."""
    assert takes("TargetArns", listed)
    if listed:
        function = deployed(TargetArns=listed).resources["ScheduleFunction"]["Properties"]
        assert listed == function["Environment"]["Variables"]["TARGET_ARNS"]


@pytest.mark.parametrize("listed", [f"{TARGET}, {TARGET}", f"{TARGET},", "orders", ",".join(40 * [TARGET])])
def test_a_target_that_no_policy_can_name_is_refused_before_the_deployment(listed):
    """IAM would refuse the policy in the middle of the deployment."""
    assert not takes("TargetArns", listed)


def test_each_target_is_a_separate_entry_of_the_policy():
    """The policy does not hold one text with a comma."""
    listed = [TARGET, f"{TARGET}-2"]
    role = deployed(TargetArns=",".join(listed)).resources["DeliverRole"]["Properties"]
    (policy,) = [each for each in role["Policies"] if each["PolicyName"] == "targets"]
    assert listed == policy["PolicyDocument"]["Statement"][0]["Resource"]


def test_private_addresses_are_for_tests_and_the_parameter_says_so():
    """No function is in a VPC, so a function on AWS reaches no private address."""
    assert "VpcConfig" not in PATH.read_text()
    assert DOCUMENT["Parameters"]["WebhookAllowPrivate"]["Description"].startswith("For tests on the local AWS only")


KEY = "arn:aws:kms:eu-central-1:123456789012:key/1"


def test_the_table_has_the_key_of_dynamodb_or_the_owners():
    """The key that AWS owns is free. `false` returns to it from another key."""

    def encryption(**parameters):
        return deployed(**parameters).resources["Table"]["Properties"]["SSESpecification"]

    assert {"SSEEnabled": False} == encryption()
    assert {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": KEY} == encryption(TableKeyArn=KEY)


def test_another_key_does_not_replace_the_table(table_schema):
    """The schema of CloudFormation lists the properties that replace a resource."""
    assert "/properties/TableName" in table_schema["createOnlyProperties"]
    anew = [*table_schema["createOnlyProperties"], *table_schema["conditionalCreateOnlyProperties"]]
    assert not [path for path in anew if "SSE" in path]


def test_every_function_that_uses_the_table_may_use_its_key():
    """DynamoDB calls KMS in the name of the caller."""
    stack = deployed(TableKeyArn=KEY, ConsumerEnabled=True, ApiEnabled=True, Canary=True)
    for name, function in of_type("AWS::Serverless::Function").items():
        uses_the_table = "TABLE_NAME" in function.get("Environment", {}).get("Variables", {})
        role = stack.resources[function["Role"]["Fn::GetAtt"][0]]
        assert uses_the_table == (KEY in str(role)), name


def test_a_message_that_the_topic_cannot_deliver_is_in_the_dead_letter_queue():
    """Only this topic may send to it."""
    queue = deployed().resources["DeadLetterQueueOverTlsOnly"]["Properties"]["PolicyDocument"]["Statement"]
    (allowed,) = [each for each in queue if each["Effect"] == "Allow"]
    dead_letters = "arn:aws:sqs:eu-central-1:123456789012:virtual-DeadLetterQueue"
    subscription = deployed().resources["InputSubscription"]["Properties"]
    assert {"deadLetterTargetArn": dead_letters} == subscription["RedrivePolicy"]
    assert (dead_letters, {"Service": "sns.amazonaws.com"}) == (allowed["Resource"], allowed["Principal"])
    assert {"ArnEquals": {"aws:SourceArn": deployed().outputs["InputTopicArn"]}} == allowed["Condition"]


def test_the_runtime_changes_only_with_a_deployment(transformed):
    """SAM passes the setting to every function."""
    functions = [each for each in transformed["Resources"].values() if each["Type"] == "AWS::Lambda::Function"]
    assert 11 == len(functions)
    for function in functions:
        assert {"UpdateRuntimeOn": "FunctionUpdate"} == function["Properties"]["RuntimeManagementConfig"]


def test_other_stacks_can_import_the_arns_they_may_be_granted():
    """Queues, the topic, the table, and the functions that callers may invoke. The canary's queue is not for others."""
    outputs = deployed().outputs
    queues = sorted({*of_type("AWS::SQS::Queue")} - {"CanaryQueue"})
    for name in [*queues, "ScheduleFunction", "ManageFunction", "TriggerFunction", "FeedFunction"]:
        assert outputs[f"{name}Arn"].endswith(f":virtual-{name}")
    assert outputs["InputTopicArn"].startswith("arn:aws:sns:")
    assert outputs["TableArn"].endswith("/virtual-Table")


def test_lambda_logs_in_json_without_its_own_lines(transformed):
    """Each function has its log group, as SAM passes it on."""
    functions = {name: each for name, each in transformed["Resources"].items() if each["Type"].endswith("Function")}
    for name, function in functions.items():
        config = function["Properties"]["LoggingConfig"]
        group = {"Ref": name.replace("Function", "Logs")}
        wanted = {"LogFormat": "JSON", "SystemLogLevel": "WARN", "ApplicationLogLevel": {"Ref": "LogLevel"}}
        assert wanted | {"LogGroup": group} == config


def test_every_allowed_level_keeps_the_line_that_raises_the_alarm(capsys):
    """The filter finds its printed line by a top-level field."""
    (filter_,) = of_type("AWS::Logs::MetricFilter").values()
    field, value = re.fullmatch(r'\{ \$\.(\w+) = "(\w+)" \}', filter_["FilterPattern"]).groups()
    log.outcome(value, partition="0")
    line = json.loads(capsys.readouterr().out)
    assert value == line[field]
    for level in DOCUMENT["Parameters"]["LogLevel"]["AllowedValues"]:
        assert log.LEVELS.index(level) <= log.LEVELS.index(line["level"])


def test_the_queries_in_the_documentation_use_logged_fields():
    """Logs Insights finds top-level fields."""
    page = (PATH.parent / "docs" / "operations.md").read_text()
    (sums,) = re.findall(r'filter outcome = "fed"\n\| stats (.*) by bin', page)
    logged = {field.name for field in dataclasses.fields(jobs.FeedCounts)}
    asked = set(re.findall(r"sum\((\w+)\)", sums))
    assert len(asked) > 2
    assert asked <= logged
    (levels,) = re.findall(r"filter level in \[(.*)\]", page)
    assert {"WARN", "ERROR"} == set(json.loads(f"[{levels}]")) == set(log.LEVEL_OF.values())
