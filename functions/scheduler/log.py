"""One JSON line per outcome. Ids and counts go in; payloads, tokens and secrets do not."""

import json


def outcome(name: str, **facts: object) -> None:
    print(json.dumps({"outcome": name, **facts}), flush=True)
