"""The configuration of a function. It is read from the environment and checked once, at import."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from scheduler.limits import LEAD_S_MAX, PARTITIONS_MAX, SQS_DELAY_S_MAX
from scheduler.model.bundle import span_ms_max
from scheduler.model.targets import AllowedTargets
from scheduler.value_class import value_class

if TYPE_CHECKING:
    from scheduler.webhooks.allowed_hosts import Hosts

QUEUES = ("OUTPUT_QUEUE_URL", "DELIVERY_QUEUE_URL", "FAILURE_QUEUE_URL")
"""The variables of the queues that most functions need."""
MANAGING = ("TABLE_NAME", "OUTPUT_QUEUE_URL", "DELIVERY_QUEUE_URL", "PARTITION_COUNT", "REACH_SECONDS")
"""The variables of the functions that show and change schedules: manage, view and caller."""


class ConfigurationError(Exception):
    """The environment lacks a variable or has an invalid one. The message names it, and the function cannot start."""


@value_class
class Settings:
    table_name: str
    output_queue_url: str
    delivery_queue_url: str
    failure_queue_url: str
    input_queue_url: str
    dead_letter_queue_url: str
    feed_function: str
    function_name: str
    """The name of this function. Lambda sets it."""
    partition_count: int
    reach_ms: int
    feed_interval_s: int
    lead_ms: int
    listed: AllowedTargets
    webhook_hosts: Hosts | None
    webhook_secret_arn: str
    require_user: bool
    keeps_ledger: bool
    """Whether what enters and what leaves the scheduler is counted in the table."""
    allowed_origin: str
    """The origin whose pages may use the HTTP API, or nothing."""
    api_stage: str
    """The id of the API and the name of its stage, with a colon in between, or nothing."""
    stack_name: str
    metrics_of: str
    """The name of the stack, if the function prints metrics of it, or nothing."""
    schedule_function: str
    canary_queue_url: str
    canary_queue_arn: str

    @property
    def bundle_span_ms(self) -> int:
        return span_ms_max(self.reach_ms, self.feed_interval_s * 1000)


def from_environment(*required: str, environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of this function. Raise ConfigurationError if a variable in `required` is missing."""
    missing = [name for name in required if not environment.get(name)]
    if missing:
        raise ConfigurationError(f"the environment lacks {', '.join(missing)}")
    hosts, check_webhook = _webhooks(environment)
    return Settings(
        table_name=environment.get("TABLE_NAME", ""),
        output_queue_url=environment.get("OUTPUT_QUEUE_URL", ""),
        delivery_queue_url=environment.get("DELIVERY_QUEUE_URL", ""),
        failure_queue_url=_queue_url(environment, "FAILURE_QUEUE_URL"),
        input_queue_url=_queue_url(environment, "INPUT_QUEUE_URL"),
        dead_letter_queue_url=_queue_url(environment, "DEAD_LETTER_QUEUE_URL"),
        feed_function=environment.get("FEED_FUNCTION", ""),
        function_name=environment.get("AWS_LAMBDA_FUNCTION_NAME", ""),
        partition_count=_whole(environment, "PARTITION_COUNT", 4, 1, PARTITIONS_MAX),
        reach_ms=_whole(environment, "REACH_SECONDS", SQS_DELAY_S_MAX, 1, SQS_DELAY_S_MAX) * 1000,
        feed_interval_s=_whole(environment, "FEED_INTERVAL_MINUTES", 10, 1, 10) * 60,
        lead_ms=_whole(environment, "DELIVERY_LEAD_SECONDS", 1, 0, LEAD_S_MAX) * 1000,
        listed=AllowedTargets(_words(environment, "TARGET_ARNS"), environment.get("AWS_REGION", ""), check_webhook),
        webhook_hosts=hosts,
        webhook_secret_arn=environment.get("WEBHOOK_SECRET_ARN", ""),
        require_user=_truth(environment, "REQUIRE_USER"),
        keeps_ledger=_truth(environment, "LEDGER"),
        allowed_origin=environment.get("ALLOWED_ORIGIN", ""),
        api_stage=environment.get("API_STAGE", ""),
        stack_name=environment.get("STACK_NAME", ""),
        metrics_of=environment.get("METRICS", ""),
        schedule_function=environment.get("SCHEDULE_FUNCTION", ""),
        canary_queue_url=environment.get("CANARY_QUEUE_URL", ""),
        canary_queue_arn=environment.get("CANARY_QUEUE_ARN", ""),
    )


def _webhooks(
    environment: Mapping[str, str],
) -> tuple[Hosts | None, Callable[[Mapping[str, object]], str] | None]:
    """Return the allowed webhook hosts and a function that checks a webhook, or None for both if no host is allowed.

    The modules of webhooks are imported only if a host is allowed, because they make a cold start longer.
    """
    text = environment.get("WEBHOOK_HOSTS", "")
    if not text.strip():
        return None, None
    from scheduler.webhooks import webhook
    from scheduler.webhooks.allowed_hosts import Hosts

    try:
        hosts = Hosts.read(text, _truth(environment, "WEBHOOK_ALLOW_PRIVATE"))
    except ValueError as fault:
        raise ConfigurationError(f"WEBHOOK_HOSTS: {fault}") from None
    return hosts, functools.partial(webhook.checked, hosts=hosts)


def _queue_url(environment: Mapping[str, str], name: str) -> str:
    """Return the URL of a queue. A name stands for the queue beside the output queue: the whole URL takes more room."""
    text = environment.get(name, "")
    if not text or "/" in text:
        return text
    return f"{environment.get('OUTPUT_QUEUE_URL', '').rpartition('/')[0]}/{text}"


def _whole(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise ConfigurationError(f"{name} is {text!r}; wanted: a whole number from {least} to {most}")
    return int(text)


def _words(environment: Mapping[str, str], name: str) -> frozenset[str]:
    return frozenset(word.strip() for word in environment.get(name, "").split(",") if word.strip())


def _truth(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name) or "false"
    if text not in ("true", "false"):
        raise ConfigurationError(f"{name} is {text!r}; wanted: true or false")
    return text == "true"
