"""Reads access logs: the combined format of web servers, and JSON lines of nginx, Envoy and Istio.

`predictor/events/convert.py` uses it. The module is told by the path (`/api/v1/plans/7` is `plan`),
else by the cluster or host that a proxy sent the request to. Health checks and scrapes are no
demand. Every answer counts, 429 and 503 too: what is refused was asked for. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from predictor.events.arrivals import Arrivals, SetAside, place
from predictor.events.log_time import log_time_s
from streams.events import Catalog

Direction = Literal["any", "inbound", "outbound"]

_COMBINED = re.compile(rb'\[([^\]]{15,40})\] "((?:[^"\\]|\\.)*)" \d{3}(?:\s|$)')
_API = re.compile(r"/api(?:/v\d+)?/([^/?#]+)(?:/([^/?#]+))?")
_HEALTH = {
    "health", "healthz", "healthcheck", "live", "livez", "liveness", "ready", "readyz", "readiness",
    "metrics", "ping", "status", "favicon.ico",
}  # fmt: skip
TIME_KEYS = (
    "start_time", "time_iso8601", "@timestamp", "timestamp", "msec", "time_local", "time", "ts",
)  # fmt: skip
"""Envoy's and Istio's first, then nginx's variables, then what shippers add."""
PATH_KEYS = ("path", "request_uri", "uri", "request", "url")
SERVICE_KEYS = ("upstream_cluster", "authority", "host", "server_name")
REGION_KEYS = ("region", "cloud.region")
_OBJECT = msgspec.json.Decoder(dict[str, Any])


class AccessLog:
    """Both kinds of lines, told by their first byte. `directions` counts what Istio's say."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        module: str | None = None,
        region: str | None = None,
        zone: ZoneInfo | None = None,
        direction: Direction = "any",
    ) -> None:
        """`module` and `region` go before what a line says."""
        self._catalog = catalog
        self._fixed = (module, region)
        self._zone = zone
        self._direction = direction
        self.directions: Counter[str] = Counter()

    def read(self, line: bytes) -> list[Arrivals | SetAside]:
        """The one request of the line; raises `SetAside`."""
        if line.lstrip()[:1] == b"{":
            return [self._from_json(line)]
        found = _COMBINED.search(line)
        if found is None:
            raise SetAside("malformed", 'no access log line: `[time] "request" status` is missing')
        time, request = (part.decode("utf-8", "replace") for part in found.groups())
        path = _path_of_request(request)
        return [self._arrival(time, path, (), None)]

    def _from_json(self, line: bytes) -> Arrivals:
        try:
            fields = _OBJECT.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise SetAside("malformed", f"not JSON: {error}") from error
        time = _first(fields, TIME_KEYS)
        if time is None:
            raise SetAside("invalid_time", f"none of {', '.join(TIME_KEYS)} is there")
        cluster = str(fields.get("upstream_cluster") or "")
        direction = cluster.partition("|")[0]
        self.directions[direction if direction in ("inbound", "outbound") else "unknown"] += 1
        if self._direction not in ("any", direction):
            raise SetAside("other_direction", f"not an {self._direction} line")
        path = str(_first(fields, PATH_KEYS) or "")
        if " " in path.strip():
            path = _path_of_request(path)
        services = [str(fields[key]) for key in SERVICE_KEYS if fields.get(key)]
        region = _first(fields, REGION_KEYS)
        time = time if isinstance(time, int | float) else str(time)
        return self._arrival(time, path, services, None if region is None else str(region))

    def _arrival(
        self, time: str | float | int, path: str, services: Any, region: str | None
    ) -> Arrivals:
        _refuse_health(path)
        time_s = log_time_s(time, self._zone)
        module = None if self._fixed[0] else self._module(path, services)
        found = place(self._catalog, module, region, self._fixed)
        return Arrivals(time_s, *found)

    def _module(self, path: str, services: Any) -> str:
        api = _API.match(path)
        if api is not None and self._catalog.module(api[1]) is not None:
            return api[1]
        for service in services:
            name = _service_name(service)
            if name and self._catalog.module(name) is not None:
                return name
        if api is not None:
            return api[1]
        raise SetAside("path_without_module", f"{path[:80]!r} is not /api/v1/<module>s")


def is_access_log(line: bytes) -> bool:
    """Whether a line looks like one."""
    if line.lstrip()[:1] != b"{":
        return _COMBINED.search(line) is not None
    try:
        fields = _OBJECT.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return _first(fields, TIME_KEYS) is not None and (
        _first(fields, PATH_KEYS) is not None or "upstream_cluster" in fields
    )


def _refuse_health(path: str) -> None:
    parts = path.split("?", 1)[0].strip("/").split("/")
    if parts[-1].lower() in _HEALTH and (len(parts) == 1 or parts[0] == "api"):
        raise SetAside("health_check", f"{path[:80]!r} is no demand")


def _path_of_request(request: str) -> str:
    """The path of `GET /path?x=1 HTTP/1.1`; a proxy's request names scheme and host as well."""
    words = request.split()
    if len(words) < 2:
        raise SetAside("no_request", f"{request[:80]!r} is no request line")
    target = words[1]
    if "://" in target:
        target = "/" + target.split("://", 1)[1].partition("/")[2]
    return target


def _service_name(service: str) -> str:
    """`mplp-plan-service` of `outbound|80||mplp-plan-service.mplp.svc.cluster.local`."""
    return service.rsplit("|", 1)[-1].split(":", 1)[0].split(".", 1)[0]


def _first(fields: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((fields[key] for key in keys if fields.get(key) not in (None, "", "-")), None)
