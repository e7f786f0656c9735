"""Validate the targets of schedules, convert them to canonical text, and tell their kinds apart.

Only the canonical text of a target is stored, hashed and sent. It is an ARN, an ARN within
{"arn":"…","envelope":true}, or a webhook, {"url":"…", …}. None stands for the output queue.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from scheduler.errors import InvalidSchedule
from scheduler.limits import GROUP_CHARACTERS_MAX, TARGET_BYTES_MAX
from scheduler.text import fault, origin_only, shown
from scheduler.value_class import value_class

SQS, SNS, LAMBDA, EVENTS, STATES, WEBHOOK = "sqs", "sns", "lambda", "events", "states", "webhook"
"""The kinds of targets. A kind with an ARN has the name of its service in the ARN."""

TARGET_WANTED = (
    "an ARN that the stack's TargetArns lists, of a standard SQS queue or SNS topic, a Lambda function, an EventBridge"
    ' bus or a Step Functions state machine; {"arn", "envelope"}; or a webhook, {"url"}; left out, the output queue'
)

FAILURE_TARGET_WANTED = "the ARN of a standard SQS queue or SNS topic that the stack's TargetArns lists"
LISTED_WANTED = "an ARN that the stack's TargetArns lists; to list this one, add it there and deploy the stack again"
_OF_APPLICATIONS = {
    TARGET_WANTED: TARGET_WANTED.replace("the stack's TargetArns lists", "this application may use", 1).replace(
        "left out, the output queue", "left out, the application's default target"
    ),
    FAILURE_TARGET_WANTED: FAILURE_TARGET_WANTED.replace("the stack's TargetArns lists", "this application may use"),
    LISTED_WANTED: "an ARN that this application may use; the owner of the stack creates applications with these",
}
"""What the same texts say to an application, which has lists of its own."""
_HOW_TO_LIST_HOSTS = "; for webhooks, set the parameter WebhookHosts to their hosts and deploy the stack again"

_ARN = re.compile(
    r"arn:aws[a-z-]*:(?P<service>sqs|sns|lambda|events|states):(?P<region>[a-z0-9-]+):[0-9]{12}:(?P<resource>\S+)"
)
# From the services' API models, and "CreateQueue", "CreateTopic" and "StartExecution" of their API references.
# StartExecution refuses a name with a label after a slash, because the label names a part of the state machine.
_RESOURCES = {
    SQS: re.compile(r"[A-Za-z0-9_-]{1,80}"),
    SNS: re.compile(r"[A-Za-z0-9_-]{1,256}"),
    LAMBDA: re.compile(r"function:[A-Za-z0-9_-]{1,64}(:(\$LATEST|[A-Za-z0-9_-]{1,128}))?"),
    EVENTS: re.compile(r"event-bus/[A-Za-z0-9._-]{1,256}"),
    STATES: re.compile(r'stateMachine:[^\s<>{}\[\]?*"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}(:[A-Za-z0-9._-]{1,80})?'),
}
_FIFO = {
    SQS: "a FIFO queue, which takes no delay for a message of its own",
    SNS: "a FIFO topic, which wants a message group, and a schedule has none",
}
_ORIGIN = re.compile(r"https?://(?P<authority>([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?)(?=[/?#]|$)")
"""The origin of a canonical URL. Its host is ASCII, because a message group id of SQS must be ASCII without spaces."""
_OPENING, _CLOSING = '{"arn":"', '","envelope":true}'


@value_class
class AllowedTargets:
    """The targets that the owner of the stack allows: exact ARNs in one region, and the hosts of webhooks."""

    arns: frozenset[str] = frozenset()
    region: str = ""
    check_webhook: Callable[[Mapping[str, object]], str] | None = None
    """Returns the canonical text of a webhook, or raises InvalidSchedule. None if the stack allows no webhooks."""
    failure_arns: frozenset[str] | None = None
    """The failure targets of an application. The owner's are among `arns`."""

    def wanted(self, text: str) -> str:
        """Return what an error wants, as it is said to the owner or to an application."""
        return text if self.failure_arns is None else _OF_APPLICATIONS[text]


def checked(value: object, listed: AllowedTargets) -> str:
    """Return the canonical text of an allowed target, or raise InvalidSchedule."""
    if not isinstance(value, dict):
        return _checked_arn("target", value, listed, listed.arns, listed.wanted(TARGET_WANTED))
    if "url" not in value:
        return _checked_object(value, listed)
    text = _checked_webhook(value, listed)
    size_bytes = len(text.encode())
    if size_bytes > TARGET_BYTES_MAX:
        raise InvalidSchedule(f"target is a webhook of {size_bytes} bytes; wanted: at most {TARGET_BYTES_MAX} bytes")
    return text


def checked_failure_target(value: object, listed: AllowedTargets) -> str:
    """Return a failure target, which is a listed queue or topic, or raise InvalidSchedule."""
    found = _ARN.fullmatch(value) if isinstance(value, str) else None
    if found is None or found["service"] not in (SQS, SNS):
        raise InvalidSchedule(f"failure_target is {_shown(value)}; wanted: {listed.wanted(FAILURE_TARGET_WANTED)}")
    arns = listed.arns if listed.failure_arns is None else listed.failure_arns
    return _checked_arn("failure_target", value, listed, arns, listed.wanted(FAILURE_TARGET_WANTED))


def allows(value: object) -> bool:
    """Return whether the value is the ARN of a queue or a topic, so that it can be a failure target."""
    return isinstance(value, str) and _is_canonical(value) and not envelope(value) and kind(value) in (SQS, SNS)


def invalid_reason(data: str, target: str | None) -> str | None:
    """Return why this can never be delivered, or None. Other code may have written the item that it was read from."""
    if target is not None and not _is_canonical(target):
        return "its target is none that could be delivered to"
    if not data and kind(target) != WEBHOOK:
        return "its data is empty"
    return fault(data)


def kind(target: str | None) -> str:
    """Return the kind of a canonical target."""
    if target is None:
        return SQS
    return WEBHOOK if _is_webhook(target) else arn_of(target).split(":", 3)[2]


def goes_straight(target: str | None) -> bool:
    """Return whether an unnamed schedule goes straight to its target with a delay, because the target is a queue."""
    return target is None or kind(target) == SQS


def is_tight(target: str | None) -> bool:
    """Return whether the size limit of the target is below the size that a schedule can have."""
    return target is not None and kind(target) in (SNS, STATES)


def envelope(target: str | None) -> bool:
    return target is not None and target.startswith(_OPENING)


def arn_of(target: str) -> str:
    """Return the ARN of a target that is not a webhook."""
    return target[len(_OPENING) : -len(_CLOSING)] if target.startswith(_OPENING) else target


def as_sent(target: str | None) -> Any:
    """Return the target as a caller would write it. A text that only looks like an object stays a text."""
    if target is None or not target.startswith("{"):
        return target
    try:
        return json.loads(target)
    except (ValueError, RecursionError):
        return target


def group(target: str | None, application: str = "") -> str | None:
    """Return the message group of a delivery, or None. Webhooks of one host share a group, as they may all be slow.

    Two applications never share one: a flood of one would delay the other.
    """
    authority = _authority(target) if target is not None and _is_webhook(target) else None
    if authority is None:
        return application or None
    mark = f"{application}/" if application else ""
    return mark + authority[-GROUP_CHARACTERS_MAX + len(mark) :]


class Receiver(NamedTuple):
    """The server or resource that receives a delivery."""

    name: str
    """The host and port of a webhook, or an ARN. Empty for the output queue."""
    family: str
    """Receivers that usually fail together: the last two labels of a host's name, or a service of AWS."""


def receiver(target: str | None, application: str = "") -> Receiver:
    """Return the receiver of a canonical target. Two applications share no host of a webhook."""
    authority = _authority(target) if target is not None and _is_webhook(target) else None
    if authority is None:
        return Receiver("" if target is None else arn_of(target), kind(target))
    host = authority if authority.endswith("]") else authority.rsplit(":", 1)[0]
    labels = host.split(".")
    is_name = not host.startswith("[") and not labels[-1].isdigit()
    mark = f"{application}/" if application else ""
    return Receiver(mark + authority, ".".join(labels[-2:]) if is_name else host)


def queue_url(target: str | None, output_queue_url: str) -> str:
    """Return the URL of a target queue: the output queue's URL with the account and the name of the target."""
    if target is None:
        return output_queue_url
    account, name = arn_of(target).split(":")[4:6]
    return "/".join([output_queue_url.rsplit("/", 2)[0], account, name])


def _checked_arn(field: str, value: object, listed: AllowedTargets, arns: frozenset[str], wanted: str) -> str:
    """Return the ARN if it is among those that are listed, or raise InvalidSchedule.

    An ARN of another region is always refused, because a client calls the endpoint of its own region. No service
    accepts such a call. SQS does not find the queue. SNS publishes "only to topics in the same Region". Lambda and Step
    Functions answer that the ARN does not exist. EventBridge needs a rule to send events to a bus in another region.
    """
    said = f"{field} is {_shown(value)}"
    found = _ARN.fullmatch(value) if isinstance(value, str) else None
    if found is None or not isinstance(value, str):
        hint = '; a webhook is an object, {"url": "https://..."}' if isinstance(value, str) and "://" in value else ""
        raise InvalidSchedule(f"{said}{hint}; wanted: {wanted}")
    service, resource = found["service"], found["resource"]
    if service in _FIFO and resource.endswith(".fifo"):
        raise InvalidSchedule(f"{said}, {_FIFO[service]}; wanted: {wanted}")
    if not _RESOURCES[service].fullmatch(resource):
        raise InvalidSchedule(f"{said}; wanted: {wanted}")
    if listed.region and found["region"] != listed.region:
        raise InvalidSchedule(f"{said}, not in this stack's region {listed.region}; wanted: {wanted}")
    if value not in arns:
        raise InvalidSchedule(f"{said}, which is not listed; wanted: {listed.wanted(LISTED_WANTED)}")
    return value


def _shown(value: object) -> str:
    """Return the value for an error message. A URL is cut after its host, because the rest may be secret."""
    return shown(origin_only(value) if isinstance(value, str) and not value.startswith("arn:") else value)


def _checked_object(value: Mapping[str, object], listed: AllowedTargets) -> str:
    wanted = listed.wanted(TARGET_WANTED)
    unknown = [field for field in value if field not in ("arn", "envelope")]
    if unknown:
        raise InvalidSchedule(f"target has {shown(unknown[0])}, which is not a field of it; wanted: {wanted}")
    if "arn" not in value:
        raise InvalidSchedule(f"target.arn is missing; wanted: {wanted}")
    arn = _checked_arn("target.arn", value["arn"], listed, listed.arns, wanted)
    enveloped = value.get("envelope", False)
    if not isinstance(enveloped, bool):
        raise InvalidSchedule(f"target.envelope is {shown(enveloped)}; wanted: true or false")
    return f"{_OPENING}{arn}{_CLOSING}" if enveloped else arn


def _checked_webhook(value: Mapping[str, object], listed: AllowedTargets) -> str:
    if listed.check_webhook is None and listed.failure_arns is not None:
        raise InvalidSchedule(
            "target is a webhook, and this application may use no host; "
            f"wanted: {listed.wanted(TARGET_WANTED)}; the owner of the stack creates applications with their hosts"
        )
    if listed.check_webhook is None:
        raise InvalidSchedule(
            "target is a webhook, and the stack's WebhookHosts lists no host; "
            f"wanted: {TARGET_WANTED}{_HOW_TO_LIST_HOSTS}"
        )
    return listed.check_webhook(value)


def _is_canonical(target: str) -> bool:
    if _is_webhook(target):
        return _authority(target) is not None
    if envelope(target) and not target.endswith(_CLOSING):
        return False
    found = _ARN.fullmatch(arn_of(target))
    return found is not None and _RESOURCES[found["service"]].fullmatch(found["resource"]) is not None


def _is_webhook(target: str) -> bool:
    return target.startswith("{") and not target.startswith(_OPENING)


def _authority(target: str) -> str | None:
    """Return the host and port of a webhook, or None if it is not canonical: only texts, and objects of texts."""
    try:
        value = json.loads(target)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not all(_is_flat(each) for each in value.values()):
        return None
    found = _ORIGIN.match(value["url"]) if isinstance(value.get("url"), str) else None
    return None if found is None else found["authority"]


def _is_flat(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, dict) and all(isinstance(each, str) for each in value.values()))
