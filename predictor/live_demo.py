"""`mplp-predictor demo --live`: a real day through a real Kafka broker to a real HPA controller.

It starts the rigs, trains on the days before, starts a worker as an operator would, and plays one
recorded day much faster than it was. Two Deployments with the same HPA serve the same load: one is
left alone, one is the worker's. It must never touch the HPAs itself, and leaves nothing running.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import yaml
from aiokafka import AIOKafkaProducer
from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn

from predictor.demo_report import ALONE, HELPED, print_table, write_page
from predictor.live_arms import Arm, LiveRun, arms_run, sample
from predictor.live_manifests import (
    ALONE_NAMESPACE,
    MODULE,
    POD_DELAY_S,
    REGION,
    live_config,
    live_objects,
)
from predictor.sample_load import SampleLoad, heartbeat, load_sample, sample_events
from streams.topics import KafkaConnection, TopicPlan, ensure_topics
from streams.whole_topic import whole_topic

if TYPE_CHECKING:
    from rigs.kafka import KafkaBroker
    from rigs.kubernetes import ControlPlane

DEPLOY = Path(__file__).parents[1] / "deploy"
_NOT_HERE = {"kustomization", "virtual_service", "restorer"}
"""Files of the guard for what this cluster does not have."""
DAY_S = 86_400
PLAYED_DAY = 9
"""Monday 10 July 1995: an ordinary working day after a weekend."""
SPEED = 720
"""Event seconds in a second of wall time: the day takes two minutes."""
LEAD_TIME_S = 4.0
"""Wall seconds from event to Ready pods: hand-over, table, tick, scheduling, pod delay."""
SHARE = 0.5
SAMPLE_EVERY_S = 0.25
WORKER_STOP_TIMEOUT_S = 15.0
WORKER_START_TIMEOUT_S = 60.0
"""Kafka's group join, Faust's recovery and the first tick."""


def run_live_demo(out: Path) -> int:
    """Exit code 0, or 3 when the rigs are not there."""
    console = Console(stderr=True)
    try:
        from rigs.kafka import KafkaBroker
        from rigs.kubernetes import ControlPlane
    except ImportError:
        console.print("the rigs stand in the repository: run `make demo-live` there")
        return 3
    out.mkdir(parents=True, exist_ok=True)
    console.print("starting a Kafka broker and a Kubernetes control plane")
    with KafkaBroker() as broker, ControlPlane() as plane:
        run = asyncio.run(play_day(broker, plane, out))
    arms = arms_run(run, SPEED)
    print_table(Console(), arms)
    page = write_page(arms, out / "live.html", datetime.now(UTC))
    Console().print(f"\nThe day drawn: [bold]{page}[/bold]")
    return 0


async def play_day(
    broker: KafkaBroker,
    plane: ControlPlane,
    out: Path,
    *,
    speed: int = SPEED,
    before_the_end: Callable[[], None] = lambda: None,
) -> LiveRun:
    """Apply the objects, train, start the worker, play the day and sample the cluster.

    `before_the_end` is called when the day is over and the worker still runs.
    """
    load = load_sample()
    day_s = load.start_s + PLAYED_DAY * DAY_S
    apply_objects(plane)
    connection = KafkaConnection(bootstrap_servers=broker.bootstrap_servers)
    config = out / "live.yaml"
    config.write_text(
        live_config(
            broker.bootstrap_servers,
            plane.predictor_kubeconfig,
            lead_time_s=LEAD_TIME_S * speed,
            port=_free_port(),
        )
    )
    await _make_topics(connection)
    model = await asyncio.to_thread(_train, load, day_s, config, out)
    producer: Any = AIOKafkaProducer(**connection.options(), linger_ms=20)
    await producer.start()
    try:
        async with _worker(config, model, out) as is_up:
            await _send(producer, _warm_up(load, day_s))
            await is_up()
            run = await _play(producer, plane, load, day_s, speed)
            await asyncio.to_thread(before_the_end)
        # After the worker has ended, so that its last records are out.
        async for values in whole_topic(connection, "mplp.decisions.v1"):
            run.records += [body for body in values if body is not None]
        return run
    finally:
        await producer.stop()


def apply_objects(plane: ControlPlane) -> None:
    """What an owner has on the cluster before anybody predicts anything, and what guards it."""
    plane.apply(*live_objects(pod_delay_s=POD_DELAY_S), *_rights_and_guard())


def _rights_and_guard() -> list[dict[str, Any]]:
    """Of the manifests under `deploy/` all that concerns this region and the service itself."""
    files = [DEPLOY / "base" / name for name in ("namespace.yaml", "rbac.yaml")]
    files += [one for one in sorted((DEPLOY / "guard").glob("*.yaml")) if one.stem not in _NOT_HERE]
    objects = [one for file in files for one in yaml.safe_load_all(file.read_text())]
    places = {None, REGION, "mplp-predictor"}
    return [one for one in objects if one["metadata"].get("namespace") in places]


async def _make_topics(connection: KafkaConnection) -> None:
    plans = [
        TopicPlan("mplp.requests", 2),
        TopicPlan("mplp.demand.v1", 2),
        TopicPlan("mplp.decisions.v1", 1),
        TopicPlan("mplp.requests.dlq", 1),
    ]
    await ensure_topics(connection, plans)


def _train(load: SampleLoad, until_s: int, config: Path, out: Path) -> Path:
    """As an operator would: events into a file, `train`, a model folder."""
    events, model = out / "history.jsonl", out / "model"
    with events.open("wb") as file:
        for event in sample_events(load, {REGION: SHARE}, module=MODULE, until_s=until_s):
            file.write(event + b"\n")
    command = ["train", "--config", str(config), "--events", str(events), "--out", str(model)]
    subprocess.run(_command(command), check=True, capture_output=True, timeout=300)
    return model


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "predictor.cli", *arguments]


@contextlib.asynccontextmanager
async def _worker(
    config: Path, model: Path, out: Path
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """A worker process of its own, ended with SIGTERM; its log is kept.

    Gives what to await until it has made its first decision.
    """
    ready = out / "worker.ready"
    ready.unlink(missing_ok=True)
    command = ["run", "--config", str(config), "--mode", "active", "--model", str(model)]
    command += ["--ready-file", str(ready)]
    with (out / "worker.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*_command(command), stderr=log, stdout=log)

        async def is_up() -> None:
            deadline_s = asyncio.get_running_loop().time() + WORKER_START_TIMEOUT_S
            while not ready.exists() and process.returncode is None:
                if asyncio.get_running_loop().time() > deadline_s:
                    raise TimeoutError(f"no decision in {WORKER_START_TIMEOUT_S:.0f} s")
                await asyncio.sleep(0.1)
            if process.returncode is not None:
                raise RuntimeError(f"the worker ended with {process.returncode}, see its log")

        try:
            yield is_up
        finally:
            if process.returncode is None:
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), WORKER_STOP_TIMEOUT_S)
            except TimeoutError:
                process.kill()
                await process.wait()
    if process.returncode != 0:
        tail = (out / "worker.log").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"the worker ended with {process.returncode}:\n{tail}")


def _warm_up(load: SampleLoad, day_s: int) -> Iterator[bytes]:
    """The six hours before the day, so that the level is known when it begins."""
    yield from sample_events(
        load, {REGION: SHARE}, module=MODULE, from_s=day_s - DAY_S // 4, until_s=day_s
    )


async def _send(producer: Any, events: Iterator[bytes]) -> None:
    for event in events:
        await producer.send("mplp.requests", event)
    for partition in range(2):
        await producer.send("mplp.requests", heartbeat(_newest_s(event)), partition=partition)
    await producer.flush()


def _newest_s(event: bytes) -> int:
    return int(datetime.fromisoformat(msgspec.json.decode(event)["time"]).timestamp())


async def _play(
    producer: Any, plane: ControlPlane, load: SampleLoad, day_s: int, speed: int
) -> LiveRun:
    run = LiveRun(arms={HELPED: Arm(REGION), ALONE: Arm(ALONE_NAMESPACE)})
    loop = asyncio.get_running_loop()
    began_s, sent_until_s = loop.time(), day_s
    with Progress(
        *Progress.get_default_columns(), TimeElapsedColumn(), console=Console(stderr=True)
    ) as bar:
        task = bar.add_task("playing the day", total=DAY_S)
        while sent_until_s < day_s + DAY_S:
            await asyncio.sleep(SAMPLE_EVERY_S)
            now_s = day_s + int((loop.time() - began_s) * speed) // 10 * 10
            now_s = min(now_s, day_s + DAY_S)
            for event in sample_events(
                load, {REGION: SHARE}, module=MODULE, from_s=sent_until_s, until_s=now_s
            ):
                await producer.send("mplp.requests", event)
            for partition in range(2):
                await producer.send("mplp.requests", heartbeat(now_s), partition=partition)
            demand = load.rate_per_s(now_s - 1) * SHARE
            await asyncio.to_thread(sample, run, plane, demand, now_s, now_s - sent_until_s)
            sent_until_s = now_s
            bar.update(task, completed=now_s - day_s)
    return run
