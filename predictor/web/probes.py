"""`/livez`, `/readyz`, `/metrics` and `/decisions/latest` over HTTP.

`predictor/worker.py` starts it. Live means that the loop turned lately; ready means that partitions
are assigned, their history is back and the cluster answers. The two must never be the same check:
a broker or API server that is away makes a worker unready, and restarting it would mend nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route


class Checks(Protocol):
    """Named checks; each value is None when it holds, else the sentence that says why not."""

    def live(self) -> Mapping[str, str | None]:
        """Whether this process still does its work."""
        ...

    def ready(self) -> Mapping[str, str | None]:
        """Whether its decisions can be relied on right now."""
        ...


class Starting:
    """The checks of a worker that waits for its broker: alive, and of no use yet."""

    def live(self) -> Mapping[str, str | None]:
        """Waiting is what it should do; a restart would mend nothing."""
        return {"start": None}

    def ready(self) -> Mapping[str, str | None]:
        """Never, until other checks take its place."""
        return {"start": "the broker has not answered yet"}


class CurrentChecks:
    """Passes on to whichever checks hold now."""

    def __init__(self) -> None:
        self.now: Checks = Starting()

    def live(self) -> Mapping[str, str | None]:
        """See `Checks`."""
        return self.now.live()

    def ready(self) -> Mapping[str, str | None]:
        """See `Checks`."""
        return self.now.ready()


class LatestRecord:
    """The newest audit record's bytes, and no other's; set by the worker, read by the server."""

    def __init__(self) -> None:
        self.body: bytes | None = None


def probe_app(
    checks: Checks, registry: CollectorRegistry, latest: LatestRecord | None = None
) -> Starlette:
    """The ASGI app with its four routes; `latest` is what `/decisions/latest` gives."""

    async def livez(_: Request) -> Response:
        return _answer(checks.live)

    async def readyz(_: Request) -> Response:
        return _answer(checks.ready)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def decisions_latest(_: Request) -> Response:
        body = None if latest is None else latest.body
        if body is None:
            return PlainTextResponse("no decision has been made yet\n", status_code=404)
        return Response(body, media_type="application/json")

    return Starlette(
        routes=[
            Route("/livez", livez),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
            Route("/decisions/latest", decisions_latest),
        ]
    )


def _answer(check: Callable[[], Mapping[str, str | None]]) -> Response:
    """200 or 503, a line per check as kube-apiserver prints them."""
    found = check()
    lines = [f"[{'+' if why is None else '-'}]{name} {why or 'ok'}" for name, why in found.items()]
    failed = any(why is not None for why in found.values())
    return PlainTextResponse("\n".join(lines) + "\n", status_code=503 if failed else 200)
