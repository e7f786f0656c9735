"""The earlier versions that the tests update from: the tags `v*` of this repository, and the commits of versions.txt.

A shallow clone, or a copy without git, has no history. The tests of such a version are then skipped with the reason,
and the recordings stand for it.
"""

from __future__ import annotations

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
LISTED = Path(__file__).with_name("versions.txt")


def known(repository: Path = REPOSITORY, listed: Path = LISTED) -> list[str]:
    """Return the earlier versions, the oldest first. A tag of the commit that is checked out is not earlier."""
    lines = listed.read_text(encoding="utf-8").splitlines()
    commits = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
    present = _git(repository, "tag", "--points-at", "HEAD").decode().split()
    tags = _git(repository, "tag", "--list", "v*", "--sort=v:refname").decode().split()
    return [*commits, *(tag for tag in tags if tag not in present)]


def unpacked(version: str, folder: Path, repository: Path = REPOSITORY) -> Path:
    """Write the files of a version into the folder and return it. Skip the test if this clone has no history."""
    archive = _git(repository, "archive", version)
    if not archive:
        shallow = _git(repository, "rev-parse", "--is-shallow-repository").decode().strip()
        if shallow != "false":
            why = "this clone is shallow" if shallow else "this folder is no git repository"
            pytest.skip(f"{why}, so {version} is missing; the recordings stand for it (git fetch --unshallow --tags)")
        pytest.fail(f"{version} is no commit of this repository; mend tests/upgrade/{LISTED.name}")
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def _git(repository: Path, *arguments: str) -> bytes:
    """Return what git prints, or nothing if it fails."""
    try:
        return subprocess.run(["git", "-C", repository, *arguments], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return b""
