"""Where Faust is bent to this service: committed records only, no files, no web, our connection.

`streams/faust_app.py` makes its app here. Faust reads uncommitted records unless the whole app runs
exactly-once, which its tables do not need; the one seam for that is `_CommittedOnly`, and
`tests/streams` holds the contract that a new release must keep. Must never touch signals or
logging: the process belongs to our console script.
"""

from __future__ import annotations

from collections.abc import Mapping
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

    async def put_back(self, offsets: Mapping[Any, int]) -> None:
        """Have partitions read again from these offsets, or from where they stand now if that is
        before: somebody may have moved them meanwhile. A partition that is not ours any more, or is
        about to be given a position, is left alone."""
        await self.call_thread(self._put_back, self._ensure_consumer(), offsets)

    async def _put_back(self, consumer: Any, offsets: Mapping[Any, int]) -> None:
        subscription = consumer._subscription.subscription
        assignment = None if subscription is None else subscription.assignment
        for tp, offset in offsets.items():
            if assignment is None or tp not in assignment.tps:
                continue
            state = assignment.state_value(tp)
            if state.has_valid_position and offset < state.position:
                consumer.seek(tp, offset)


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

    async def _wait_next_records(
        self,
        timeout: float,  # noqa: ASYNC109 - the signature is Faust's
    ) -> tuple[Any, Any]:
        """As Faust's, but nothing that was fetched is dropped.

        Faust asks for the records of all active partitions and waits for up to a second. When
        partitions change hands meanwhile its set is emptied, which to aiokafka means any of them.
        Then the first records of a changelog that recovery has just placed come as the answer,
        Faust throws them away because the flow is stopped, and recovery waits for them for good.
        Here a question names the partitions that were active when it was put, and what may not be
        delivered any more is put back.
        """
        if not self.flow_active:
            await self.wait(self.can_resume_flow.wait())
        wanted = set(self._get_active_partitions())
        if not wanted:
            await self.sleep(timeout)
            return {}, self._get_active_partitions()
        thread: Any = self._thread
        records = await self._getmany(active_partitions=wanted, timeout=timeout)
        while records:
            may_come = self._get_active_partitions() | self._buffered_partitions
            if not self.flow_active:
                may_come = set()
            late = {tp: batch[0].offset for tp, batch in records.items() if tp not in may_come}
            if not late:
                break
            # What may still come may not any more when this is done.
            await thread.put_back(late)
            records = {tp: batch for tp, batch in records.items() if tp in may_come}
        return records, self._get_active_partitions()


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
