"""Adds up the cells, and shows them and their sum as tables.

`scripts/bench_forecast.py` calls it. A summary without ours or without peers leaves their rows out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from scripts.forecast_peers.scores import COVERED
from scripts.forecast_peers.windows import SLOW_FROM_S

OFF_POINTS = 3.0
"""A quarter whose coverage is further from its level than this many points is off."""
MIX = "exponential-weights"

Cell = Mapping[str, Any]


def _is_slow_peak(one: Cell) -> bool:
    return bool(one["is_peak"]) and one["step_s"] >= SLOW_FROM_S


def _is_fast_peak(one: Cell) -> bool:
    return bool(one["is_peak"]) and one["step_s"] < SLOW_FROM_S


PARTS: Mapping[str, Callable[[Cell], bool]] = {
    "all": lambda _: True,
    "max, 5 min": _is_slow_peak,
    "max, 1 min": _is_fast_peak,
}


def summary(cells: Sequence[Cell], *, has_peers: bool) -> dict[str, Any]:
    """Geometric means by part, the worst cell against its bar, and how far coverage is off."""
    found: dict[str, Any] = {"geometric_means": _means(cells, has_peers=has_peers)}
    ours = [one for one in cells if "ours" in one]
    if ours and has_peers:
        worst = max(ours, key=_against_bar)
        found["worst_cell"] = {
            "series": worst["series"], "step_s": worst["step_s"], "window": worst["window"],
            "times_its_best_peer": _against_bar(worst), "best_peer": worst["bar_peer"],
        }  # fmt: skip
    if ours:
        found["mean_coverage_distance_points"] = _distance([one["ours"] for one in ours])
        found["quarters_off"] = {
            part: _quarters_off([one for one in ours if belongs(one)])
            for part, belongs in PARTS.items()
        }
    if has_peers:
        mix = [one["mixes"][MIX] for one in cells]
        found["mean_coverage_distance_points_of_mix"] = _distance(mix)
    return found


def _against_bar(one: Cell) -> float:
    return float(one["ours"]["ratio"] / max(one["bar"], 1e-12))


def _means(cells: Sequence[Cell], *, has_peers: bool) -> dict[str, dict[str, Any]]:
    """Who → part → geometric mean of the ratio to the better seasonal naive.

    The number of cells stands with it where it is not the number of all cells of the part.
    """
    ratios: list[dict[str, float]] = []
    for one in cells:
        of = {"ours": one["ours"]["ratio"]} if "ours" in one else {}
        of |= {"bar": one["bar"]} if has_peers else {}
        of |= {name: row["ratio"] for name, row in one["peers"].items()}
        of |= {name: row["ratio"] for name, row in one["mixes"].items()} if has_peers else {}
        ratios.append(of)
    found: dict[str, dict[str, Any]] = {"cells": {}}
    for part, belongs in PARTS.items():
        rows = [of for one, of in zip(cells, ratios, strict=True) if belongs(one)]
        found["cells"][part] = len(rows)
        for name in dict.fromkeys(name for row in rows for name in row):
            among = [row[name] for row in rows if name in row]
            found.setdefault(name, {})[part] = geometric_mean(among)
            if len(among) < len(rows):
                found[name][f"{part}, cells"] = len(among)
    return found


def geometric_mean(ratios: Sequence[float]) -> float:
    """The mean of ratios; zero counts as a millionth."""
    return float(np.exp(np.mean(np.log(np.maximum(ratios, 1e-6)))))


def _distance(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Mean distance of coverage from its level, in points."""
    return {
        str(level): 100 * float(np.mean([abs(row["coverage"][str(level)] - level) for row in rows]))
        for level in COVERED
    }


def _quarters_off(cells: Sequence[Cell]) -> dict[str, int]:
    """Of the quarters of all these cells: how many are off at each level."""
    found = {"of": sum(len(one["ours"]["coverage_by_quarter"]["0.9"]) for one in cells)}
    for level in COVERED:
        quarters = [s for one in cells for s in one["ours"]["coverage_by_quarter"][str(level)]]
        # Rounded, so that exactly three points are within three points.
        off = [share for share in quarters if round(100 * abs(share - level), 9) > OFF_POINTS]
        found[str(level)] = len(off)
    return found


def show(report: Mapping[str, Any], console: Console) -> None:
    """Print cells, summary and the speed part."""
    has_peers = report["measured"]["peers"] is not None
    console.print(_cells_table(report["cells"], has_peers=has_peers))
    console.print(_means_table(report["summary"]["geometric_means"]))
    if partial := _partial(report["cells"]):
        console.print(f"at a part of the origins only: {', '.join(partial)}", markup=False)
    console.print(f"ours measured on {report['measured']['ours_on']}", markup=False)
    if has_peers:
        console.print(f"peers measured {_when(report['measured']['peers'])}", markup=False)
    for name, value in report["summary"].items():
        if name != "geometric_means":
            console.print(f"{name.replace('_', ' ')}: {_plain(value)}", markup=False)
    for name, value in report.get("speed", {}).items():
        console.print(f"{name.replace('_', ' ')}: {_plain(value)}", markup=False)


def _partial(cells: Sequence[Cell]) -> list[str]:
    """Peers whose mean is of other origins than everybody else's."""
    rows = [(name, row["n"] < one["n"]) for one in cells for name, row in one["peers"].items()]
    return list(dict.fromkeys(name for name, is_part in rows if is_part))


def _when(measured: Mapping[str, str]) -> str:
    """From when to when, and on which machines; each of the values is `INSTANT on MACHINE`."""
    instants, machines = zip(*(one.split(" on ", 1) for one in measured.values()), strict=True)
    return f"{min(instants)} to {max(instants)} on {' and '.join(sorted(set(machines)))}"


def _cells_table(cells: Sequence[Cell], *, has_peers: bool) -> Table:
    title = "weighted quantile loss as a ratio to the better seasonal naive"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name in ("series", "step", "window"):
        table.add_column(name, no_wrap=True)
    for name in ("n", "naive WQL", "ours", "mix", "bar"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("best peer", no_wrap=True)
    table.add_column("coverage", no_wrap=True)
    for one in cells:
        mix = f"{one['mixes'][MIX]['ratio']:.3f}" if has_peers else "-"
        best = (f"{one['bar']:.3f}", one["bar_peer"]) if has_peers else ("-", "-")
        ours, shares = ("-", "-")
        if "ours" in one:
            ours = f"{one['ours']['ratio']:.3f}"
            shares = "/".join(f"{100 * one['ours']['coverage'][str(of)]:.1f}" for of in COVERED)
        table.add_row(
            one["series"], f"{one['step_s'] // 60} min", one["window"], f"{one['n']:,}",
            f"{one['seasonal_naive_wql']:.3f}", ours, mix, *best, shares,
        )  # fmt: skip
    return table


def _means_table(means: Mapping[str, Mapping[str, Any]]) -> Table:
    table = Table(title="geometric means", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("who", no_wrap=True)
    for part in PARTS:
        table.add_column(f"{part} ({means['cells'][part]})", justify="right")
    rows = [name for name in means if name != "cells"]
    leading = [name for name in ("ours", MIX, "bar") if name in rows]
    for name in [*leading, *(name for name in rows if name not in leading)]:
        table.add_row(name, *(_mean(means[name], part) for part in PARTS))
    return table


def _mean(row: Mapping[str, Any], part: str) -> str:
    if part not in row:
        return "-"
    few = f" of {row[f'{part}, cells']} cells" if f"{part}, cells" in row else ""
    return f"{row[part]:.3f}{few}"


def _plain(value: object) -> str:
    """Numbers with three significant digits, whatever they stand in."""
    if isinstance(value, Mapping):
        nested = any(isinstance(of, Mapping) for of in value.values())
        return ("; " if nested else ", ").join(
            f"{name}: {_plain(of)}" for name, of in value.items()
        )
    return f"{value:.4g}" if isinstance(value, float) else str(value)
