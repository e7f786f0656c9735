"""Find time zones by their IANA names, such as `Europe/Berlin`.

The system's time zone database comes first. Lambda's system may have none, and then the database in dateutil is used,
which botocore depends on. Import this module only for a request that names a zone.
"""

from __future__ import annotations

import functools
import io
import re
import tarfile
import zoneinfo
from collections.abc import Iterator
from contextlib import suppress
from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

ZONE_CHARACTERS_MAX = 64
ZONES_MAX = 1_024
"""The size of the cache of zones. It holds all 600 zones and some unknown names, none of them long."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
_CHARACTERS_MIN = 3
_NO_ZONES = ("posix/", "right/", "localtime", "posixrules", "Factory")
"""Files in the system's database that name no zone of their own. Those under `right/` count leap seconds."""


def find(name: str) -> tzinfo | None:
    """Return the time zone, or None if neither database has it."""
    if len(name) > ZONE_CHARACTERS_MAX or not _NAME.fullmatch(name) or name.startswith(_NO_ZONES):
        return None
    return _find(name)


@functools.lru_cache(ZONES_MAX)
def _find(name: str) -> tzinfo | None:
    """A batch may have 10,000 unknown names. `ZoneInfo` takes half a millisecond to refuse one, so it sees few."""
    with suppress(KeyError, ValueError, OSError):  # The file is no time zone, or cannot be read.
        if any(Path(folder, name).is_file() for folder in zoneinfo.TZPATH) or name in _bundled():
            return ZoneInfo(name)
    content = _bundled().get(name)
    return None if content is None else ZoneInfo.from_file(io.BytesIO(content), key=name)


def nearest(name: str) -> str | None:
    """Return the known name that the caller probably meant, or None.

    A batch may have 10,000 unknown names, so no name is compared with all others. It has the city of the known name,
    with one mistake at most: a character too many, missing, wrong or in the place of its neighbour.
    """
    given = name[:ZONE_CHARACTERS_MAX].strip().replace(" ", "_").casefold()
    found = {known: None for part in _shorter(_city(given)) for known in _by_city().get(part, ())}
    region = given.partition("/")[0]
    return min(found, key=lambda known: _distance(known.casefold(), given, region), default=None)


def _distance(known: str, given: str, region: str) -> tuple[bool, bool, bool, int]:
    return known != given, _city(known) != _city(given), known.partition("/")[0] != region, len(known)


def _city(name: str) -> str:
    return name.rpartition("/")[2]


def _shorter(city: str) -> Iterator[str]:
    """Yield a city, and what is left of it without one of its characters. Cities with one mistake share one of these.

    Two characters are too few to tell a mistake from another name.
    """
    yield city
    if len(city) > _CHARACTERS_MIN:
        yield from (city[:index] + city[index + 1 :] for index in range(len(city)))


@functools.lru_cache(1)
def _by_city() -> dict[str, list[str]]:
    """Return the known names by the texts that `_shorter` makes of their cities."""
    found: dict[str, list[str]] = {}
    for name in sorted(each for each in _bundled() if not each.startswith(_NO_ZONES)):
        for part in set(_shorter(_city(name.casefold()))):
            found.setdefault(part, []).append(name)
    return found


@functools.lru_cache(1)
def _bundled() -> dict[str, bytes]:
    """Return the files of dateutil's database by name."""
    from dateutil.zoneinfo import getzoneinfofile_stream

    packed = getzoneinfofile_stream()
    if packed is None:
        return {}
    with tarfile.open(fileobj=packed) as archive:
        files = {each.name: archive.extractfile(each) for each in archive if not each.isdir()}
        return {name: file.read() for name, file in files.items() if file is not None and name != "METADATA"}
