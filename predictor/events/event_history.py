"""Reads history that is events already: OTLP JSON of a Collector's file exporter, MPLP's shapes.

`predictor/events/convert.py` uses it. Every format that `streams/events.py` decodes without headers
is read, one record a line. Pure.
"""

from __future__ import annotations

from predictor.events.arrivals import Arrivals, SetAside
from streams.event_types import OTHER
from streams.events import Catalog, Event, Ignored, MetricSample, Rejected, RequestEvent, decode


class EventHistory:
    """Lines as the service would read them from a topic, without timestamps of records."""

    def __init__(
        self, catalog: Catalog, *, module: str | None = None, region: str | None = None
    ) -> None:
        """`module` and `region` go before what an event says."""
        self._catalog = catalog
        self._module, self._region = module, region

    def read(self, line: bytes) -> list[Arrivals | SetAside]:
        """The requests of a record."""
        outcomes = decode(line, (), self._catalog, record_time_s=None)
        return [self._arrivals(one) for one in outcomes]

    def _arrivals(self, event: Event | Rejected) -> Arrivals | SetAside:
        if isinstance(event, Rejected):
            return SetAside(event.reason.value, event.detail)
        if isinstance(event, MetricSample):
            return SetAside("metric_sample", f"{event.name} is a sample, not a request")
        if isinstance(event, Ignored):
            return SetAside("no_arrival", event.what)
        if not isinstance(event, RequestEvent):
            return SetAside("heartbeat", "a heartbeat holds no request")
        module, region = self._module or event.module, self._region or event.region
        if OTHER in (module, region):
            return SetAside("unknown_module_or_region", "the event names one not configured")
        # What sampling adds to the variance tells how many each reported request stands for.
        one_in = 1 + event.variance / event.requests
        return Arrivals(event.time_s, module, region, event.requests / one_in, one_in, event.pinned)


def is_event(line: bytes, catalog: Catalog) -> bool:
    """Whether the service could read a line."""
    outcomes = decode(line, (), catalog, record_time_s=None)
    return any(not isinstance(one, Rejected) for one in outcomes)
