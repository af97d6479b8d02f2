"""The outcome of a backtest in a sentence and in a terminal table.

`predictor/backtest_cli.py` prints it, `predictor/backtest_report.py` begins with it. It must never
hide a series that we lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from rich.table import Table

from models.rolling_origins import Target
from predictor.backtest import Judged, total_s
from predictor.backtest_scores import geometric_mean, level_place
from predictor.history_sources.history import series_name

UNKNOWN = "\N{EN DASH}"
SHOWN_LEVELS = (0.9, 0.95, 0.99)
COVERAGE_SLACK = 0.03
"""A quantile that is called 0.95 is believed when 92 to 98 % of outcomes lie at or below it."""
CHANCE = 2.0
"""So many standard deviations of a share are chance."""
REASONS_SHOWN = 20


def verdict(judged: Sequence[Judged]) -> str:
    """How we did against both bars, and whether the quantiles can be believed; any sign."""
    known = [one for one in judged if one.score.origins]
    if not known:
        return "Nothing could be scored: there was no moment to forecast from and judge."
    scored = [one for one in known if math.isfinite(one.score.ratio)]
    others = [one for one in known if not math.isfinite(one.score.ratio)]
    return " ".join([*_against_bars(scored), *_without_ratio(others)])


def _against_bars(scored: Sequence[Judged]) -> list[str]:
    if not scored:
        return []
    ratio = geometric_mean(one.score.ratio for one in scored)
    last = geometric_mean(
        one.score.wql / one.score.wql_last_value for one in scored if one.score.wql_last_value > 0
    )
    return [
        f"Over {_cases(scored)} (series and target) our loss is {ratio:.3f} of what the better of "
        f"a day and a week back loses, and {last:.3f} of what the last value loses.",
        f"It is lower than both in {_won(scored)} of {len(scored)}.",
        _coverage_sentence(scored),
    ]


def _without_ratio(others: Sequence[Judged]) -> list[str]:
    """Why there is none where outcomes came, and how we did all the same."""
    still = [one for one in others if one.score.size == 0]
    exact = [one for one in others if one.score.size > 0]
    told = []
    if exact:
        lost = max(one.score.wql for one in exact)
        told.append(
            f"Seasonal naive is exact in {_cases(exact)}, so there is no ratio; our loss there is "
            f"at most {lost:.2%} of the demand."
        )
    if still:
        high = max(
            float(one.result.quantiles[:, level_place(one.result.levels, 0.95)].max())
            for one in still
        )
        told.append(
            f"Every outcome is zero in {_cases(still)}, so there is no ratio; our 0.95 there is "
            f"at most {high:.3g}."
        )
    return told


def _cases(judged: Sequence[Judged]) -> str:
    return f"{len(judged)} {'case' if len(judged) == 1 else 'cases'}"


def reason_lines(judged: Sequence[Judged]) -> list[str]:
    """What the results say in words, a line each; what all series share is told once."""
    found: dict[tuple[Target, str], list[str]] = {}
    for one in judged:
        for reason in one.result.reasons:
            told = found.setdefault((one.result.target, reason), [])
            told.append(series_name(one.result.key))
    lines = []
    for (target, reason), names in found.items():
        alike = sum(one.result.target == target for one in judged)
        shown = names if len(names) < alike or alike == 1 else ["every series"]
        lines += [f"{name}, {target_text(target)}: {reason}" for name in shown]
    if len(lines) <= REASONS_SHOWN:
        return lines
    return [*lines[:REASONS_SHOWN], f"and {len(lines) - REASONS_SHOWN} more, see --json"]


def target_text(target: Target) -> str:
    """A target in words."""
    if target.hold_s == 0:
        return f"{duration_text(target.lead_s)} ahead"
    return f"peak of {duration_text(target.hold_s)} after {duration_text(target.lead_s)}"


def duration_text(seconds: float) -> str:
    """A duration in the largest unit that is whole."""
    for unit_s, unit in ((3600, "h"), (60, "min")):
        if seconds and seconds % unit_s == 0:
            return f"{seconds / unit_s:g} {unit}"
    return f"{seconds:g} s"


def score_table(judged: Sequence[Judged]) -> Table:
    """A row for each series and target, and their geometric mean."""
    table = Table(
        title="forecasts at rolling origins, next to seasonal naive and the last value",
        caption="weighted quantile loss over 0.1 0.5 0.9 0.95 0.99, ours over that of each; "
        "below 1 is better",
    )
    table.add_column("series", overflow="fold")
    table.add_column("target", no_wrap=True)
    columns = ["origins", "÷ naive", "÷ last"]
    for heading in (*columns, *(f"≤ {level:g}" for level in SHOWN_LEVELS), "CPU s"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in judged:
        shares = (_share(one, level) for level in SHOWN_LEVELS)
        table.add_row(
            series_name(one.result.key), target_text(one.result.target), f"{one.score.origins:,}",
            ratio_text(one.score.ratio), ratio_text(against_last_value(one)), *shares,
            f"{one.result.fit_s + one.result.forecast_s:.1f}",
        )  # fmt: skip
    fit_s, forecast_s = total_s(judged)
    table.add_section()
    table.add_row(
        "geometric mean", "", f"{sum(one.score.origins for one in judged):,}",
        ratio_text(geometric_mean(one.score.ratio for one in judged)),
        ratio_text(geometric_mean(against_last_value(one) for one in judged)),
        *("" for _ in SHOWN_LEVELS), f"{fit_s + forecast_s:.1f}",
    )  # fmt: skip
    return table


def against_last_value(one: Judged) -> float:
    """Our loss over that of the last value; NaN where that is zero."""
    last = one.score.wql_last_value
    return one.score.wql / last if last > 0 else math.nan


def ratio_text(ratio: float) -> str:
    """A ratio with three digits, or a dash."""
    return f"{ratio:.3f}" if math.isfinite(ratio) else UNKNOWN


def coverage_at(one: Judged, level: float) -> float:
    """The share of outcomes at or below a level; NaN where there is none."""
    shares = (share for known, share in one.score.coverage if math.isclose(known, level))
    return next(shares, math.nan)


def _share(one: Judged, level: float) -> str:
    share = coverage_at(one, level)
    return f"{share:.1%}" if math.isfinite(share) else UNKNOWN


def _won(scored: Sequence[Judged]) -> int:
    return sum(
        one.score.wql < min(one.score.wql_seasonal_naive, one.score.wql_last_value)
        for one in scored
    )


def coverage_slack(level: float, outcomes: float) -> float:
    """How far from a level the share of so many outcomes may lie and still be believed."""
    return max(COVERAGE_SLACK, CHANCE * math.sqrt(level * (1 - level) / outcomes))


def _coverage_sentence(scored: Sequence[Judged]) -> str:
    shares = {
        level: float(np.mean([coverage_at(one, level) for one in scored])) for level in SHOWN_LEVELS
    }
    # The targets of one series are judged by the same stretch: together they know no more of it.
    known: dict[tuple[str, object], int] = {}
    for one in scored:
        series = (one.source, one.result.key)
        known[series] = max(known.get(series, 0), one.score.origins)
    outcomes = sum(known.values())
    apart = {level: abs(share - level) for level, share in shares.items()}
    off = [level for level, by in apart.items() if not by <= COVERAGE_SLACK]
    far = [level for level in off if not apart[level] <= coverage_slack(level, outcomes)]
    unsure = [level for level in off if level not in far]
    held = [f"not within 3 points: {', '.join(map(str, far))}"] if far else []
    if unsure:
        held.append(f"too few outcomes ({outcomes}) to judge {', '.join(map(str, unsure))}")
    told = ", ".join(f"{share:.1%} at or below {level:g}" for level, share in shares.items())
    return f"Of the outcomes {told}: {'; '.join(held) or 'the quantiles hold'}."
