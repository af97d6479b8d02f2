"""A real single-node Kafka broker on loopback, KRaft mode, for tests and for people.

Called by `rigs.fixtures` and `python -m rigs up`; `rigs.secured_kafka` adds listeners to it. Must
never keep its data after `stop`, create a topic nobody asked for, or change its address while it
exists.
"""

from __future__ import annotations

import base64
import socket
import struct
import subprocess
import uuid
from pathlib import Path

from rigs import artifacts, toolchain
from rigs.ports import free_ports
from rigs.process import ServerError, ServerProcess
from rigs.server import OneServer

_FORMAT_TIMEOUT_S = 60.0
_PROBE_TIMEOUT_S = 2.0
_API_VERSIONS = 18

# Everything below that is not an address is there to make one node enough, to make tests
# quick, or to let a test send what a broker would usually refuse or forget.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}{more_listeners}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{more_listeners}
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# A transaction whose producer died is given up within a second of its own timeout.
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
# After a crash the controller waits this long before it lets the broker in again.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# Room for a 5 MB message that no decoder should accept.
message.max.bytes=10485760
replica.fetch.max.bytes=10485760
# Tests write events with the timestamps of other days.
log.retention.ms=-1
log.message.timestamp.after.max.ms=9223372036854775807
# The default of 128 MB is a quarter of this heap.
log.cleaner.dedupe.buffer.size=16777216
"""


class KafkaBroker(OneServer):
    """One broker at `bootstrap_servers`, from `start` to `stop`."""

    what = "the broker"

    def __init__(self) -> None:
        super().__init__()
        port, controller_port = free_ports(2)
        self.bootstrap_servers = f"127.0.0.1:{port}"
        self._address = ("127.0.0.1", port)
        self._controller_port = controller_port

    @property
    def log_path(self) -> Path:
        return self.folder / "broker.log"

    def logs(self) -> list[Path]:
        """Every log written so far; none before the first start and after `stop`."""
        return list(self._folder.glob("*.log")) if self._folder else []

    def restart(self) -> None:
        """End it as an operator would and start it again: same port, same data."""
        self._started().stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing is answered until `resume`."""
        self._started().pause()

    def resume(self) -> None:
        self._started().resume()

    def _more_listeners(self) -> dict[str, int]:
        """Further listeners by name, with their ports."""
        return {}

    def _more_properties(self, folder: Path) -> str:
        """What these need; whatever files it names are written here."""
        return ""

    def _prepare(self, folder: Path) -> ServerProcess:
        java = toolchain.java().program
        class_path = f"{artifacts.kafka_jars()}/*"
        properties = folder / "server.properties"
        more = "".join(f",{name}://127.0.0.1:{at}" for name, at in self._more_listeners().items())
        properties.write_text(
            _PROPERTIES.format(
                port=self._address[1],
                controller_port=self._controller_port,
                more_listeners=more,
                data=folder / "data",
            )
            + self._more_properties(folder)
        )
        self._format([java, "-cp", class_path, "kafka.tools.StorageTool"], properties)
        command: list[str | Path] = [
            java,
            "-Xmx512m",
            f"-Djava.io.tmpdir={folder}",
            "-cp",
            class_path,
            "kafka.Kafka",
            properties,
        ]
        return ServerProcess("kafka", command, self.log_path, grace_s=15.0)

    def _format(self, tool: list[str | Path], properties: Path) -> None:
        # Given with "=": one identifier in 64 begins with a dash, and would be read as an option.
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        done = subprocess.run(
            [*tool, "format", f"--cluster-id={cluster}", "-c", properties],
            capture_output=True,
            text=True,
            check=False,
            timeout=_FORMAT_TIMEOUT_S,
        )
        if done.returncode:
            raise ServerError(f"kafka could not format its folder:\n{done.stdout}{done.stderr}")

    def _answers(self) -> bool:
        """Ask which requests it serves: it answers only once it serves them."""
        client = b"rigs"
        request = struct.pack(">hhih", _API_VERSIONS, 0, 1, len(client)) + client
        try:
            with socket.create_connection(self._address, _PROBE_TIMEOUT_S) as connection:
                connection.sendall(struct.pack(">i", len(request)) + request)
                answer = connection.recv(10, socket.MSG_WAITALL)
        except OSError:
            return False
        # size, correlation id, error code
        return len(answer) == 10 and struct.unpack(">iih", answer)[1:] == (1, 0)
