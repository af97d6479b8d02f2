"""Findings as a table for a terminal, as JSON, and as patches.

`predictor/check_cli.py` prints them. It must never leave out a finding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import yaml
from rich.table import Table
from rich.text import Text

from predictor.check.finding import Finding, Severity
from predictor.check.patches import APPLY

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


def findings_table(findings: Sequence[Finding]) -> Table:
    """One row for each finding, worst first; what an object holds is shown as it is."""
    table = Table(show_lines=True)
    table.add_column("severity", no_wrap=True)
    table.add_column("object", overflow="fold", ratio=2)
    table.add_column("finding", ratio=4, overflow="fold")
    table.add_column("mend", ratio=3, overflow="fold")
    for one in findings:
        table.add_row(
            Text(one.severity.value, style=_STYLES[one.severity]),
            _shown(one.object, one.place),
            _shown(one.code.value, one.sentence),
            Text(one.mend),
        )
    return table


def summary(findings: Sequence[Finding], objects: int) -> str:
    """How many of each severity, and of how many objects."""
    counts = Counter(one.severity for one in findings)
    told = ", ".join(
        f"{counts[one]} {one.value}{'' if counts[one] == 1 else 's'}" for one in Severity
    )
    patches = sum(one.patch is not None for one in findings)
    mended = f"; --fix prints {patches} patches" if patches else ""
    return f"{objects} objects looked at: {told}{mended}"


def findings_json(findings: Sequence[Finding]) -> str:
    """The findings as a JSON array."""
    return msgspec.json.format(msgspec.json.encode(list(findings))).decode()


def patches(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The patches, those of one object laid into one."""
    merged: dict[str, dict[str, Any]] = {}
    for one in findings:
        if one.patch is not None:
            metadata = one.patch["metadata"]
            key = f"{one.patch['kind']} {metadata.get('namespace', '')}/{metadata['name']}"
            merged[key] = _laid_over(merged.get(key, {}), one.patch)
    return list(merged.values())


def patches_yaml(findings: Sequence[Finding]) -> str:
    """The patches as a YAML stream, under a comment that says how to apply it."""
    documents = patches(findings)
    if not documents:
        return ""
    head = f"# Into the repository that holds these objects, or now: {APPLY}\n"
    return head + yaml.safe_dump_all(documents, sort_keys=False)


def _shown(head: str, body: str) -> Text:
    return Text(f"{head}\n{body}" if body else head)


def _laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both, `over` first; mappings are laid into each other, anything else is replaced."""
    result = dict(under)
    for key, one in over.items():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(one, Mapping)
        result[key] = _laid_over(below, one) if both else one  # type: ignore[arg-type]
    return result
