"""Holds the HPA twin against trajectories that a real controller recorded.

`simulate --conformance FILE` calls it and prints `conformance_lines`. Each step's inputs are fed to
the twin in order, and only its own state is carried over; what the controller did may never flow
back into it, except as the next step's inputs say. The file is read line by line, so it may be
larger than memory.

The file holds one JSON object a line, plain or gzip: `id`, `metrics` and `behavior` as in an
`autoscaling/v2` spec, `cpu_request_milli` (or `requests`, by resource or "container/resource"), and
`steps`. Optional, for more than the usual file tells: `window_s` and `age_s` of the samples, of a
step `status` (the target's status.replicas), of a pod `pending`.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import msgspec

from predictor.core.hpa_twin.controller import Limit, Sync, new_hpa_state, sync
from predictor.core.hpa_twin.observation import SAMPLE_WINDOW_S, Observation, PodGroup
from predictor.core.hpa_twin.spec import HpaSpec, HpaSpecRefused, MetricType, read_hpa_spec

LINE_BYTES_MAX = 64 * 1024 * 1024
"""A longer line is refused unread; a trajectory of 160 syncs and 50 pods has about 1 MB."""

_GZIP_MAGIC = b"\x1f\x8b"

Replicas = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Milli = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class ConformanceRefused(Exception):  # noqa: N818 - a refusal is what it is
    """A file that holds no trajectories; the message names line and field."""


class RecordedPod(msgspec.Struct, frozen=True):
    """One pod as the controller saw it."""

    start_s: float
    ready: bool
    ready_changed_s: float
    values: dict[str, Milli]
    deleting: bool = False
    pending: bool = False


class RecordedStep(msgspec.Struct, frozen=True):
    """What the controller saw at time `t` (seconds), and the replicas it left: `desired`."""

    t: float
    min: Replicas
    max: Replicas
    current: Replicas
    desired: Replicas
    pods: tuple[RecordedPod, ...] | None = ()
    objects: dict[str, Milli] | None = None
    failed: tuple[str, ...] | None = ()
    status: Replicas | None = None
    error: bool = False


class Trajectory(msgspec.Struct, frozen=True):
    """One HPA and what happened to it."""

    id: int | str
    metrics: list[Any]
    steps: tuple[RecordedStep, ...]
    behavior: dict[str, Any] | None = None
    cpu_request_milli: Milli = 0
    requests: dict[str, Milli] | None = None
    window_s: float = SAMPLE_WINDOW_S
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Difference:
    """One step where the twin left other replicas than the controller, and how it came to them.

    `step` counts from 0; `inputs` is the step's JSON. `recommended` is what the metrics asked for.
    """

    trajectory: int | str
    step: int
    t_s: float
    replicas_of_controller: int
    replicas_of_twin: int
    recommended: int | None
    limited_by: Limit
    error: str | None
    inputs: str


@dataclass(frozen=True, slots=True)
class Conformance:
    """How many steps came out the same, and how many trajectories did in all of theirs."""

    steps: int
    steps_matched: int
    trajectories: int
    trajectories_matched: int
    first_difference: Difference | None

    @property
    def is_whole(self) -> bool:
        """Whether nothing differed."""
        return self.first_difference is None


def conformance(path: Path) -> Conformance:
    """Play every trajectory of a file through the twin.

    Raises `ConformanceRefused` on a file that is no such file, `OSError` on one that cannot be
    read.
    """
    steps = steps_matched = trajectories = trajectories_matched = 0
    first: Difference | None = None
    for trajectory, spec in _trajectories(path):
        differing = 0
        for difference in _played(trajectory, spec):
            differing += difference is not None
            first = first or difference
        trajectories += 1
        trajectories_matched += not differing
        steps += len(trajectory.steps)
        steps_matched += len(trajectory.steps) - differing
    if not trajectories:
        raise ConformanceRefused(f"{path}: no trajectory in it")
    return Conformance(steps, steps_matched, trajectories, trajectories_matched, first)


def conformance_lines(result: Conformance) -> list[str]:
    """The result in sentences, the first difference with both sides."""
    lines = [
        f"{result.steps_matched} of {result.steps} steps and {result.trajectories_matched} of "
        f"{result.trajectories} trajectories match the controller"
    ]
    found = result.first_difference
    if found is None:
        return lines
    asked = "nothing" if found.recommended is None else f"{found.recommended} replicas"
    return [
        *lines,
        f"first difference: trajectory {found.trajectory}, step {found.step}, t = {found.t_s:g} s",
        f"  controller: {found.replicas_of_controller} replicas",
        f"  twin:       {found.replicas_of_twin} replicas; its metrics asked for {asked}, limited "
        f"by {found.limited_by}" + (f"; {found.error}" if found.error else ""),
        f"  inputs:     {found.inputs}",
    ]


def _played(trajectory: Trajectory, spec: HpaSpec) -> Iterator[Difference | None]:
    """For each step None, or what differed."""
    requests = _requests(trajectory, spec)
    state = new_hpa_state()
    for place, step in enumerate(trajectory.steps):
        done = sync(spec, _observation(step, trajectory, requests), state, step.t)
        state = done.state
        same = done.replicas == step.desired
        yield None if same else _difference(trajectory, place, step, done)


def _observation(
    step: RecordedStep, trajectory: Trajectory, requests: Mapping[str, int]
) -> Observation:
    pods = tuple(
        PodGroup(
            1, pod.start_s, pod.ready, pod.ready_changed_s, pod.deleting, pod.values, pod.pending
        )
        for pod in step.pods or ()
    )
    return Observation(
        step.current,
        step.min,
        step.max,
        pods,
        step.objects or {},
        frozenset(step.failed or ()),
        requests,
        step.t - trajectory.age_s,
        trajectory.window_s,
        step.status,
    )


def _requests(trajectory: Trajectory, spec: HpaSpec) -> Mapping[str, int]:
    if trajectory.requests is not None:
        return trajectory.requests
    return {
        metric.key: trajectory.cpu_request_milli
        for metric in spec.metrics
        if metric.type in (MetricType.RESOURCE, MetricType.CONTAINER_RESOURCE)
        and metric.name == "cpu"
    }


def _difference(trajectory: Trajectory, place: int, step: RecordedStep, done: Sync) -> Difference:
    return Difference(
        trajectory.id,
        place,
        step.t,
        step.desired,
        done.replicas,
        done.recommended,
        done.limited_by,
        done.error,
        msgspec.json.encode(step).decode(),
    )


def _trajectories(path: Path) -> Iterator[tuple[Trajectory, HpaSpec]]:
    decoder = msgspec.json.Decoder(Trajectory)
    for number, line in _lines(path):
        place = f"{path}, line {number}"
        try:
            trajectory = decoder.decode(line)
            written = {"metrics": trajectory.metrics, "behavior": trajectory.behavior}
            spec = read_hpa_spec(written)
        except (msgspec.MsgspecError, HpaSpecRefused, UnicodeDecodeError) as error:
            raise ConformanceRefused(f"{place}: {error}") from None
        times_s = [step.t for step in trajectory.steps]
        if times_s != sorted(times_s):
            raise ConformanceRefused(f"{place}: steps[].t goes back")
        yield trajectory, spec


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as plain:
        packed = plain.read(2) == _GZIP_MAGIC
        plain.seek(0)
        stream = gzip.GzipFile(fileobj=plain) if packed else plain
        number = 0
        while line := _line(stream, path, number + 1):
            number += 1
            if not line.isspace():
                yield number, line


def _line(stream: gzip.GzipFile | BinaryIO, path: Path, number: int) -> bytes:
    try:
        line = stream.readline(LINE_BYTES_MAX + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ConformanceRefused(f"{path}, line {number}: not whole gzip: {error}") from error
    if len(line) > LINE_BYTES_MAX:
        raise ConformanceRefused(f"{path}, line {number}: longer than {LINE_BYTES_MAX} bytes")
    return line
