"""What the template tells a function through its environment, read and checked once, at import."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from scheduler.bundle import span_ms_max
from scheduler.limits import LEAD_S_MAX, PARTITIONS_MAX, SQS_DELAY_S_MAX
from scheduler.targets import Listed


class ConfigurationError(Exception):
    """The environment lacks something or holds nonsense: the function cannot start, and says which variable."""


@dataclass(frozen=True, slots=True)
class Settings:
    table_name: str
    output_queue_url: str
    delivery_queue_url: str
    failure_queue_url: str
    feed_function: str
    partition_count: int
    reach_ms: int
    feed_interval_s: int
    lead_ms: int
    listed: Listed
    require_user: bool

    @property
    def bundle_span_ms(self) -> int:
        return span_ms_max(self.reach_ms, self.feed_interval_s * 1000)


def from_environment(*required: str, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this function; each variable named in `required` has to be there."""
    missing = [name for name in required if not environment.get(name)]
    if missing:
        raise ConfigurationError(f"the environment lacks {', '.join(missing)}")
    return Settings(
        table_name=environment.get("TABLE_NAME", ""),
        output_queue_url=environment.get("OUTPUT_QUEUE_URL", ""),
        delivery_queue_url=environment.get("DELIVERY_QUEUE_URL", ""),
        failure_queue_url=environment.get("FAILURE_QUEUE_URL", ""),
        feed_function=environment.get("FEED_FUNCTION", ""),
        partition_count=_whole(environment, "PARTITION_COUNT", 4, 1, PARTITIONS_MAX),
        reach_ms=_whole(environment, "REACH_SECONDS", SQS_DELAY_S_MAX, 1, SQS_DELAY_S_MAX) * 1000,
        feed_interval_s=_whole(environment, "FEED_INTERVAL_MINUTES", 10, 1, 10) * 60,
        lead_ms=_whole(environment, "DELIVERY_LEAD_SECONDS", 1, 0, LEAD_S_MAX) * 1000,
        listed=Listed(_words(environment, "TARGET_ARNS"), environment.get("AWS_REGION", "")),
        require_user=_truth(environment, "REQUIRE_USER"),
    )


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
