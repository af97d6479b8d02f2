"""`mplp-predictor check`: what would keep the service from acting, or would surprise.

`predictor/cli.py` adds it. It parses, calls, prints and returns an exit code; everything heavy is
imported inside. Findings go to standard output, what was passed over to standard error.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from predictor.command import (
    EXIT_NEGATIVE,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
    ConfigOption,
    result_console,
    settings_of,
    stop,
)

if TYPE_CHECKING:
    from predictor.actuators.cluster_settings import ClusterSettings
    from predictor.check.finding import Finding
    from predictor.check.live_source import Cluster
    from predictor.check.scene import Scene
    from predictor.settings import Settings

ACCOUNT = "mplp-predictor"

FilesArgument = Annotated[
    list[Path] | None,
    typer.Argument(metavar="FILES", help="Manifests, folders of them, or - for a stream."),
]
LiveOption = Annotated[bool, typer.Option("--live", help="Look at a running cluster, too.")]
KubeconfigOption = Annotated[
    Path | None, typer.Option(envvar="KUBECONFIG", help="Else the configured one, else the pod's.")
]
ContextOption = Annotated[str | None, typer.Option(help="Of the kubeconfig.")]
NamespaceOption = Annotated[
    list[str] | None,
    typer.Option("--namespace", "-n", help="Else those of the configured regions and routes."),
]
EverywhereOption = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="Look into every namespace.")
]
AccountOption = Annotated[
    str | None,
    typer.Option(metavar="NAMESPACE/NAME", help="The service's own, for its rights and its guard."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs, on standard output.")]
FixOption = Annotated[
    bool, typer.Option("--fix", help="Print patches alone, as YAML; write nothing.")
]
StrictOption = Annotated[bool, typer.Option("--strict", help="Warnings, too, give exit code 1.")]


def check(
    files: FilesArgument = None,
    *,
    live: LiveOption = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    all_namespaces: EverywhereOption = False,
    service_account: AccountOption = None,
    as_json: JsonOption = False,
    fix: FixOption = False,
    strict: StrictOption = False,
    config: ConfigOption = None,
) -> None:
    """Say what would keep the service from acting on these HPAs, or would surprise, and the mend.

    Nothing is written. Exit code 1: an error was found.

    Example: mplp-predictor check deploy/mplp
    """
    if not files and not live:
        stop(EXIT_USAGE, "name manifests to look at, or --live for a running cluster")
    if service_account is not None and "/" not in service_account.strip("/"):
        stop(EXIT_USAGE, f"--service-account {service_account}: write it as NAMESPACE/NAME")
    settings = settings_of(config)
    cluster = None
    if live:
        at = _connection_settings(settings, kubeconfig, context)
        places = () if all_namespaces else _namespaces(settings, namespace)
        account = service_account or f"{settings.kubernetes.namespace}/{ACCOUNT}"
        cluster = _read_cluster(at, settings, places, account)
    scene = _scene(tuple(files or ()), settings, cluster)
    from predictor.check.rules import checked

    findings = checked(scene)
    _show(findings, scene, as_json=as_json, fix=fix)
    raise typer.Exit(_exit_code(findings, strict=strict))


def _scene(files: tuple[Path, ...], settings: Settings, cluster: Cluster | None) -> Scene:
    import sys

    from predictor.check.manifest_source import read_files
    from predictor.check.scene import Scene
    from predictor.manifest_files import ManifestRefused

    try:
        objects, unread = read_files(files, sys.stdin.buffer)
    except ManifestRefused as error:
        stop(EXIT_USAGE, str(error))
    except OSError as error:
        stop(EXIT_UNREACHABLE, str(error))
    if cluster is None:
        return Scene(tuple(objects), settings, unread_files=tuple(unread))
    both = (*objects, *cluster.objects)
    told = tuple(cluster.unread)
    return Scene(both, settings, cluster.facts, told, unread_files=tuple(unread))


def _read_cluster(
    at: ClusterSettings, settings: Settings, namespaces: tuple[str, ...], account: str
) -> Cluster:
    import asyncio
    import time

    from predictor.actuators.connection import Connection
    from predictor.actuators.port import ClusterUnreachable
    from predictor.check.live_facts import read_cluster

    async def read() -> Cluster:
        connection = Connection(at)
        try:
            return await read_cluster(connection, settings, namespaces, account, time.time)
        finally:
            await connection.close()

    try:
        return asyncio.run(read())
    except ClusterUnreachable as error:
        stop(EXIT_UNREACHABLE, str(error))


def _connection_settings(
    settings: Settings, kubeconfig: Path | None, context: str | None
) -> ClusterSettings:
    """The flag, else the configuration, else a person's own file, else the pod's account."""
    from predictor.actuators.cluster_settings import ClusterSettings

    own = Path.home() / ".kube" / "config"
    in_pod = "KUBERNETES_SERVICE_HOST" in os.environ
    default = str(own) if not in_pod and own.exists() else None
    return ClusterSettings(
        kubeconfig=str(kubeconfig) if kubeconfig else settings.kubernetes.kubeconfig or default,
        context=context or settings.kubernetes.context,
        request_timeout_s=settings.kubernetes.request_timeout_s,
    )


def _namespaces(settings: Settings, named: list[str] | None) -> tuple[str, ...]:
    if named:
        return tuple(dict.fromkeys(named))
    regions = (region.namespace for region in settings.regions.values())
    routes = (route.namespace for route in settings.routes.values())
    return tuple(dict.fromkeys([*regions, *routes]))


def _show(findings: list[Finding], scene: Scene, *, as_json: bool, fix: bool) -> None:
    from predictor.check.report import findings_json, findings_table, patches_yaml, plain, summary

    if fix:
        typer.echo(patches_yaml(findings), nl=False)
        for one in findings:
            if one.patch is None and one.mend:
                line = f"{one.severity.value}: {one.object}: {one.sentence}; by hand: {one.mend}"
                typer.echo(plain(line), err=True)
        return
    if as_json:
        typer.echo(findings_json(findings))
        return
    if findings:
        result_console().print(findings_table(findings))
    typer.echo(summary(findings, len(scene.objects)))


def _exit_code(findings: list[Finding], *, strict: bool) -> int:
    from predictor.check.finding import Severity

    bad = {Severity.ERROR, Severity.WARNING} if strict else {Severity.ERROR}
    return EXIT_NEGATIVE if any(one.severity in bad for one in findings) else 0
