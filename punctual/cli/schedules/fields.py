"""The fields of a schedule as options of the command line, and how they become arguments of the client."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from punctual.cli import times
from punctual.cli.errors import WrongUsage
from punctual.cli.options import duration_option, stacked, zone_option

STANDARD_INPUT = "-"

which_options = stacked(
    click.argument("name", required=False),
    click.option("--id", metavar="ID", help="The id of the schedule, instead of its name."),
)
"""The schedule that is meant. `which` checks it."""

time_options = stacked(
    click.option("--at", metavar="TIME", help="The time: 2030-06-01T09:00+02:00, or without the offset and with --tz."),
    zone_option("The time zone of --at, such as Europe/Berlin. `local`: that of this machine."),
    duration_option("--in", "delay", help="How long from now: 90m, 1h30m, 2d. Units: s, m, h, d, w."),
)
"""The time of a schedule. `when` checks it."""

delivery_options = stacked(
    click.option("--target", metavar="ARN|URL", help="Send it to this target, and not to the output queue."),
    click.option("--envelope", is_flag=True, help="The target receives id, due, name and user around the data."),
    click.option("--method", metavar="METHOD", help="The method of a webhook. Default: POST, or GET without data."),
    click.option(
        "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A header of a webhook. Repeatable."
    ),
    click.option("--cookie", "cookies", multiple=True, metavar="NAME=VALUE", help="A cookie of a webhook. Repeatable."),
    click.option("--user", metavar="TEXT", help="A text that is delivered with the data."),
    click.option(
        "--attempts",
        type=click.IntRange(min=1),
        metavar="N",
        help="The largest number of attempts, up to 20. Default: 12.",
    ),
    duration_option("--max-age", help="How long a failed delivery is tried again. Default: 1d."),
    click.option("--failure-target", metavar="ARN", help="A queue or topic that is told if the delivery fails."),
    duration_option("--expires-after", help="How late it may be at most. Later it fails instead."),
)
"""Every other field that both `schedule` and `change` take. `delivery_fields` reads them."""


spread_option = duration_option("--spread", help="Due at a random moment between its time and this much later.")


def which(name: str | None, id: str | None) -> dict[str, Any]:
    """Return the argument of the client that says which schedule is meant."""
    if (name is None) == (id is None):
        said = "neither a name nor --id is given" if name is None else "both a name and --id are given"
        raise WrongUsage(f"{said}: give one of the two")
    return {"id": id} if id is not None else {"name": name}


def when(at: str | None, zone: times.Zone | None, delay: timedelta | None, *, required: bool = True) -> dict[str, Any]:
    """Return the argument of the client for the time, as an aware datetime or a timedelta."""
    if at is not None and delay is not None:
        raise WrongUsage("--at and --in are both given: give one of the two")
    if at is None and zone is not None:
        raise WrongUsage("--tz is the zone of --at, which is missing: leave --tz out")
    if at is not None:
        return {"at": times.only_moment(at, zone)}
    if delay is not None:
        return {"delay": delay}
    if required:
        raise WrongUsage("no time is given: add --in 90m, or --at '2030-06-01 09:00' --tz Europe/Berlin")
    return {}


def read_data(data: str | None, file: Path | None) -> str | None:
    """Return the data as text: as it is given, from standard input (`-`), or from a file.

    Of standard input one line break at the end is left out, because `echo` adds it. A file is sent as it is.
    """
    if data is not None and file is not None:
        raise WrongUsage("data and --data-file are both given: give one of the two")
    if file is not None:
        return _text(file.read_bytes(), str(file))
    if data != STANDARD_INPUT:
        return None if data is None else _whole(data)
    if sys.stdin is None:
        raise WrongUsage("standard input is closed: give the data itself, or --data-file")
    return _text(sys.stdin.buffer.read(), "standard input").removesuffix("\n").removesuffix("\r")


def _text(content: bytes, place: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise WrongUsage(
            f"{place} is not UTF-8 (byte {error.start}): encode binary data, for example as base64"
        ) from None


def _whole(text: str) -> str:
    """Refuse an argument with bytes that are not UTF-8. Python hides them in surrogates."""
    return _text(text.encode(errors="surrogateescape"), "the data")


def delivery_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of the client for the options of `delivery_options` that are given."""
    fields: dict[str, Any] = {
        "target": _target(given),
        "user": given["user"],
        "retry": _retry(given["attempts"], given["max_age"]),
        "failure_target": given["failure_target"],
        "expires_after": given["expires_after"],
    }
    return {name: value for name, value in fields.items() if value is not None}


def _target(given: Mapping[str, Any]) -> str | dict[str, Any] | None:
    target: str | None = given["target"]
    webhook: dict[str, Any] = {
        "method": given["method"],
        "headers": _pairs(given["headers"], ":", "--header 'NAME: VALUE'"),
    }
    webhook["cookies"] = _pairs(given["cookies"], "=", "--cookie NAME=VALUE")
    webhook = {name: value for name, value in webhook.items() if value}
    is_url = target is not None and "://" in target
    if webhook and not is_url:
        raise WrongUsage("--method, --header and --cookie are for webhooks: give its URL with --target")
    if given["envelope"] and (target is None or is_url):
        raise WrongUsage("--envelope is for targets with an ARN: give it with --target")
    if target is not None and target.lstrip().startswith("{"):
        return _object(target)
    if is_url:
        return {"url": target, **webhook}
    return {"arn": target, "envelope": True} if given["envelope"] else target


def _object(text: str) -> dict[str, Any]:
    """Return a target that is written as JSON, as `get` shows it."""
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise WrongUsage(f"--target looks like JSON and is none ({error}): give an ARN or a URL") from None
    return found


def _pairs(texts: Sequence[str], separator: str, wanted: str) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, found, value = text.partition(separator)
        if not found or not name.strip():
            raise WrongUsage(f"{text!r} has no {separator!r}: write {wanted}")
        pairs[name.strip()] = value.strip()
    return pairs


def _retry(attempts: int | None, max_age: timedelta | None) -> dict[str, Any] | None:
    """Return the field `retry`, without the parts that have their default."""
    retry = {"attempts": attempts, "max_age_s": None if max_age is None else round(max_age.total_seconds())}
    return {name: value for name, value in retry.items() if value is not None} or None
