"""`mplp-predictor restore`, `off` and `on`: back to the owners' values, also of a dead service.

`predictor/cli.py` adds them. They parse, call, print and return an exit code; everything heavy is
imported inside. What was done goes to standard output, what went wrong to standard error.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from predictor.command import EXIT_NEGATIVE, EXIT_UNREACHABLE, ConfigOption, settings_of, stop

if TYPE_CHECKING:
    from predictor.actuators.cluster_settings import ClusterSettings

SETTLED_AFTER_S = 12.0
"""A worker believes a reading of the switch for a second; its write then waits five for its turn at
most, and is answered within five more."""
_SERVICE_NAMESPACE = "mplp-predictor"

_Value = TypeVar("_Value")

NamespaceOption = Annotated[
    list[str] | None,
    typer.Option("--namespace", "-n", help="Of the HPAs; repeatable. Else the configured ones."),
]
RouteNamespaceOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Of the VirtualServices; repeatable. Else as the HPAs'.", metavar="NAMESPACE"
    ),
]
AllOption = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="Everything in the cluster.")
]
ServiceNamespaceOption = Annotated[
    str | None,
    typer.Option(help="Where the service itself runs; else as configured.", metavar="NAMESPACE"),
]
KubeconfigOption = Annotated[
    Path | None,
    typer.Option(
        envvar="KUBECONFIG", help="Else the configured one, the pod's account, ~/.kube/config."
    ),
]
ContextOption = Annotated[str | None, typer.Option(help="Of the kubeconfig; else its current one.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Ask the server, write nothing.")]


@dataclass(frozen=True, slots=True)
class Reach:
    """Which cluster, which HPAs and routes, and where the service's own objects lie.

    No namespace is every namespace; `route_namespaces` is None where they are the HPAs' own.
    """

    cluster: ClusterSettings
    namespaces: tuple[str, ...]
    route_namespaces: tuple[str, ...] | None
    service_namespace: str


def restore(
    *,
    namespace: NamespaceOption = None,
    route_namespace: RouteNamespaceOption = None,
    all_namespaces: AllOption = False,
    every: Annotated[
        str | None, typer.Option(help="Again and again, such as 60s; else once.")
    ] = None,
    now: Annotated[
        bool, typer.Option("--now", help="Do not wait for expiry, and go all the way at once.")
    ] = False,
    dry_run: DryRunOption = False,
    service_namespace: ServiceNamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    config: ConfigOption = None,
) -> None:
    """Take back what ran out unrenewed, in steps; needs nothing but the API server.

    A quarter of a floor each minute, never below the owner's; of route weights 20 points each
    minute, only towards home. While the service is switched off, all of them. Exit code 1: one of
    them, or a namespace, failed.

    Example: mplp-predictor restore --namespace us-east-1 --dry-run
    """
    from predictor.events.option_values import duration_s

    pause_s = None if every is None else duration_s(every)
    if pause_s == 0:
        raise typer.BadParameter("--every 0s would never let the API server rest; write 60s")
    reach = _reach(
        namespace,
        all_namespaces,
        route_namespaces=route_namespace,
        service_namespace=service_namespace,
        kubeconfig=kubeconfig,
        context=context,
        config=config,
    )
    is_whole = _run(_restore(reach, pause_s, is_now=now, is_dry_run=dry_run))
    if not is_whole:
        raise typer.Exit(EXIT_NEGATIVE)


def off(
    *,
    reason: Annotated[str, typer.Option(help="For whoever finds it off in the morning.")] = "",
    in_steps: Annotated[
        bool, typer.Option("--in-steps", help="A quarter of a floor each minute, by the restorer.")
    ] = False,
    settled_after: Annotated[
        float, typer.Option(hidden=True, help="Seconds until the second look.")
    ] = SETTLED_AFTER_S,
    namespace: NamespaceOption = None,
    route_namespace: RouteNamespaceOption = None,
    all_namespaces: AllOption = False,
    service_namespace: ServiceNamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    config: ConfigOption = None,
) -> None:
    """Switch the whole service off and hand every floor and route weight back to its owner now.

    Works with the service dead and with no broker; `on` ends it. Exit code 1: one of them could not
    be handed back, and is named.

    Example: mplp-predictor off --reason "incident 4711"
    """
    reach = _reach(
        namespace,
        all_namespaces,
        route_namespaces=route_namespace,
        service_namespace=service_namespace,
        kubeconfig=kubeconfig,
        context=context,
        config=config,
    )
    is_whole = _run(_off(reach, reason, settled_after, in_steps=in_steps))
    if not is_whole:
        raise typer.Exit(EXIT_NEGATIVE)


def on(
    *,
    service_namespace: ServiceNamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    config: ConfigOption = None,
) -> None:
    """End `off`: workers decide and write again from their next tick on.

    Example: mplp-predictor on
    """
    reach = _reach(
        None,
        True,
        service_namespace=service_namespace,
        kubeconfig=kubeconfig,
        context=context,
        config=config,
    )
    _run(_on(reach))
    typer.echo("on: workers write again from their next tick on")


def _reach(
    namespaces: list[str] | None,
    is_everywhere: bool,
    *,
    route_namespaces: list[str] | None = None,
    service_namespace: str | None,
    kubeconfig: Path | None,
    context: str | None,
    config: Path | None,
) -> Reach:
    """Where to look: where options say, else where the configuration does, else everywhere.

    Without a configuration no profile is guessed: a floor that nobody looks for stays up.
    """
    from predictor.actuators.cluster_settings import ClusterSettings

    if config is None:
        found, file = ClusterSettings(context=context), None
        service = _SERVICE_NAMESPACE
        configured: tuple[str, ...] = ()
        of_routes: tuple[str, ...] = ()
    else:
        settings = settings_of(config)
        from predictor.wiring import cluster_settings

        found, file = cluster_settings(settings), settings.kubernetes.kubeconfig
        service = settings.kubernetes.namespace
        configured = tuple(place for place in found.watched_places if place)
        of_routes = tuple(sorted({route.namespace for route in found.routes}))
    import msgspec

    cluster = msgspec.structs.replace(
        found,
        targets=(),
        routes=(),
        kubeconfig=_kubeconfig(kubeconfig, file),
        context=context or found.context,
    )
    if is_everywhere:
        return Reach(cluster, (), None, service_namespace or service)
    wanted = tuple(namespaces or configured)
    routes = tuple(route_namespaces or (() if namespaces else of_routes)) or None
    return Reach(cluster, wanted, routes, service_namespace or service)


def _kubeconfig(given: Path | None, configured: str | None) -> str | None:
    """None: the account of the pod that this runs in."""
    if given is not None or configured is not None:
        return str(given or configured)
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return None
    return str(Path.home() / ".kube" / "config")


def _run(work: Coroutine[None, None, _Value]) -> _Value:
    from predictor.actuators.port import ClusterUnreachable

    try:
        return asyncio.run(work)
    except ClusterUnreachable as error:
        stop(EXIT_UNREACHABLE, str(error))


async def _restore(reach: Reach, pause_s: float | None, *, is_now: bool, is_dry_run: bool) -> bool:
    from predictor.actuators.connection import Connection
    from predictor.way_back.rounds import Rounds

    connection = Connection(reach.cluster)
    try:
        rounds = Rounds(
            connection,
            reach.namespaces,
            reach.service_namespace,
            route_namespaces=reach.route_namespaces,
            is_now=is_now,
            is_dry_run=is_dry_run,
            tell=_tell,
        )
        if pause_s is None:
            return await rounds.once()
        await rounds.run(pause_s)
        return True
    finally:
        await connection.close()


async def _off(reach: Reach, reason: str, settled_after_s: float, *, in_steps: bool) -> bool:
    from datetime import UTC, datetime

    from predictor.actuators.connection import Connection
    from predictor.way_back.rounds import Rounds
    from predictor.way_back.service_switch import off_sentence, switch_off

    connection = Connection(reach.cluster)
    try:
        sentence = off_sentence(datetime.now(UTC), reason)
        failed = await switch_off(connection, reach.service_namespace, sentence, in_steps=in_steps)
        if failed is None:
            typer.echo(f"off: {sentence}")
        else:
            # Floors go back all the same: that is what somebody needs now.
            typer.echo(f"the switch could not be set: {failed.sentence}", err=True)
        rounds = Rounds(
            connection,
            reach.namespaces,
            reach.service_namespace,
            route_namespaces=reach.route_namespaces,
            is_now=not in_steps,
            tell=_tell,
        )
        done = await rounds.once()
        if not in_steps:
            await asyncio.sleep(settled_after_s)
            typer.echo("once more, for writes that were under way:")
            done = await rounds.once(shows_all=False)
        return done and failed is None
    finally:
        await connection.close()


async def _on(reach: Reach) -> None:
    from predictor.actuators.connection import Connection
    from predictor.way_back.service_switch import switch_on

    connection = Connection(reach.cluster)
    try:
        failed = await switch_on(connection, reach.service_namespace)
    finally:
        await connection.close()
    if failed is not None:
        stop(EXIT_NEGATIVE, failed.sentence)


def _tell(line: str, is_problem: bool) -> None:
    typer.echo(line, err=is_problem)
