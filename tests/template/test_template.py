"""The template and the code agree, and the template allows no more than the code needs."""

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

from scheduler import limits
from scheduler.accepting import receiving
from scheduler.delivering import circuit_breaker, delivery, self_polling, timers
from scheduler.feeding import mover
from scheduler.managing import item_lock, lookup
from scheduler.model import name_record
from scheduler.placing import naming
from scheduler.transports.webhook import USUAL
from scheduler.wiring import config, runtime

FUNCTIONS = Path(__file__).parents[2] / "functions"
LISTED_BY_THE_OWNER = ("TargetKeyArns", "WebhookSecretArn", "WebhookSecretKeyArn", "TableKeyArn")


def of_type(template, kind):
    return {name: each for name, each in template["Resources"].items() if each["Type"] == kind}


def functions(template):
    return {name: each["Properties"] for name, each in of_type(template, "AWS::Serverless::Function").items()}


def parameter(template, name):
    return template["Parameters"][name]


def statements(template):
    """Every statement of every role, with the role's name; conditional policies included."""
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for policy in role["Properties"]["Policies"]:
            document = policy["Fn::If"][1] if "Fn::If" in policy else policy
            for statement in document["PolicyDocument"]["Statement"]:
                yield name, statement
    for policy in of_type(template, "AWS::IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            yield policy["Properties"]["Roles"][0]["Ref"], statement


def listed(value):
    return value if isinstance(value, list) else [value]


def test_an_empty_deploy_works(template):
    """Each parameter has a default and says what it is for."""
    for name, each in template["Parameters"].items():
        assert "Default" in each, name
        assert each["Description"].strip().endswith("."), name


def test_the_defaults_of_the_code_are_those_of_the_template(template):
    """Partition count, reach and interval stand in both; so do their bounds."""
    settings = config.from_environment(environment={})
    assert default(template, "PartitionCount") == settings.partition_count
    assert default(template, "ReachSeconds") * 1000 == settings.reach_ms
    assert default(template, "FeedIntervalMinutes") * 60 == settings.feed_interval_s
    assert default(template, "DeliveryLeadSeconds") * 1000 == settings.lead_ms
    assert (0, limits.LEAD_S_MAX) == bounds(parameter(template, "DeliveryLeadSeconds"))
    assert parameter(template, "RequireUser")["Default"] == str(settings.require_user).lower()
    assert (1, limits.PARTITIONS_MAX) == bounds(parameter(template, "PartitionCount"))
    assert (1, limits.SQS_DELAY_S_MAX) == bounds(parameter(template, "ReachSeconds"))
    assert (1, 10) == bounds(parameter(template, "FeedIntervalMinutes"))


def default(template, name):
    return int(parameter(template, name)["Default"])


def bounds(each):
    """The least and the greatest number that the pattern takes, which takes all in between."""
    taken = [number for number in range(1_100) if re.fullmatch(each["AllowedPattern"], str(number))]
    assert list(range(taken[0], taken[-1] + 1)) == taken
    return taken[0], taken[-1]


@pytest.mark.parametrize("name", ["PartitionCount", "FeedIntervalMinutes", "ReachSeconds", "DeliveryLeadSeconds"])
@pytest.mark.parametrize("number", ["2.5", "2.0", "-1", "02", "+2", "", " 2", "2e0", "two"])
def test_what_is_no_whole_number_is_refused_before_anything_is_deployed(template, name, number):
    """The functions would not start with it."""
    assert not re.fullmatch(parameter(template, name)["AllowedPattern"], number)
    assert parameter(template, name)["ConstraintDescription"].startswith("a whole number from ")


def test_one_poller_is_refused_before_lambda_does(template):
    """It takes from 2 to 200 for a queue; what it refuses rolls a whole deployment back."""
    pattern = parameter(template, "DeliveryPollers")["AllowedPattern"]
    assert [0, *range(2, 201)] == [number for number in range(1_100) if re.fullmatch(pattern, str(number))]
    assert re.fullmatch(pattern, "off")


@pytest.mark.parametrize("pollers", ["-2", "02", "", "2.5", " 2", "two", "Off", "off "])
def test_what_is_no_number_of_pollers_is_refused(template, pollers):
    """With what is wanted."""
    assert not re.fullmatch(parameter(template, "DeliveryPollers")["AllowedPattern"], pollers)
    assert "from 2 to 200" in parameter(template, "DeliveryPollers")["ConstraintDescription"]


def test_three_attempts_of_a_feed_end_before_anything_is_late(template):
    """Reach less interval is the time for it. A bundle's span may take a quarter of that, 60 s at most; an attempt
    takes the timeout at most, and Lambda waits 60 and 120 s between them."""
    interval_s = default(template, "FeedIntervalMinutes") * 60
    spare_s = default(template, "ReachSeconds") - interval_s
    for_attempts_s = spare_s - min(60, spare_s / 4)
    timeout_s = functions(template)["FeedFunction"]["Timeout"]
    attempts = 1 + functions(template)["FeedFunction"]["EventInvokeConfig"]["MaximumRetryAttempts"]
    assert limits.LAMBDA_RETRIES_MAX + 1 == attempts
    assert attempts * timeout_s + sum(limits.LAMBDA_RETRY_WAITS_S) <= for_attempts_s == 240


def test_a_call_that_begins_at_the_last_moment_ends_within_the_reserve(template):
    """And something remains to delete what was sent; the rest of the timeout is there to work in."""
    assert runtime.CALL_S_MAX < mover.RESERVE_S
    assert functions(template)["FeedFunction"]["Timeout"] >= 3 * mover.RESERVE_S


def test_a_delivery_ends_before_its_timeout(template):
    """Which covers the time in which more is received while something hangs, the longest wait for the moment and for
    the first answer of a target, the longest delivery and the outcome that is written after it; and a second timer
    comes when the first one's delivery is over."""
    timeout_s = functions(template)["DeliverFunction"]["Timeout"]
    waits_s = delivery.WAIT_MS_MAX / 1000 + circuit_breaker.HANGS_S
    assert self_polling.POLL_S_MAX + waits_s + USUAL.total_s + delivery.RESERVE_S <= timeout_s
    assert runtime.CALL_S_MAX < delivery.RESERVE_S
    assert USUAL.total_s + runtime.CALL_S_MAX <= naming.FOLLOWING_MS / 1000


def test_a_claim_outlives_an_invocation_and_ends_before_its_message_comes_again(template):
    """So nobody else delivers while the claimer may be at work, and its message finds nobody in its way."""
    timeout_s = functions(template)["DeliverFunction"]["Timeout"]
    visibility_s = template["Resources"]["DeliveryQueue"]["Properties"]["VisibilityTimeout"]
    assert timeout_s < timers.CLAIM_MS / 1000 < visibility_s


def test_the_deliver_function_helps_until_what_hung_last_has_timed_out(template):
    """With the usual lead. Later nothing begins that may hang, so no environment waits without receiving messages."""
    lead_s = default(template, "DeliveryLeadSeconds")
    assert lead_s + 1 + circuit_breaker.HANGS_S + USUAL.read_s <= self_polling.POLL_S_MAX
    assert circuit_breaker.OPEN_S + USUAL.read_s + circuit_breaker.HANGS_S <= self_polling.POLL_S_MAX
    assert delivery.WAIT_MS_MAX / 1000 < circuit_breaker.OPEN_S


def test_targets_that_do_not_answer_leave_threads_to_those_that_do():
    """A batch fits into their half. Those that wait for a first answer leave a thread, too."""
    kept = circuit_breaker.KEPT_FOR_FAMILIES + circuit_breaker.KEPT_FOR_TARGETS
    assert limits.SQS_BATCH_MESSAGES_MAX < circuit_breaker.UNPROVEN_MAX - kept
    assert circuit_breaker.UNPROVEN_MAX <= delivery.THREADS_MAX / 2
    assert circuit_breaker.UNPROVEN_MAX + circuit_breaker.WAITERS_MAX < delivery.THREADS_MAX
    assert limits.SQS_BATCH_MESSAGES_MAX < circuit_breaker.PER_HOST_MAX <= delivery.THREADS_MAX / 2


def test_the_deliver_function_waits_out_what_a_message_comes_too_early(template):
    """By the lead, by a second of rounding down, and by a second between two clocks."""
    _, lead_s = bounds(parameter(template, "DeliveryLeadSeconds"))
    assert delivery.WAIT_MS_MAX >= (lead_s + 1 + 1) * 1000


def test_a_hold_outlives_its_holder_and_ends_before_a_feed_comes(template):
    """So nobody is still at work on an item when another may take it up; nor is when the feed may send it."""
    timeout_s = functions(template)["ManageFunction"]["Timeout"]
    assert 2 * timeout_s * 1000 <= item_lock.HOLD_MS
    assert item_lock.HOLD_MS <= lookup.MARGIN_MS


def test_a_repeat_from_the_input_queue_finds_the_outcome_of_its_name(template):
    """A message is gone from the queue before the record is: it finds no name free that it had filled once."""
    kept_s = template["Resources"]["InputQueue"]["Properties"]["MessageRetentionPeriod"]
    assert kept_s < name_record.KEPT_S
    ttl = template["Resources"]["Table"]["Properties"]["TimeToLiveSpecification"]
    assert {"AttributeName": "ttl", "Enabled": True} == ttl


def test_what_is_put_back_of_a_letter_finds_the_outcome_of_its_name_too(template):
    """It is kept in the queue anew, once the letter is as old as it may be for that at most."""
    kept_s = template["Resources"]["InputQueue"]["Properties"]["MessageRetentionPeriod"]
    assert receiving.AGE_MS_MAX / 1000 + kept_s < name_record.KEPT_S


def test_what_is_never_confirmed_is_reported_before_sqs_puts_it_away(template):
    """And what is left of a letter is put back before the function's time is over."""
    receives = template["Resources"]["InputQueue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"]
    assert receiving.CLOSED_TRIES_MAX < receiving.TRIES_MAX < receives
    assert runtime.CALL_S_MAX < receiving.PUT_BACK_S
    timeout_s = functions(template)["ScheduleFunction"]["Timeout"]
    assert receiving.PUT_BACK_S <= timeout_s / 4
    assert receiving.PAUSE_S <= limits.SQS_DELAY_S_MAX


def test_the_schedule_function_may_send_to_the_queue_that_it_reads(template):
    """And is told which one that is."""
    assert {"Ref": "InputQueue"} == functions(template)["ScheduleFunction"]["Environment"]["Variables"][
        "INPUT_QUEUE_URL"
    ]
    may_send = [
        each["Resource"]
        for name, each in statements(template)
        if name == "ScheduleRole" and each["Action"] == "sqs:SendMessage"
    ]
    assert [True] == [{"Fn::GetAtt": ["InputQueue", "Arn"]} in resources for resources in may_send]


def test_the_manage_function_may_count_the_messages_of_the_two_queues_whose_counts_it_tells(template):
    """Of these alone, and it reads no message."""
    counted = [
        (each["Action"], [resource["Fn::GetAtt"][0] for resource in each["Resource"]])
        for name, each in statements(template)
        if name == "ManageRole" and "sqs:GetQueueAttributes" in listed(each["Action"])
    ]
    assert [("sqs:GetQueueAttributes", ["OutputQueue", "DeliveryQueue"])] == counted


def test_only_the_topic_may_send_to_the_input_queue_and_only_listed_ones_publish(template):
    """Beside whom the account's own policies allow."""
    statements_ = template["Resources"]["InputQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    (allowed,) = [each for each in statements_ if each["Effect"] == "Allow"]
    assert {"Service": "sns.amazonaws.com"} == allowed["Principal"]
    assert {"ArnEquals": {"aws:SourceArn": {"Ref": "InputTopic"}}} == allowed["Condition"]
    refusal, publishers = template["Resources"]["InputTopicOverTlsOnly"]["Properties"]["PolicyDocument"]["Statement"]
    assert ("Deny", "sns:Publish") == (refusal["Effect"], refusal["Action"])
    condition, statement, otherwise = publishers["Fn::If"]
    assert ("HasPublishers", {"Ref": "AWS::NoValue"}) == (condition, otherwise)
    assert ({"AWS": {"Ref": "AllowedPublishers"}}, "sns:Publish") == (statement["Principal"], statement["Action"])


def test_with_no_parameters_set_the_deliver_function_may_call_nothing_outside_the_stack(template):
    """Each right beyond it hangs on the parameter that grants it."""
    conditions = {
        policy["Fn::If"][0]: [
            (statement["Action"], statement["Resource"])
            for statement in policy["Fn::If"][1]["PolicyDocument"]["Statement"]
        ]
        for policy in template["Resources"]["DeliverRole"]["Properties"]["Policies"]
        if "Fn::If" in policy
    }
    kinds = ["sqs:SendMessage", "sns:Publish", "lambda:InvokeFunction", "events:PutEvents", "states:StartExecution"]
    assert {
        "HasTargets": [(kinds, {"Fn::Split": [",", {"Ref": "TargetArns"}]})],
        "HasTargetKeys": [(["kms:GenerateDataKey", "kms:Decrypt"], {"Ref": "TargetKeyArns"})],
        "HasWebhookSecret": [("secretsmanager:GetSecretValue", {"Ref": "WebhookSecretArn"})],
        "HasWebhookSecretKey": [("kms:Decrypt", {"Ref": "WebhookSecretKeyArn"})],
        "HasTableKey": [("kms:Decrypt", {"Ref": "TableKeyArn"})],
    } == conditions


def test_no_feed_or_trigger_is_kept_longer_than_until_the_next(template):
    """What waited in Lambda's own queue for ten minutes has been overtaken. A schedule has not."""
    for name in ("FeedFunction", "TriggerFunction"):
        assert 600 == functions(template)[name]["EventInvokeConfig"]["MaximumEventAgeInSeconds"]
    assert "MaximumEventAgeInSeconds" not in functions(template)["ScheduleFunction"]["EventInvokeConfig"]


@pytest.mark.parametrize(
    ("queue", "function", "hours"),
    [
        ("OutputQueue", "ConsumerFunction", 5),
        ("InputQueue", "ScheduleFunction", 5),
        ("DeliveryQueue", "DeliverFunction", 75),
    ],
)
def test_a_queue_waits_six_timeouts_of_the_function_that_reads_it(template, queue, function, hours):
    """As Lambda's guide asks for, and its retries then take hours. A retry of a delivery is a message of its own, so
    that its queue gives up only what crashes over and over."""
    properties = template["Resources"][queue]["Properties"]
    assert properties["VisibilityTimeout"] == 6 * functions(template)[function]["Timeout"]
    assert hours == properties["VisibilityTimeout"] * properties["RedrivePolicy"]["maxReceiveCount"] / 3600
    (event,) = functions(template)[function]["Events"].values()
    assert {"Fn::GetAtt": [queue, "Arn"]} == event["Properties"]["Queue"]
    assert ["ReportBatchItemFailures"] == event["Properties"]["FunctionResponseTypes"]
    assert "MaximumBatchingWindowInSeconds" not in event["Properties"]


def test_queues_keep_what_they_have_as_long_as_there_is_and_take_what_we_send(template):
    """Fourteen days, but for the input; 256 KiB of data and the attributes beside it."""
    for name, queue in of_type(template, "AWS::SQS::Queue").items():
        assert (4 if name == "InputQueue" else 14) * 24 * 3600 == queue["Properties"]["MessageRetentionPeriod"], name
        assert limits.SQS_BATCH_BYTES_MAX == queue["Properties"]["MaximumMessageSize"], name


def test_everything_is_encrypted_and_no_queue_speaks_plain_http(template):
    """The queues by SQS, the table in any case; each queue is in the policy that denies what does not come by TLS."""
    queues = of_type(template, "AWS::SQS::Queue")
    assert all(queue["Properties"]["SqsManagedSseEnabled"] is True for queue in queues.values())
    policies = [policy["Properties"] for policy in of_type(template, "AWS::SQS::QueuePolicy").values()]
    assert sorted(queues) == sorted(policy["Queues"][0]["Ref"] for policy in policies)
    for policy in policies:
        statement = policy["PolicyDocument"]["Statement"][0]
        assert ("Deny", "*", "sqs:*") == (statement["Effect"], statement["Principal"], statement["Action"])
        assert {"Bool": {"aws:SecureTransport": "false"}} == statement["Condition"]
        assert {"Fn::GetAtt": [policy["Queues"][0]["Ref"], "Arn"]} == statement["Resource"]


def test_the_table_outlives_accidents(template):
    """Protected against deletion if its owner says so, recoverable to any second, kept when it would be replaced."""
    table = template["Resources"]["Table"]
    assert "Retain" == table["UpdateReplacePolicy"]
    assert {"Ref": "TableProtection"} == table["Properties"]["DeletionProtectionEnabled"]
    assert table["Properties"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert "PAY_PER_REQUEST" == table["Properties"]["BillingMode"]


def test_each_function_has_a_role_and_a_log_group_of_its_own(template):
    """With a role of our making SAM adds no managed policy; with a log group of our making logs end some day."""
    roles, groups = set(), set()
    for name, function in functions(template).items():
        roles.add(function["Role"]["Fn::GetAtt"][0])
        groups.add(group := function["LoggingConfig"]["LogGroup"]["Ref"])
        assert template["Resources"][group]["Properties"]["RetentionInDays"] > 0
        assert not {"Policies", "Connectors"} & set(function), name
    assert len(functions(template)) == len(roles) == len(groups)
    assert not {"Policies", "Role"} & set(template["Globals"]["Function"])


def test_asynchronous_invocations_are_tried_again_and_never_silently_dropped(template):
    """But for those that SQS alone invokes and tries again: to the dead-letter queue, which they may use."""
    for name, function in functions(template).items():
        if name in ("ConsumerFunction", "DeliverFunction"):
            continue
        invocation = function["EventInvokeConfig"]
        assert 2 == invocation["MaximumRetryAttempts"]
        destination = invocation["DestinationConfig"]["OnFailure"]
        assert {"Type": "SQS", "Destination": {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}} == destination
        allowed = [
            resource
            for role, statement in statements(template)
            if role == function["Role"]["Fn::GetAtt"][0] and "sqs:SendMessage" in listed(statement["Action"])
            for resource in listed(statement["Resource"])
        ]
        assert {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]} in allowed


def test_the_roles_hold_no_star_and_nothing_beyond_the_stack(template):
    """Actions one by one; resources by reference to what is in this template, or to the queues its owner listed."""
    found = list(statements(template))
    assert len(found) > 10
    for role, statement in found:
        assert "Allow" == statement["Effect"]
        for action in listed(statement["Action"]):
            assert re.fullmatch(r"[a-z]+:[A-Za-z]+", action), (role, action)
        for resource in listed(statement["Resource"]):
            if resource.get("Ref") in LISTED_BY_THE_OWNER or resource == {"Fn::Split": [",", {"Ref": "TargetArns"}]}:
                continue
            name, attribute = resource["Fn::GetAtt"]
            assert "Arn" == attribute
            assert name in template["Resources"], (role, resource)


def test_without_targets_no_role_names_any(template):
    """An empty list would be an invalid policy, and no list is what nobody may send to."""
    for role in of_type(template, "AWS::IAM::Role").values():
        for policy in role["Properties"]["Policies"]:
            if "TargetArns" in str(policy):
                assert ("HasTargets", {"Ref": "AWS::NoValue"}) == (policy["Fn::If"][0], policy["Fn::If"][2])


def test_only_the_feed_may_invoke_itself(template):
    """It continues itself by design; any other loop of Lambda's own is an accident, and stopped."""
    loops = {name: function.get("RecursiveLoop") for name, function in functions(template).items()}
    assert "Allow" == loops.pop("FeedFunction")
    assert {None} == set(loops.values())


def test_every_function_finds_what_it_requires(template, monkeypatch):
    """The environment that the template gives is the one that the handler asks for at import."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    for function in functions(template).values():
        module = function["Handler"].removesuffix(".handler")
        variables = function.get("Environment", {}).get("Variables", {})
        with monkeypatch.context() as patched:
            for name, value in variables.items():
                patched.setenv(name, str(template["Parameters"].get(value.get("Ref"), {"Default": "x"})["Default"]))
            loaded = load(module)
        assert callable(loaded.handler)


def load(module):
    spec = importlib.util.spec_from_file_location(f"handler_{module}", FUNCTIONS / f"{module}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_every_variable_is_read_by_the_code(template):
    """And the code of a function lies in one folder, packaged as it is."""
    read = (FUNCTIONS / "scheduler" / "wiring" / "config.py").read_text()
    for function in functions(template).values():
        assert "functions/" == function["CodeUri"]
        for name in function.get("Environment", {}).get("Variables", {}):
            assert f'"{name}"' in read


def test_there_is_no_yaml_alias(template):
    """CloudFormation reads none: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html"""
    text = (FUNCTIONS.parent / "template.yml").read_text()
    assert not [token for token in yaml.scan(text) if isinstance(token, yaml.AliasToken | yaml.AnchorToken)]


def test_one_transform_and_nothing_to_build(template):
    """The Serverless Application Repository takes no other, and boto3 comes with the runtime."""
    assert "AWS::Serverless-2016-10-31" == template["Transform"]
    assert all(each["Metadata"]["SkipBuild"] for each in of_type(template, "AWS::Serverless::Function").values())
    assert not list(FUNCTIONS.rglob("requirements*.txt"))
    assert "python3.13" == template["Globals"]["Function"]["Runtime"]
    assert ["arm64"] == template["Globals"]["Function"]["Architectures"]


@pytest.mark.parametrize("alarm", ["QuarantineAlarm", "DeadLetterAlarm"])
def test_what_was_given_up_raises_an_alarm(template, alarm):
    """From the first one on."""
    properties = template["Resources"][alarm]["Properties"]
    assert (0, "GreaterThanThreshold") == (properties["Threshold"], properties["ComparisonOperator"])


def test_the_quarantine_is_counted_by_the_line_that_the_code_writes(template):
    """The filter names the outcome that mover.py logs."""
    pattern = template["Resources"]["QuarantinedCount"]["Properties"]["FilterPattern"]
    assert '{ $.outcome = "quarantined" }' == pattern
    assert 'log.outcome("quarantined"' in (FUNCTIONS / "scheduler" / "feeding" / "mover.py").read_text()
