"""Requests to one API server: bounded in time, and never more often than the server can bear.

`kubernetes.py` sends everything through here. It must never raise the client's own errors, wait
without a limit, or keep asking a server that does not answer.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from predictor.actuators.cluster_settings import ClusterSettings
from predictor.actuators.port import ClusterUnreachable
from predictor.core.opt_in import FIELD_MANAGER

APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"

TOO_MANY_REQUESTS = 429
UNAVAILABLE = 503

# A full page of 500 HPAs with their managedFields is about 5 MB.
_ANSWER_BYTES_MAX = 64 * 1024 * 1024

# Workers that start together must not draw alike.
_RANDOM = secrets.SystemRandom()


class Answer(NamedTuple):
    """What the API server said; a status of 300 and above is its refusal, not an exception."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the server did what was asked."""
        return self.status < 300


class Backoff:
    """When the next request may go out after failures: doubling delays, spread by half.

    Jitter after Marc Brooker, "Exponential Backoff And Jitter": without it every worker returns in
    the same instant as the server does.
    """

    def __init__(
        self,
        delay_s: float,
        delay_max_s: float,
        monotonic: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = _RANDOM.random,
    ) -> None:
        self._delay_s = delay_s
        self._delay_max_s = delay_max_s
        self._monotonic = monotonic
        self._draw = draw
        self._failures = 0
        self._open_at_s = 0.0

    @property
    def wait_s(self) -> float:
        """Seconds until the next request may go out; 0 when it may go now."""
        return max(0.0, self._open_at_s - self._monotonic()) if self._failures else 0.0

    def failed(self, asked_wait_s: float = 0.0) -> None:
        """Close for a while; requests that were under way together count as one failure."""
        if self.wait_s:
            return
        delay_s = min(self._delay_max_s, self._delay_s * 2.0 ** min(self._failures, 16))
        spread_s = delay_s * (0.5 + 0.5 * self._draw())
        self._failures += 1
        self._open_at_s = self._monotonic() + max(spread_s, min(asked_wait_s, self._delay_max_s))

    def answered(self) -> None:
        """Open again."""
        self._failures = 0


class Connection:
    """One API server as seen by one identity; connects at the first request."""

    def __init__(self, settings: ClusterSettings, backoff: Backoff | None = None) -> None:
        self._settings = settings
        self._client: ApiClient | None = None
        self._backoff = backoff or Backoff(settings.retry_delay_s, settings.retry_delay_max_s)

    async def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Answer:
        """Read one path; raises `ClusterUnreachable` where there is no answer in time."""
        return await self._request("GET", path, query, None, "application/json")

    async def patch(
        self, path: str, body: Any, content_type: str, query: Sequence[tuple[str, str]] = ()
    ) -> Answer:
        """Patch one object; raises `ClusterUnreachable`, after which it may have been written."""
        return await self._request("PATCH", path, query, body, content_type)

    async def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()  # type: ignore[no-untyped-call]  # the client's own lack

    async def _request(
        self, method: str, path: str, query: Sequence[tuple[str, str]], body: Any, kind: str
    ) -> Answer:
        wait_s = self._backoff.wait_s
        if wait_s:
            raise ClusterUnreachable(f"the API server failed; asked again in {wait_s:.1f} s")
        try:
            answer, asked_wait_s = await self._send(method, path, query, body, kind)
        except (aiohttp.ClientError, OSError, TimeoutError, config.ConfigException) as error:
            self._backoff.failed()
            what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            limit_s = self._settings.request_timeout_s
            message = f"{method} {path} got no answer within {limit_s:g} s ({what})"
            raise ClusterUnreachable(message) from error
        if answer.status in (TOO_MANY_REQUESTS, UNAVAILABLE):
            self._backoff.failed(asked_wait_s)
        else:
            self._backoff.answered()
        return answer

    async def _send(
        self, method: str, path: str, query: Sequence[tuple[str, str]], body: Any, kind: str
    ) -> tuple[Answer, float]:
        client = self._client or await self._connect()
        request = await client.param_serialize(
            method,
            path,
            query_params=list(query),
            header_params={"Accept": "application/json", "Content-Type": kind},
            body=body,
            auth_settings=["BearerToken"],
        )
        limit_s = self._settings.request_timeout_s
        response = await client.call_api(*request, _request_timeout=limit_s)
        length = response.response.content_length or 0
        if length > _ANSWER_BYTES_MAX:
            response.response.close()
            raise OSError(f"an answer of {length} bytes is beyond {_ANSWER_BYTES_MAX}")
        said = await response.read()  # type: ignore[no-untyped-call]
        return Answer(response.status, said), _retry_after_s(response.headers.get("Retry-After"))

    async def _connect(self) -> ApiClient:
        settings = self._settings
        configuration = Configuration(connection_pool_maxsize=settings.connections_max)
        if settings.kubeconfig is None:
            config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        else:
            _refuse_missing(Path(settings.kubeconfig))
            await config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=settings.kubeconfig,
                context=settings.context,
                client_configuration=configuration,
                persist_config=False,
            )
        self._client = ApiClient(configuration)
        self._client.user_agent = FIELD_MANAGER
        return self._client


def _refuse_missing(kubeconfig: Path) -> None:
    """The client itself would read a missing file as an empty one."""
    if not kubeconfig.exists():
        raise FileNotFoundError(f"kubeconfig {kubeconfig} does not exist")


def _retry_after_s(header: str | None) -> float:
    return float(header) if header is not None and header.isdecimal() else 0.0
