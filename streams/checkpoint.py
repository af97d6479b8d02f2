"""What is committed for an input partition: an offset, and what the offset alone does not say.

`streams/windows.py` writes and reads it, `streams/committed.py` brings it back from the broker.
Must never be read where any part of it is not understood: whoever takes over then begins anew.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from streams.duplicates import IdCount
from streams.gaps import Gaps
from streams.partial_stretch import PartialStretch
from streams.watermark import WatermarkState

CHECKPOINT_VERSION = 2


class Checkpoint(NamedTuple):
    """The offset to read from, and the metadata that lies beside it."""

    offset: int
    metadata: str


class CheckpointMetadata(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Up to where buckets are out, the next record to be judged, the watermark, and what is lost.

    Buckets from `whole_from_s` on are known with all their events, so only these may be amended.
    `ids` is where the reader that goes on begins to count events with an id.
    """

    version: int
    bucket_s: int
    closed_through_s: int
    position: int
    watermark: WatermarkState
    whole_from_s: int = 0
    gaps: Gaps = ()
    skip: PartialStretch | None = None
    silences: Gaps = ()
    ids: IdCount = IdCount()

    def beside(self, offset: int) -> Checkpoint:
        """Both, ready to be committed."""
        return Checkpoint(offset, msgspec.json.encode(self).decode())


def read_metadata(text: str) -> CheckpointMetadata | None:
    """None for what nobody here wrote, another version's included."""
    try:
        metadata = msgspec.json.decode(text, type=CheckpointMetadata)
    except (msgspec.MsgspecError, ValueError):
        return None
    return metadata if metadata.version == CHECKPOINT_VERSION else None
