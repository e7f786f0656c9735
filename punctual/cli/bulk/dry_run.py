"""Check every line of a file without sending any, and say what the import would cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from punctual.cli.bulk import cost
from punctual.cli.bulk.function_rules import FunctionRules, Refused, rules_of
from punctual.cli.bulk.reading.lines import LineReader
from punctual.cli.bulk.reading.rows import Row
from punctual.cli.bulk.reading.sources import Source
from punctual.cli.errors import DONE, REJECTED
from punctual.cli.output import printable
from punctual.cli.run import Run

SHOWN_MAX = 100
"""Faults that are printed. The rest is counted."""


@dataclass
class Findings:
    valid: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    """Valid lines by named and far."""
    webhooks: int = 0
    rejected: int = 0

    @property
    def dollars(self) -> float:
        return cost.dollars(self.valid, self.webhooks)


def check(run: Run, source: Source) -> int:
    """Check the source, print what is wrong and what it costs, and return the exit status."""
    now_ms = round(run.now().timestamp() * 1000)
    rules = rules_of(run)
    rows = source.rows(LineReader(source.stream), now_ms)
    findings = Findings()
    while (row := rows.next()) is not None:
        fault = _fault(row, rules, findings)
        if fault is not None:
            _tell(run, row, fault, findings)
    _report(run, findings)
    return REJECTED if findings.rejected else DONE


def _fault(row: Row, rules: FunctionRules, findings: Findings) -> str | None:
    """Return why a line would be rejected, or count it as valid."""
    if row.fault is not None:
        return row.fault
    try:
        verdict = rules.verdict(row)
    except Refused as refusal:
        return str(refusal)
    findings.valid[verdict.is_named, verdict.is_far] += 1
    findings.webhooks += verdict.is_webhook
    return None


def _tell(run: Run, row: Row, fault: str, findings: Findings) -> None:
    findings.rejected += 1
    if run.output.as_json:
        run.output.json({"line": row.number, "message": fault})
    elif findings.rejected <= SHOWN_MAX:
        run.output.say(f"line {row.number}: {printable(fault)}")


def _report(run: Run, findings: Findings) -> None:
    valid = findings.valid.total()
    named = sum(count for (is_named, _), count in findings.valid.items() if is_named)
    far = sum(count for (_, is_far), count in findings.valid.items() if is_far)
    fields = {
        "lines": valid + findings.rejected,
        "valid": valid,
        "rejected": findings.rejected,
        "named": named,
        "far": far,
        "dollars": round(findings.dollars, 6),
    }
    if findings.rejected > SHOWN_MAX:
        run.output.say(f"and {findings.rejected - SHOWN_MAX:,} lines more")
    wrong = f" {findings.rejected:,} would be rejected." if findings.rejected else ""
    price = cost.shown(findings.dollars)
    run.output.result(
        fields,
        f"{valid:,} of {valid + findings.rejected:,} lines are valid.{wrong} Nothing was sent.",
        f"The import would cost {price} up to the queue (us-east-1, 100 bytes a line, no free tier).",
    )
