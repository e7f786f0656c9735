"""Times as people write them: `90m`, `1h30m`, `2030-06-01 09:00` with a zone, ISO 8601, epoch seconds.

A time without an offset needs a zone, because the machine's own zone is a guess: servers and laptops differ.
"""

import difflib
import io
import pkgutil
import re
import tarfile
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from punctual.cli.errors import WrongUsage

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhdw])+", re.IGNORECASE)
PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])", re.IGNORECASE)
EPOCH = re.compile(r"\d{9,}(?:\.\d+)?")
"""Fewer digits are a moment before 1973 or a date without dashes, such as 20300601. Everybody means the date."""
DATE = re.compile(r"\d{4}-?\d\d-?\d\d")
WANTED = "write '2030-06-01 09:00' with --tz Europe/Berlin, 2030-06-01T09:00:00+02:00, or epoch seconds"
LOCAL = "local"


@dataclass(frozen=True)
class Zone:
    """A time zone. Without `info` it is the zone of this machine."""

    info: tzinfo | None

    def place(self, naive: datetime) -> datetime:
        """Return a time of this zone with its offset.

        A time that the clocks skip moves forward by the gap. A time that occurs twice is the first of the two.
        """
        if self.info is None:
            return naive.replace(fold=0).astimezone()
        return naive.replace(fold=0, tzinfo=self.info).astimezone(UTC).astimezone(self.info)

    def shown(self, time: datetime) -> str:
        """Return a time in this zone, such as `2030-06-01 09:00:00 +02:00`. UTC is a `Z`."""
        placed = time.astimezone(self.info)
        precision = "milliseconds" if placed.microsecond >= 1000 else "seconds"
        text = placed.replace(tzinfo=None).isoformat(" ", precision)
        return f"{text}Z" if placed.utcoffset() == timedelta(0) else f"{text} {placed.isoformat()[-6:]}"


HERE = Zone(None)


def duration(text: str) -> timedelta:
    """Return a duration such as `90m`, `1h30m`, `1.5h` or `2w`."""
    written = text.strip().replace(" ", "")
    if written == "0":
        return timedelta(0)
    if not DURATION.fullmatch(written):
        raise WrongUsage(f"{text!r} is not a duration: write numbers with a unit of s, m, h, d or w, such as 1h30m")
    try:
        return timedelta(seconds=sum(float(number) * UNITS_S[unit.lower()] for number, unit in PART.findall(written)))
    except OverflowError:
        raise WrongUsage(f"{text!r} is too long") from None


def moment(text: str, zone: Zone | None = None) -> datetime:
    """Return an aware time. `zone` is that of a time without an offset."""
    parsed = parsed_time(text)
    if parsed.tzinfo is not None:
        return parsed
    if zone is None:
        raise WrongUsage(f"{text!r} has no offset: add --tz Europe/Berlin or --tz local, or write Z at its end for UTC")
    try:
        return zone.place(parsed)
    except (OverflowError, ValueError, OSError):
        raise WrongUsage(f"{text!r} is too far away") from None


def only_moment(text: str, zone: Zone | None) -> datetime:
    """Return an aware time, and refuse a zone beside a time that is complete without it."""
    if zone is not None and parsed_time(text).tzinfo is not None:
        raise WrongUsage(f"{text!r} is complete without --tz: leave --tz out")
    return moment(text, zone)


def moment_or_distance(text: str, now: datetime, zone: Zone | None = None) -> datetime:
    """Return an aware time for a range. It may also be `now`, or a distance from now such as `+2d` or `-1h`."""
    written = text.strip()
    if written.lower() == "now":
        return now
    if DURATION.fullmatch(written):
        raise WrongUsage(f"{text!r} is a duration: write +{written} for later than now, or -{written} for earlier")
    if written[:1] not in ("+", "-"):
        return moment(text, zone)
    distance = duration(written[1:])
    try:
        return now + distance if written[0] == "+" else now - distance
    except OverflowError:
        raise WrongUsage(f"{text!r} is too far away") from None


def parsed_time(text: str) -> datetime:
    """Return the time that a text says, which is naive if the text has no offset."""
    written = text.strip()
    try:
        if EPOCH.fullmatch(written):
            return datetime.fromtimestamp(float(written), UTC)
        if DATE.match(written):
            return datetime.fromisoformat(written)
    except (ValueError, OverflowError, OSError):
        pass
    raise WrongUsage(f"{text!r} is not a time: {WANTED}")


def zone(name: str) -> Zone:
    """Return an IANA time zone, or the zone of this machine by the name `local`."""
    if name.lower() == LOCAL:
        return HERE
    if name.upper() in ("UTC", "Z"):
        return Zone(UTC)
    try:
        return Zone(zoneinfo.ZoneInfo(name))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return Zone(_bundled(name))


def _bundled(name: str) -> tzinfo:
    """Return a zone from the database that botocore's dateutil brings, for systems without one."""
    content = pkgutil.get_data("dateutil.zoneinfo", "dateutil-zoneinfo.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(content or b"")) as database:
        files = {member.name: member for member in database.getmembers()}
        file = database.extractfile(files[name]) if name in files else None
        if file is not None:
            return zoneinfo.ZoneInfo.from_file(file, key=name)
    names = zoneinfo.available_timezones() | {each for each in files if each[:1].isupper()}
    raise WrongUsage(f"there is no time zone {name!r}: {_suggestion(name, names)}")


def _suggestion(name: str, names: set[str]) -> str:
    """Return what to write instead of a zone. Without its continent, a city is looked for by itself."""
    by_key: dict[str, str] = {}
    for each in sorted(names):
        by_key.setdefault(each.lower(), each)
        by_key.setdefault(each.rpartition("/")[2].lower(), each)
    near = difflib.get_close_matches(name.lower().replace(" ", "_"), by_key, n=1, cutoff=0.6)
    return f"did you mean {by_key[near[0]]}?" if near else "write an IANA name, such as Europe/Berlin"


def iso(time: datetime) -> str:
    """Return a time in UTC as ISO 8601, with milliseconds if it has any. This is how `--json` shows times."""
    utc = time.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds" if utc.microsecond >= 1000 else "seconds") + "Z"


def words(time: timedelta) -> str:
    """Return a duration in at most two units, such as `2d 3h`, `1m 5s` or `0s`."""
    total_s = round(abs(time.total_seconds()))
    parts = []
    for unit in ("d", "h", "m", "s"):
        count, total_s = divmod(total_s, UNITS_S[unit])
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"
