"""Find a file of the console by its path. Only the listed files exist, so no path can lead anywhere else.

The page links its files behind their version, which is a hash of all of them. A browser keeps such a file for good, and
asks for the page alone on the next visit. After an update the page links another version.
"""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from scheduler.value_class import value_class

_FOLDER = Path(__file__).resolve().parent
_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
INDEX = "index.html"
VERSION_DIGITS = 16
_VERSIONED = re.compile(rf"(?P<version>[0-9a-f]{{{VERSION_DIGITS}}})/(?P<name>.+)")

CONSOLE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""The headers of each file. The page may load its own files and call its own API, and nothing else."""
_LASTING = {"Cache-Control": "public, max-age=31536000, immutable"}


@value_class
class File:
    """A file of the console, as text."""

    content: str
    content_type: str
    headers: Mapping[str, str]


def find(path: str = "") -> File | None:
    """Return the file with this path below `/console`, the page itself for an empty one, and None for any other.

    A file behind another version is the file of today: a function of the version before may answer during an update.
    """
    versioned = _VERSIONED.fullmatch(path)
    name = versioned["name"] if versioned else path or INDEX
    found = _listed().get(name)
    if found is None:
        return None
    lasts = versioned is not None and versioned["version"] == _version()
    content = found.read_text("utf-8")
    if name == INDEX:
        content = content.replace('"console/', f'"console/{_version()}/')
    return File(content, _CONTENT_TYPES[found.suffix], CONSOLE_HEADERS | (_LASTING if lasts else {}))


@lru_cache(maxsize=1)
def _version() -> str:
    digest = hashlib.sha256()
    for name, path in sorted(_listed().items()):
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:VERSION_DIGITS]


@lru_cache(maxsize=1)
def _listed() -> dict[str, Path]:
    files = (path for path in _FOLDER.rglob("*") if path.is_file() and path.suffix in _CONTENT_TYPES)
    return {path.relative_to(_FOLDER).as_posix(): path for path in files}
