"""`events convert`: history as people have it becomes events, and nothing valid is lost."""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import Result

from predictor.events.access_log import AccessLog, is_access_log
from predictor.events.arrivals import Arrivals, SetAside
from predictor.events.count_table import CountTable
from predictor.events.event_writer import HELD_BACK_S, EventWriter
from predictor.events.log_time import log_time_s
from predictor.file_demand import file_demand
from streams.events import Catalog, RequestEvent, decode
from tests.service.events_command import events

CATALOG = Catalog(["context", "plan", "role", "core", "network"], ["eu-west-1", "us-east-1"])
T0 = 1_795_593_600
"""2026-11-25T08:00:00Z."""
AGENT = '"-" "k6/1.0"'


def a_line(request: str, time: str = "25/Nov/2026:08:00:05 +0000", status: int = 200) -> bytes:
    return f'10.0.0.1 - bob [{time}] "{request}" {status} 512 {AGENT}'.encode()


def an_envoy_line(**fields: Any) -> bytes:
    usual = {
        "start_time": "2026-11-25T08:00:01.123Z", "method": "POST", "path": "/api/v1/plans",
        "response_code": 200, "upstream_cluster": "inbound|3000||",
    }  # fmt: skip
    return json.dumps({**usual, **fields}).encode()


def one(line: bytes, **options: Any) -> Arrivals:
    (found,) = AccessLog(CATALOG, **{"region": "eu-west-1", **options}).read(line)
    assert isinstance(found, Arrivals)
    return found


def lines_of(done: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("line", "module"),
    [
        pytest.param(a_line("POST /api/v1/contexts HTTP/1.1"), "context", id="with a version"),
        pytest.param(a_line("GET /api/plans/7/execute?x=1 HTTP/2.0"), "plan", id="without"),
        pytest.param(a_line("GET /api/v1/core HTTP/1.1", status=429), "core", id="refused"),
        pytest.param(a_line("GET http://h/api/networks HTTP/1.1"), "network", id="of a proxy"),
        pytest.param(a_line(r"GET /api/roles?q=\"x\" HTTP/1.1"), "role",
                     id="quotes inside"),
        pytest.param(b"host.example " + a_line("GET /api/plans HTTP/1.1"), "plan", id="host first"),
        pytest.param(an_envoy_line(), "plan", id="Envoy by path"),
        pytest.param(
            an_envoy_line(path="/x", upstream_cluster="outbound|80||mplp-role-service.a.svc"),
            "role", id="Istio by cluster",
        ),
        pytest.param(an_envoy_line(path="/x", authority="mplp-core-service:80"), "core",
                     id="Envoy by host"),
        pytest.param(
            b'{"time_iso8601":"2026-11-25T08:00:05+00:00","request":"GET /api/plans HTTP/1.1",'
            b'"status":"200"}', "plan", id="nginx JSON",
        ),
        pytest.param(b'{"msec":"1795593605.250","uri":"/api/v1/roles"}', "role", id="nginx msec"),
    ],
)  # fmt: skip
def test_the_line_of_a_log_tells_the_module(line: bytes, module: str) -> None:
    found = one(line)

    assert (found.module, found.region, found.reported) == (module, "eu-west-1", 1)
    assert T0 <= found.time_s <= T0 + 10
    assert is_access_log(line)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param(a_line("GET /api/v1/plan/health HTTP/1.1"), "health_check", id="a module's"),
        pytest.param(a_line("GET /healthz HTTP/1.1"), "health_check", id="the pod's"),
        pytest.param(a_line("GET /metrics HTTP/1.1"), "health_check", id="a scrape"),
        pytest.param(a_line("GET /index.html HTTP/1.1"), "path_without_module", id="a page"),
        pytest.param(a_line("GET /api/v1/invoices HTTP/1.1"), "unknown_module", id="no module"),
        pytest.param(a_line("-", status=408), "no_request", id="a connection without request"),
        pytest.param(
            a_line("GET /api/plans HTTP/1.1", "25/Nov/2026:08:00:05"), "no_time_zone", id="no zone"
        ),
        pytest.param(
            a_line("GET /api/plans HTTP/1.1", "31/Nov/2026:08:00:05 +0000"), "invalid_time",
            id="no such day",
        ),
        pytest.param(b"torn [line", "malformed", id="torn"),
        pytest.param(b'{"start_time": ', "malformed", id="torn JSON"),
        pytest.param(b'{"path": "/api/plans"}', "invalid_time", id="no time"),
    ],
)  # fmt: skip
def test_what_is_no_demand_is_set_aside_with_its_reason(line: bytes, reason: str) -> None:
    with pytest.raises(SetAside) as aside:
        one(line)

    assert aside.value.reason == reason


def test_a_line_without_region_is_not_guessed() -> None:
    with pytest.raises(SetAside) as aside:
        one(an_envoy_line(), region=None)

    assert aside.value.reason == "no_region"
    assert one(an_envoy_line(region="us-east-1"), region=None).region == "us-east-1"


def test_one_side_of_a_mesh_is_enough() -> None:
    log = AccessLog(CATALOG, region="eu-west-1", direction="inbound")
    log.read(an_envoy_line())

    with pytest.raises(SetAside) as aside:
        log.read(an_envoy_line(upstream_cluster="outbound|80||mplp-plan-service.a.svc"))

    assert aside.value.reason == "other_direction"


@pytest.mark.parametrize(
    ("time", "zone", "seconds"),
    [
        ("10/Oct/2000:13:55:36 -0700", None, 971_211_336),
        ("2026-11-25T08:00:00Z", None, T0),
        ("2026-11-25T09:00:00+0100", None, T0),
        ("2026-11-25 09:00", "Europe/Berlin", T0),
        ("2026-10-25 02:30:00", "Europe/Berlin", 1_792_888_200),
        (1_795_593_600_000, None, T0),
        ("1795593600.5", None, T0 + 0.5),
    ],
)
def test_times_are_read_as_they_are_written(
    time: str | int, zone: str | None, seconds: float
) -> None:
    assert log_time_s(time, None if zone is None else ZoneInfo(zone)) == seconds


def test_a_local_time_that_never_was_is_refused() -> None:
    with pytest.raises(SetAside, match="did not exist in Europe/Berlin"):
        log_time_s("2026-03-29 02:30:00", ZoneInfo("Europe/Berlin"))


@given(
    counts=st.lists(
        st.tuples(
            st.integers(0, 3000), st.sampled_from(["core", "plan"]),
            st.floats(0, 500, allow_nan=False), st.sampled_from([1.0, 4.0]),
        ),
        max_size=60,
    ),
    aggregate_s=st.sampled_from([1, 10, 60]),
    pieces=st.sampled_from([0, 1, 6]),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_what_is_counted_comes_out_again(
    counts: list[tuple[int, str, float, float]], aggregate_s: int, pieces: int
) -> None:
    """Rounding may owe a series one request, disorder nothing."""
    writer = EventWriter("x", aggregate_s=aggregate_s, spread_s=pieces * aggregate_s)
    lines: list[bytes] = []
    for at_s, module, count, one_in in counts:
        lines += writer.add(Arrivals(T0 + at_s, module, "eu-west-1", count, one_in))
    lines += writer.finish()

    came: defaultdict[tuple[str, float], float] = defaultdict(float)
    for line in lines:
        (event,) = decode(line, (), CATALOG, record_time_s=None)
        if isinstance(event, RequestEvent):
            one_in = round(1 + event.variance / event.requests, 6)
            came[event.module, one_in] += event.requests / one_in
    for key in {(module, one_in) for _, module, _, one_in in counts}:
        total = sum(count for _, module, count, one_in in counts if (module, one_in) == key)
        assert abs(came[key] - total) < 1
    assert len({json.loads(line)["id"] for line in lines}) == len(lines)


@given(delays_s=st.lists(st.floats(0, HELD_BACK_S - 1), min_size=1, max_size=200))
@settings(max_examples=50, deadline=None)
def test_lines_out_of_order_become_summaries_in_order(delays_s: list[float]) -> None:
    writer = EventWriter("x", aggregate_s=10)
    lines: list[bytes] = []
    for number, delay_s in enumerate(delays_s):
        lines += writer.add(Arrivals(T0 + 20 * number - delay_s, "core", "eu-west-1"))
    lines += writer.finish()

    times = [json.loads(line)["time"] for line in lines]
    assert times == sorted(times)
    assert writer.out_of_order == 0


@given(
    garbage=st.lists(
        st.binary(max_size=80).map(lambda one: one.replace(b"\n", b" ").replace(b"\r", b" "))
    )
)
@settings(max_examples=30, deadline=None)
def test_nothing_valid_is_lost_with_a_bad_line(garbage: list[bytes]) -> None:
    log = AccessLog(CATALOG, region="eu-west-1")
    good = a_line("GET /api/plans HTTP/1.1")
    kept = 0
    for line in [good, *(line for bad in garbage for line in (bad, good))]:
        with suppress(SetAside):
            kept += len(log.read(line))

    assert kept == 1 + len(garbage)


def test_a_log_becomes_history_that_training_reads_whole(tmp_path: Path) -> None:
    log, out = tmp_path / "access.log.gz", tmp_path / "events.jsonl.gz"
    lines = [
        a_line("GET /api/plans HTTP/1.1", f"25/Nov/2026:08:{minute:02}:{second:02} +0000")
        for minute in range(30)
        for second in (40, 5, 20)
    ]
    log.write_bytes(gzip.compress(b"\n".join([*lines, b"torn"])))

    done = events("convert", log, "--region", "eu-west-1", "--out", out)

    assert done.exit_code == 0, done.output
    assert "1 malformed: access.log.gz:91" in done.stderr
    counts: Counter[str] = Counter()
    parts = [part for found in file_demand(out, CATALOG, counts=counts) for part in found.parts]
    assert sum(cell.requests for part in parts for cell in part.cells) == 90
    assert set(counts) <= {"counted"}


def test_a_wide_table_is_spread_over_its_step_in_the_zone_it_was_written_in(
    tmp_path: Path,
) -> None:
    table = tmp_path / "counts.csv"
    table.write_text("time,core/us-east-1,core/eu-west-1,gateway\n2026-11-25 09:00,120,60,5\n"
                     "2026-11-25 09:01,0,,3\n")  # fmt: skip

    refused = events("convert", table, "--spread", "1m")
    done = events("convert", table, "--spread", "1m", "--timezone", "Europe/Berlin")

    assert refused.exit_code == 1
    assert "no_time_zone" in refused.stderr
    found = lines_of(done)
    counted = [one for one in found if one["kind"] == "request"]
    assert [one["count"] for one in counted] == [20, 10] * 6
    assert counted[0]["time"] == "2026-11-25T08:00:00Z"
    assert [one["kind"] for one in found[12:]] == ["heartbeat"] * 6, "zero is not silence"
    assert "2 unknown_module" in done.stderr


@pytest.mark.parametrize(
    ("heading", "row", "options", "expected"),
    [
        ("timestamp,module,region,count", "2026-11-25T08:00:00Z,plans,EU-WEST-1,7", {},
         ("plan", "eu-west-1", 7)),
        ("time,region,requests", "1795593600,us-east-1,3", {"module": "core"},
         ("core", "us-east-1", 3)),
        ("time,us-east-1", "1795593600,2.5", {"module": "core"}, ("core", "us-east-1", 2.5)),
        ("time,role", "1795593600,2", {"region": "eu-west-1"}, ("role", "eu-west-1", 2)),
    ],
)  # fmt: skip
def test_columns_are_told_by_their_names(
    heading: str, row: str, options: dict[str, str], expected: tuple[str, str, float]
) -> None:
    table = CountTable(heading.encode(), CATALOG, **options)  # type: ignore[arg-type]

    (found,) = table.read(row.encode())

    assert isinstance(found, Arrivals)
    assert (found.module, found.region, found.reported) == expected
    assert found.time_s == T0


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1795593600,core,eu-west-1,-1", "invalid_count"),
        ("1795593600,core,eu-west-1,many", "invalid_count"),
        ("1795593600,core,eu-west-1,inf", "invalid_count"),
        ("1795593600,core,eu-west-1,", "no_count"),
        ("1795593600,core,mars,1", "unknown_region"),
        ("1795593600,core,eu-west-1", "malformed"),
        ("yesterday,core,eu-west-1,1", "invalid_time"),
    ],
)
def test_a_bad_row_says_what_is_wrong(row: str, reason: str) -> None:
    table = CountTable(b"time,module,region,count", CATALOG)

    with pytest.raises(SetAside) as aside:
        table.read(row.encode())

    assert aside.value.reason == reason


def test_spans_of_a_collector_become_events_that_keep_their_sampling(tmp_path: Path) -> None:
    span = {
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "kind": 2,
        "traceState": "ot=th:c", "startTimeUnixNano": str(T0 * 10**9), "name": "x",
    }  # fmt: skip
    attributes = [
        {"key": "service.name", "value": {"stringValue": "mplp-trace"}},
        {"key": "cloud.region", "value": {"stringValue": "eu-west-1"}},
    ]
    group = {"resource": {"attributes": attributes}, "scopeSpans": [{"spans": [span]}]}
    file = tmp_path / "spans.jsonl"
    file.write_text(json.dumps({"resourceSpans": [group]}))

    done = events("convert", file)

    (event,) = lines_of(done)
    assert (event["module"], event["region"], event["sample_rate"]) == ("trace", "eu-west-1", 0.25)
    assert "4 requests" in done.stderr


@pytest.mark.parametrize(
    ("text", "arguments", "code", "sentence"),
    [
        pytest.param("hello\nworld\n", (), 2, "say what it is with --from", id="of no kind"),
        pytest.param("a,b\n1,2\n", ("--from", "csv"), 2, "no column is called", id="no time"),
        pytest.param("time,core\n", (), 1, "0 events of 0 requests", id="nothing in it"),
        pytest.param("", (), 1, "0 lines", id="empty"),
        pytest.param("x", ("--module", "gateway"), 2, "expected one of context", id="no module"),
        pytest.param("x", ("--timezone", "Berlin"), 2, "is no zone", id="no zone"),
        pytest.param(
            "time,core\n1795593600,1\n", ("--spread", "15"), 2, "no multiple", id="a crooked spread"
        ),
    ],
)
def test_what_cannot_be_converted_ends_with_its_code(
    tmp_path: Path, text: str, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    file = tmp_path / "history"
    file.write_text(text)

    done = events("convert", file, *arguments)

    assert done.exit_code == code
    assert sentence in " ".join(done.stderr.replace("│", "").split())
    assert done.stdout == ""


def test_a_file_that_is_not_there_ends_with_3() -> None:
    done = events("convert", "/nowhere/access.log")

    assert done.exit_code == 3
    assert "/nowhere/access.log" in done.stderr
