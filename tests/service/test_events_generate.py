"""`events generate`: the load is what its plan and its truth say, and comes again from its seed."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from predictor.events.event_lines import LineFormat, line_writer
from predictor.events.load_incidents import Burst, Incidents, Outage
from predictor.events.load_plan import LoadPlan
from predictor.events.synthetic_load import ARRIVAL_MS, MODULE, TIME_MS, SyntheticLoad, season
from streams.events import Catalog, Heartbeat, RequestEvent, decode
from tests.service.events_command import REGIONS, START_S, a_plan, events

CATALOG = Catalog(a_plan().modules, [region.name for region in REGIONS])

Cell = tuple[int, str, str]

plans = st.builds(
    a_plan,
    seed=st.integers(0, 2**40),
    duration_s=st.sampled_from([60, 90, 600]),
    rate_per_s=st.sampled_from([0.1, 3.0, 40.0]),
    aggregate_s=st.sampled_from([0, 10, 30]),
    bucket_s=st.sampled_from([10, 30]),
    pinned_share=st.sampled_from([0.0, 0.3, 1.0]),
    duplicate_share=st.sampled_from([0.0, 0.5]),
    dispersion=st.sampled_from([0.0, 0.5]),
    sample_rate=st.sampled_from([1.0, 0.1]),
    heartbeat_s=st.sampled_from([0, 7]),
    bursts_per_day=st.sampled_from([0.0, 900.0]),
    outages_per_day=st.sampled_from([0.0, 900.0]),
    deploys_per_day=st.sampled_from([0.0, 900.0]),
)


def written(plan: LoadPlan, form: LineFormat = "json") -> bytes:
    write = line_writer(plan, form)
    return b"".join(write(drawn.events) for drawn in SyntheticLoad(plan).draw())


def decoded(text: bytes) -> list[RequestEvent | Heartbeat]:
    found = []
    for line in text.splitlines():
        (event,) = decode(line, (), CATALOG, record_time_s=None)
        assert isinstance(event, RequestEvent | Heartbeat), event
        found.append(event)
    return found


def counted_once(text: bytes, bucket_s: int) -> Counter[Cell]:
    """What a reader counts by bucket, module and region, repetitions left out."""
    sums: Counter[Cell] = Counter()
    seen = set()
    for event in decoded(text):
        if isinstance(event, RequestEvent) and event.event_id not in seen:
            seen.add(event.event_id)
            start_s = int(event.time_s // bucket_s) * bucket_s
            one_in = 1 + event.variance / event.requests
            sums[start_s, event.module, event.region] += round(event.requests / one_in)
    return sums


def true_cells(plan: LoadPlan) -> Iterator[tuple[Cell, int, int]]:
    """Bucket, module and region with the requests that happened and those reported."""
    for drawn in SyntheticLoad(plan).draw():
        truth = drawn.truth
        for row, start_s in enumerate(truth.bucket_start_s.tolist()):
            module, region = plan.modules[truth.module[row]], plan.regions[truth.region[row]].name
            yield (start_s, module, region), int(truth.requests[row]), int(truth.reported[row])


@given(plan=plans, form=st.sampled_from(["json", "cloudevents"]))
@settings(max_examples=40, deadline=None)
def test_the_truth_is_what_decoding_gives_back(plan: LoadPlan, form: LineFormat) -> None:
    cells = list(true_cells(plan))

    reported = Counter({cell: count for cell, _, count in cells if count})
    assert counted_once(written(plan, form), plan.bucket_s) == reported
    if plan.sample_rate == 1:
        assert all(happened == count for _, happened, count in cells)
    assert len({cell for cell, _, _ in cells}) == len(cells)


@given(plan=plans)
@settings(max_examples=15, deadline=None)
def test_the_same_plan_gives_the_same_bytes(plan: LoadPlan) -> None:
    assert written(plan) == written(plan)


@given(plan=plans)
@settings(max_examples=25, deadline=None)
def test_events_come_in_the_order_of_arrival_and_lie_inside_the_plan(plan: LoadPlan) -> None:
    tables = [drawn.events for drawn in SyntheticLoad(plan).draw()]
    arrivals_ms = np.concatenate([table[ARRIVAL_MS] for table in tables])
    times_ms = np.concatenate([table[TIME_MS][table[MODULE] >= 0] for table in tables])

    assert (np.diff(arrivals_ms) >= 0).all()
    assert ((times_ms >= plan.start_s * 1000) & (times_ms < plan.end_s * 1000)).all()
    longest_ms = 1000 * (plan.aggregate_s + plan.disorder_max_s + 8)
    assert (arrivals_ms - np.concatenate([table[TIME_MS] for table in tables]) <= longest_ms).all()


def test_another_seed_gives_another_load() -> None:
    assert written(a_plan(seed=1)) != written(a_plan(seed=2))


def test_the_mean_rate_is_the_one_asked_for() -> None:
    plan = a_plan(duration_s=3600, rate_per_s=100.0, aggregate_s=10, bursts_per_day=48.0)

    total = sum(happened for _, happened, _ in true_cells(plan))

    assert total / 3600 == pytest.approx(100, rel=0.03)


def test_other_modules_feel_a_burst_after_core() -> None:
    # 0 ---- burst at 300 s in one region ----
    burst = Burst(START_S + 300, region=1, height=9.0, decay_s=600)
    load = SyntheticLoad(a_plan(season=False), Incidents(bursts=(burst,)))
    times_s = np.arange(START_S, START_S + 600, 1.0)
    rates = load.rates(times_s)[:, 1]

    doubled = {
        module: int(np.argmax(rates[row] > 2 * rates[row, 0]))
        for row, module in enumerate(load.plan.modules)
    }

    assert doubled["core"] < doubled["context"] < doubled["confirm"] < doubled["network"] + 60
    assert doubled["core"] >= 290
    assert np.allclose(load.rates(times_s)[:, 0], load.rates(times_s)[:, 0, :1])


def test_an_outage_takes_a_module_to_zero_and_it_comes_back() -> None:
    plan = a_plan(season=False)
    outage = Outage(START_S + 100, START_S + 200, module=plan.modules.index("plan"), region=0)
    load = SyntheticLoad(plan, Incidents(outages=(outage,)))
    before, during, after = load.rates(np.array([START_S + 50.0, START_S + 150, START_S + 250])).T

    assert during.T[plan.modules.index("plan"), 0] == 0
    assert (during > 0).sum() == during.size - 1
    assert np.array_equal(before, after)


def test_each_region_is_busiest_in_its_own_afternoon() -> None:
    times_s = np.arange(START_S, START_S + 86_400, 600.0)

    busiest_h = [
        (times_s[np.argmax(season(times_s, region.utc_offset_h))] / 3600 + region.utc_offset_h) % 24
        for region in REGIONS
    ]

    assert all(12 <= hour <= 16 for hour in busiest_h)


def test_heartbeats_come_on_time() -> None:
    beats = [one for one in decoded(written(a_plan(heartbeat_s=60))) if type(one) is Heartbeat]

    assert [one.time_s - START_S for one in beats] == [
        0,
        60,
        120,
        180,
        240,
        300,
        360,
        420,
        480,
        540,
    ]


def test_refused_requests_count_as_demand() -> None:
    text = written(a_plan(rejected_share=0.5))

    assert text.count(b'"status":429') > 1000
    assert len(decoded(text)) == len(text.splitlines())


def test_module_calls_have_no_region_and_are_read_with_a_default_one() -> None:
    text = written(a_plan(duration_s=60, heartbeat_s=10), "shape-h")
    catalog = Catalog(a_plan().modules, ["eu-west-1"], default_region="eu-west-1")
    outcomes = [decode(line, (), catalog, record_time_s=None)[0] for line in text.splitlines()]

    assert all(isinstance(one, RequestEvent) and one.module != "other" for one in outcomes)
    assert len(outcomes) > 1000


def test_the_command_writes_packed_events_and_their_truth(tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        out, truth = tmp_path / f"{name}.jsonl.gz", tmp_path / f"{name}.csv"
        done = events("generate", "--duration", "1m", "--seed", 3, "--out", out, "--truth", truth)
        assert done.exit_code == 0, done.output
        made.append((out.read_bytes(), truth.read_text()))

    assert made[0] == made[1]
    once = counted_once(gzip.decompress(made[0][0]), 10)
    rows = list(csv.DictReader(made[0][1].splitlines()))
    assert sum(int(row["requests"]) for row in rows) == once.total()
    assert "events" in done.stderr
    assert done.stdout == ""


def test_standard_output_holds_nothing_but_events() -> None:
    done = events("generate", "--duration", "10", "--outages", "500", "--out", "-")

    assert done.exit_code == 0
    assert len(decoded(done.stdout_bytes)) > 500
    assert "requests in" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--duration", "soon"], "no duration", id="a duration that is none"),
        pytest.param(["--from", "2026-01-05T00:00:00"], "RFC 3339", id="a time without a zone"),
        pytest.param(["--rate", "0"], "the rate lies above 0", id="no load"),
        pytest.param(["--duplicates", "2"], "duplicate share is 0 to 1", id="a share above one"),
        pytest.param(["--aggregate", "7"], "no multiple of 7", id="a start between summaries"),
        pytest.param(["--zone", "mars-1=UTC"], "none of", id="a zone of no region"),
        pytest.param(
            ["--format", "shape-h", "--aggregate", "10"], "no count", id="a format without count"
        ),
    ],
)
def test_a_plan_that_cannot_be_ends_with_2(arguments: list[str], sentence: str) -> None:
    done = events("generate", "--out", "-", *arguments)

    assert done.exit_code == 2
    assert sentence in " ".join(done.stderr.replace("│", "").split())


def test_a_folder_that_is_not_there_ends_with_3(tmp_path: Path) -> None:
    done = events("generate", "--out", tmp_path / "nowhere" / "events.jsonl")

    assert done.exit_code == 3
    assert "nowhere" in done.stderr
