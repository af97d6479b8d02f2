"""Requests that are served by Ready pods, in the order in which they came, or given up.

`workload.py` calls it for each stretch of time in which neither demand nor pods change. Requests
are a fluid here: fractions of one are served. It must never lose a request: each is served, waits,
or is counted as unserved.
"""

from __future__ import annotations

from typing import NamedTuple

from predictor.cluster_model.response_times import UTILISATION_MAX, slot_wait_s


class Demand(NamedTuple):
    """Requests that wait at a stretch's start, what arrives per second, and for how long."""

    queue: float
    per_s: float
    duration_s: float


class Served(NamedTuple):
    """What became of a stretch: requests served, given up, and waiting at its end.

    `response_s` is the mean of the exponential part of the response times, `backlog_s` the mean
    wait behind the queue before it.
    """

    served: float
    unserved: float
    queue: float
    response_s: float
    backlog_s: float


def serve_stretch(
    demand: Demand, carried_per_s: float, patience_s: float, service_time_s: float
) -> Served:
    """Serve a constant demand with a constant capacity, in requests per second.

    Who would wait longer than `patience_s` gives up at once. Where nobody serves, all wait for
    their patience.
    """
    queue, demand_per_s, duration_s = demand
    waiting = queue + demand_per_s * duration_s
    served = min(waiting, carried_per_s * duration_s)
    left = waiting - served
    if carried_per_s <= 0.0:
        kept = min(left, demand_per_s * patience_s)
        return Served(0.0, left - kept, kept, service_time_s, patience_s if kept else 0.0)
    kept = min(left, carried_per_s * patience_s) if left > 0.0 else 0.0
    utilisation = UTILISATION_MAX if queue or kept else demand_per_s / carried_per_s
    slots = carried_per_s * service_time_s
    response_s = service_time_s + slot_wait_s(utilisation, slots, service_time_s)
    backlog_s = (queue + kept) / 2.0 / carried_per_s if queue or kept else 0.0
    return Served(served, left - kept, kept, response_s, backlog_s)
