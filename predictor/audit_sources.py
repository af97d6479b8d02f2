"""Where audit records are read from: a file, the audit topic, or a running service.

`predictor/audit_cli.py` and `predictor/explain_cli.py` read through it. Records are handed over one
by one, as bytes, with the place they were found at. It must never write, never wait or read
without a bound, and never keep a record.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Literal, NamedTuple

import aiohttp
import msgspec

from predictor.audit_topic import TopicStretch, read_stretch
from predictor.core.audit import RECORD_BYTES_MAX
from predictor.settings import Settings
from predictor.wiring import kafka_connection
from streams.source_file import read_values

STDIN = Path("-")
LATEST_PATH = "/decisions/latest"
CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 60.0
"""For the largest record over a slow line; a small one comes at once."""
SETTLING_S = 60.0
"""A record may be stamped a little before the decision that it holds: clocks differ."""
DELIVERED_WITHIN_S = 3600.0
"""A record that waited longer for its broker is not looked for."""

Take = Callable[[str, bytes], None]
"""Called with the place of a record and its bytes."""


class ServiceHasNone(Exception):  # noqa: N818 - it says what is the case
    """The service has decided nothing yet."""


class Source(NamedTuple):
    """One kind of source; times bound the decisions that are taken, in epoch seconds."""

    kind: Literal["file", "topic", "service"]
    file: Path = STDIN
    url: str = ""
    since_s: float | None = None
    until_s: float | None = None
    records_max: int = 100_000
    around_s: float | None = None
    """Begin a little before the newest decision at this time, instead of at `since_s`."""
    newest: bool = False
    """Only the newest decisions of each partition."""


class Told(NamedTuple):
    """How much was read: `is_cut` where `records_max` came before the end."""

    records: int
    is_cut: bool


class _Head(msgspec.Struct, frozen=True):
    made_at_s: float


class _Glance(msgspec.Struct, frozen=True):
    decision: _Head


def read_source(source: Source, settings: Settings, take: Take) -> Told:
    """Hand every record over; raises `OSError`, `EOFError` or `ServiceHasNone`."""
    taking = _Taking(source, take)
    if source.kind == "file":
        for place, body in _lines(source.file):
            if not taking.offer(place, body):
                break
    elif source.kind == "topic":
        asyncio.run(
            read_stretch(
                kafka_connection(settings),
                settings.kafka.decisions_topic,
                _stretch(source, settings),
                taking.offer,
            )
        )
    else:
        taking.offer(source.url, asyncio.run(_latest(source.url)))
    return Told(taking.records, taking.is_cut)


class _Taking:
    """Takes what lies in the time asked for, `records_max` at most."""

    def __init__(self, source: Source, take: Take) -> None:
        self.records, self.is_cut = 0, False
        self._source, self._take = source, take

    def offer(self, place: str, body: bytes) -> bool:
        """False when no more is wanted."""
        if not self._is_wanted(body):
            return True
        if self.records >= self._source.records_max:
            self.is_cut = True
            return False
        self.records += 1
        self._take(place, body)
        return True

    def _is_wanted(self, body: bytes) -> bool:
        """What cannot be read is: whoever takes it says why."""
        since_s, until_s = self._source.since_s, self._source.until_s
        if (since_s is None and until_s is None) or len(body) > RECORD_BYTES_MAX:
            return True
        try:
            made_at_s = msgspec.json.decode(body, type=_Glance).decision.made_at_s
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return True
        return (since_s is None or made_at_s >= since_s) and (
            until_s is None or made_at_s <= until_s
        )


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    lines = (
        _stream_lines(sys.stdin.buffer)
        if path == STDIN
        else read_values(path, bytes_max=RECORD_BYTES_MAX)
    )
    for number, body in lines:
        yield f"line {number + 1}", body


def _stream_lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """As `read_values` gives them: of a longer line, one byte more than is read."""
    number = 0
    while line := stream.readline(RECORD_BYTES_MAX + 1):
        rest = line
        while not rest.endswith(b"\n") and (rest := stream.readline(RECORD_BYTES_MAX + 1)):
            pass
        if line.strip():
            yield number, line.rstrip(b"\r\n")
        number += 1


def _stretch(source: Source, settings: Settings) -> TopicStretch:
    """Which part of the topic can hold the decisions asked for.

    The broker stamps a record when it is written. Where the service's clock is event time this says
    nothing of the decision in it, and all is read.
    """
    if source.newest:
        return TopicStretch(newest=True)
    if settings.clock == "event":
        return TopicStretch()
    until_s = None if source.until_s is None else source.until_s + DELIVERED_WITHIN_S
    if source.around_s is not None:
        return TopicStretch(since_s=source.around_s, until_s=until_s, newest=True)
    since_s = None if source.since_s is None else source.since_s - SETTLING_S
    return TopicStretch(since_s=since_s, until_s=until_s)


async def _latest(url: str) -> bytes:
    """The newest record of the service at this address; raises `OSError`, `ServiceHasNone`."""
    address = url if url.endswith(LATEST_PATH) else url.rstrip("/") + LATEST_PATH
    limits = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=limits) as session,
            session.get(address, allow_redirects=False) as answer,
        ):
            if answer.status == 404:
                raise ServiceHasNone(f"{address}: {(await _body(answer)).decode(errors='replace')}")
            if answer.status != 200:
                raise ConnectionError(f"{address}: answered {answer.status}, expected a record")
            return await _body(answer)
    except TimeoutError as error:
        raise ConnectionError(f"{address}: no answer in {ANSWER_TIMEOUT_S:.0f} s") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise ConnectionError(f"{address}: {error}") from error


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """One byte more than is read at most, so that it is found too long."""
    body = bytearray()
    async for chunk in answer.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > RECORD_BYTES_MAX:
            break
    return bytes(body)
