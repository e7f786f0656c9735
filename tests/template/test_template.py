"""The template agrees with the code and permits no more than the code needs."""

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

from scheduler import limits
from scheduler.accepting.from_queue import receiving
from scheduler.aws.applications.stored import KEYS
from scheduler.aws.items import META
from scheduler.canary import watching
from scheduler.delivering import circuit_breaker, delivery, self_polling, timers
from scheduler.feeding import mover
from scheduler.managing import item_lock, lookup
from scheduler.model import name_record
from scheduler.placing import naming
from scheduler.transports.webhook import USUAL
from scheduler.wiring import clients, config

FUNCTIONS = Path(__file__).parents[2] / "functions"
API_KEYS = r"arn:\$\{AWS::Partition\}:apigateway:\$\{AWS::Region\}::/(apikeys|usageplans)(/\*(/keys(/\*)?)?)?"
"""Keys and plans of API Gateway. It chooses their ids, so no policy can name them."""
LISTED_BY_THE_OWNER = ("TargetKeyArns", "WebhookSecretArn", "WebhookSecretKeyArn", "TableKeyArn")


def of_type(template, kind):
    return {name: each for name, each in template["Resources"].items() if each["Type"] == kind}


def functions(template):
    return {name: each["Properties"] for name, each in of_type(template, "AWS::Serverless::Function").items()}


def parameter(template, name):
    return template["Parameters"][name]


TABLE = {"Fn::GetAtt": ["Table", "Arn"]}
RESTORED = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${RestoredTableName}"
EITHER_TABLE = {"Fn::If": ["HasRestoredTable", {"Fn::Sub": RESTORED}, TABLE]}
"""The table that a stack uses: its own, unless it goes on with one that was restored."""


def with_own_table(statement):
    return {**statement, "Resource": TABLE} if statement["Resource"] == EITHER_TABLE else statement


def statements(template):
    """Return every statement of every role, with the role's name, including those of conditional policies.

    The table stands for the one that the stack uses.
    """
    for name, role in of_type(template, "AWS::IAM::Role").items():
        for policy in role["Properties"]["Policies"]:
            document = policy["Fn::If"][1] if "Fn::If" in policy else policy
            for statement in document["PolicyDocument"]["Statement"]:
                yield name, with_own_table(statement)
    for policy in of_type(template, "AWS::IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            yield policy["Properties"]["Roles"][0]["Ref"], statement


def listed(value):
    return value if isinstance(value, list) else [value]


def test_a_deployment_needs_no_parameters(template):
    """Each parameter has a default and a description."""
    for name, each in template["Parameters"].items():
        assert "Default" in each, name
        assert each["Description"].strip().endswith("."), name


def test_the_defaults_of_the_code_are_those_of_the_template(template):
    """Both have the partition count, the reach and the interval, and their bounds."""
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
    """Return the smallest and the largest number that the pattern accepts. It accepts all numbers in between."""
    taken = [number for number in range(1_100) if re.fullmatch(each["AllowedPattern"], str(number))]
    assert list(range(taken[0], taken[-1] + 1)) == taken
    return taken[0], taken[-1]


@pytest.mark.parametrize("name", ["PartitionCount", "FeedIntervalMinutes", "ReachSeconds", "DeliveryLeadSeconds"])
@pytest.mark.parametrize("number", ["2.5", "2.0", "-1", "02", "+2", "", " 2", "2e0", "two"])
def test_an_invalid_whole_number_is_refused_before_the_deployment(template, name, number):
    """The functions would not start with it."""
    assert not re.fullmatch(parameter(template, name)["AllowedPattern"], number)
    assert parameter(template, name)["ConstraintDescription"].startswith("a whole number from ")


def test_a_single_poller_is_refused_before_the_deployment(template):
    """Lambda accepts from 2 to 200 for a queue. An invalid value would roll back the whole deployment."""
    pattern = parameter(template, "DeliveryPollers")["AllowedPattern"]
    assert [0, *range(2, 201)] == [number for number in range(1_100) if re.fullmatch(pattern, str(number))]
    assert re.fullmatch(pattern, "off")


@pytest.mark.parametrize("pollers", ["-2", "02", "", "2.5", " 2", "two", "Off", "off "])
def test_an_invalid_number_of_pollers_is_refused(template, pollers):
    """The error says what is accepted."""
    assert not re.fullmatch(parameter(template, "DeliveryPollers")["AllowedPattern"], pollers)
    assert "from 2 to 200" in parameter(template, "DeliveryPollers")["ConstraintDescription"]


def test_three_attempts_of_a_feed_end_before_any_schedule_is_late(template):
    """The time for them is the reach minus the interval.

    The span of a bundle may take a quarter of that, 60 s at most. An attempt takes at most the timeout, and Lambda
    waits 60 and 120 s between attempts.
    """
    interval_s = default(template, "FeedIntervalMinutes") * 60
    spare_s = default(template, "ReachSeconds") - interval_s
    for_attempts_s = spare_s - min(60, spare_s / 4)
    timeout_s = functions(template)["FeedFunction"]["Timeout"]
    attempts = 1 + functions(template)["FeedFunction"]["EventInvokeConfig"]["MaximumRetryAttempts"]
    assert limits.LAMBDA_RETRIES_MAX + 1 == attempts
    assert attempts * timeout_s + sum(limits.LAMBDA_RETRY_WAITS_S) <= for_attempts_s == 240


def test_a_call_that_begins_at_the_last_moment_ends_within_the_reserve(template):
    """Time remains to delete the sent items. The rest of the timeout is there for the work."""
    assert clients.CALL_S_MAX < mover.FEED_RESERVE_S
    assert functions(template)["FeedFunction"]["Timeout"] >= 3 * mover.FEED_RESERVE_S


def test_a_delivery_ends_before_its_timeout(template):
    """The timeout covers all steps of a delivery that begins last.

    The steps are: receiving more while a message hangs, the longest wait for the due time and for the first answer of a
    target, the longest delivery, and the write of its outcome. A second timer comes after the first timer's delivery.
    """
    timeout_s = functions(template)["DeliverFunction"]["Timeout"]
    waits_s = delivery.WAIT_MS_MAX / 1000 + circuit_breaker.HANGS_S
    assert self_polling.POLL_S_MAX + waits_s + USUAL.total_s + delivery.DELIVER_RESERVE_S <= timeout_s
    assert clients.CALL_S_MAX < delivery.DELIVER_RESERVE_S
    assert USUAL.total_s + clients.CALL_S_MAX <= naming.BACKUP_DELAY_MS / 1000


def test_a_claim_outlives_an_invocation_and_ends_before_its_message_comes_again(template):
    """No other invocation delivers while the claimer may run, and the repeated message finds the claim expired."""
    timeout_s = functions(template)["DeliverFunction"]["Timeout"]
    visibility_s = template["Resources"]["DeliveryQueue"]["Properties"]["VisibilityTimeout"]
    assert timeout_s < timers.CLAIM_MS / 1000 < visibility_s


def test_the_deliver_function_helps_until_the_last_hanging_call_has_timed_out(template):
    """With the usual lead. No call that may hang begins later, so no environment waits without receiving messages."""
    lead_s = default(template, "DeliveryLeadSeconds")
    assert lead_s + 1 + circuit_breaker.HANGS_S + USUAL.read_s <= self_polling.POLL_S_MAX
    assert circuit_breaker.OPEN_S + USUAL.read_s + circuit_breaker.HANGS_S <= self_polling.POLL_S_MAX
    assert delivery.WAIT_MS_MAX / 1000 < circuit_breaker.OPEN_S


def test_silent_targets_leave_threads_to_those_that_answer():
    """A batch fits into their half. Deliveries that wait for a first answer leave a thread, too."""
    kept = circuit_breaker.KEPT_FOR_FAMILIES + circuit_breaker.KEPT_FOR_TARGETS
    assert limits.SQS_BATCH_MESSAGES_MAX < circuit_breaker.UNPROVEN_MAX - kept
    assert circuit_breaker.UNPROVEN_MAX <= delivery.DELIVER_THREADS_MAX / 2
    assert circuit_breaker.UNPROVEN_MAX + circuit_breaker.WAITERS_MAX < delivery.DELIVER_THREADS_MAX
    assert limits.SQS_BATCH_MESSAGES_MAX < circuit_breaker.PER_HOST_MAX <= delivery.DELIVER_THREADS_MAX / 2


def test_the_deliver_function_waits_until_an_early_message_is_due(template):
    """A message may be early by the lead, a second of rounding down, and a second between two clocks."""
    _, lead_s = bounds(parameter(template, "DeliveryLeadSeconds"))
    assert delivery.WAIT_MS_MAX >= (lead_s + 1 + 1) * 1000


def test_a_lock_outlives_its_holder_and_ends_before_the_feed(template):
    """The holder has ended when another caller may lock the item, and when the feed may send it."""
    timeout_s = functions(template)["ManageFunction"]["Timeout"]
    assert 2 * timeout_s * 1000 <= item_lock.LOCK_MS
    assert item_lock.LOCK_MS <= lookup.MARGIN_MS


def test_a_repeat_from_the_input_queue_finds_the_outcome_of_its_name(template):
    """The record outlives the message, so the message never finds its old name free."""
    kept_s = template["Resources"]["InputQueue"]["Properties"]["MessageRetentionPeriod"]
    assert kept_s < name_record.RECORD_KEPT_S
    ttl = template["Resources"]["Table"]["Properties"]["TimeToLiveSpecification"]
    assert {"AttributeName": "ttl", "Enabled": True} == ttl


def test_a_message_put_back_finds_the_outcome_of_its_name_too(template):
    """The queue keeps it for a full period, from the oldest age at which the function puts it back."""
    kept_s = template["Resources"]["InputQueue"]["Properties"]["MessageRetentionPeriod"]
    assert receiving.AGE_MS_MAX / 1000 + kept_s < name_record.RECORD_KEPT_S


def test_an_unconfirmed_member_is_reported_before_sqs_moves_its_message(template):
    """The function puts the rest of a message back before its timeout."""
    receives = template["Resources"]["InputQueue"]["Properties"]["RedrivePolicy"]["maxReceiveCount"]
    assert receiving.UNAVAILABLE_TRIES_MAX < receiving.MESSAGE_TRIES_MAX < receives
    assert clients.CALL_S_MAX < receiving.REQUEUE_S
    timeout_s = functions(template)["ScheduleFunction"]["Timeout"]
    assert receiving.REQUEUE_S <= timeout_s / 4
    assert receiving.PAUSE_S <= limits.SQS_DELAY_S_MAX


def test_the_schedule_function_may_send_to_the_queue_that_it_reads(template):
    """Its environment has the URL of that queue."""
    assert {"Ref": "InputQueue"} == functions(template)["ScheduleFunction"]["Environment"]["Variables"][
        "INPUT_QUEUE_URL"
    ]
    may_send = [
        each["Resource"]
        for name, each in statements(template)
        if name == "ScheduleRole" and each["Action"] == "sqs:SendMessage"
    ]
    assert [True] == [{"Fn::GetAtt": ["InputQueue", "Arn"]} in resources for resources in may_send]


def test_the_manage_function_may_count_the_messages_of_the_two_queues_it_reports(template):
    """It may count no other queue, and read no message."""
    counted = [
        (each["Action"], [resource["Fn::GetAtt"][0] for resource in each["Resource"]])
        for name, each in statements(template)
        if name == "ManageRole" and "sqs:GetQueueAttributes" in listed(each["Action"])
    ]
    assert [("sqs:GetQueueAttributes", ["OutputQueue", "DeliveryQueue"])] == counted


def test_only_the_topic_may_send_to_the_input_queue_and_only_listed_accounts_publish(template):
    """The account's own policies may permit others."""
    statements_ = template["Resources"]["InputQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    (allowed,) = [each for each in statements_ if each["Effect"] == "Allow"]
    assert {"Service": "sns.amazonaws.com"} == allowed["Principal"]
    assert {"ArnEquals": {"aws:SourceArn": {"Ref": "InputTopic"}}} == allowed["Condition"]
    refusal, publishers = template["Resources"]["InputTopicOverTlsOnly"]["Properties"]["PolicyDocument"]["Statement"]
    assert ("Deny", "sns:Publish") == (refusal["Effect"], refusal["Action"])
    condition, statement, otherwise = publishers["Fn::If"]
    assert ("HasPublishers", {"Ref": "AWS::NoValue"}) == (condition, otherwise)
    assert ({"AWS": {"Ref": "AllowedPublishers"}}, "sns:Publish") == (statement["Principal"], statement["Action"])


def test_the_deliver_function_may_call_nothing_outside_the_stack_by_default(template):
    """Each other permission depends on the parameter that grants it."""
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


def test_no_feed_or_trigger_is_kept_longer_than_one_interval(template):
    """After ten minutes in Lambda's own queue, a newer event has replaced it. A schedule's event stays."""
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
    """Lambda's guide asks for that, and the retries of Lambda then take hours.

    The retry of a delivery is a new message, so the queue gives up only messages that crash repeatedly.
    """
    properties = template["Resources"][queue]["Properties"]
    assert properties["VisibilityTimeout"] == 6 * functions(template)[function]["Timeout"]
    assert hours == properties["VisibilityTimeout"] * properties["RedrivePolicy"]["maxReceiveCount"] / 3600
    (event,) = functions(template)[function]["Events"].values()
    assert {"Fn::GetAtt": [queue, "Arn"]} == event["Properties"]["Queue"]
    assert ["ReportBatchItemFailures"] == event["Properties"]["FunctionResponseTypes"]
    assert "MaximumBatchingWindowInSeconds" not in event["Properties"]


def test_queues_keep_messages_as_long_as_possible_and_accept_our_sizes(template):
    """Fourteen days, except for the input queue, and 256 KiB of data plus the attributes.

    The queue of the canary holds nothing of a user, and the canary reads it every minute.
    """
    kept_s = {"InputQueue": 4 * 24 * 3600, "CanaryQueue": 3600}
    for name, queue in of_type(template, "AWS::SQS::Queue").items():
        assert kept_s.get(name, 14 * 24 * 3600) == queue["Properties"]["MessageRetentionPeriod"], name
        assert limits.SQS_BATCH_BYTES_MAX == queue["Properties"]["MaximumMessageSize"], name


def test_everything_is_encrypted_and_no_queue_accepts_plain_http(template):
    """SQS encrypts the queues, and the table is always encrypted. A policy denies access without TLS to each queue."""
    queues = of_type(template, "AWS::SQS::Queue")
    assert all(queue["Properties"]["SqsManagedSseEnabled"] is True for queue in queues.values())
    policies = [policy["Properties"] for policy in of_type(template, "AWS::SQS::QueuePolicy").values()]
    assert sorted(queues) == sorted(policy["Queues"][0]["Ref"] for policy in policies)
    for policy in policies:
        statement = policy["PolicyDocument"]["Statement"][0]
        assert ("Deny", "*", "sqs:*") == (statement["Effect"], statement["Principal"], statement["Action"])
        assert {"Bool": {"aws:SecureTransport": "false"}} == statement["Condition"]
        assert {"Fn::GetAtt": [policy["Queues"][0]["Ref"], "Arn"]} == statement["Resource"]


def test_the_table_survives_accidents(template):
    """The owner can protect it against deletion. It has point-in-time recovery and survives its replacement."""
    table = template["Resources"]["Table"]
    assert "Retain" == table["UpdateReplacePolicy"]
    assert {"Ref": "TableProtection"} == table["Properties"]["DeletionProtectionEnabled"]
    assert table["Properties"]["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert ["IsProvisioned", "PROVISIONED", "PAY_PER_REQUEST"] == table["Properties"]["BillingMode"]["Fn::If"]


def test_each_function_has_its_own_role_and_log_group(template):
    """With our role, SAM adds no managed policy. With our log group, logs expire."""
    roles, groups = set(), set()
    for name, function in functions(template).items():
        roles.add(function["Role"]["Fn::GetAtt"][0])
        groups.add(group := function["LoggingConfig"]["LogGroup"]["Ref"])
        assert template["Resources"][group]["Properties"]["RetentionInDays"] > 0
        assert not {"Policies", "Connectors"} & set(function), name
    assert len(functions(template)) == len(roles) == len(groups)
    assert not {"Policies", "Role"} & set(template["Globals"]["Function"])


def test_asynchronous_invocations_are_retried_and_never_silently_dropped(template):
    """A failed event goes to the dead-letter queue, which the role may use. Others need none."""
    for name, function in functions(template).items():
        if name in ("ConsumerFunction", "DeliverFunction", "ApiFunction", "CanaryFunction"):
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


def test_the_roles_hold_no_star_and_nothing_outside_the_stack(template):
    """Actions are listed one by one. Resources are references to this template or the owner's listed queues."""
    found = list(statements(template))
    assert len(found) > 10
    for role, statement in found:
        assert "Allow" == statement["Effect"]
        for action in listed(statement["Action"]):
            assert re.fullmatch(r"[a-z]+:[A-Za-z]+", action), (role, action)
        for resource in listed(statement["Resource"]):
            if role == "AdminRole" and re.fullmatch(API_KEYS, resource.get("Fn::Sub", "")):
                continue
            if resource.get("Ref") in LISTED_BY_THE_OWNER or resource == {"Fn::Split": [",", {"Ref": "TargetArns"}]}:
                continue
            name, attribute = resource["Fn::GetAtt"]
            assert "Arn" == attribute
            assert name in template["Resources"], (role, resource)


def test_the_admin_function_writes_applications_and_keys_and_no_schedule(template):
    """Its other actions on the table only read."""
    writes = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
    found = [each for role, each in statements(template) if role == "AdminRole" and "dynamodb" in str(each["Action"])]
    reading, writing = sorted(found, key=lambda each: "Condition" in each)
    assert (writes, {"dynamodb:GetItem", "dynamodb:Query"}) == (set(writing["Action"]), set(reading["Action"]))
    assert {META, KEYS} == set(writing["Condition"]["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"])


def test_the_canary_writes_its_state_and_its_application_alone(template):
    """It schedules through the schedule function, like a user. It reads its own queue, and no other."""
    found = {
        tuple(listed(each["Action"])): (each["Resource"], each.get("Condition"))
        for role, each in statements(template)
        if role == "CanaryRole"
    }
    own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [META]}}
    assert (TABLE, own) == found["dynamodb:GetItem", "dynamodb:PutItem"]
    assert ({"Fn::GetAtt": ["ScheduleFunction", "Arn"]}, None) == found["lambda:InvokeFunction",]
    assert {"Fn::GetAtt": ["CanaryQueue", "Arn"]} == found["sqs:ReceiveMessage", "sqs:DeleteMessage"][0]
    assert 5 == len(found)
    assert {("kms:Decrypt",), ("logs:CreateLogStream", "logs:PutLogEvents")} <= set(found)


def test_a_run_of_the_canary_ends_before_the_next_and_is_not_tried_again(template):
    """The next run looks at everything that an earlier one did not report. Five runs are one period of the alarm."""
    function, alarm = functions(template)["CanaryFunction"], template["Resources"]["CanaryAlarm"]["Properties"]
    assert function["Timeout"] < 60
    assert (0, 60) == (
        function["EventInvokeConfig"]["MaximumRetryAttempts"],
        function["EventInvokeConfig"]["MaximumEventAgeInSeconds"],
    )
    assert "rate(1 minute)" == function["Events"]["Minute"]["Properties"]["Schedule"]
    assert (300, 0, "breaching") == (alarm["Period"], alarm["Threshold"], alarm["TreatMissingData"])
    assert (watching.METRIC, "Punctual") == (alarm["MetricName"], alarm["Namespace"])


def test_the_queue_of_the_canary_stays_until_its_last_far_schedule_has_come(template):
    """A feed would quarantine schedules for a missing queue. So the queue and the rights do not depend on Canary."""
    assert "Condition" not in template["Resources"]["CanaryQueue"]
    queue = {"Fn::GetAtt": ["CanaryQueue", "Arn"]}
    senders = {
        role
        for role, each in statements(template)
        if "sqs:SendMessage" in listed(each["Action"]) and queue in listed(each["Resource"])
    }
    assert {"ScheduleRole", "FeedRole", "DeliverRole"} == senders


def leaves_out_keys(statement):
    """Return whether the statement allows nothing under the hash key of the API's keys."""
    condition = statement.get("Condition", {})
    never = condition.get("ForAllValues:StringNotEquals", {}).get("dynamodb:LeadingKeys", [])
    only = condition.get("ForAllValues:StringEquals", {}).get("dynamodb:LeadingKeys", [KEYS])
    return KEYS in never or KEYS not in only


def test_keys_are_written_by_the_admin_function_and_read_by_the_api_function_alone(template):
    """Every other statement about items of the table leaves out the hash key under which keys lie."""
    writing = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")
    for role, statement in statements(template):
        actions = [each for each in listed(statement["Action"]) if each.startswith("dynamodb:")]
        writes = any(each.removeprefix("dynamodb:") in writing for each in actions)
        if not actions or role == "AdminRole" or (role == "ApiRole" and not writes):
            continue
        assert leaves_out_keys(statement), (role, actions)


def test_the_view_function_cannot_change_anything(template):
    """Its role may send to no queue but that of failed invocations."""
    allowed = {action for role, each in statements(template) if role == "ViewRole" for action in listed(each["Action"])}
    reads = {"dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "sqs:GetQueueAttributes", "kms:Decrypt"}
    assert reads | {"sqs:SendMessage", "logs:CreateLogStream", "logs:PutLogEvents"} == allowed
    (queues,) = [
        listed(each["Resource"])
        for role, each in statements(template)
        if (role, each["Action"]) == ("ViewRole", "sqs:SendMessage")
    ]
    assert [{"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}] == queues


def test_the_caller_function_may_do_what_the_manage_function_may(template):
    """Its code refuses more. A target or a key that one of them lacks would be an oversight."""

    def policies(role):
        return str(template["Resources"][role]["Properties"]["Policies"]).lower()

    assert policies("ManageRole") == policies("CallerRole").replace("caller", "manage")


def test_no_role_may_use_api_gateway_without_an_api(template):
    for role in of_type(template, "AWS::IAM::Role").values():
        for policy in role["Properties"]["Policies"]:
            if "apigateway:" in str(policy):
                assert ("HasApi", {"Ref": "AWS::NoValue"}) == (policy["Fn::If"][0], policy["Fn::If"][2])


def test_the_stage_takes_the_requests_that_its_keys_may_send(template):
    """An application's rate is at most that of the whole API, and an integer that API Gateway takes."""
    every_route = template["Resources"]["Api"]["Properties"]["MethodSettings"][0]
    assert (limits.API_RATE_MAX, limits.API_BURST_MAX) == (
        every_route["ThrottlingRateLimit"],
        every_route["ThrottlingBurstLimit"],
    )
    assert limits.APPLICATION_RATE_DEFAULT <= limits.API_RATE_MAX
    assert limits.APPLICATION_BURST_DEFAULT <= limits.API_BURST_MAX
    assert template["Resources"]["Api"]["Properties"]["StageName"] == "v1"
    stage = template["Resources"]["AdminFunction"]["Properties"]["Environment"]["Variables"]["API_STAGE"]
    assert ["HasApi", {"Fn::Sub": "${Api}:v1"}, ""] == stage["Fn::If"]


def test_no_role_names_a_target_without_targets(template):
    """An empty list would be an invalid policy. Without the policy, the role may send to no target."""
    for role in of_type(template, "AWS::IAM::Role").values():
        for policy in role["Properties"]["Policies"]:
            if "TargetArns" in str(policy):
                assert ("HasTargets", {"Ref": "AWS::NoValue"}) == (policy["Fn::If"][0], policy["Fn::If"][2])


def test_only_the_feed_may_invoke_itself(template):
    """The feed continues itself by design. Lambda stops any other loop as an accident."""
    loops = {name: function.get("RecursiveLoop") for name, function in functions(template).items()}
    assert "Allow" == loops.pop("FeedFunction")
    assert {None} == set(loops.values())


def test_every_function_gets_the_environment_it_requires(template, monkeypatch):
    """The handler asks for it at import."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    for function in functions(template).values():
        module = function["Handler"].removesuffix(".handler")
        variables = function.get("Environment", {}).get("Variables", {})
        with monkeypatch.context() as patched:
            for name, value in variables.items():
                patched.setenv(name, usual(value, template))
            loaded = load(module)
        assert callable(loaded.handler)


def usual(value, template):
    """Return the value of a variable in a stack with the default parameters, or some text for what the stack makes."""
    if isinstance(value, str):
        return value
    if "Fn::If" in value:
        return usual(value["Fn::If"][2], template)
    return str(template["Parameters"].get(value.get("Ref"), {"Default": "x"})["Default"])


def load(module):
    spec = importlib.util.spec_from_file_location(f"handler_{module}", FUNCTIONS / f"{module}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_every_variable_is_read_by_the_code(template):
    """The code of all functions is in one folder, which is packaged unchanged."""
    read = (FUNCTIONS / "scheduler" / "wiring" / "config.py").read_text()
    for function in functions(template).values():
        assert "functions/" == function["CodeUri"]
        for name in function.get("Environment", {}).get("Variables", {}):
            assert f'"{name}"' in read


def test_there_is_no_yaml_alias(template):
    """CloudFormation reads none: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/template-formats.html"""
    text = (FUNCTIONS.parent / "template.yml").read_text()
    assert not [token for token in yaml.scan(text) if isinstance(token, yaml.AliasToken | yaml.AnchorToken)]


def test_there_is_one_transform_and_no_build_step(template):
    """The Serverless Application Repository accepts no other transform, and the runtime includes boto3."""
    assert "AWS::Serverless-2016-10-31" == template["Transform"]
    assert all(each["Metadata"]["SkipBuild"] for each in of_type(template, "AWS::Serverless::Function").values())
    assert not list(FUNCTIONS.rglob("requirements*.txt"))
    assert "python3.13" == template["Globals"]["Function"]["Runtime"]
    assert ["arm64"] == template["Globals"]["Function"]["Architectures"]


@pytest.mark.parametrize("alarm", ["QuarantineAlarm", "DeadLetterAlarm"])
def test_the_first_message_in_a_dead_letter_queue_raises_an_alarm(template, alarm):
    """One message is enough."""
    properties = template["Resources"][alarm]["Properties"]
    assert (0, "GreaterThanThreshold") == (properties["Threshold"], properties["ComparisonOperator"])


def test_the_quarantine_is_counted_by_the_line_that_the_code_writes(template):
    """The filter names the outcome that mover.py logs."""
    pattern = template["Resources"]["QuarantinedCount"]["Properties"]["FilterPattern"]
    assert '{ $.outcome = "quarantined" }' == pattern
    assert 'log.outcome("quarantined"' in (FUNCTIONS / "scheduler" / "feeding" / "mover.py").read_text()
