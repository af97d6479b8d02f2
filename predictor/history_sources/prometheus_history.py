"""Reads history from Prometheus, or what answers as it does, by range queries.

`predictor/history_options.py` calls it. Labels become the key of a series. A value that the query
has at an instant is what came before it, so it is that of the step that ends there. It must never
send the token anywhere else, follow a redirect with it, or wait and retry without a bound.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import aiohttp
import msgspec
import numpy as np

from models.series import ALL_REGIONS, FloatArray, SeriesBatch, SeriesKey
from predictor.history_sources.history import (
    HistoryRefused,
    SourceHistory,
    check_size,
    instant_text,
    series_name,
)

POINTS_MAX = 11_000
"""A range query for more points of a series is refused by Prometheus itself."""
SERIES_MAX = 5_000
ANSWER_BYTES_MAX = 256 * 2**20
CHUNKS_MAX = 2_000
ATTEMPTS = 5
PAUSE_S = (0.5, 1.0, 2.0, 4.0)
TIMEOUT_S = 120.0
CONNECT_TIMEOUT_S = 10.0
_RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


class PrometheusUnreachable(OSError):  # noqa: N818 - it says what is wrong
    """No answer after every attempt; the message says what the last one met."""


@dataclass(frozen=True, slots=True)
class RangeQuery:
    """What to ask: `start_s` to `end_s` in steps; the labels are those that make a key."""

    url: str
    query: str
    start_s: int
    end_s: int
    step_s: int
    module_label: str = "module"
    region_label: str = "region"
    token: str | None = field(default=None, repr=False)


class _Sampled(msgspec.Struct, frozen=True):
    metric: dict[str, str]
    values: list[tuple[float, str]] = []
    histograms: list[msgspec.Raw] = []


class _Data(msgspec.Struct, frozen=True, rename={"result_type": "resultType"}):
    result_type: str = ""
    result: list[_Sampled] = []


class _Answer(msgspec.Struct, frozen=True, rename={"error_type": "errorType"}):
    status: str
    data: _Data = _Data()
    error: str = ""
    error_type: str = ""
    warnings: list[str] = []


def prometheus_history(asked: RangeQuery) -> SourceHistory:
    """The query's series; raises `HistoryRefused` and `PrometheusUnreachable` (an `OSError`)."""
    start_s = asked.start_s // asked.step_s * asked.step_s
    steps = (asked.end_s - start_s) // asked.step_s
    if steps < 2:
        raise HistoryRefused(
            f"{_name(asked)}: from {instant_text(asked.start_s)} to {instant_text(asked.end_s)} "
            f"there are no two steps of {asked.step_s} s"
        )
    check_size(_name(asked), 1, steps, start_s, asked.step_s)
    laid = _Laid(asked, start_s, steps)
    asyncio.run(_ask_all(asked, laid))
    return laid.history()


def chunks(start_s: int, steps: int, step_s: int) -> Iterator[tuple[int, int]]:
    """First and last instant of each request; an instant is where a step ends."""
    for first in range(0, steps, POINTS_MAX):
        last = min(first + POINTS_MAX, steps)
        yield start_s + (first + 1) * step_s, start_s + last * step_s


class _Laid:
    """Answers as they come, laid on the grid."""

    def __init__(self, asked: RangeQuery, start_s: int, steps: int) -> None:
        self._asked, self._start_s, self._steps = asked, start_s, steps
        self._rows: dict[SeriesKey, FloatArray] = {}
        self._labels: dict[SeriesKey, dict[str, str]] = {}
        self._bad = 0
        self._warnings: dict[str, None] = {}

    def take(self, answer: _Answer) -> None:
        """Raises `HistoryRefused` for an answer that is no matrix of floats, or two of one key."""
        if answer.data.result_type != "matrix":
            kind = answer.data.result_type or "nothing"
            raise HistoryRefused(f"{_name(self._asked)}: expected a matrix, the answer is {kind}")
        self._warnings.update(dict.fromkeys(answer.warnings[:5]))
        for sampled in answer.data.result:
            if sampled.histograms:
                raise HistoryRefused(
                    f"{_name(self._asked)}: the query gives histograms; take histogram_count(...)"
                )
            self._lay(self._row(sampled.metric), sampled.values)

    def history(self) -> SourceHistory:
        """All series; raises `HistoryRefused` where there is none."""
        if not any(np.isfinite(row).any() for row in self._rows.values()):
            raise HistoryRefused(f"{_name(self._asked)}: the query has no value in that stretch")
        notes = [f"{_name(self._asked)}: {warning}" for warning in self._warnings]
        if self._bad:
            notes.append(
                f"{_name(self._asked)}: {self._bad:,} values set aside: negative, infinite"
            )
        keys = tuple(self._rows)
        values = np.stack(list(self._rows.values()))
        batch = SeriesBatch(keys, self._start_s, self._asked.step_s, values)
        return SourceHistory(_name(self._asked), batch, tuple(notes))

    def _row(self, labels: dict[str, str]) -> FloatArray:
        key = self._key(labels)
        known = self._labels.setdefault(key, labels)
        if known != labels:
            raise HistoryRefused(
                f"{_name(self._asked)}: {_shown(known)} and {_shown(labels)} are both "
                f"{series_name(key)}; sum by ({self._asked.module_label}, "
                f"{self._asked.region_label})"
            )
        if key not in self._rows:
            check_size(
                _name(self._asked), len(self._rows) + 1, self._steps, self._start_s,
                self._asked.step_s,
            )  # fmt: skip
            if len(self._rows) >= SERIES_MAX:
                raise HistoryRefused(f"{_name(self._asked)}: more than {SERIES_MAX:,} series")
            self._rows[key] = np.full(self._steps, np.nan)
        return self._rows[key]

    def _key(self, labels: dict[str, str]) -> SeriesKey:
        module = labels.get(self._asked.module_label)
        if not module and labels:
            raise HistoryRefused(
                f"{_name(self._asked)}: the series {_shown(labels)} has no label "
                f"{self._asked.module_label}; name yours with --module-label"
            )
        return SeriesKey(module or "query", labels.get(self._asked.region_label) or ALL_REGIONS)

    def _lay(self, row: FloatArray, values: list[tuple[float, str]]) -> None:
        for at_s, text in values:
            place = round((at_s - self._start_s) / self._asked.step_s) - 1
            value = float(text)
            if 0 <= place < self._steps and 0 <= value < math.inf:
                row[place] = value
            elif not math.isnan(value):
                self._bad += 1


async def _ask_all(asked: RangeQuery, laid: _Laid) -> None:
    headers = {"Authorization": f"Bearer {asked.token}"} if asked.token else {}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    wanted = list(chunks(laid._start_s, laid._steps, asked.step_s))
    if len(wanted) > CHUNKS_MAX:
        raise HistoryRefused(f"{_name(asked)}: {len(wanted):,} requests, at most {CHUNKS_MAX:,}")
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
        for first_s, last_s in wanted:
            laid.take(await _ask(session, asked, first_s, last_s))


async def _ask(
    session: aiohttp.ClientSession, asked: RangeQuery, first_s: int, last_s: int
) -> _Answer:
    """One request, repeated where that may help; the pauses double."""
    form = {
        "query": asked.query, "start": str(first_s), "end": str(last_s),
        "step": str(asked.step_s), "timeout": f"{TIMEOUT_S:g}s",
    }  # fmt: skip
    for attempt in count():
        try:
            status, body = await _post(session, asked, form)
            if status not in _RETRIED_STATUSES:
                return _answer_of(asked, status, body)
            met = f"status {status}"
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
            met = str(error) or type(error).__name__
        except aiohttp.InvalidURL:
            raise HistoryRefused(f"{_name(asked)} is no address such as http://host:9090") from None
        if attempt + 1 == ATTEMPTS:
            break
        await asyncio.sleep(PAUSE_S[min(attempt, len(PAUSE_S) - 1)])
    raise PrometheusUnreachable(f"{_name(asked)}: no answer in {ATTEMPTS} attempts: {met}")


async def _post(
    session: aiohttp.ClientSession, asked: RangeQuery, form: dict[str, str]
) -> tuple[int, bytes]:
    url = asked.url.rstrip("/") + "/api/v1/query_range"
    # A redirect to another host would be handed the query, and to this host the token.
    async with session.post(url, data=form, allow_redirects=False) as response:
        body = bytearray()
        async for part in response.content.iter_chunked(1 << 16):
            body += part
            if len(body) > ANSWER_BYTES_MAX:
                raise HistoryRefused(
                    f"{_name(asked)}: an answer of more than {ANSWER_BYTES_MAX >> 20} MiB; "
                    "ask for fewer series"
                )
        return response.status, bytes(body)


def _answer_of(asked: RangeQuery, status: int, body: bytes) -> _Answer:
    if status in {401, 403}:
        raise HistoryRefused(f"{_name(asked)}: refused with status {status}; see --token-file")
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise HistoryRefused(
            f"{_name(asked)}: status {status}, and the answer is not that of Prometheus"
        ) from None
    if answer.status != "success":
        raise HistoryRefused(f"{_name(asked)}: {answer.error_type}: {answer.error[:300]}")
    return answer


def _name(asked: RangeQuery) -> str:
    """The address without what may stand in it as a secret."""
    scheme, mark, rest = asked.url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def _shown(labels: dict[str, str]) -> str:
    inside = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
    return "{" + inside[:160] + "}"
