"""Find a file of the console by its path. Only the listed files exist, so no path can lead anywhere else."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent
_CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
INDEX = "index.html"

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""The headers of each file. The page may load its own files and call its own API, and nothing else."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of the console, as text."""

    content: str
    content_type: str


def find(path: str = "") -> File | None:
    """Return the file with this path below `/console`, the page itself for an empty one, and None for any other."""
    found = _listed().get(path or INDEX)
    if found is None:
        return None
    return File(found.read_text("utf-8"), _CONTENT_TYPES[found.suffix])


@lru_cache(maxsize=1)
def _listed() -> dict[str, Path]:
    files = (path for path in _FOLDER.rglob("*") if path.is_file() and path.suffix in _CONTENT_TYPES)
    return {path.relative_to(_FOLDER).as_posix(): path for path in files}
