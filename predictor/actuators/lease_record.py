"""A Lease as the API server keeps it: what is read, and the two changes that are made to it.

`leases.py` sends them. Pure; the times of day in it are for people, nobody may compare them.

Source: Kubernetes API reference, coordination.k8s.io/v1 Lease, and client-go
`tools/leaderelection` for what its fields mean.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from typing import Any

import msgspec

from predictor.actuators.objects import Metadata, Wire
from predictor.core.opt_in import FIELD_MANAGER

EPOCH_MAX = 2**31 - 1
"""`leaseTransitions` is a 32-bit number."""
EPOCH_CARRIED_MAX = EPOCH_MAX // 2
"""What an object may carry and still be caught up with; more was typed by somebody."""
_NAME_LENGTH_MAX = 200
_RELEASED_DURATION_S = 1


class LeaseSpec(Wire, frozen=True):
    """Who holds it, since when and for how long."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    lease_transitions: int | None = None
    renew_time: str | None = None


class Lease(Wire, frozen=True):
    """A Lease of `coordination.k8s.io/v1`."""

    metadata: Metadata
    spec: LeaseSpec = LeaseSpec()

    @property
    def holder(self) -> str:
        """Empty where nobody holds it."""
        return self.spec.holder_identity or ""

    @property
    def transitions(self) -> int:
        """How often the holder has changed."""
        return self.spec.lease_transitions or 0


def leases_path(namespace: str) -> str:
    """Where the Leases of a namespace lie."""
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"


def lease_name(group: str, partition: int) -> str:
    """The Lease of one demand partition; a group that is no DNS name gets a digest of itself."""
    safe = re.sub("[^a-z0-9.-]", "-", group.lower())[:_NAME_LENGTH_MAX]
    safe = re.sub("[.-]{2,}", "-", safe).strip(".-")
    if safe != group:
        safe += f"-{hashlib.sha256(group.encode()).hexdigest()[:8]}"
    named = safe if safe.startswith(FIELD_MANAGER) else f"{FIELD_MANAGER}-{safe}"
    return f"{named}-{partition}"


def new_lease(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The whole object, for its creation."""
    labels = {"app.kubernetes.io/name": FIELD_MANAGER}
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
    }


def lease_patch(lease: Lease, spec: dict[str, Any]) -> dict[str, Any]:
    """A merge patch that the server refuses once anybody has written since `lease` was read."""
    return {"metadata": {"resourceVersion": lease.metadata.resource_version}, "spec": spec}


def held_spec(
    holder: str, duration_s: float, epoch: int, now: dt.datetime, *, acquires: bool
) -> dict[str, Any]:
    """What a holder writes; `now` is the time of day."""
    spec: dict[str, Any] = {
        "holderIdentity": holder,
        "leaseDurationSeconds": max(1, round(duration_s)),
        "leaseTransitions": epoch,
        "renewTime": _micro_time(now),
    }
    if acquires:
        spec["acquireTime"] = _micro_time(now)
    return spec


def released_spec(now: dt.datetime) -> dict[str, Any]:
    """What lets the next one take it at once."""
    return {
        "holderIdentity": "",
        "leaseDurationSeconds": _RELEASED_DURATION_S,
        "renewTime": _micro_time(now),
    }


def _micro_time(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_lease(body: bytes) -> Lease:
    """Raises `msgspec.MsgspecError`."""
    return msgspec.json.decode(body, type=Lease)
