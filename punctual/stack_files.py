"""The template and the functions that come with the package, read without a YAML library.

`punctual.testing`, `punctual.local` and `punctual deploy` use the same files, in the repository and in an installation.
"""

import difflib
import hashlib
import io
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # The earliest time of a zip, so that the same code makes the same zip.
UNIX = 3  # The system that made an entry, so that Lambda reads its mode, whatever machine packed it.
# Files that tools leave in a folder of code.
_LEFTOVER_FOLDERS = re.compile(r"__pycache__|\..*_cache")
_LEFTOVER_FILES = re.compile(r".*\.py[co]|\.DS_Store")

_PARAMETERS = re.compile(r"^Parameters:\n(?P<body>(?:(?:[ #].*)?\n)+)", re.MULTILINE)
_PARAMETER = re.compile(r"^  (\w+):", re.MULTILINE)
_VERSION = re.compile(r"^    SemanticVersion: (\S+)", re.MULTILINE)


class Missing(Exception):
    """Neither the repository nor the installed package has the file."""


def stack_file(name: str) -> Path:
    """Return a file or folder of the stack: beside the package in the repository, inside it if it is installed."""
    for folder in (_PACKAGE.parent, _PACKAGE / "stack"):
        if (folder / "template.yml").is_file() and (folder / name).exists():
            return folder / name
    raise Missing(f"{name} is neither beside {_PACKAGE.name}/ nor in {_PACKAGE.name}/stack/")


def parameter_names(template: str) -> list[str]:
    """Return the names of the template's parameters, in the order of the template."""
    section = _PARAMETERS.search(template)
    return _PARAMETER.findall(section["body"]) if section else []


def version(template: str) -> str:
    """Return the version that the template's metadata has."""
    found = _VERSION.search(template)
    if found is None:
        raise ValueError("the template has no SemanticVersion")
    return found[1]


def parsed_parameters(words: Iterable[str], names: list[str]) -> dict[str, str]:
    """Return `NAME=VALUE` words as a dict. Raise ValueError if one has another form or names no parameter."""
    found: dict[str, str] = {}
    for word in words:
        name, mark, value = word.partition("=")
        if not mark or not name:
            raise ValueError(f"{word!r} is no parameter; write NAME=VALUE, such as PartitionCount=8")
        if name not in names:
            raise ValueError(f"{name} is not a parameter of the template; {_suggestion(name, names)}")
        if name in found:
            raise ValueError(f"{name} is given twice; give it once")
        found[name] = value
    return found


def _suggestion(name: str, names: list[str]) -> str:
    by_lower = {each.lower(): each for each in names}
    near = difflib.get_close_matches(name.lower(), list(by_lower), n=1, cutoff=0.5)
    return f"did you mean {by_lower[near[0]]}?" if near else f"it has {', '.join(names)}"


def zipped(folder: Path) -> bytes:
    """Return the folder as a zip, byte for byte the same for the same files. Leave out what tools left there."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in _code(folder):
            entry = zipfile.ZipInfo(name, ZIP_TIME)
            entry.create_system = UNIX
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def digest(folder: Path) -> str:
    """Return a hash of the files that `zipped` packs. Another version of zlib makes another zip, and the same hash."""
    found = hashlib.sha256()
    for name, path in _code(folder):
        content = path.read_bytes()
        found.update(f"{name}\0{len(content)}\0".encode() + content)
    return found.hexdigest()


def _code(folder: Path) -> list[tuple[str, Path]]:
    """Return the files of the code with their names in the zip, in the order of the names."""
    return sorted(
        (path.relative_to(folder).as_posix(), path)
        for path in folder.rglob("*")
        if path.is_file()
        and not _LEFTOVER_FILES.fullmatch(path.name)
        and not any(_LEFTOVER_FOLDERS.fullmatch(part) for part in path.relative_to(folder).parts[:-1])
    )
