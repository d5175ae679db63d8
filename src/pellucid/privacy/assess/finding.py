"""A finding: a number, what it means, and what it does not mean."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NO_GUARANTEE = "no bound on what someone can find out who knows more about a person than these columns"


@dataclass(frozen=True)
class Finding:
    """One measured property of a table as it stands.

    `value` is a number, `meaning` what it means, `limitations` what it does not; `detail` holds further plain numbers. All of it is as
    private as the table.
    """

    measure: str
    value: float
    meaning: str
    limitations: str = NO_GUARANTEE
    detail: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "detail": dict(self.detail)}


@dataclass(frozen=True)
class Assessment:
    """All findings on one table, in the order in which they were asked for."""

    rows: int
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        return {"format": "pellucid assessment 1", "rows": self.rows, "findings": [f.to_json() for f in self.findings]}

    def numbers(self) -> dict[str, float]:
        """Flat numbers by name, as a step gives them."""
        found: dict[str, float] = {"rows": self.rows}
        for finding in self.findings:
            found[finding.measure] = finding.value
            found |= {f"{finding.measure}_{name}": n for name, n in finding.detail.items() if isinstance(n, int | float)}
        return found

    def to_text(self) -> str:
        """At 80 columns: each number with its meaning, and once what none of them says."""
        lines = [f"{self.rows:,} rows"]
        for finding in self.findings:
            lines.append(f"{finding.measure.replace('_', ' '):<40} {_shown(finding.value):>12}")
            lines += textwrap.wrap(finding.meaning, 80, initial_indent="    ", subsequent_indent="    ")
        for line in dict.fromkeys(finding.limitations for finding in self.findings):
            lines += textwrap.wrap(f"Not covered: {line}.", 80, subsequent_indent="  ")
        return "\n".join(lines)


def _shown(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
