"""One cell of the benchmark: how ours and every peer did in one window of one series.

`scripts/bench_forecast.py` makes them, `summary.py` adds them up. Losses are ratios to the better
of the seasonal naive forecasts, a day and a week back, as the peers' part measures it, so that a
change of ours cannot move its own yardstick.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from scripts.forecast_peers.mixes import mixes
from scripts.forecast_peers.past import Forecasts
from scripts.forecast_peers.request import FloatArray, PeerRequest
from scripts.forecast_peers.scores import (
    Scored,
    bar,
    coverage,
    coverage_by_quarter,
    weighted_loss,
)
from scripts.forecast_peers.windows import ScoredWindow

SEASONAL_NAIVE = "seasonal-naive-"


class Ours(NamedTuple):
    """What ours gave in one window: quantiles (origins, levels of the benchmark), and its cost."""

    quantiles: FloatArray
    seasonal_naive: FloatArray
    fit_s: float
    forecast_s: float
    reasons: tuple[str, ...]


def cell(
    request: PeerRequest,
    row: int,
    window: ScoredWindow,
    forecasts: Forecasts,
    ours: Ours | None,
    *,
    has_peers: bool,
) -> dict[str, Any]:
    """The row-th window of a request, as it goes into the report; without the heavy peers there is
    no mix and no bar."""
    outcome = request.outcome[row]
    peers = {
        name: Scored(one.rows, one.quantiles[row])
        for name, one in forecasts.items()
        if len(one.rows)
    }
    naive, base = better_naive(outcome, peers)
    found: dict[str, Any] = {
        "series": request.name, "step_s": request.step_s, "window": window.name,
        "is_peak": window.is_peak, "n": len(outcome), "seasonal_naive": naive,
        "seasonal_naive_wql": base,
    }  # fmt: skip
    if ours is not None:
        found["ours"] = _ours(outcome, ours, base)
    found["peers"] = _peers(request, row, peers, base)
    if has_peers:
        best = bar(outcome, peers, base)
        found["mixes"] = _mixes(request, row, peers, base)
        found["bar"], found["bar_peer"] = best.ratio, best.peer
    return found


def better_naive(outcome: FloatArray, peers: Mapping[str, Scored]) -> tuple[str, float]:
    """The seasonal naive forecast with the smaller loss, and that loss."""
    losses = {
        name: weighted_loss(outcome, one.quantiles)
        for name, one in peers.items()
        if name.startswith(SEASONAL_NAIVE)
    }
    best = min(losses, key=losses.__getitem__)
    return best, max(losses[best], 1e-12)


def _ours(outcome: FloatArray, ours: Ours, base: float) -> dict[str, Any]:
    return {
        **_row(outcome, ours.quantiles, base),
        "coverage_by_quarter": coverage_by_quarter(outcome, ours.quantiles),
        # Ours lays a seasonal naive of its own: far from 1, the two do not mean the same.
        "own_seasonal_naive_ratio": weighted_loss(outcome, ours.seasonal_naive) / base,
        "fit_s": ours.fit_s,
        "forecast_s": ours.forecast_s,
        "reasons": list(ours.reasons),
    }


def _peers(
    request: PeerRequest, row: int, peers: Mapping[str, Scored], base: float
) -> dict[str, Any]:
    """Each peer; one that was asked at a part of the origins as a ratio to seasonal naive there."""
    outcome, found = request.outcome[row], {}
    naive = better_naive(outcome, peers)[0]
    for name, one in peers.items():
        there = outcome[one.rows]
        is_part = len(one.rows) < len(outcome)
        of = weighted_loss(there, peers[naive].quantiles[one.rows]) if is_part else base
        found[name] = {**_row(there, one.quantiles, max(of, 1e-12)), "n": len(one.rows)}
    return found


def _mixes(
    request: PeerRequest, row: int, peers: Mapping[str, Scored], base: float
) -> dict[str, Any]:
    outcome = request.outcome[row]
    everywhere = {n: one.quantiles for n, one in peers.items() if len(one.rows) == len(outcome)}
    made = mixes(everywhere, outcome, request.origins, int(request.stop[row]))
    return {name: _row(outcome, quantiles, base) for name, quantiles in made.items()}


def _row(outcome: FloatArray, quantiles: FloatArray, base: float) -> dict[str, Any]:
    loss = weighted_loss(outcome, quantiles)
    return {"wql": loss, "ratio": loss / base, "coverage": coverage(outcome, quantiles)}
