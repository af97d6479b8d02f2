"""`/livez` and `/readyz` say what is wrong, each for itself, and `/metrics` is readable."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.parser import text_string_to_metric_families

from predictor.web.probes import probe_app


class Checks:
    def __init__(self, live: Mapping[str, str | None], ready: Mapping[str, str | None]) -> None:
        self._live, self._ready = live, ready

    def live(self) -> Mapping[str, str | None]:
        return self._live

    def ready(self) -> Mapping[str, str | None]:
        return self._ready


async def asked(
    checks: Checks, path: str, registry: CollectorRegistry | None = None
) -> httpx.Response:
    transport = httpx.ASGITransport(app=probe_app(checks, registry or CollectorRegistry()))
    async with httpx.AsyncClient(transport=transport, base_url="http://probe") as client:
        return await client.get(path)


async def test_a_worker_whose_cluster_is_away_is_live_and_not_ready() -> None:
    checks = Checks({"tick": None}, {"partitions": None, "cluster": "no answer for 12 s"})

    live, ready = await asked(checks, "/livez"), await asked(checks, "/readyz")

    assert (live.status_code, live.text) == (200, "[+]tick ok\n")
    assert ready.status_code == 503
    assert "[-]cluster no answer for 12 s" in ready.text
    assert "[+]partitions ok" in ready.text


async def test_a_loop_that_hangs_is_not_live() -> None:
    assert (await asked(Checks({"tick": "none for 90 s"}, {}), "/livez")).status_code == 503


async def test_metrics_are_in_the_format_that_prometheus_reads() -> None:
    registry = CollectorRegistry()
    Counter("things", "Things.", registry=registry).inc(3)

    answer = await asked(Checks({}, {}), "/metrics", registry)

    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert families["things"].samples[0].value == 3
