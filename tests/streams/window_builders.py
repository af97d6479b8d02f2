"""Events and windows of one partition, for tests: whole values, drawn or made."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from streams.catalog import Catalog
from streams.checkpoint import Checkpoint
from streams.demand import DemandPart
from streams.event_columns import Cells
from streams.event_types import OTHER, Heartbeat, RequestEvent, WorkflowRequest
from streams.windows import PartitionWindows

T0 = 1_764_000_000.0
LATENESS_S = 20.0
CELLS = Cells(Catalog(["core", "plan"], ["us-east-1", "eu-west-1"]))


def a_request(at_s: float, **changed: object) -> RequestEvent:
    fields: dict[str, object] = {
        "event_id": "",
        "time_s": T0 + at_s,
        "module": "core",
        "region": "us-east-1",
        "requests": 1.0,
        "pinned": False,
    }
    made = WorkflowRequest if "stages" in changed else RequestEvent
    return made(**{**fields, **changed})  # type: ignore[arg-type]


def a_window(
    checkpoint: Checkpoint | None = None,
    generation: int = 1000,
    first_offset: int | None = None,
    amend_s: int = 0,
) -> PartitionWindows:
    return PartitionWindows(
        3,
        CELLS,
        amend_s=amend_s,
        lateness_s=LATENESS_S,
        duplicate_events=generation,
        checkpoint=checkpoint,
        first_offset=first_offset,
    )


def gaps_of(windows: PartitionWindows, *, idle: bool = False) -> list[tuple[int, int]]:
    """The gaps it tells of, counted from T0; 0 where nobody knows since when."""
    gaps = windows.progress(8, idle=idle).gaps
    return [(from_s and from_s - int(T0), until_s - int(T0)) for from_s, until_s in gaps]


def read(
    events: Sequence[RequestEvent | Heartbeat], windows: PartitionWindows, first: int = 0
) -> list[DemandPart]:
    for offset, event in enumerate(events[first:], first):
        windows.add(event, offset)
    return windows.close()


def requests_of(parts: Sequence[DemandPart]) -> dict[int, float]:
    totals: dict[int, float] = {}
    for part in parts:
        at_s = part.bucket_start_s - int(T0)
        totals[at_s] = totals.get(at_s, 0) + sum(cell.requests for cell in part.cells)
    return totals


DRAWN = st.tuples(
    st.sampled_from([0, 0, 1, 3, 12]),  # how far event time moves on
    st.sampled_from([0, 0, 0, 5, 15, 25]),  # and how far this event lies behind it
    st.sampled_from(["", *"abcdefgh"]),
    st.sampled_from(["core", "plan"]),
    st.sampled_from([False] * 9 + [True]),
)


def in_the_order_of_arrival(
    drawn: list[tuple[int, int, str, str, bool]],
) -> list[RequestEvent | Heartbeat]:
    """Event time moves on while single events lie behind it; the end closes every bucket.

    Some of the events start workflows.
    """
    events: list[RequestEvent | Heartbeat] = []
    now_s = 100
    for step_s, behind_s, event_id, module, beat in drawn:
        now_s += step_s
        at_s = now_s - behind_s
        said = {"stages": ("plan", OTHER, "plan")} if event_id in ("b", "c") else {}
        events.append(
            Heartbeat("", T0 + at_s)
            if beat
            else a_request(at_s, event_id=event_id, module=module, **said)
        )
    return [*events, Heartbeat("", T0 + 10_000)]


EVENTS = st.lists(DRAWN, max_size=40).map(in_the_order_of_arrival)
STOPS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=4)
