"""Find time zones by their IANA names, such as `Europe/Berlin`.

The system's time zone database comes first. Lambda's system may have none, and then the database in dateutil is used,
which botocore depends on. Import this module only for a request that names a zone.
"""

from __future__ import annotations

import difflib
import functools
import io
import re
import tarfile
from datetime import tzinfo
from zoneinfo import ZoneInfo

NAME_CHARACTERS_MAX = 64
ZONES_MAX = 512
"""The size of the cache of zones. It also holds the unknown names, because a batch may repeat one 10,000 times."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
_NO_ZONES = ("posix/", "right/", "localtime", "posixrules", "Factory")
"""Files in the system's database that name no zone of their own. Those under `right/` count leap seconds."""
_LENGTH_DIFFERENCE_MAX = 3


@functools.lru_cache(ZONES_MAX)
def find(name: str) -> tzinfo | None:
    """Return the time zone, or None if neither database has it."""
    if len(name) > NAME_CHARACTERS_MAX or not _NAME.fullmatch(name) or name.startswith(_NO_ZONES):
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # The name is unknown, no time zone, or a folder such as "America".
        content = _bundled().get(name)
        return None if content is None else ZoneInfo.from_file(io.BytesIO(content), key=name)


@functools.lru_cache(ZONES_MAX)
def nearest(name: str) -> str | None:
    """Return the known name that the caller probably meant, or None.

    A comparison with all 600 names takes ten milliseconds. So only names of a similar length count, whose last part has
    the same first letter.
    """
    given = name[:NAME_CHARACTERS_MAX].strip().replace(" ", "_").casefold()
    city = _city(given)
    alike: dict[str, str] = {}
    for folded, known in _known().get(city[:1], {}).items():
        if given == folded or city == _city(folded):
            return known
        if abs(len(folded) - len(given)) <= _LENGTH_DIFFERENCE_MAX:
            alike[folded] = known
    found = difflib.get_close_matches(given, alike, 1)
    return alike[found[0]] if found else None


def _city(name: str) -> str:
    return name.rpartition("/")[2]


@functools.lru_cache(1)
def _known() -> dict[str, dict[str, str]]:
    """Return the names by the first letter of their last part, each under its lower-case form."""
    found: dict[str, dict[str, str]] = {}
    for name in _bundled():
        folded = name.casefold()
        found.setdefault(_city(folded)[:1], {})[folded] = name
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
