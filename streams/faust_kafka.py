"""Where Faust is bent to this service: committed records only, no files, no web, our connection.

`streams/faust_app.py` makes its app here. Faust reads uncommitted records unless the whole app runs
exactly-once, which its tables do not need; the one seam for that is `_CommittedOnly`, and
`tests/streams` holds the contract that a new release must keep. Must never touch signals or
logging: the process belongs to our console script.
"""

from __future__ import annotations

from typing import Any

import faust
from faust.auth import SASLCredentials, SSLCredentials
from faust.transport.drivers import aiokafka as driver

from streams.topics import KafkaConnection


def faust_app(
    connection: KafkaConnection,
    group: str,
    *,
    partitions: int,
    replication_factor: int,
    session_timeout_s: float,
) -> Any:
    """An app with in-memory tables whose changelogs have as many partitions as the demand topic."""
    app = _App(
        group,
        broker=";".join(
            f"kafka://{one.strip()}" for one in connection.bootstrap_servers.split(",")
        ),
        broker_client_id=connection.client_id,
        broker_credentials=_credentials(connection),
        broker_session_timeout=session_timeout_s,
        broker_heartbeat_interval=session_timeout_s / 4,
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
        processing_guarantee="at_least_once",
        store="memory://",
        topic_partitions=partitions,
        topic_replication_factor=replication_factor,
        # A standby's entries would lie among our own, and `faust_app` forgets what is not owned.
        table_standby_replicas=0,
        web_enabled=False,
        autodiscover=False,
    )
    app.transport = _Transport(app.conf.broker_consumer, app)
    return app


class _App(faust.App):
    def _create_directories(self) -> None:
        """The tables are in memory, and the root filesystem is read-only."""


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # taken up when the consumer starts
        return consumer


class _CommittedOnly(driver.Consumer):
    def _new_consumer_thread(self) -> Any:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        """Deliver nothing between here and the end of recovery, which lets the flow go on.

        Faust empties the streams' queues at that point. A record that comes in between is lost
        with them, and the offset of the next one makes Faust take it for read.
        """
        self.stop_flow()
        await super().perform_seek()


class _Transport(driver.Transport):
    Consumer = _CommittedOnly


def _credentials(connection: KafkaConnection) -> Any:
    if connection.security_protocol == "PLAINTEXT":
        return None
    encrypted = connection.security_protocol.endswith("SSL")
    context = connection.ssl_context() if encrypted else None
    if connection.security_protocol == "SSL":
        return SSLCredentials(context=context)
    return SASLCredentials(
        username=connection.sasl_username,
        password=connection.sasl_password(),
        mechanism=connection.sasl_mechanism,
        ssl_context=context,
    )
