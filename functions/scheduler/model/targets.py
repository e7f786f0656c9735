"""Which targets a schedule may name, how their text is kept, and what kind of thing is behind it.

The canonical text of a target is all that is stored, hashed and carried: the ARN itself; the ARN within
{"arn":"…","envelope":true}; or a webhook, {"url":"…", …}. None stands for the output queue.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from scheduler.errors import InvalidSchedule
from scheduler.limits import GROUP_CHARACTERS_MAX, TARGET_BYTES_MAX
from scheduler.text import fault, origin_only, shown

SQS, SNS, LAMBDA, EVENTS, STATES, WEBHOOK = "sqs", "sns", "lambda", "events", "states", "webhook"
"""Kinds of targets. Those that have an ARN are called as their service is in it."""

TARGET_WANTED = (
    "an ARN that the stack's TargetArns lists, of a standard SQS queue or SNS topic, a Lambda function, an EventBridge"
    ' bus or a Step Functions state machine; {"arn", "envelope"}; or a webhook, {"url"}; left out, the output queue'
)

HEARER_WANTED = "the ARN of a standard SQS queue or SNS topic that the stack's TargetArns lists"
LISTED_WANTED = "an ARN that the stack's TargetArns lists; to list this one, add it there and deploy the stack again"
_HOW_TO_LIST_HOSTS = "; for webhooks, set the parameter WebhookHosts to their hosts and deploy the stack again"

_ARN = re.compile(
    r"arn:aws[a-z-]*:(?P<service>sqs|sns|lambda|events|states):(?P<region>[a-z0-9-]+):[0-9]{12}:(?P<resource>\S+)"
)
# As the services' own models and "CreateQueue", "CreateTopic", "StartExecution" of their API references have them. A
# label behind a slash of a state machine's name is a part of one, which StartExecution refuses.
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
"""Of a URL as it is kept, whose host is in ASCII: SQS takes that for a group of messages, and no space."""
_OPENING, _CLOSING = '{"arn":"', '","envelope":true}'


@dataclass(frozen=True, slots=True)
class AllowedTargets:
    """The targets that the owner of the stack allows: exact ARNs in one region, and the hosts of webhooks."""

    arns: frozenset[str] = frozenset()
    region: str = ""
    check_webhook: Callable[[Mapping[str, object]], str] | None = None
    """The canonical text of a webhook, or InvalidSchedule. None: no webhooks at all."""


def checked(value: object, listed: AllowedTargets) -> str:
    """The canonical text of a target that may be delivered to, or InvalidSchedule."""
    if not isinstance(value, dict):
        return _checked_arn("target", value, listed, TARGET_WANTED)
    if "url" not in value:
        return _checked_object(value, listed)
    text = _checked_webhook(value, listed)
    size_bytes = len(text.encode())
    if size_bytes > TARGET_BYTES_MAX:
        raise InvalidSchedule(f"target is a webhook of {size_bytes} bytes; wanted: at most {TARGET_BYTES_MAX} bytes")
    return text


def checked_hearer(value: object, listed: AllowedTargets) -> str:
    """Who is to hear of a failure: a queue or a topic that is listed, or InvalidSchedule."""
    found = _ARN.fullmatch(value) if isinstance(value, str) else None
    if found is None or found["service"] not in (SQS, SNS):
        raise InvalidSchedule(f"failure_target is {_shown(value)}; wanted: {HEARER_WANTED}")
    return _checked_arn("failure_target", value, listed, HEARER_WANTED)


def allows(value: object) -> bool:
    """Whether it is the ARN of a queue or a topic."""
    return isinstance(value, str) and _is_canonical(value) and not envelope(value) and kind(value) in (SQS, SNS)


def invalid_reason(data: str, target: str | None) -> str | None:
    """Why nothing would take this, for what is read from the table: not everything in it need be from this code."""
    if target is not None and not _is_canonical(target):
        return "its target is none that could be delivered to"
    if not data and kind(target) != WEBHOOK:
        return "its data is empty"
    return fault(data)


def kind(target: str | None) -> str:
    """One of the kinds above, for a canonical text."""
    if target is None:
        return SQS
    return WEBHOOK if _is_webhook(target) else arn_of(target).split(":", 3)[2]


def goes_straight(target: str | None) -> bool:
    """Whether an unnamed schedule is sent to its target right away, with its delay, because that is a queue."""
    return target is None or kind(target) == SQS


def is_tight(target: str | None) -> bool:
    """Whether it takes less than a schedule may come to."""
    return target is not None and kind(target) in (SNS, STATES)


def envelope(target: str | None) -> bool:
    return target is not None and target.startswith(_OPENING)


def arn_of(target: str) -> str:
    """The ARN of a target that is no webhook."""
    return target[len(_OPENING) : -len(_CLOSING)] if target.startswith(_OPENING) else target


def as_sent(target: str | None) -> Any:
    """As a caller would write it; what only looks like an object of ours is shown as the text that it is."""
    if target is None or not target.startswith("{"):
        return target
    try:
        return json.loads(target)
    except (ValueError, RecursionError):
        return target


def group(target: str | None) -> str | None:
    """What deliveries share that may be slow together: the host of a webhook."""
    authority = _authority(target) if target is not None and _is_webhook(target) else None
    return None if authority is None else authority[-GROUP_CHARACTERS_MAX:]


class Receiver(NamedTuple):
    """Who answers for a delivery, or keeps it waiting."""

    name: str
    """The host and port of a webhook, or an ARN. Empty for the output queue."""
    family: str
    """What fails together as a rule: the last two labels of a host's name, or a service of AWS."""


def receiver(target: str | None) -> Receiver:
    """The receiver of a canonical target."""
    authority = _authority(target) if target is not None and _is_webhook(target) else None
    if authority is None:
        return Receiver("" if target is None else arn_of(target), kind(target))
    host = authority if authority.endswith("]") else authority.rsplit(":", 1)[0]
    labels = host.split(".")
    is_name = not host.startswith("[") and not labels[-1].isdigit()
    return Receiver(authority, ".".join(labels[-2:]) if is_name else host)


def queue_url(target: str | None, output_queue_url: str) -> str:
    """The URL of a target queue: that of the output queue with the other account and name at its end."""
    if target is None:
        return output_queue_url
    account, name = arn_of(target).split(":")[4:6]
    return "/".join([output_queue_url.rsplit("/", 2)[0], account, name])


def _checked_arn(field: str, value: object, listed: AllowedTargets, wanted: str) -> str:
    """Another region is refused for every kind: a client speaks to the endpoint of its own region, and none of the
    five services takes a call there for a resource elsewhere (SQS does not find the queue, SNS publishes "only to
    topics in the same Region", Lambda and Step Functions answer that there is no such ARN, and from bus to bus across
    regions events go by rules)."""
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
    if value not in listed.arns:
        raise InvalidSchedule(f"{said}, which is not listed; wanted: {LISTED_WANTED}")
    return value


def _shown(value: object) -> str:
    """Whoever sends a URL in its place sends what may be secret behind the host."""
    return shown(origin_only(value) if isinstance(value, str) and not value.startswith("arn:") else value)


def _checked_object(value: Mapping[str, object], listed: AllowedTargets) -> str:
    unknown = [field for field in value if field not in ("arn", "envelope")]
    if unknown:
        raise InvalidSchedule(f"target has {shown(unknown[0])}, which is not a field of it; wanted: {TARGET_WANTED}")
    if "arn" not in value:
        raise InvalidSchedule(f"target.arn is missing; wanted: {TARGET_WANTED}")
    arn = _checked_arn("target.arn", value["arn"], listed, TARGET_WANTED)
    enveloped = value.get("envelope", False)
    if not isinstance(enveloped, bool):
        raise InvalidSchedule(f"target.envelope is {shown(enveloped)}; wanted: true or false")
    return f"{_OPENING}{arn}{_CLOSING}" if enveloped else arn


def _checked_webhook(value: Mapping[str, object], listed: AllowedTargets) -> str:
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
    """Host and port of a webhook; None where it is none as we keep them: texts, and objects of texts."""
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
