"""The targets outside the stack: topics, functions, buses, state machines, and the hosts of webhooks.

The seed draws the behaviour of each host. A host answers, answers badly or late, hangs, or does the work and sends no
answer. When the faults stop, all hosts recover, except for the two that never do.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from punctual.testing.cloud import Cloud
from punctual.testing.services.webhook_endpoints import FORGETFUL, HANGING, Behaviour
from punctual.testing.template import ACCOUNT, REGION

FINE, SHAKY, HANGS, DEAD, GONE = (f"{name}.example.com" for name in ("fine", "shaky", "hangs", "dead", "gone"))
MENDED = "mended.example.com"
"""A host that answers with a permanent error until the scenario mends it."""
HOSTS = (FINE, SHAKY, HANGS, DEAD, GONE, MENDED)
SILENT_DOMAIN = "silent.example"
SILENT_HOSTS_MAX = 40
"""The number of hosts in the silent domain. None of them answers before the faults stop."""
KINDS = ("sns", "lambda", "events", "states")
GONE_TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:gone"
RETRY_AFTERS_S = (None, 5.0, 60.0, 200.0)
ATTEMPTS = (1, 2, 3, 5)
AGES_S = (30, 120, 3600)


@dataclass(eq=False)
class ExternalTargets:
    cloud: Cloud
    randomness: random.Random
    quiet: Callable[[], bool]
    """Whether the faults have stopped."""
    counted: Counter[str]
    """Faults by kind."""
    arns: dict[str, str] = field(init=False)
    failure_targets: dict[str, str] = field(init=False)
    """The possible failure targets: the ARN of each, by the ARN of the topic or the URL of the queue."""
    busy: str = field(init=False)
    """The URL of a queue that is a target and may be throttled."""
    unreachable: str = field(init=False)
    """The URL of a queue that is a failure target for refusals and may not answer."""
    mended: bool = False
    """Whether the host that answered with a permanent error works again."""

    def __post_init__(self) -> None:
        self.arns = {kind: self.cloud.add_external_target(kind, "other") for kind in KINDS}
        queue = self.cloud.add_queue("failures-of-others")
        topic = self.cloud.add_external_target("sns", "failures-of-others")
        url = next(each.url for each in self.cloud.sqs.queues.values() if each.arn == queue)
        self.failure_targets = {url: queue, topic: topic}
        self.busy, self.unreachable = self._queue("busy"), self._queue("unreachable")
        for host in HOSTS:
            self.cloud.receivers.behaviour[host] = lambda host=host: self._behaviour(host)  # type: ignore[misc]
        for number in range(SILENT_HOSTS_MAX):
            self.cloud.receivers.behaviour[silent_host(number)] = lambda: self._behaviour(HANGS)

    def mend(self) -> None:
        self.mended = True

    def _queue(self, name: str) -> str:
        arn = self.cloud.add_queue(name)
        return next(each.url for each in self.cloud.sqs.queues.values() if each.arn == arn)

    def parameters(self) -> dict[str, Any]:
        """Return parameters of the template, without the queue that is a target."""
        arns = [*self.arns.values(), *self.failure_targets.values(), GONE_TOPIC]
        arns += [self.cloud.sqs.queues[url].arn for url in (self.busy, self.unreachable)]
        return {"TargetArns": ",".join(arns), "WebhookHosts": ",".join([*HOSTS, f"*.{SILENT_DOMAIN}"])}

    def _behaviour(self, host: str) -> Behaviour:
        if host == DEAD:
            return Behaviour(503, works=False)
        if host == GONE or (host == MENDED and not self.mended):
            return Behaviour(404, works=False)
        if host in (FINE, MENDED) or self.quiet():
            return Behaviour()
        return HANGING if host == HANGS else self._shaky()

    def _shaky(self) -> Behaviour:
        draw = self.randomness
        behaviour: Behaviour = draw.choice(
            (
                Behaviour(),
                Behaviour(500, works=False),
                Behaviour(503, draw.choice(RETRY_AFTERS_S), works=draw.random() < 0.5),
                Behaviour(429, draw.choice(RETRY_AFTERS_S), works=False),
                Behaviour(answers_after_s=draw.uniform(1.0, 14.0)),
                HANGING,
                FORGETFUL,
            )
        )
        self.counted["host in bad order"] += behaviour != Behaviour()
        return behaviour


def silent_host(number: int) -> str:
    return f"c{number}.{SILENT_DOMAIN}"


def request(draw: random.Random, targets: ExternalTargets, named: bool) -> tuple[Any, dict[str, Any]]:
    """Draw a target and the settings of its delivery.

    Functions and buses see the id of a named schedule only in the envelope.
    """
    kind = draw.choice((*KINDS, "webhook", "webhook", "webhook", "gone"))
    target: Any
    if kind == "webhook":
        host = draw.choice((FINE, FINE, SHAKY, SHAKY, HANGS, DEAD, GONE))
        target = {"url": f"https://{host}/hook"}
        if draw.random() < 0.3:
            target |= {"method": "PUT", "headers": {"x-own": "1"}}
    else:
        target = GONE_TOPIC if kind == "gone" else targets.arns[kind]
        if draw.random() < 0.3 or (named and kind in ("lambda", "events")):
            target = {"arn": target, "envelope": True}
    # The default takes more than an hour.
    terms: dict[str, Any] = {"retry": {"attempts": ATTEMPTS[-1]}}
    if draw.random() < 0.5:
        terms["retry"] = {"attempts": draw.choice(ATTEMPTS)}
        if draw.random() < 0.4:
            terms["retry"]["max_age_s"] = draw.choice(AGES_S)
    if draw.random() < 0.4:
        terms["failure_target"] = draw.choice(sorted(targets.failure_targets.values()))
    return target, terms
