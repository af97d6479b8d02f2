"""The options of `simulate` and `tune` that say what is played, and the setup they come to.

`predictor/simulate_cli.py` uses it. Nothing heavy may be imported at the top, because `--help`
loads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from predictor.command import EXIT_NEGATIVE, EXIT_UNREACHABLE, EXIT_USAGE, settings_of, stop
from predictor.events.option_values import duration_s
from predictor.history_options import HistoryOptions, read_histories

if TYPE_CHECKING:
    from predictor.cluster_model.delays import Delay
    from predictor.cluster_model.nodes import NodeSpec
    from predictor.settings import Settings
    from predictor.simulation.setup import Setup, World

ManifestsOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="PATH", help="HPAs (and their Deployments) as YAML: files or folders."),
]
LearnOption = Annotated[
    Any,
    typer.Option(
        parser=duration_s,
        metavar="DURATION",
        help="7d: learn from so much, judge the rest. [default: 60 % of it]",
    ),
]
TickOption = Annotated[
    Any, typer.Option(parser=duration_s, metavar="DURATION", help="How often the service decides.")
]
StartUpOption = Annotated[
    str,
    typer.Option(
        metavar="TIMES",
        help="60s; 60s..150s (median, nine in ten); or a file of audit records, as measured there.",
    ),
]
NodesOption = Annotated[
    str | None,
    typer.Option(metavar="PODS:NODES:TIME", help="10:3:120s: pods a node, nodes, time for more."),
]
RateOption = Annotated[
    float | None,
    typer.Option("--rate-per-pod", min=0.001, help="Requests/s a pod carries at the HPA's target."),
]
ResponseOption = Annotated[
    Any,
    typer.Option(
        "--response-p95",
        parser=float,
        metavar="SECONDS",
        help="An objective whose miss is a violation too.",
    ),
]
IncidentsOption = Annotated[
    str | None,
    typer.Option(metavar="DEPLOYS:FAILURES", help="2:0.5: deploys and pod failures a day."),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Of all that is drawn at random.")]
PLAIN_START_UP = "60s"


@dataclass(frozen=True, slots=True)
class PlayOptions:
    """The options as they were given."""

    history: HistoryOptions
    manifests: tuple[Path, ...] = ()
    learn_s: int | None = None
    tick_s: int = 60
    start_up: str = PLAIN_START_UP
    nodes: str | None = None
    rate_per_pod_per_s: float | None = None
    response_p95_max_s: float | None = None
    incidents: str | None = None
    seed: int = 0


def setup_of(options: PlayOptions) -> tuple[Setup, str]:
    """What is played and what it is called; a fault ends the command with a sentence."""
    from predictor.simulation.manifests import ManifestRefused

    settings = settings_of(options.history.config)
    world = _world(options)
    with _faults():
        try:
            if options.history.has_source:
                return _own(options, settings, world)
            return _sample(options, settings, world)
        except ManifestRefused as error:
            stop(EXIT_USAGE, str(error))


@contextmanager
def _faults() -> Iterator[None]:
    from predictor.history_sources.history import HistoryRefused

    try:
        yield
    except HistoryRefused as error:
        stop(EXIT_NEGATIVE, str(error))
    except ValueError as error:
        stop(EXIT_USAGE, str(error))
    except OSError as error:
        stop(EXIT_UNREACHABLE, str(error))


def _own(options: PlayOptions, settings: Settings, world: World) -> tuple[Setup, str]:
    from predictor.history_sources.history import joined
    from predictor.simulation.load import load_of
    from predictor.simulation.manifests import manifest_of, read_manifests
    from predictor.simulation.setup import set_up, simulated_policy

    history = joined(tuple(read_histories(options.history)))
    weights = {name: place.weight for name, place in settings.regions.items()}
    load = load_of(
        history.batch,
        region=settings.region,
        routes=dict.fromkeys(settings.routes, weights),
        learn_s=options.learn_s,
        source=history.source,
    )
    found, notes = read_manifests(options.manifests) if options.manifests else ([], [])
    alone = found[0] if len(found) == len(load.targets) == 1 else None
    manifests = {key: alone or manifest_of(key, found, settings) for key in load.targets}
    policy = simulated_policy(settings.policy(), options.tick_s, world.start_up_s)
    return set_up(load, manifests, policy, world, (*history.notes, *notes)), history.source


def _sample(options: PlayOptions, settings: Settings, world: World) -> tuple[Setup, str]:
    from predictor.simulation.sample import sample_manifests, sample_simulation_load
    from predictor.simulation.setup import set_up, simulated_policy

    if options.manifests:
        stop(EXIT_USAGE, "--manifests needs a history: --csv FILE, --prometheus URL or --events")
    load, source = sample_simulation_load(options.learn_s)
    policy = simulated_policy(settings.policy(), options.tick_s, world.start_up_s)
    return set_up(load, sample_manifests(load), policy, world), source


def _world(options: PlayOptions) -> World:
    from predictor.cluster_model.incidents import IncidentRates
    from predictor.simulation.setup import World

    start_up, typical_s = _start_up(options.start_up)
    deploys, failures = _pair(options.incidents)
    return World(
        start_up=start_up,
        start_up_s=typical_s,
        nodes=_nodes(options.nodes),
        rate_per_pod_per_s=options.rate_per_pod_per_s,
        response_p95_max_s=options.response_p95_max_s,
        incidents=IncidentRates(deploys_per_day=deploys, failures_per_day=failures),
        seed=options.seed,
    )


def _start_up(text: str) -> tuple[Delay, float]:
    """The delay, and what a careful operator would call the usual time."""
    from predictor.cluster_model.delays import EmpiricalDelay, FixedDelay, LogNormalDelay

    try:
        if Path(text).is_file():
            from predictor.simulation.measured_start_up import measured_lead_times_s

            samples_s = measured_lead_times_s(Path(text))
            return EmpiricalDelay(samples_s), sorted(samples_s)[int(0.9 * (len(samples_s) - 1))]
        median, mark, high = text.partition("..")
        if mark:
            return LogNormalDelay(duration_s(median), duration_s(high)), float(duration_s(high))
        return FixedDelay(float(duration_s(text))), float(duration_s(text))
    except (ValueError, OSError, typer.BadParameter) as error:
        stop(EXIT_USAGE, f"--start-up {text}: {error}")


def _nodes(text: str | None) -> NodeSpec | None:
    from predictor.cluster_model.delays import FixedDelay
    from predictor.cluster_model.nodes import NodeSpec

    if text is None:
        return None
    try:
        pods, nodes, delay = text.split(":")
        return NodeSpec(
            int(pods), nodes_min=int(nodes), provisioning=FixedDelay(float(duration_s(delay)))
        )
    except (ValueError, typer.BadParameter) as error:
        stop(EXIT_USAGE, f"--nodes {text}: expected PODS:NODES:TIME such as 10:3:120s ({error})")


def _pair(text: str | None) -> tuple[float, float]:
    if text is None:
        return 0.0, 0.0
    try:
        deploys, failures = (float(one) for one in text.split(":"))
    except ValueError:
        deploys = failures = -1.0
    if not (0 <= deploys <= 1000 and 0 <= failures <= 1000):
        stop(EXIT_USAGE, f"--incidents {text}: expected DEPLOYS:FAILURES a day such as 2:0.5")
    return deploys, failures
