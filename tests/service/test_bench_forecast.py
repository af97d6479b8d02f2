import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.rolling_origins import plan_origins
from models.series import SeriesBatch, SeriesKey
from scripts.bench_forecast import main
from scripts.forecast_peers import naive, smoothing
from scripts.forecast_peers.features import features, recalibrated
from scripts.forecast_peers.measured import measured
from scripts.forecast_peers.mixes import mixes
from scripts.forecast_peers.ours import questions
from scripts.forecast_peers.past import past_of, recent_level
from scripts.forecast_peers.request import (
    FloatArray,
    PeerRequest,
    peak_after,
    read_request,
    write_request,
)
from scripts.forecast_peers.scores import Scored, bar, coverage_by_quarter, weighted_loss
from scripts.forecast_peers.summary import summary
from scripts.forecast_peers.traces import TraceError, Wanted, named_trace, read_traces
from scripts.forecast_peers.windows import lay_origins, scored_windows

HOUR_S, FAST_S = 3_600, 60
LEVELS = 5


def a_load(days: int = 12, seed: int = 1) -> FloatArray:
    """Hours with a daily wave and noise."""
    hour, draw = np.arange(days * 24), np.random.default_rng(seed)
    return np.asarray(draw.gamma(20, 5, days * 24) * (1.5 + np.sin(2 * np.pi * hour / 24)))


def request_of(values: FloatArray, step_s: int = HOUR_S) -> PeerRequest:
    """The first window is one step ahead, the second the peak of the next but one to the fourth."""
    windows = scored_windows(step_s)
    origins = lay_origins(values[None], 0, windows, step_s)
    first, stop = np.array([window.steps(step_s) for window in windows]).T
    outcome = [
        [values[at + 1 + one : at + 1 + end].max() for at in origins]
        for one, end in zip(first, stop, strict=True)
    ]
    return PeerRequest("a", step_s, values, origins, first, stop, np.array(outcome))


def a_trace(folder: Path, values: FloatArray, name: str = "shop.csv.gz") -> Path:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    lines = [
        f"{(start + timedelta(hours=hour)).isoformat()},{value}"
        for hour, value in enumerate(values.tolist())
        if np.isfinite(value)
    ]
    path = folder / name
    path.write_bytes(gzip.compress("\n".join(["timestamp,value", *lines]).encode()))
    return path


@given(seed=st.integers(0, 99), place=st.integers(0, 80), times=st.floats(0, 50))
@settings(max_examples=4, deadline=None)
def test_peers_forecast_from_the_past_alone(seed: int, place: int, times: float) -> None:
    request = request_of(a_load(seed=seed))
    origin = request.origins[place]
    changed = request.values.copy()
    changed[origin + 1 :] *= times

    before, after = past_of(request), past_of(request_of(changed))

    for group in (naive, smoothing):
        others = group.forecasts(after)
        for name, one in group.forecasts(before).items():
            seen = slice(None), slice(0, place + 1)
            assert np.array_equal(one.quantiles[seen], others[name].quantiles[seen]), name


@given(seed=st.integers(0, 99), at=st.integers(180, 270), times=st.floats(0, 50))
@settings(max_examples=15, deadline=None)
def test_trees_are_shown_the_past_alone(seed: int, at: int, times: float) -> None:
    values = a_load(seed=seed)
    changed = np.concatenate([values[: at + 1], values[at + 1 :] * times])

    shown = []
    for one in (past_of(request_of(values)), past_of(request_of(changed))):
        level = recent_level(one)
        guess = np.outer(one.load[one.origins], [0.5, 1, 1.5, 2, 3])
        shifted = recalibrated(one, one.windows[-1], guess, level)
        rows = [features(one, one.windows[-1], level)[: at + 1]]
        shown.append([*rows, shifted[one.origins <= at]])

    for was, now in zip(*shown, strict=True):
        assert np.array_equal(was, now, equal_nan=True)


def test_spread_of_a_span_is_the_one_numpy_finds() -> None:
    past = past_of(request_of(a_load()))

    shown = features(past, past.windows[0], None)

    newest = past.load[200 - 11 : 201]
    wanted = np.array([newest.mean(), newest.std(ddof=1), newest.max()])
    assert any(
        np.allclose(shown[200, place : place + 3], wanted) for place in range(shown.shape[1])
    )


def test_mix_weighs_by_outcomes_that_are_over() -> None:
    draw, origins = np.random.default_rng(3), np.arange(100, 300)
    outcome = draw.gamma(5, 1, 200)
    members = {name: np.sort(draw.gamma(5, 1, (200, LEVELS)), axis=1) for name in "abcd"}
    changed = np.where(np.arange(200) >= 150, 100.0, outcome)

    was, now = (mixes(members, one, origins, reach=4) for one in (outcome, changed))

    for name in was:
        assert np.array_equal(was[name][:154], now[name][:154])
    assert not np.array_equal(was["exponential-weights"][154:], now["exponential-weights"][154:])


def test_mix_follows_the_member_that_is_right() -> None:
    outcome = np.random.default_rng(4).gamma(5, 1, 300)
    right, wrong = np.repeat(outcome[:, None], LEVELS, axis=1), np.full((300, LEVELS), 40.0)

    made = mixes({"wrong": wrong, "right": right}, outcome, np.arange(300), reach=1)

    assert weighted_loss(outcome[1:], made["exponential-weights"][1:]) < 1e-6


def test_loss_is_twice_the_pinball_over_the_load() -> None:
    outcome = np.array([10.0, 20.0])
    quantiles = np.array([[8.0, 10, 12, 12, 12], [20.0, 20, 20, 20, 20]])

    pinball = 0.1 * 2 + 0.0 + 0.1 * 2 + 0.05 * 2 + 0.01 * 2
    assert weighted_loss(outcome, quantiles) == pytest.approx(2 * pinball / (5 * 30))


def test_peer_asked_at_a_part_of_the_origins_counts_against_the_best_one_there() -> None:
    outcome = np.concatenate([np.full(100, 10.0), np.full(100, 20.0)])
    dense = np.where(np.arange(200) < 100, 12.0, 30.0)[:, None].repeat(LEVELS, axis=1)
    part = np.full((100, LEVELS), 11.0)  # half as far off as the other, where that is at its best

    found = bar(
        outcome,
        {
            "dense": Scored(np.arange(200), dense),
            "part": Scored(np.arange(100), part),
            "few": Scored(np.arange(20), np.full((20, LEVELS), 10.0)),
        },
        base=1.0,
    )

    assert found.peer == "part"
    assert found.ratio == pytest.approx(weighted_loss(outcome, dense) / 2)


def test_forecasts_of_peers_are_kept_until_the_question_changes(tmp_path: Path) -> None:
    request = request_of(a_load())

    def files(asked: PeerRequest, *, fresh: bool = False) -> dict[Path, int]:
        measured(asked, tmp_path, ("naive",), 100, fresh=fresh)
        return {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}

    first = files(request)
    assert files(request) == first
    assert files(request, fresh=True) != first
    assert len(files(request_of(a_load(seed=2)))) == 2


def test_question_reaches_the_other_process_as_it_was_asked(tmp_path: Path) -> None:
    request = request_of(a_load())

    write_request(request, tmp_path / "request.npz")

    assert read_request(tmp_path / "request.npz").key() == request.key()


def test_outcomes_that_are_not_of_the_series_are_refused() -> None:
    values = a_load()
    request = request_of(values)

    with pytest.raises(ValueError, match="steps 1 to 1 after an origin are not the peaks"):
        PeerRequest(
            "a", HOUR_S, values, request.origins - 1, request.first, request.stop, request.outcome
        )


@pytest.mark.parametrize(
    ("step_s", "steps"),
    [
        pytest.param(60, {"+2": (1, 2), "+5": (4, 5), "+10": (9, 10), "max(2,7]": (2, 7)}, id="1"),
        pytest.param(300, {"+10": (1, 2), "+30": (5, 6), "max(5,20]": (1, 4)}, id="5 minutes"),
        pytest.param(600, {"+10": (0, 1), "+30": (2, 3), "max(10,40]": (1, 4)}, id="10 minutes"),
        pytest.param(HOUR_S, {"+60": (0, 1), "max(60,240]": (1, 4)}, id="an hour"),
    ],
)
def test_scored_windows_of_steps(step_s: int, steps: dict[str, tuple[int, int]]) -> None:
    assert {window.name: window.steps(step_s) for window in scored_windows(step_s)} == steps


def test_origins_lie_in_the_newest_two_fifths_where_all_was_measured() -> None:
    values = a_load()
    values[250] = np.nan

    origins = lay_origins(values[None], 0, scored_windows(HOUR_S), HOUR_S)

    assert origins[0] == int(0.6 * len(values)), "the first of the newest is known there"
    assert origins[-1] == len(values) - 5
    assert not set(range(246, 250)) & set(origins.tolist())


@given(
    steps=st.sampled_from([40, 3_000, 9_100, 30_000]),
    gaps=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.4)), max_size=4),
    every=st.integers(1, 5),
)
@settings(max_examples=20, deadline=None)
def test_origins_are_those_that_ours_is_scored_at(
    steps: int, gaps: list[tuple[float, float]], every: int
) -> None:
    values = np.ones((1, steps))
    values[0, np.arange(steps) % 5 >= every] = np.nan
    for begin, length in gaps:
        values[0, int(begin * steps) : int((begin + length) * steps)] = np.nan
    windows = scored_windows(FAST_S)
    reach = max(window.steps(FAST_S)[1] for window in windows)
    ours = plan_origins(SeriesBatch((SeriesKey("a", "-"),), 0, FAST_S, values), reach, 2_000, 0.4)

    origins = lay_origins(values, 0, windows, FAST_S)

    scored = np.zeros(0, np.int64) if ours is None else ours.origins[ours.scored] - 1
    peaks = np.array([peak_after(values[0], *window.steps(FAST_S)) for window in windows])
    known = np.isfinite(peaks).all(axis=0)
    assert origins.tolist() == scored[known[scored]].tolist()


def test_trace_keeps_its_gaps_and_counts_become_rates(tmp_path: Path) -> None:
    counts = np.array([7200.0, np.nan, 3600.0, 0.0, 0.0])

    batch = read_traces(Wanted(a_trace(tmp_path, counts), "", 300))

    assert batch.step_s == HOUR_S
    assert np.array_equal(batch.values, [[2.0, np.nan, 1.0, 0.0, 0.0]], equal_nan=True)


@pytest.mark.parametrize(
    ("text", "series", "fault"),
    [
        pytest.param("timestamp,value\n", "", "no values", id="empty"),
        pytest.param("timestamp,value\nyesterday,3\n", "", "not a trace", id="no stamp"),
        pytest.param("when,value\n2026-01-01,3\n", "", "not a trace", id="other columns"),
        pytest.param("series,timestamp,value\na,2026-01-01,3\n", "b", "no series 'b'", id="series"),
    ],
)
def test_file_that_is_no_trace_is_named_with_its_fault(
    tmp_path: Path, text: str, series: str, fault: str
) -> None:
    (tmp_path / "bad.csv").write_text(text)

    with pytest.raises(TraceError, match=rf"bad.*{fault}"):
        read_traces(Wanted(tmp_path / "bad.csv", series, 300))


def test_file_that_is_not_there_is_said_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match=r"missing\.csv: no such file"):
        named_trace(str(tmp_path / "missing.csv"))


def test_series_that_is_too_short_is_left_out_with_its_reason(tmp_path: Path) -> None:
    faults: list[str] = []
    history = read_traces(Wanted(a_trace(tmp_path, a_load(days=3)), "", 300))

    assert list(questions(history, with_ours=False, faults=faults)) == []
    assert faults == ["shop: 43 steps before the first origin, the peers need 2 days, 48 steps"]


def test_quarter_in_which_coverage_is_off_is_counted_once() -> None:
    outcome, quantiles = np.full(400, 10.0), np.full((400, LEVELS), 11.0)
    quantiles[:100] = 9.0  # nothing is covered in the first quarter
    shares = coverage_by_quarter(outcome, quantiles)
    row = {"ratio": 0.5, "coverage": {"0.9": 0.9, "0.95": 0.95, "0.99": 0.98}}
    one = {"is_peak": True, "step_s": 300, "peers": {}, "series": "a"}

    found = summary([one | {"ours": row | {"coverage_by_quarter": shares}}], has_peers=False)

    assert shares["0.9"] == [0.0, 1.0, 1.0, 1.0]
    assert found["mean_coverage_distance_points"]["0.99"] == pytest.approx(1.0)
    assert found["quarters_off"]["max, 5 min"] == {"of": 4, "0.9": 4, "0.95": 4, "0.99": 1}


def test_ours_is_scored_at_the_origins_that_its_baseline_is(tmp_path: Path) -> None:
    pytest.importorskip("models.rolling_origins", reason="ours is not there yet")
    trace = a_trace(tmp_path, a_load())

    asked = ["--no-peers", "--no-speed", "--out", str(tmp_path), str(trace)]
    assert main(asked) == 0

    report = msgspec.json.decode((tmp_path / "forecast.json").read_bytes())
    assert [one["window"] for one in report["cells"]] == ["+60", "max(60,240]"]
    for one in report["cells"]:
        assert one["n"] > 80
        assert one["ours"]["own_seasonal_naive_ratio"] == pytest.approx(1, abs=0.3)


@pytest.mark.soak
def test_all_peers_run_in_an_environment_of_their_own(tmp_path: Path) -> None:
    trace = a_trace(tmp_path, a_load(days=15))

    assert main(["--peers-only", "--stats", "8", "--out", str(tmp_path), str(trace)]) == 0

    report = msgspec.json.decode((tmp_path / "forecast-peers.json").read_bytes())
    assert len(report["cells"][0]["peers"]) == 16
    assert report["cells"][0]["mixes"]["exponential-weights"]["ratio"] < 1
