"""What has been counted of one simulated workload since its start.

`workload.py` adds to it; tables, reports and tests read it. It must never judge: what it costs is
always there beside what it brought.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from predictor.cluster_model.response_times import ResponseTimes


@dataclass(slots=True)
class Measures:
    """Times in seconds, requests as (fractional) numbers of requests."""

    elapsed_s: float = 0.0
    violation_s: float = 0.0
    pod_s: float = 0.0
    requests: float = 0.0
    served: float = 0.0
    unserved: float = 0.0
    scale_actions: int = 0
    floor_changes: int = 0
    response_times: ResponseTimes = field(default_factory=ResponseTimes)

    @property
    def violation_minutes(self) -> float:
        """Minutes in which Ready pods could not carry the demand, or not in time."""
        return self.violation_s / 60.0

    @property
    def pod_hours(self) -> float:
        """Hours of every pod that existed, starting ones included."""
        return self.pod_s / 3600.0

    @property
    def response_p50_s(self) -> float:
        """Median response time of the requests served."""
        return self.response_times.quantile_s(0.5)

    @property
    def response_p95_s(self) -> float:
        """95th percentile of the response time of the requests served."""
        return self.response_times.quantile_s(0.95)

    @property
    def response_p99_s(self) -> float:
        """99th percentile of the response time of the requests served."""
        return self.response_times.quantile_s(0.99)

    def add(self, other: Measures) -> None:
        """Count the other workload's in, such as one of another region."""
        self.elapsed_s += other.elapsed_s
        self.violation_s += other.violation_s
        self.pod_s += other.pod_s
        self.requests += other.requests
        self.served += other.served
        self.unserved += other.unserved
        self.scale_actions += other.scale_actions
        self.floor_changes += other.floor_changes
        self.response_times.merge(other.response_times)

    def copy(self) -> Measures:
        """As counted until now."""
        twin = Measures()
        twin.add(self)
        return twin
