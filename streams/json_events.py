"""An event as one JSON object: in our own contract, or in one of the shapes that MPLP gives it.

`streams/events.py` registers `JsonEvents`; batches and schema-framed records give what they hold to
`json_event`, so that an event means the same however it is packed. An object with a `kind` is of
our contract, all others are told by their keys (`streams/mplp_shapes.py`).
"""

from __future__ import annotations

import msgspec

from streams.catalog import Catalog
from streams.event_json import contract_event
from streams.event_types import Around, Event, Headers, Outcomes, RefusalError, RejectReason
from streams.mplp_shapes import Fields, Shape, shape_event, shape_of, unwrapped
from streams.record_headers import region_header

_FIELDS = msgspec.json.Decoder(Fields)


class JsonEvents:
    """Takes every record that no other format claims."""

    name = "json"

    def claims(self, media_type: str, headers: Headers) -> bool:
        return False  # `application/json` may also hold spans or samples: the keys tell

    def recognises(self, body: bytes) -> bool:
        return True

    def decode(
        self, headers: Headers, body: bytes, catalog: Catalog, record_time_s: float | None
    ) -> Outcomes:
        return (json_event(body, catalog, record_time_s, surroundings(headers, catalog)),)


def surroundings(headers: Headers, catalog: Catalog) -> Around:
    """What a record's headers add to the events in it."""
    region = region_header(headers, catalog.options.region_header)
    return NOTHING_AROUND if region is None else Around(region=region)


NOTHING_AROUND = Around()


def json_event(
    body: bytes,
    catalog: Catalog,
    record_time_s: float | None,
    around: Around = NOTHING_AROUND,
    *,
    wrapped: bool = False,
) -> Event:
    """The event of one JSON object; raises one of `DECODE_ERRORS`.

    `around` stands in for what the event does not say. A message that wraps another one is opened
    once: `wrapped` says that this is the inner one.
    """
    if b'"kind"' in body:
        try:
            return contract_event(body, catalog, record_time_s, around)
        except RefusalError as refusal:
            if refusal.rejected.reason is not RejectReason.UNKNOWN_KIND:
                raise
    fields = _FIELDS.decode(body)
    shape = shape_of(fields)
    if shape is Shape.MESSAGE and not wrapped:
        payload, around = unwrapped(fields, around)
        return json_event(payload, catalog, record_time_s, around, wrapped=True)
    if shape is None or shape is Shape.MESSAGE:
        return contract_event(body, catalog, record_time_s, around)  # it says what is wrong
    return shape_event(shape, fields, catalog, record_time_s, around)
