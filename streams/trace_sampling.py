"""How many spans a sampled one stands for, by what its tracestate says.

`streams/otlp_traces.py` asks for every span that is counted. Pure. Source: OpenTelemetry
specification, "TraceState: Probability Sampling" (sub-key `th`, a rejection threshold T of 56 bits:
a span was kept with probability (2^56 - T) / 2^56, so it stands for the inverse, its adjusted
count), and the earlier version of the same document (sub-key `p`: kept with probability 2^-p, 63
standing for none).
"""

from __future__ import annotations

import re

from streams.event_types import RefusalError, RejectReason

STOOD_FOR_MAX = 1e6
"""A span that claims to stand for more is refused, as in our contract: it would be all demand."""

_OURS = re.compile(r"(?:^|,)\s*ot=([^,]{0,256})")
_THRESHOLD = re.compile(r"(?:^|;)th:([0-9a-f]{1,14})(?:;|$)")
_POWER = re.compile(r"(?:^|;)p:(\d{1,2})(?:;|$)")
_ALL = 1 << 56
_THRESHOLD_DIGITS = 14
_POWER_OF_NONE = 63


def spans_stood_for(trace_state: str) -> float | None:
    """The adjusted count; 0 for a span that is to count for nothing, None where nothing is said.

    What cannot be read says nothing, as the specification demands. Raises `RefusalError` beyond
    `STOOD_FOR_MAX`.
    """
    ours = _OURS.search(trace_state) if trace_state else None
    if ours is None:
        return None
    threshold = _THRESHOLD.search(ours[1].rstrip())
    if threshold is not None:
        kept = _ALL - int(threshold[1].ljust(_THRESHOLD_DIGITS, "0"), 16)
        return _bounded(_ALL / kept)
    power = _POWER.search(ours[1].rstrip())
    if power is None or int(power[1]) > _POWER_OF_NONE:
        return None
    if int(power[1]) == _POWER_OF_NONE:
        return 0.0
    return _bounded(2.0 ** int(power[1]))


def _bounded(stood_for: float) -> float:
    if stood_for > STOOD_FOR_MAX:
        sentence = f"a span that stands for {stood_for:.3g}, at most {STOOD_FOR_MAX:g}"
        raise RefusalError(RejectReason.INVALID_FIELD, sentence)
    return stood_for
