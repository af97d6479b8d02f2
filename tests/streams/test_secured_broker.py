"""Passwords and certificates against a broker that wants them, and their rotation under way."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from aiokafka.conn import create_conn
from aiokafka.errors import SaslAuthenticationFailed

from rigs.authority import Authority, KeyPair
from rigs.secured_kafka import PLAIN_USER, SESSION_S, SecuredKafkaBroker
from streams.audit_topic import AuditTopic
from streams.broker_problem import BrokerAwayError, broker_problem
from streams.faust_app import DemandTables, DemandTableSettings
from streams.ingest import Ingest, IngestSettings
from streams.partition_count import partition_count
from streams.topics import KafkaConnection
from tests.streams.demand_reader import an_inbox, known
from tests.streams.kafka_world import (
    CATALOG,
    QUICK,
    Cell,
    KafkaWorld,
    heartbeats,
    identities,
    some_requests,
    totals_of,
)

pytestmark = pytest.mark.real


@pytest.fixture(autouse=True)
async def closing_connections() -> AsyncIterator[None]:
    """aiokafka closes a refused connection without waiting; the loop has to live until it is."""
    yield
    await asyncio.sleep(0.1)


FLUSH_S = 1000


class Account:
    """A user of one test, and the file that holds the password."""

    def __init__(self, broker: SecuredKafkaBroker, folder: Path, servers: str) -> None:
        self.name = f"user-{secrets.token_hex(3)}"
        self.file = folder / "password"
        self._broker = broker
        self.connection = KafkaConnection(
            bootstrap_servers=servers,
            security_protocol="SASL_SSL",
            sasl_username=self.name,
            sasl_password_file=self.file,
            ssl_ca_file=broker.ca_file,
        )

    def broker_has(self, password: str) -> None:
        self._broker.set_password(self.name, password)

    def file_has(self, password: str) -> None:
        self.file.write_text(f"{password}\n")


class Workers:
    """What of ours speaks to Kafka: ingest and audit over one connection, tables over each given.

    Faust is not asked to live with connections that end every second: it starts anew each time.
    """

    def __init__(
        self, world: KafkaWorld, connection: KafkaConnection, *tables_over: KafkaConnection
    ) -> None:
        settings = IngestSettings(**QUICK)  # type: ignore[arg-type]
        group = f"{world.prefix}.ingest"
        self.ingest = Ingest(connection, world.topics, group, CATALOG, settings)
        self.audit = AuditTopic(connection, world.topics)
        self.inboxes = [an_inbox() for _ in tables_over]
        self.tables = [
            DemandTables(
                one,
                world.topics.demand,
                f"{world.prefix}.decide-{number}",
                self.inboxes[number],
                DemandTableSettings(partitions=2, session_timeout_s=6),
            )
            for number, one in enumerate(tables_over)
        ]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        ingest = asyncio.create_task(self.ingest.run())
        await asyncio.gather(self.audit.start(), *(one.start() for one in self.tables))
        try:
            await until(lambda: all(one.recovered for one in self.tables))
            await until(lambda: len(self.ingest.owned_partitions) == 2)
            yield
        finally:
            self.ingest.stop()
            await self.audit.close()
            await asyncio.gather(*(one.stop() for one in self.tables))
            await ingest

    async def have(self, totals: Counter[Cell], audit_records: int) -> None:
        """Wait until every history holds these totals and the audit topic took so many records."""
        await until(lambda: all(known(one) == totals for one in self.inboxes))
        await until(lambda: self.audit.counts["written"] >= audit_records)


async def a_world(broker: SecuredKafkaBroker) -> KafkaWorld:
    world = KafkaWorld(broker.bootstrap_servers, f"secured-{secrets.token_hex(3)}")
    await world.create(partitions=2)
    return world


async def test_rotated_password_is_taken_up_whichever_side_has_it_first(
    secured_kafka_broker: SecuredKafkaBroker, tmp_path: Path
) -> None:
    """The broker drops every connection after a second: all of ours have to come again."""
    broker = secured_kafka_broker
    account = Account(broker, tmp_path, broker.short_lived_servers)
    account.broker_has("first")
    account.file_has("first")
    world = await a_world(broker)
    sent, totals = some_requests(1200, partitions=2, until_s=600, seed=11)
    workers = Workers(world, account.connection)

    async with workers.running():
        await world.produce(sent[:400])
        workers.audit.put("core", b"before")
        account.broker_has("second")
        await asyncio.sleep(SESSION_S + 0.5)
        await world.produce(sent[400:800])
        account.file_has("second")
        workers.audit.put("core", b"between")
        await asyncio.sleep(SESSION_S + 0.5)
        account.file_has("third")
        account.broker_has("third")
        await world.produce([*sent[800:], *heartbeats(2, FLUSH_S)])
        workers.audit.put("core", b"after")
        parts = await world.parts_adding_up_to(totals.total(), within_s=30)
        await workers.have(totals, audit_records=3)

    assert totals_of(parts) == totals
    assert set(identities(parts).values()) == {1}


async def test_rotated_certificate_and_password_are_taken_up_when_the_broker_comes_back(
    secured_kafka_broker: SecuredKafkaBroker, tmp_path: Path
) -> None:
    broker = secured_kafka_broker
    (trusted,) = broker.trusted
    successor = Authority(broker.folder / f"successor-{secrets.token_hex(3)}", "successor")
    shown = trusted.issue("predictor")
    connection = mutual(broker, shown)
    account = Account(broker, tmp_path, broker.scram_servers)
    account.broker_has("first")
    account.file_has("first")
    world = await a_world(broker)
    sent, totals = some_requests(800, partitions=2, until_s=600, seed=12)
    workers = Workers(world, connection, connection, account.connection)

    async with workers.running():
        await world.produce(sent[:400])
        workers.audit.put("core", b"before")
        account.broker_has("second")
        account.file_has("second")
        shown.replace(successor.issue("predictor"))
        broker.trust([successor])
        await asyncio.to_thread(broker.restart)
        await world.produce([*sent[400:], *heartbeats(2, FLUSH_S)])
        workers.audit.put("core", b"after")
        parts = await world.parts_adding_up_to(totals.total(), within_s=30)
        await workers.have(totals, audit_records=2)
        refused = await broker_problem(mutual(broker, trusted.issue("predictor")))

    assert totals_of(parts) == totals
    assert set(identities(parts).values()) == {1}
    assert refused is not None, "the certificate from before should be of no more use"
    assert refused.cause == "broker_refused_certificate"
    assert [one.counts["restart"] for one in workers.tables] == [0, 0]


async def test_wrong_password_is_one_line_for_each_pause_and_is_waited_out(
    secured_kafka_broker: SecuredKafkaBroker, tmp_path: Path
) -> None:
    broker = secured_kafka_broker
    account = Account(broker, tmp_path, broker.scram_servers)
    account.broker_has("right-one")
    account.file_has("wrong-one")
    world = await a_world(broker)
    ingest = Workers(world, account.connection).ingest

    with structlog.testing.capture_logs() as lines:
        running = asyncio.create_task(ingest.run())
        await asyncio.sleep(1.2)
        told = list(lines)
        account.file_has("right-one")
        await until(lambda: len(ingest.owned_partitions) == 2)
        ingest.stop()
        await running

    assert {line["event"] for line in told} == {"broker_refused_password"}
    # One may have been under way when the right password came, and is told after it.
    assert len([line for line in lines if "retry_in_s" in line]) == ingest.counts["retry"]
    pauses_s = [line["retry_in_s"] for line in told]
    assert sum(pauses_s[:-1]) <= 1.2
    assert pauses_s[-1] > pauses_s[0]
    assert {(line["user"], line["listener"]) for line in told} == {
        (account.name, broker.scram_servers)
    }
    assert str(account.file) in told[0]["problem"]
    assert "-one" not in repr(lines)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
async def test_client_reads_the_password_again_for_each_connection(
    secured_kafka_broker: SecuredKafkaBroker, tmp_path: Path, mechanism: Any
) -> None:
    """What we lean on in aiokafka: it asks the password for its bytes when it connects."""
    broker = secured_kafka_broker
    account = Account(broker, tmp_path, broker.scram_servers)
    account.broker_has(broker.plain_password)
    account.file_has("wrong")
    user = PLAIN_USER if mechanism == "PLAIN" else account.name
    changed = {"sasl_mechanism": mechanism, "sasl_username": user}
    options = msgspec.structs.replace(account.connection, **changed).options()
    del options["metadata_max_age_ms"]
    host, port = options.pop("bootstrap_servers").split(":")

    with pytest.raises(SaslAuthenticationFailed):
        await create_conn(host, int(port), **options)
    account.file_has(broker.plain_password)
    connection = await create_conn(host, int(port), **options)
    await connection.close()

    assert broker.plain_password not in repr(options)


async def test_each_refusal_is_told_for_what_it_is(
    secured_kafka_broker: SecuredKafkaBroker, tmp_path: Path
) -> None:
    broker = secured_kafka_broker
    account = Account(broker, tmp_path, broker.scram_servers)
    account.broker_has("right")
    account.file_has("right")
    (trusted,) = broker.trusted
    scram, shown = account.connection, mutual(broker, trusted.issue("predictor"))
    stranger = Authority(tmp_path / "stranger", "stranger")
    change = msgspec.structs.replace

    async def cause(connection: KafkaConnection) -> str | None:
        problem = await broker_problem(connection)
        return None if problem is None else problem.cause

    assert await cause(scram) is None
    assert await cause(shown) is None
    assert await cause(change(scram, sasl_username="nobody")) == "broker_refused_password"
    assert await cause(change(scram, sasl_mechanism="SCRAM-SHA-256")) == "broker_refused_mechanism"
    assert await cause(change(scram, ssl_ca_file=stranger.certificate)) == "broker_not_trusted"
    bare = change(shown, ssl_certificate_file=None, ssl_key_file=None)
    assert await cause(bare) == "broker_refused_certificate"
    unknown = mutual(broker, stranger.issue("predictor"))
    assert await cause(unknown) == "broker_refused_certificate"
    gone = change(scram, sasl_password_file=tmp_path / "nothing")
    assert await cause(gone) == "secret_not_readable"
    plain = KafkaConnection(bootstrap_servers=broker.scram_servers)
    assert await cause(plain) == "broker_unreachable"
    two = change(plain, bootstrap_servers=f"127.0.0.1:1,{broker.bootstrap_servers}")
    assert await cause(two) is None


async def test_asking_for_partitions_names_who_was_refused_where(
    secured_kafka_broker: SecuredKafkaBroker, tmp_path: Path
) -> None:
    broker = secured_kafka_broker
    account = Account(broker, tmp_path, broker.scram_servers)
    account.file_has("wrong-one")

    with pytest.raises(BrokerAwayError) as caught:
        await partition_count(account.connection, "any")

    assert account.name in str(caught.value)
    assert broker.scram_servers in str(caught.value)
    assert "wrong-one" not in str(caught.value)


def mutual(broker: SecuredKafkaBroker, pair: KeyPair) -> KafkaConnection:
    return KafkaConnection(
        bootstrap_servers=broker.mutual_servers,
        security_protocol="SSL",
        ssl_ca_file=broker.ca_file,
        ssl_certificate_file=pair.certificate,
        ssl_key_file=pair.key,
    )


async def until(what: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not what():  # noqa: ASYNC110 - asks from outside
            await asyncio.sleep(0.05)
