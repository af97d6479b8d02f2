"""What a Kafka record's headers say about its value: the content type, and the region.

The formats and `streams/events.py` ask here. Where a name repeats, the last one counts. Must not
raise for any header a sender may write.
"""

from __future__ import annotations

from streams.event_types import Headers

_REGION_BYTES_MAX = 128


def content_type(headers: Headers) -> str:
    """The content type in lower case, with its parameters; empty if there is none."""
    for key, value in reversed(headers):
        if value is not None and key.lower() == "content-type":
            return value.decode("utf-8", "replace").strip().lower()
    return ""


def media_type(headers: Headers) -> str:
    """The content type without its parameters."""
    return content_type(headers).partition(";")[0].rstrip()


def region_header(headers: Headers, name: str) -> str | None:
    """The region that the header of this name gives; None without one, or with an empty one."""
    if not headers or not name:
        return None
    for key, value in reversed(headers):
        if value and key == name:
            return value[:_REGION_BYTES_MAX].decode("utf-8", "replace").strip() or None
    return None
