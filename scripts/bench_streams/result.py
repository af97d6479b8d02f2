"""From runs to rows, and from rows to a table and a file under `build/bench`.

Every part of the benchmark ends here. A ratio is taken within each repeat and its median shown, so
that what slows the machine for a while falls out of it.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.table import Table

from scripts.bench_streams.race import Entry, Run, rate

OUT = Path("build") / "bench"
_WIDTH = 120
_COLUMNS: dict[str, Literal["left", "right"]] = {
    "who": "left",
    "codec": "left",
    "per_cpu_s": "right",
    "range": "right",
    "times_base": "right",
    "per_wall_s": "right",
    "peak_mib": "right",
    "verified": "left",
}


def rows(
    entries: Sequence[Entry], runs: Sequence[Sequence[Run]], is_base: Callable[[Entry], bool]
) -> list[dict[str, Any]]:
    """One row for each entry; ratios refer to the base on the same codec."""
    bases = {
        entry.codec: _rates(entry, done)
        for entry, done in zip(entries, runs, strict=True)
        if is_base(entry)
    }
    return [
        _row(entry, done, bases.get(entry.codec, []))
        for entry, done in zip(entries, runs, strict=True)
    ]


def show(title: str, found: Sequence[Mapping[str, Any]]) -> None:
    """Print the rows as a table, and below it what is wrong with them."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    rows_shown = [{**row, "range": _range(row)} for row in found]
    columns = [one for one in _COLUMNS if any(one in row for row in rows_shown)]
    for column in columns:
        table.add_column(column.replace("_", " "), justify=_COLUMNS[column], no_wrap=True)
    for shown in rows_shown:
        table.add_row(*(_cell(shown.get(column)) for column in columns))
    # On a pipe rich takes 80 columns, and a number that is cut off says nothing.
    console = Console() if sys.stdout.isatty() else Console(width=_WIDTH)
    console.print(table)
    for row in found:
        if row["fault"]:
            console.print(f"{row['who']}, {row['codec']}: {row['fault']}", markup=False)


def write(name: str, found: Mapping[str, Any], out: Path = OUT) -> None:
    """Write a result with the machine it was found on."""
    out.mkdir(parents=True, exist_ok=True)
    body = json.dumps({"machine": _machine(), **found}, indent=2)
    (out / f"{name}.json").write_text(body + "\n")


def _row(entry: Entry, done: Sequence[Run], base: Sequence[float | None]) -> dict[str, Any]:
    row: dict[str, Any] = {"who": entry.title, "codec": entry.codec}
    faults = [run.fault for run in done if run.fault]
    reports = [run.reported for run in done if run.reported]
    rates = _rates(entry, done)
    found = [one for one in rates if one is not None]
    if found:
        row["per_cpu_s"] = round(statistics.median(found))
        row["lowest"], row["highest"] = round(min(found)), round(max(found))
    pairs = [one / of for one, of in zip(rates, base, strict=False) if one and of]
    if pairs:
        row["times_base"] = round(statistics.median(pairs), 2)
    if reports:
        walls = [one.events * entry.weight / one.wall_s for one in reports]
        row["per_wall_s"] = round(statistics.median(walls))
        row["peak_mib"] = round(statistics.median(one.peak_kib for one in reports) / 1024)
    row["verified"] = "no" if faults else "yes"
    row["fault"] = faults[0] if faults else ""
    row["events"] = entry.truth.events
    row["runs"] = [None if one is None else round(one) for one in rates]
    return row


def _rates(entry: Entry, done: Sequence[Run]) -> list[float | None]:
    return [rate(entry, run) if run.reported else None for run in done]


def _range(row: Mapping[str, Any]) -> str:
    """The lowest and the highest run, in thousands."""
    if "lowest" not in row:
        return "-"
    return f"{row['lowest'] / 1e3:,.0f} to {row['highest'] / 1e3:,.0f} k"


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:,}"


def _machine() -> dict[str, Any]:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "cpu": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
