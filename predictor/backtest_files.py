"""Writes what a backtest found: JSON for programs, Parquet with every origin.

`predictor/backtest_cli.py` calls it. The JSON is a contract: fields are only ever added. A file is
written beside its place and moved there whole, so that nothing half-written is ever found.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import msgspec
import numpy as np

from predictor import __version__
from predictor.backtest import Judged
from predictor.backtest_scores import (
    QUARTERS,
    SCORED_LEVELS,
    Score,
    geometric_mean,
    mean_coverage,
    together,
)
from predictor.history_sources.history import instant_text, series_name
from predictor.history_sources.parquet_history import EXTRA

FORMAT = 1
LIBRARIES = ("numpy", "scikit-learn")
COSTS = ("fit_s", "forecast_s")


@contextmanager
def put_in_place(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes its place when all went well, else it is gone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as made:
        beside = Path(made.name)
    try:
        yield beside
        beside.chmod(0o644)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def write_json(path: Path, judged: Sequence[Judged], command: str) -> None:
    """Everything but the single origins; a number that is not known is null."""
    text = msgspec.json.format(msgspec.json.encode(document(judged, command)))
    with put_in_place(path) as beside:
        beside.write_bytes(text + b"\n")


def document(judged: Sequence[Judged], command: str) -> dict[str, Any]:
    """What the JSON file holds."""
    scored = [one.score for one in judged if one.score.origins]
    return {
        "format": FORMAT,
        "command": command,
        "versions": versions(),
        "span": _span(min((one.series.start_s for one in judged), default=None),
                      max((one.series.end_s for one in judged), default=None)),
        "scored_levels": [_level(level) for level in SCORED_LEVELS],
        "series": len({(one.source, one.result.key) for one in judged}),
        "geometric_mean_ratio": _known(geometric_mean(one.ratio for one in scored)),
        "geometric_mean_ratio_last_value": _known(
            geometric_mean(one.wql_last_value / one.wql_seasonal_naive for one in scored
                           if one.wql_seasonal_naive > 0)
        ),
        **_in_all(judged),
        "results": [_result(one) for one in judged],
    }  # fmt: skip


def _in_all(judged: Sequence[Judged]) -> dict[str, Any]:
    """All results together, and by quarter of each; the large series count for most."""
    by_quarter = [[one.quarters[place] for one in judged] for place in range(QUARTERS)]
    return {
        **_part(judged, [one.score for one in judged]),
        "quarters": [_part(judged, quarter) for quarter in by_quarter],
    }


def _part(judged: Sequence[Judged], parts: Sequence[Score]) -> dict[str, Any]:
    costs = [_cost(one, part) for one, part in zip(judged, parts, strict=True)]
    summed = {name: round(math.fsum(cost[name] for cost in costs), 4) for name in COSTS}
    return {**_score(together(parts)), **summed}


def held_out_document(scores: Collection[Score]) -> dict[str, Any]:
    """Some series together, for a manifest; `ratio` is the geometric mean of theirs."""
    return {
        "origins": sum(one.origins for one in scores),
        "ratio": _known(geometric_mean(one.ratio for one in scores)),
        "coverage": {_level(level): _known(share) for level, share in mean_coverage(scores)},
    }


def versions() -> dict[str, str]:
    """What the numbers were made with."""
    libraries = {name: version(name) for name in LIBRARIES}
    return {"mplp-predictor": __version__, "python": platform.python_version(), **libraries}


def write_parquet(path: Path, judged: Sequence[Judged]) -> None:
    """A row for each origin: outcome and all quantiles; needs the extra that reads Parquet."""
    pa: Any = import_module("pyarrow")
    parquet: Any = import_module("pyarrow.parquet")
    tables = [pa.table(_columns(pa, one)) for one in judged]
    with put_in_place(path) as beside:
        parquet.write_table(pa.concat_tables(tables, promote_options="default"), beside)


def can_write_parquet() -> str | None:
    """None, or the sentence that says what is missing."""
    try:
        import_module("pyarrow.parquet")
    except ImportError:
        return f"writing Parquet needs pyarrow: {EXTRA}"
    return None


def _result(one: Judged) -> dict[str, Any]:
    result = one.result
    return {
        "source": one.source,
        "series": series_name(result.key),
        "module": result.key.module,
        "region": result.key.region,
        "step_s": result.step_s,
        "target": {"lead_s": result.target.lead_s, "hold_s": result.target.hold_s},
        "span": _span(one.series.start_s, one.series.end_s),
        **_score(one.score),
        **_cost(one, one.score),
        "reasons": list(result.reasons),
        "quarters": [{**_score(quarter), **_cost(one, quarter)} for quarter in one.quarters],
    }


def _cost(one: Judged, part: Score) -> dict[str, float]:
    """CPU seconds; a part of the origins has its share of them."""
    share = part.origins / one.score.origins if one.score.origins else 1.0
    return {name: round(share * getattr(one.result, name), 4) for name in COSTS}


def _score(score: Score) -> dict[str, Any]:
    return {
        "origins": score.origins,
        "origins_span": _span(score.from_s, score.until_s) if score.origins else None,
        "wql": _known(score.wql),
        "wql_seasonal_naive": _known(score.wql_seasonal_naive),
        "ratio": _known(score.ratio),
        "wql_last_value": _known(score.wql_last_value),
        "coverage": {_level(level): _known(share) for level, share in score.coverage},
    }


def _columns(pa: Any, one: Judged) -> dict[str, Any]:
    result = one.result
    count = len(result.outcome)
    same = {
        "source": one.source, "module": result.key.module, "region": result.key.region,
        "step_s": result.step_s, "lead_s": float(result.target.lead_s),
        "hold_s": float(result.target.hold_s),
    }  # fmt: skip
    columns: dict[str, Any] = {name: pa.repeat(value, count) for name, value in same.items()}
    seconds = pa.array(result.origin_s.astype(np.int64))
    columns["origin"] = seconds.cast(pa.timestamp("s", "UTC"))
    columns["outcome"] = result.outcome
    made = {"": result.quantiles, "seasonal_naive_": result.seasonal_naive,
            "last_value_": result.last_value}  # fmt: skip
    for prefix, quantiles in made.items():
        for place, level in enumerate(result.levels):
            columns[f"{prefix}q{_level(level)}"] = quantiles[:, place]
    return columns


def _span(from_s: int | None, until_s: int | None) -> dict[str, str] | None:
    if from_s is None or until_s is None:
        return None
    return {"from": instant_text(from_s), "until": instant_text(until_s)}


def _level(level: float) -> str:
    return f"{level:g}"


def _known(number: float) -> float | None:
    return number if math.isfinite(number) else None
