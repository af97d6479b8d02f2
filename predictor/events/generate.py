"""`mplp-predictor events generate`: a synthetic load into a file, and what is truly in it.

`predictor/events_cli.py` calls it. The drawing is pure (`predictor/events/synthetic_load.py`); here
are only files. It must never hold more than a stretch of the load in memory.
"""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from predictor.events.event_lines import LineFormat, line_writer
from predictor.events.load_incidents import Incidents
from predictor.events.load_plan import LoadPlan, PlanError, RegionPlan
from predictor.events.synthetic_load import HEARTBEAT, MODULE, SyntheticLoad, TruthCells
from predictor.settings import RegionSettings

STANDARD_OUTPUT = Path("-")
GZIP_LEVEL = 1
"""Higher ones take several times as long for a tenth less."""
TRUTH_HEADING = "bucket_start,module,region,requests,reported,events\n"

REGION_ZONES = {
    "us-east": "America/New_York", "us-west": "America/Los_Angeles",
    "us-central": "America/Chicago",
    "ca-": "America/Toronto", "sa-east": "America/Sao_Paulo", "eu-west": "Europe/Dublin",
    "eu-central": "Europe/Berlin", "eu-north": "Europe/Stockholm", "eu-south": "Europe/Rome",
    "me-": "Asia/Dubai", "af-": "Africa/Johannesburg", "ap-south-": "Asia/Kolkata",
    "ap-southeast-2": "Australia/Sydney", "ap-southeast": "Asia/Singapore",
    "ap-northeast-2": "Asia/Seoul", "ap-northeast": "Asia/Tokyo", "ap-east": "Asia/Hong_Kong",
}  # fmt: skip
"""Where the users of a cloud region live, by the beginning of its name; others live by UTC."""


@dataclass(slots=True)
class Generated:
    """What was written: lines, and by the truth requests and distinct request events."""

    lines: int = 0
    heartbeats: int = 0
    requests: int = 0
    events: int = 0


def generate(
    load: SyntheticLoad, form: LineFormat, out: Path, truth: Path | None = None
) -> Generated:
    """Write the load to `out` (`-`: standard output) and its truth; raises `OSError`."""
    plan, written = load.plan, Generated()
    write = line_writer(plan, form)
    with opened(out) as events, _truth_file(truth) as cells:
        for drawn in load.draw():
            events.write(write(drawn.events))
            beats = int((drawn.events[MODULE] == HEARTBEAT).sum()) if form != "shape-h" else 0
            written.heartbeats += beats
            written.lines += int((drawn.events[MODULE] != HEARTBEAT).sum()) + beats
            written.requests += int(drawn.truth.requests.sum())
            written.events += int(drawn.truth.events.sum())
            if cells is not None:
                cells.write(_truth_rows(plan, drawn.truth))
    return written


def region_plans(
    regions: dict[str, RegionSettings], zones: dict[str, str], at_s: int
) -> tuple[RegionPlan, ...]:
    """The configured regions with their clocks at that time; raises `PlanError`."""
    unknown = sorted(zones.keys() - regions.keys())
    if unknown:
        raise PlanError(f"a zone is given for {unknown[0]!r}, which is none of {sorted(regions)}")
    return tuple(
        RegionPlan(
            name=name, weight=region.weight, utc_offset_h=_utc_offset_h(_zone(name, zones), at_s)
        )
        for name, region in regions.items()
    )


def generated_lines(plan: LoadPlan, incidents: Incidents, written: Generated) -> Iterator[str]:
    """For a person: what happens to the load in the order of time, then what was written."""
    yield from sorted(_incident_lines(plan, incidents))
    repeated = written.lines - written.events - written.heartbeats
    yield (
        f"{written.lines:,} lines: {written.requests:,} requests in {written.events:,} events, "
        f"{repeated:,} repetitions, {written.heartbeats:,} heartbeats"
    )


def _incident_lines(plan: LoadPlan, incidents: Incidents) -> Iterator[str]:
    for burst in incidents.bursts:
        where = "everywhere" if burst.region < 0 else plan.regions[burst.region].name
        more = f"+{burst.height:.0%}, decaying over {burst.decay_s / 60:.0f} min"
        yield f"{_shown(burst.at_s)} burst {where} {more}"
    for outage in incidents.outages:
        module = "every module" if outage.module < 0 else plan.modules[outage.module]
        minutes = (outage.until_s - outage.from_s) / 60
        yield (
            f"{_shown(outage.from_s)} outage {module} {plan.regions[outage.region].name} "
            f"for {minutes:.0f} min"
        )
    for deploy in incidents.deploys:
        module, region = plan.modules[deploy.module], plan.regions[deploy.region].name
        yield f"{_shown(deploy.at_s)} deploy {module} {region}"


def _shown(time_s: float) -> str:
    return datetime.fromtimestamp(int(time_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _zone(region: str, zones: dict[str, str]) -> str:
    if region in zones:
        return zones[region]
    fitting = (zone for start, zone in REGION_ZONES.items() if region.startswith(start))
    return next(fitting, "UTC")


def _utc_offset_h(zone: str, at_s: int) -> float:
    try:
        offset = datetime.fromtimestamp(at_s, ZoneInfo(zone)).utcoffset()
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise PlanError(f"{zone!r} is no time zone") from error
    assert offset is not None, "a zone has an offset at every time"
    return offset.total_seconds() / 3600


def _truth_rows(plan: LoadPlan, truth: TruthCells) -> str:
    columns = (
        truth.bucket_start_s, truth.module, truth.region, truth.requests, truth.reported,
        truth.events,
    )  # fmt: skip
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return "".join(
        f"{_shown(start_s)},{plan.modules[module]},{plan.regions[region].name},"
        f"{requests},{reported},{events}\n"
        for start_s, module, region, requests, reported, events in rows
    )


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """To be written: a plain file, one packed by gzip, or standard output."""
    if path == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif path.suffix == ".gz":
        # Neither name nor time in the header: the same load gives the same bytes.
        with path.open("wb") as raw, gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) as packed:
            yield cast("BinaryIO", packed)
    else:
        with path.open("wb") as plain:
            yield plain


@contextmanager
def _truth_file(path: Path | None) -> Iterator[io.TextIOBase | None]:
    if path is None:
        yield None
        return
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(TRUTH_HEADING)
        yield file
