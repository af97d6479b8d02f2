"""Requests to one API server: bounded in time, and never more often than the server can bear.

`kubernetes.py` and `reflector.py` send everything through here. A server that asks for patience
with one path (429) is spared that path; after a few in a row, or where it does not answer at all,
it is spared everything. What was not answered may still be done by a server that was only paused,
so after a silence it is first asked whether it is there, and only then written to. It must never
raise the client's own errors, wait without a limit, or keep asking a server that does not answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.rest import RESTResponse

from predictor.actuators.backoff import Patience, RequestBackoff
from predictor.actuators.cluster_settings import ClusterSettings
from predictor.actuators.port import ClusterUnreachable
from predictor.actuators.server_clock import clock_ahead_s
from predictor.core.opt_in import FIELD_MANAGER

APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"

TOO_MANY_REQUESTS = 429
UNAVAILABLE = 503

# A full page of 500 HPAs with their managedFields is about 5 MB.
_ANSWER_BYTES_MAX = 64 * 1024 * 1024

ASKED_AGAIN = "; asked again"
"""What follows is when: the end of a sentence about a failure that is not new."""

_REFUSED = 300
_ALIVE = "/version"
_NO_ANSWER = (aiohttp.ClientError, OSError, TimeoutError, config.ConfigException)


class Answer(NamedTuple):
    """What the API server said; a status of 300 and above is its refusal, not an exception."""

    status: int
    body: bytes
    retry_after_s: float = 0.0
    date: str = ""

    @property
    def ok(self) -> bool:
        """Whether the server did what was asked."""
        return self.status < 300


class Request(NamedTuple):
    """What is asked of the API server."""

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    body: Any = None
    content_type: str = "application/json"


class Connection:
    """One API server as seen by one identity; connects at the first request.

    `clock_ahead_s` is how far this machine's clock was ahead of the server's at the newest answer,
    None where nothing is known of it.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        backoff: RequestBackoff | None = None,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._wall_s = wall_s
        self.clock_ahead_s: float | None = None
        self._client: ApiClient | None = None
        # Of first requests that come together only one may make the client.
        self._connecting = asyncio.Lock()
        self._backoff = backoff or RequestBackoff(
            settings.retry_delay_s, settings.retry_delay_max_s
        )
        self._patience = Patience(settings.retry_delay_s, settings.retry_delay_max_s)
        self._last_failure = "the API server failed"

    @property
    def wait_s(self) -> float:
        """Seconds until anything may be asked again; 0 when it may be now."""
        return self._backoff.wait_s

    async def get(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Answer:
        """Read one path; raises `ClusterUnreachable` where there is no answer in time."""
        return await self._request(Request("GET", path, query))

    async def patch(
        self, path: str, body: Any, content_type: str, query: Sequence[tuple[str, str]] = ()
    ) -> Answer:
        """Patch one object; raises `ClusterUnreachable`, after which it may have been written."""
        if self._backoff.has_failed:
            # Any answer will do; a write that waits in a paused server would come out later.
            await self._request(Request("GET", _ALIVE))
        return await self._request(Request("PATCH", path, query, body, content_type))

    async def post(self, path: str, body: Any) -> Answer:
        """Create an object or a review; raises `ClusterUnreachable`, as `patch` does."""
        return await self._request(Request("POST", path, body=body))

    @contextlib.asynccontextmanager
    async def stream(
        self, path: str, query: Sequence[tuple[str, str]], read_timeout_s: float
    ) -> AsyncIterator[AsyncIterator[bytes] | Answer]:
        """The body piece by piece, or the refusal; raises `ClusterUnreachable`, while read too.

        The answer must begin within the settings' time limit, and no silence within it may be
        longer than `read_timeout_s`.
        """
        self._refuse_closed(path)
        limit_s = self._settings.request_timeout_s
        limits = aiohttp.ClientTimeout(sock_connect=limit_s, sock_read=read_timeout_s)
        response = None
        try:
            async with asyncio.timeout(limit_s):
                response = await self._begin(Request("GET", path, query), limits)
            self._backoff.answered()
            if response.status < _REFUSED:
                yield response.response.content.iter_any()
            else:
                async with asyncio.timeout(limit_s):
                    answer = await self._answer(path, response)
                yield answer
        except _NO_ANSWER as error:
            message = f"GET {path} broke off ({_told(error)})"
            if response is None:
                self._last_failure = message
                self._backoff.failed()
            raise ClusterUnreachable(message) from error
        finally:
            if response is not None:
                _abandon(response.response)

    async def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()  # type: ignore[no-untyped-call]  # the client's own lack

    def _refuse_closed(self, path: str) -> None:
        wait_s = self._backoff.wait_s
        if wait_s:
            raise ClusterUnreachable(f"{self._last_failure}{ASKED_AGAIN} in {wait_s:.1f} s")
        wait_s = self._patience.wait_s(path)
        if wait_s:
            message = f"the API server asked for patience{ASKED_AGAIN} in {wait_s:.1f} s"
            raise ClusterUnreachable(message)

    async def _request(self, request: Request) -> Answer:
        self._refuse_closed(request.path)
        try:
            answer = await self._send(request)
        except _NO_ANSWER as error:
            self._backoff.failed()
            limit_s = self._settings.request_timeout_s
            message = f"{request.method} {request.path} got no answer within {limit_s:g} s"
            self._last_failure = f"{message} ({_told(error)})"
            raise ClusterUnreachable(self._last_failure) from error
        if answer.status == UNAVAILABLE:
            self._last_failure = f"{request.method} {request.path} was answered {answer.status}"
            self._backoff.failed(answer.retry_after_s)
        elif answer.status != TOO_MANY_REQUESTS:
            self._backoff.answered()
        return answer

    async def _send(self, request: Request) -> Answer:
        limits = aiohttp.ClientTimeout(total=self._settings.request_timeout_s)
        return await self._answer(request.path, await self._begin(request, limits))

    async def _begin(self, request: Request, limits: aiohttp.ClientTimeout) -> RESTResponse:
        """The answer as far as its headers."""
        async with self._connecting:
            client = self._client or await self._connect()
        headers = {"Accept": "application/json", "Content-Type": request.content_type}
        prepared = await client.param_serialize(
            request.method,
            request.path,
            query_params=list(request.query),
            header_params=headers,
            body=request.body,
            auth_settings=["BearerToken"],
        )
        return await client.call_api(*prepared, _request_timeout=limits)

    async def _answer(self, path: str, response: RESTResponse) -> Answer:
        """The whole answer; one that asks for patience closes its path for a while."""
        length = response.response.content_length or 0
        if length > _ANSWER_BYTES_MAX:
            response.response.close()
            raise OSError(f"an answer of {length} bytes is beyond {_ANSWER_BYTES_MAX}")
        said = await response.read()  # type: ignore[no-untyped-call]
        wait_s = _retry_after_s(response.headers.get("Retry-After"))
        if response.status == TOO_MANY_REQUESTS:
            if self._patience.refused(path, wait_s):
                self._backoff.failed(wait_s)
        else:
            self._patience.answered(path)
        date = response.headers.get("Date", "")
        self.clock_ahead_s = clock_ahead_s(date, self._wall_s())
        return Answer(response.status, said, wait_s, date)

    async def _connect(self) -> ApiClient:
        settings = self._settings
        # A watch keeps its connection, and there is one for each kind and place.
        watches = (2 + settings.patches_scaled_objects) * len(settings.watched_places)
        connections = settings.connections_max + watches
        configuration = Configuration(connection_pool_maxsize=connections)
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


def _abandon(response: aiohttp.ClientResponse) -> None:
    """Let go at once: a closing handshake would wait for a server that may not answer."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _refuse_missing(kubeconfig: Path) -> None:
    """The client itself would read a missing file as an empty one."""
    if not kubeconfig.exists():
        raise FileNotFoundError(f"kubeconfig {kubeconfig} does not exist")


def _retry_after_s(header: str | None) -> float:
    return float(header) if header is not None and header.isdecimal() else 0.0
