"""The log: whole lines, whoever else writes at the same moment."""

import json
import sys
import threading

from scheduler import log


class Stream:
    """As the runtime of Lambda has it: nothing is held back, so what is written is out."""

    def __init__(self):
        self.writes = []

    def write(self, text):
        self.writes.append(text)

    def flush(self):
        pass


def test_a_line_is_one_write(monkeypatch):
    """Its end is in it, or that of another thread would come between the two."""
    stream = Stream()
    monkeypatch.setattr(sys, "stdout", stream)
    threads = [
        threading.Thread(target=lambda: [log.outcome("fed", note="Grüße\nan alle") for _ in range(100)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = [text for text in stream.writes if text]
    assert ['{"outcome": "fed", "note": "Gr\\u00fc\\u00dfe\\nan alle"}\n'] * 800 == lines
    assert {"outcome": "fed", "note": "Grüße\nan alle"} == json.loads(lines[0])
