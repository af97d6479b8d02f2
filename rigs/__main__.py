"""`python -m rigs`: build the servers, bring them up for a person, or say what is there.

Called by people and by make. Must never end with a server of its own still running.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
from contextlib import ExitStack
from types import FrameType

from rigs import artifacts, cache, toolchain
from rigs.kafka import KafkaBroker
from rigs.kubernetes import ControlPlane
from rigs.process import ServerError


def main(arguments: list[str] | None = None) -> int:
    """0 when done, 1 when a rig cannot be built or started, 2 for a wrong command line."""
    asked = _parser().parse_args(arguments)
    try:
        if asked.command == "doctor":
            _doctor()
            return 0
        both = asked.kafka == asked.kubernetes
        run = _build if asked.command == "build" else _up
        run(kafka=both or asked.kafka, kubernetes=both or asked.kubernetes)
    except (artifacts.BuildError, toolchain.ToolMissingError, ServerError) as error:
        print(f"rigs: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rigs",
        description="Real servers on loopback: a Kafka broker and a Kubernetes control plane.",
        epilog="Example: python -m rigs up --kafka",
    )
    commands = {
        "up": "start the servers, print how to reach them, end them on Ctrl-C",
        "build": "build what the servers need, into the cache folder",
        "doctor": "say which tools would be used, and where the cache folder is",
    }
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name, text in commands.items():
        command = subparsers.add_parser(name, help=text, description=text)
        if name != "doctor":
            for rig in ("kafka", "kubernetes"):
                only = f"only the {rig} rig (without a flag: both)"
                command.add_argument(f"--{rig}", action="store_true", help=only)
    return parser


def _build(*, kafka: bool, kubernetes: bool) -> None:
    if kafka:
        print(f"jars: {artifacts.kafka_jars()}")
    if kubernetes:
        print(f"etcd: {artifacts.etcd()}")
        print(f"kube-apiserver: {artifacts.kube_apiserver()}")
        print(f"programs: {artifacts.kubernetes_programs()}")
        print(f"Istio's CRDs: {artifacts.istio_crds()}")


def _up(*, kafka: bool, kubernetes: bool) -> None:
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()
        # While servers still start, the way out is an exception.
        if not serving:
            raise SystemExit(128 + number)

    serving = False
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    with ExitStack() as rigs:
        lines: list[str] = []
        if kafka:
            broker = rigs.enter_context(KafkaBroker())
            servers = broker.bootstrap_servers
            lines += [
                f"export KAFKA_BOOTSTRAP_SERVERS={servers}",
                f"export MPLP_PREDICTOR__KAFKA__BOOTSTRAP_SERVERS={servers}",
                "export MPLP_PREDICTOR__KAFKA__REPLICATION_FACTOR=1",
            ]
        if kubernetes:
            plane = rigs.enter_context(ControlPlane())
            kubeconfig = shlex.quote(str(plane.kubeconfig))
            lines += [
                f"export KUBECONFIG={kubeconfig}",
                f"export MPLP_PREDICTOR__KUBERNETES__KUBECONFIG={kubeconfig}",
            ]
        serving = True
        print("\n".join(lines), flush=True)
        cache.say("the servers are up; paste the lines above into another shell, Ctrl-C ends them")
        ended.wait()


def _doctor() -> None:
    tools = {
        "java": toolchain.java_on_path(),
        "maven": toolchain.maven_on_path(),
        "go": toolchain.go_on_path(),
    }
    for name, tool in tools.items():
        print(f"{name}: {tool.program if tool else f'installed from {toolchain.PACKAGES}'}")
    print(f"cache: {cache.root()}")


if __name__ == "__main__":
    sys.exit(main())
