"""Write the address of the source into a packaged template.

    python -m tools.publishing.source .aws-sam/published.json https://github.com/owner/name COMMIT

The template in the repository names no address, because a fork or a mirror publishes under its own.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from tools.publishing.metadata import WEB_ADDRESS

COMMIT = r"[0-9a-f]{40}"


def with_source(template: dict[str, Any], source: str, commit: str) -> dict[str, Any]:
    """Return the template with the home page and the source of this commit. Raise ValueError if one is malformed."""
    address = source.removesuffix("/").removesuffix(".git")
    if not re.fullmatch(WEB_ADDRESS, address):
        raise ValueError(f"the source is {source!r}; wanted: an address such as https://github.com/owner/name")
    if not re.fullmatch(COMMIT, commit):
        raise ValueError(f"the commit is {commit!r}; wanted: the 40 digits that `git rev-parse HEAD` prints")
    key = "AWS::ServerlessRepo::Application"
    metadata = {**template["Metadata"][key], "HomePageUrl": address, "SourceCodeUrl": f"{address}/tree/{commit}"}
    return {**template, "Metadata": {**template["Metadata"], key: metadata}}


def main(path: str, source: str, commit: str) -> int:
    file = Path(path)
    try:
        made = with_source(json.loads(file.read_text(encoding="utf-8")), source, commit)
    except ValueError as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 1
    file.write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
