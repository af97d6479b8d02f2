"""`events replay`: a file comes to a topic once, in order, keyed, at its pace."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.events.replay import Pace
from predictor.events.replay_records import NotMovable, replay_record, span_s
from predictor.settings import Settings
from rigs.kafka import KafkaBroker
from streams.events import Catalog, decode
from streams.topics import KafkaConnection, TopicPlan, ensure_topics
from tests.service.events_command import BROKER, events

T0 = 1_795_593_600
GUIDE = Settings()
CATALOG = Catalog(GUIDE.modules, GUIDE.regions, default_region=GUIDE.region)


def a_line(**changes: Any) -> bytes:
    usual = {"kind": "request", "id": "a", "time": T0, "module": "plans", "region": "eu-west-1"}
    return json.dumps({**usual, **changes}).encode()


def test_a_request_is_keyed_by_its_configured_module_and_region() -> None:
    record = replay_record(a_line(), CATALOG)

    assert (record.value, record.key, record.time_s) == (a_line(), "plan|eu-west-1", T0)
    assert not record.for_every_partition


def test_a_heartbeat_goes_to_every_partition() -> None:
    assert replay_record(b'{"kind":"heartbeat","time":1795593600}', CATALOG).for_every_partition


def test_a_cloudevent_gets_the_header_that_names_it() -> None:
    envelope = {"specversion": "1.0", "id": "1", "source": "/x", "type": "io.mplp.request.v1",
                "time": "2026-11-25T08:00:00Z", "data": {"module": "core"}}  # fmt: skip

    record = replay_record(json.dumps(envelope).encode(), CATALOG, shift_s=10)
    (event,) = decode(record.value, record.headers, CATALOG, record_time_s=None)

    assert record.headers[0][0] == "content-type"
    assert event.time_s == T0 + 10  # type: ignore[union-attr]


def test_what_cannot_be_read_is_sent_as_it_is() -> None:
    record = replay_record(b"torn", CATALOG, shift_s=60)

    assert (record.value, record.key, record.rejected) == (b"torn", None, "malformed")


@given(
    time_ms=st.integers(1_000_000_000_000, 2_000_000_000_000),
    shift_s=st.integers(-10_000_000, 10_000_000).map(lambda tens: 10.0 * tens),
)
def test_a_moved_event_keeps_its_place_in_its_bucket(time_ms: int, shift_s: float) -> None:
    line = a_line(time=time_ms, extra="kept")
    (before,) = decode(line, (), CATALOG, record_time_s=None)

    record = replay_record(line, CATALOG, shift_s)
    (after,) = decode(record.value, (), CATALOG, record_time_s=None)

    assert after.time_s == pytest.approx(before.time_s + shift_s, abs=1e-6)  # type: ignore[union-attr]
    assert after.time_s // 10 == before.time_s // 10 + shift_s // 10  # type: ignore[union-attr]
    assert json.loads(record.value)["extra"] == "kept"


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b'{"requestId":"1","moduleId":"core","status":"success","duration":1,'
                     b'"timestamp":"2026-11-25T08:00:00Z"}', id="a shape of MPLP"),
        pytest.param(a_line() + b"\n" + a_line(id="b"), id="a batch"),
    ],
)  # fmt: skip
def test_only_our_contract_is_moved(line: bytes) -> None:
    assert replay_record(line, CATALOG).time_s == T0

    with pytest.raises(NotMovable):
        replay_record(line, CATALOG, shift_s=10)


def test_the_span_is_from_the_oldest_to_the_newest_event() -> None:
    lines = [a_line(time=T0 + at_s) for at_s in (5, 0, 90, 30)]

    assert span_s([b"torn", *lines], CATALOG) == (T0, T0 + 90)
    assert span_s([b"torn"], CATALOG) is None


@given(st.lists(st.floats(0, 1000), min_size=1), st.sampled_from([0.5, 1.0, 60.0]))
def test_no_event_is_due_before_its_time_over_the_speed(times_s: list[float], speed: float) -> None:
    pace = Pace(speed)
    pace.begin(50.0)

    waits_s = [pace.wait_s(T0 + at_s, 50.0) for at_s in times_s]

    first_s, newest_s = times_s[0], times_s[0]
    for at_s, wait_s in zip(times_s, waits_s, strict=True):
        newest_s = max(newest_s, at_s)
        assert wait_s == pytest.approx((newest_s - first_s) / speed, abs=1e-6)


def test_a_rate_is_not_exceeded_even_at_full_speed() -> None:
    pace = Pace(float("inf"), rate_max_per_s=100)
    pace.begin(0.0)

    assert [pace.wait_s(T0, 0.0) for _ in range(3)] == [0.0, 0.01, 0.02]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--speed", "fast"), 2, "neither a number above 0 nor max"),
        (("--speed", "2", "--shift-to-now", "first"), 2, "keeps events out of the future"),
    ],
)
def test_what_cannot_be_replayed_ends_with_its_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(a_line())

    done = events("replay", file, *arguments)

    assert done.exit_code == code
    assert sentence in " ".join(done.stderr.replace("│", "").split())


@pytest.mark.parametrize("command", ["replay", "inspect"])
def test_a_broker_that_is_away_ends_with_3(tmp_path: Path, command: str) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(a_line())

    done = events(command, *([file] if command == "replay" else []), broker="127.0.0.1:1")

    assert done.exit_code == 3
    assert done.stderr.startswith("127.0.0.1:1 does not answer")


def created(broker: KafkaBroker, topic: str, partitions: int = 4) -> str:
    connection = KafkaConnection(bootstrap_servers=broker.bootstrap_servers)
    stamped = {"message.timestamp.type": "LogAppendTime"}
    asyncio.run(ensure_topics(connection, [TopicPlan(topic, partitions, 1, stamped)]))
    return topic


@pytest.mark.real
def test_what_is_generated_is_found_on_the_topic_again(
    tmp_path: Path, kafka_broker: KafkaBroker
) -> None:
    topic = created(kafka_broker, "events-there-and-back")
    servers = kafka_broker.bootstrap_servers
    file, truth = tmp_path / "events.jsonl.gz", tmp_path / "truth.csv"
    made = events("generate", "--duration", "2m", "--rate", "60", "--heartbeat", "10",
                  "--outages", "0", "--out", file, "--truth", truth)  # fmt: skip
    sent = events("replay", file, "--topic", topic, "--speed", "max", "--shift-to-now", "last",
                  "--compression", "zstd", broker=servers)  # fmt: skip
    told = events("inspect", "--topic", topic, "--last", "1h", "-o", "json", broker=servers)
    of_file = events("inspect", file, "-o", "json")

    assert (made.exit_code, sent.exit_code, told.exit_code) == (0, 0, 0), sent.output
    report, in_file = json.loads(told.stdout), json.loads(of_file.stdout)
    rows = [row.split(",") for row in truth.read_text().splitlines()[1:]]
    assert report["requests"] == sum(int(row[3]) for row in rows)
    assert {(one["module"], one["region"]): one["requests"] for one in report["places"]} == {
        (one["module"], one["region"]): one["requests"] for one in in_file["places"]
    }
    assert report["duplicates"] == in_file["duplicates"] > 0
    assert report["heartbeats"] == 4 * in_file["heartbeats"] == 48
    assert report["late"] == 0
    assert report["lateness"]["max_s"] <= 15
    assert all(one["partitions"] == 1 for one in report["places"])
    assert report["ahead_of_record"] == 0
    assert report["stamped_by_broker"] == report["records"]


@pytest.mark.real
def test_a_topic_that_is_not_there_is_not_created(
    tmp_path: Path, kafka_broker: KafkaBroker
) -> None:
    file, servers = tmp_path / "events.jsonl", kafka_broker.bootstrap_servers
    file.write_bytes(a_line())

    for _ in range(2):
        done = events("replay", file, "--topic", "nobody-made-me", broker=servers)
        assert done.exit_code == 3
        assert "--create --topic nobody-made-me" in done.stderr
    assert events("inspect", "--topic", "nobody-made-me", broker=servers).exit_code == 3


@pytest.mark.real
def test_a_person_can_end_it(tmp_path: Path, kafka_broker: KafkaBroker) -> None:
    """An hour at its own pace; what was due is on the topic."""
    topic = created(kafka_broker, "events-ended", partitions=1)
    file, servers = tmp_path / "events.jsonl", kafka_broker.bootstrap_servers
    lines = [a_line(id=str(number), time=T0 + 3600 * (number // 10)) for number in range(20)]
    file.write_bytes(b"\n".join(lines))
    process = subprocess.Popen(
        [sys.executable, "-m", "predictor.cli", "events", "replay", str(file), "--topic", topic],
        env={**os.environ, BROKER: servers},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _until_there(topic, servers, 10)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    finally:
        process.kill()

    assert process.returncode == 130, told
    assert "Traceback" not in told
    assert _records(topic, servers) == 10


def _records(topic: str, servers: str) -> int:
    told = events("inspect", "--topic", topic, "--from-beginning", "-o", "json", broker=servers)
    return int(json.loads(told.stdout)["records"])


def _until_there(topic: str, servers: str, records: int) -> None:
    for _ in range(100):
        if _records(topic, servers) >= records:
            return
    raise AssertionError(f"{records} records never came")
