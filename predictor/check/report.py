"""Findings as a table for a terminal, as JSON, and as patches.

`predictor/check_cli.py` prints them. It must never leave out a finding without counting it, nor
hand a terminal what an object's author wrote as it stands.
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

ROWS_MAX = 50
"""Of one code and severity: nobody reads more, and drawing them takes longer than finding them."""
_NAME_WIDTH_MAX = 44
_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


def findings_table(findings: Sequence[Finding]) -> Table:
    """One row for each finding, worst first; beyond `ROWS_MAX` of one code and severity, one more
    row that counts the others."""
    table = Table(show_lines=True)
    table.add_column("severity", no_wrap=True)
    # A name that is broken in two cannot be copied, nor searched for.
    longest = max((len(word) for one in findings for word in one.object.split()), default=0)
    width = min(longest, _NAME_WIDTH_MAX)
    table.add_column("object", overflow="fold", ratio=2, min_width=width)
    table.add_column("finding", ratio=4, overflow="fold")
    table.add_column("mend", ratio=3, overflow="fold")
    shown: Counter[tuple[Severity, str]] = Counter()
    counts = Counter((one.severity, one.code.value) for one in findings)
    for one in findings:
        severity = Text(one.severity.value, style=_STYLES[one.severity])
        kind = (one.severity, one.code.value)
        shown[kind] += 1
        left = counts[kind] - ROWS_MAX
        if shown[kind] <= ROWS_MAX:
            said = _shown(one.code.value, one.sentence)
            table.add_row(severity, _shown(one.object, one.place), said, Text(plain(one.mend)))
        elif shown[kind] == ROWS_MAX + 1:
            said = _shown(one.code.value, f"{left} more like the {ROWS_MAX} above")
            table.add_row(severity, Text(f"{left} more"), said, Text("--json lists every one"))
    return table


def summary(findings: Sequence[Finding], objects: int) -> str:
    """How many of each severity, and of how many objects."""
    counts = Counter(one.severity for one in findings)
    told = ", ".join(_counted(counts[one], one.value) for one in Severity)
    count = len(patches(findings))
    mended = f"; --fix prints {_counted(count, 'patch', 'es')}" if count else ""
    return f"{_counted(objects, 'object')} looked at: {told}{mended}"


def plain(text: str) -> str:
    """What others wrote, without what a terminal would obey or hide: each such sign as its code."""
    return "".join(
        one if one.isprintable() or one in "\n " else one.encode("unicode_escape").decode()
        for one in text
    )


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
    return Text(plain(f"{head}\n{body}" if body else head))


def _counted(count: int, noun: str, plural: str = "s") -> str:
    return f"{count} {noun}{'' if count == 1 else plural}"


def _laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Both, `over` first; mappings are laid into each other, anything else is replaced."""
    result = dict(under)
    for key, one in over.items():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(one, Mapping)
        result[key] = _laid_over(below, one) if both else one  # type: ignore[arg-type]
    return result
