from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from rigs.kafka import KafkaBroker
from scripts.bench_streams.check import Reported, our_fault, peer_fault
from scripts.bench_streams.comparison import compare
from scripts.bench_streams.events import EVENT_BYTES, PARTITIONS, Stream, Truth, events
from streams.demand import DemandCell, DemandPart
from streams.topics import KafkaConnection

STREAM = Stream(events=5_000)
TRUTH = Truth(STREAM)
for event in events(STREAM):
    TRUTH.add(event)

Parts = list[DemandPart]


@pytest.mark.real
async def test_benchmark_holds_every_total_against_what_was_produced(
    kafka_broker: KafkaBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = KafkaConnection(bootstrap_servers=kafka_broker.bootstrap_servers)

    rows = await compare(connection, 20_000, 1, ["none"], ["ours", "aiokafka"], out=tmp_path)

    assert [(row["verified"], row["fault"]) for row in rows] == [("yes", "")] * 2
    written = msgspec.json.decode((tmp_path / "streams.json").read_bytes())
    assert written["rows"] == rows
    assert "our ingest, the whole job" in capsys.readouterr().out


def test_events_are_as_long_as_the_field_study_had_them_and_the_same_each_time() -> None:
    first, again = list(events(STREAM)), list(events(STREAM))

    assert first == again
    assert {len(event.body) for event in first} == {EVENT_BYTES}
    assert {event.partition for event in first} == set(range(PARTITIONS))
    identities = [event.event_id for event in first]
    assert len(identities) - len(set(identities)) == TRUTH.repeated > 0


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda parts: parts[1:], id="a part is missing"),
        pytest.param(lambda parts: [*parts, parts[0]], id="a part came out twice"),
        pytest.param(lambda parts: [with_one_more(parts[0]), *parts[1:]], id="one event too many"),
    ],
)
def test_our_worker_is_not_verified_when(spoil: Callable[[Parts], Parts]) -> None:
    reported = report({"duplicate": TRUTH.repeated})
    parts = true_parts()

    assert our_fault(reported, parts, TRUTH) == ""
    assert our_fault(reported, spoil(parts), TRUTH) != ""


def test_our_worker_is_not_verified_when_it_found_too_few_duplicates() -> None:
    assert our_fault(report({"duplicate": TRUTH.repeated - 1}), true_parts(), TRUTH) != ""


def test_peer_is_not_verified_when_one_minute_is_one_off() -> None:
    right = TRUTH.minutes()
    key = next(iter(right))

    assert peer_fault(report(right), TRUTH, "minutes") == ""
    assert peer_fault(report({**right, key: right[key] - 1}), TRUTH, "minutes") != ""


def test_peer_may_keep_only_what_is_still_open() -> None:
    closed = TRUTH.minutes(closed=True)
    fewer = dict(list(closed.items())[1:])

    assert peer_fault(report(closed), TRUTH, "closed minutes") == ""
    assert peer_fault(report(closed), TRUTH, "minutes") != ""
    assert peer_fault(report(fewer), TRUTH, "closed minutes") != ""


def report(totals: dict[str, int]) -> Reported:
    return Reported(cpu_s=1, wall_s=1, peak_kib=1, events=STREAM.events, totals=totals)


def true_parts() -> Parts:
    """One part for each total: how they are spread over input partitions makes no difference."""
    return [
        DemandPart(module, start_s, 10, number, (DemandCell(region, pinned, requests, requests),))
        for number, ((module, region, pinned, start_s), requests) in enumerate(
            sorted(TRUTH.buckets().items())
        )
    ]


def with_one_more(part: DemandPart) -> DemandPart:
    cells = tuple(msgspec.structs.replace(cell, requests=cell.requests + 1) for cell in part.cells)
    return msgspec.structs.replace(part, cells=cells)
