"""The metadata of an application in the Serverless Application Repository: required fields, patterns and lengths.

The API documents them: `aws serverlessrepo create-application help`. The names are those of the SAM CLI:
https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-template-publishing-applications-metadata-properties.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILE_BYTES_MAX = 5 * 1024 * 1024
LABELS_MAX = 10
SEMANTIC_VERSION = (  # https://semver.org, with its own pattern.
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?"
)
WEB_ADDRESS = r"https://[A-Za-z0-9.-]+\.[a-z]{2,}(/[^\s<>\"]*)?"
TEXTS = {
    "Name": (r"[a-zA-Z0-9\-]+", 140, "letters, digits and hyphens"),
    "Description": (r"(?s:.+)", 256, "a text"),
    "Author": (r"[a-z0-9](([a-z0-9]|-(?!-))*[a-z0-9])?", 127, "lower-case letters, digits and single hyphens"),
    "SpdxLicenseId": (r"[A-Za-z0-9.+-]+", 64, "a name of https://spdx.org/licenses"),
    "SemanticVersion": (SEMANTIC_VERSION, 64, "a version such as 1.0.0"),
    "HomePageUrl": (WEB_ADDRESS, 2048, "an https:// address"),
    "SourceCodeUrl": (WEB_ADDRESS, 2048, "an https:// address"),
}
"""The pattern of each field, its greatest length, and what to write. SAR wants all of them for a public application."""
LABEL = r"[a-zA-Z0-9+\-_:/@]{1,127}"
FILES = ("LicenseUrl", "ReadmeUrl")
LICENCES = {"MIT": "Permission is hereby granted, free of charge"}
"""A sentence of each licence, by its name. SAR wants the text that fits the name."""
RELATIVE_LINK = re.compile(r"\]\((?!https://|#)([^)\s]*)\)|(?:src|href)=\"(?!https://|#)([^\"]*)\"")


def metadata_faults(metadata: Any, folder: Path) -> Iterator[str]:
    if not isinstance(metadata, dict):
        yield "Metadata has no AWS::ServerlessRepo::Application"
        return
    for name, (pattern, most, wanted) in TEXTS.items():
        value = metadata.get(name)
        if not isinstance(value, str) or len(value) > most or not re.fullmatch(pattern, value):
            yield f"{name} is {_shown(value)}; SAR wants {wanted}, {most} characters at most"
    labels = metadata.get("Labels", [])
    if len(labels) > LABELS_MAX:
        yield f"there are {len(labels)} Labels; SAR takes {LABELS_MAX}"
    for label in labels:
        if not isinstance(label, str) or not re.fullmatch(LABEL, label):
            yield f"the label {_shown(label)} is out of pattern; SAR wants letters, digits and + - _ : / @"
    for name in sorted(metadata.keys() - TEXTS.keys() - {"Labels", *FILES}):
        yield f"{name} is no field of the metadata"
    for name in FILES:
        yield from _file_faults(name, metadata, folder)


def _file_faults(name: str, metadata: dict[str, Any], folder: Path) -> Iterator[str]:
    """Check a file that is still on this machine. `sam package` replaces its path by an address in a bucket."""
    place = metadata.get(name)
    if not isinstance(place, str) or not place:
        yield f"{name} is {_shown(place)}; SAR wants the path of a file"
        return
    if place.startswith(("s3://", "https://")):
        return
    path = folder / place
    if not path.is_file():
        yield f"{name} is {place}, and there is no such file"
        return
    size = path.stat().st_size
    if not 0 < size <= FILE_BYTES_MAX:
        yield f"{place} has {size:,} bytes; SAR takes from 1 to {FILE_BYTES_MAX:,}"
        return
    text = path.read_text(encoding="utf-8")
    if name == "LicenseUrl":
        yield from _licence_faults(place, text, metadata.get("SpdxLicenseId"))
    else:
        for link in RELATIVE_LINK.finditer(text):
            yield f"{place} links to {link[1] or link[2]}; SAR shows the file alone: write a whole address"


def _licence_faults(place: str, text: str, spdx: Any) -> Iterator[str]:
    sentence = LICENCES.get(spdx)
    if sentence is None:
        yield f"SpdxLicenseId is {_shown(spdx)}; this check knows {', '.join(LICENCES)}"
    elif sentence not in " ".join(text.split()):
        yield f"{place} is not the text of the licence {spdx}"


def _shown(value: Any) -> str:
    return "missing" if value is None else repr(value)
