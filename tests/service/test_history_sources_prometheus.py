"""History from a real Prometheus: all of it, once, with its gaps, whatever stands in between."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from typer.testing import CliRunner

from models.series import SeriesBatch, SeriesKey
from predictor.cli import app
from predictor.history_sources import prometheus_history as source
from predictor.history_sources.history import HistoryRefused, SourceHistory, instant_text
from predictor.history_sources.prometheus_history import (
    PrometheusUnreachable,
    RangeQuery,
    prometheus_history,
)
from rigs.artifacts import BuildError
from rigs.prometheus import Prometheus, programs

pytestmark = pytest.mark.real

T0 = 1_764_028_800
STEP_S, STEPS = 60, 15_000
GAP = slice(9_000, 9_100)
"""Longer than the five minutes for which Prometheus repeats a sample."""
CORE, PLAN = SeriesKey("core", "eu-west-1"), SeriesKey("plan", "*")


def load(place: int) -> int:
    return 100 + place % 1440


def openmetrics() -> str:
    lines = ["# TYPE load gauge"]
    for place in range(STEPS):
        if not GAP.start <= place < GAP.stop:
            at_s = T0 + (place + 1) * STEP_S
            lines.append(f'load{{module="core",region="eu-west-1"}} {load(place)} {at_s}')
    lines += [f'load{{module="plan"}} 5 {T0 + place * 600}' for place in range(1, 1_000)]
    lines += ["# TYPE twice gauge"]
    lines += [f'twice{{module="core",pod="{pod}"}} 1 {T0 + 60}' for pod in "ab"]
    return "\n".join([*lines, "# EOF\n"])


@pytest.fixture(scope="module")
def prometheus() -> Iterator[Prometheus]:
    try:
        programs()
    except BuildError as error:
        pytest.skip(str(error))
    with Prometheus(openmetrics()) as server:
        yield server


def asked(url: str, query: str = "load", *, steps: int = STEPS, **more: str) -> RangeQuery:
    return RangeQuery(url, query, T0, T0 + steps * STEP_S, STEP_S, **more)


def row(history: SourceHistory, key: SeriesKey) -> list[float]:
    batch: SeriesBatch = history.batch
    return [float(value) for value in batch.values[batch.keys.index(key)]]


@asynccontextmanager
async def gate(target: str, *, token: str, failures: int) -> AsyncIterator[tuple[str, list[int]]]:
    """A proxy that wants a token and is away at first; gives its address and its answers."""
    answers: list[int] = []

    async def pass_on(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {token}":
            answers.append(401)
        elif answers.count(503) < failures:
            answers.append(503)
        else:
            async with (
                aiohttp.ClientSession() as session,
                session.post(target + request.path, data=await request.read(),
                             headers={"Content-Type": request.content_type}) as response,
            ):  # fmt: skip
                answers.append(response.status)
                return web.Response(status=response.status, body=await response.read())
        return web.Response(status=answers[-1])

    app = web.Application()
    app.router.add_post("/{path:.*}", pass_on)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}", answers
    finally:
        await runner.cleanup()


def test_every_step_comes_once_though_it_takes_two_requests(prometheus: Prometheus) -> None:
    history = prometheus_history(asked(prometheus.url))

    assert STEPS > source.POINTS_MAX
    assert history.batch.start_s == T0
    expected = [float(load(place)) for place in range(STEPS)]
    found = row(history, CORE)
    assert found[: GAP.start] == expected[: GAP.start]
    assert found[GAP.stop :] == expected[GAP.stop :]


def test_a_stretch_that_nobody_measured_stays_a_gap(prometheus: Prometheus) -> None:
    found = row(prometheus_history(asked(prometheus.url)), CORE)

    repeated = 5  # minutes for which Prometheus itself repeats a gauge
    assert np.isnan(found[GAP.start + repeated : GAP.stop]).all()


def test_a_series_without_a_region_may_be_served_anywhere(prometheus: Prometheus) -> None:
    assert 5.0 in row(prometheus_history(asked(prometheus.url)), PLAN)


def test_a_query_that_prometheus_cannot_read_is_told_in_its_words(prometheus: Prometheus) -> None:
    with pytest.raises(HistoryRefused, match=r"bad_data.*parse error"):
        prometheus_history(asked(prometheus.url, "sum(load"))


def test_two_series_of_one_key_are_not_mixed(prometheus: Prometheus) -> None:
    with pytest.raises(HistoryRefused, match=r"pod=\"a\".*pod=\"b\".*are both core; sum by"):
        prometheus_history(asked(prometheus.url, "twice", steps=10))


def test_a_query_without_any_value_says_so(prometheus: Prometheus) -> None:
    with pytest.raises(HistoryRefused, match="no value in that stretch"):
        prometheus_history(asked(prometheus.url, "nothing"))


async def test_a_server_that_is_away_for_a_moment_is_asked_again(prometheus: Prometheus) -> None:
    async with gate(prometheus.url, token="secret", failures=2) as (url, answers):
        history = await asyncio.to_thread(
            prometheus_history, asked(url, "load", steps=100, token="secret")
        )

    assert row(history, CORE)[0] == load(0)
    assert answers == [503, 503, 200]


async def test_a_wrong_token_is_one_clear_line_that_does_not_show_it(
    prometheus: Prometheus,
) -> None:
    async with gate(prometheus.url, token="secret", failures=0) as (url, answers):
        with pytest.raises(HistoryRefused, match="status 401; see --token-file") as caught:
            await asyncio.to_thread(prometheus_history, asked(url, "load", token="wrong-one"))

    assert answers == [401]
    assert "wrong-one" not in str(caught.value)


def test_an_address_where_nobody_answers_ends_after_bounded_attempts(
    prometheus: Prometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "PAUSE_S", (0.01,))

    with pytest.raises(PrometheusUnreachable, match=f"no answer in {source.ATTEMPTS} attempts"):
        prometheus_history(asked("http://127.0.0.1:9"))


async def test_a_backtest_asks_prometheus_with_the_token_of_a_file(
    prometheus: Prometheus, tmp_path: Path
) -> None:
    token, out = tmp_path / "token", tmp_path / "scores.json"
    token.write_text("secret\n")
    words = ["--query", "avg_over_time(load[1h])", "--step", "1h", "--token-file", str(token)]
    words += ["--start", instant_text(T0), "--end", instant_text(T0 + STEPS * STEP_S)]
    async with gate(prometheus.url, token="secret", failures=0) as (url, _):
        asked_for = ["backtest", "--prometheus", url, *words, "--json", str(out)]
        done = await asyncio.to_thread(CliRunner().invoke, app, asked_for)

    assert done.exit_code == 0, done.stderr
    found = {one["series"] for one in json.loads(out.read_text())["results"] if one["origins"]}
    assert "core/eu-west-1" in found


def test_nothing_is_left_of_a_stopped_server() -> None:
    try:
        programs()
    except BuildError as error:
        pytest.skip(str(error))
    with Prometheus(openmetrics()) as server:
        pid, folder = server.pid, server.folder

    assert pid is not None
    assert folder is not None
    assert not folder.exists()
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        pytest.fail(f"process {pid} is still there")
