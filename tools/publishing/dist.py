"""Build the files of a release: the wheel, the template with the functions beside it, and the checksums.

    python -m tools.publishing.dist dist v1.0.0

The tag has to be the version, and the changelog has to have an entry for it. The template and the zip are for accounts
without Python: `aws cloudformation package` uploads the zip and writes the template that can be deployed.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import punctual
from punctual import stack_files

ROOT = Path(__file__).parents[2]
WHEEL_S_MAX = 300
OF_SAR = re.compile(r"^    (?:LicenseUrl|ReadmeUrl): .*\n", re.MULTILINE)
"""Paths in the repository, which are not beside the template of a release."""
CODE = re.compile(r"^( +CodeUri: )functions/$", re.MULTILINE)


def refused(tag: str, changelog: str) -> str:
    """Return why there is no release of this tag, or an empty text."""
    wanted = f"v{punctual.__version__}"
    if tag != wanted:
        return f"the tag is {tag or 'missing'}, and the version is {punctual.__version__}; wanted: TAG={wanted}"
    if not re.search(rf"^## \[{re.escape(punctual.__version__)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        return f"CHANGELOG.md has no heading ## [{punctual.__version__}] - YYYY-MM-DD; turn [Unreleased] into it"
    return ""


def write_stack(folder: Path) -> None:
    """Write the functions as a zip, and the template that names it."""
    code = f"punctual-functions-{punctual.__version__}.zip"
    (folder / code).write_bytes(stack_files.zipped(ROOT / "functions"))
    template = (ROOT / "template.yml").read_text(encoding="utf-8")
    beside, count = CODE.subn(rf"\g<1>{code}", OF_SAR.sub("", template))
    assert count
    (folder / f"punctual-template-{punctual.__version__}.yml").write_text(beside, encoding="utf-8")


def write_wheel(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=WHEEL_S_MAX)


def write_checksums(folder: Path) -> None:
    """Write the SHA-256 of each file, as `sha256sum --check` reads it."""
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def main(destination: str, tag: str = "") -> int:
    reason = refused(tag, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    if reason:
        print(f"error: {reason}", file=sys.stderr)
        return 1
    folder = Path(destination)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_stack(folder)
    write_wheel(folder)
    write_checksums(folder)
    print("\n".join(str(path) for path in sorted(folder.iterdir())))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
