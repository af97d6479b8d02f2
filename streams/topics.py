"""Names of topics and groups, and how a broker is reached; one place for all who talk to Kafka.

`streams/ingest.py`, `streams/faust_app.py`, `streams/audit_topic.py` and the composition roots use
it. Topics are declared by their owner: only `ensure_topics`, which rigs and demos call, creates
any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code
from aiokafka.partitioner import murmur2

from streams.secret_files import PasswordFile, TrustFiles

_CREATE_TIMEOUT_MS = 15_000


class KafkaConnection(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the brokers. Secrets are files, read anew for each connection.

    `metadata_max_age_s` is how soon a client hears of partitions that were added to a topic. It has
    to be less than the lateness of the windows: until ingest knows a partition, nobody waits for
    its events, and Kafka's own five minutes are longer than buckets stay open.
    """

    bootstrap_servers: str
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password_file: Path | None = None
    ssl_ca_file: Path | None = None
    ssl_certificate_file: Path | None = None
    ssl_key_file: Path | None = None
    client_id: str = "mplp-predictor"
    metadata_max_age_s: float = 10.0

    def options(self) -> dict[str, Any]:
        """What every aiokafka client takes; raises `OSError` if a file of a secret is missing."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.bootstrap_servers,
            "client_id": self.client_id,
            "metadata_max_age_ms": int(self.metadata_max_age_s * 1000),
            "security_protocol": self.security_protocol,
        }
        if self.security_protocol.startswith("SASL"):
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.sasl_username
            options["sasl_plain_password"] = self.sasl_password()
        if self.security_protocol.endswith("SSL"):
            options["ssl_context"] = self.ssl_context()
        return options

    def sasl_password(self) -> PasswordFile | None:
        """What the password's file holds, without its last line break."""
        return None if self.sasl_password_file is None else PasswordFile(self.sasl_password_file)

    def ssl_context(self) -> TrustFiles:
        """Verifies the broker against the CA file, or against the system's authorities."""
        return TrustFiles(self.ssl_ca_file, self.ssl_certificate_file, self.ssl_key_file)


class Topics(msgspec.Struct, frozen=True, kw_only=True):
    """Every topic we read or write."""

    requests: str = "mplp.requests"
    metrics: str = "mplp.metrics"
    demand: str = "mplp.demand.v1"
    decisions: str = "mplp.decisions.v1"
    dead_letter: str = "mplp.requests.dlq"


class TopicPlan(msgspec.Struct, frozen=True):
    """A topic to create, with Kafka's own names for its settings."""

    name: str
    partitions: int
    replication_factor: int = 1
    settings: dict[str, str] = {}


def group_name(region: str, role: str, prefix: str = "mplp-predictor") -> str:
    """The consumer group of a role in a region; another name would read everything again."""
    return f"{prefix}.{region}.{role}"


def transactional_id(group: str, topic: str, partition: int) -> str:
    """The id that whoever counts this input partition writes under, so that a zombie is fenced."""
    return f"{group}-{topic}-{partition}"


def demand_partition(module: str, partitions: int) -> int:
    """The partition of the demand topic in which all of a module's parts meet.

    Kafka's murmur2 over the key, as its Java and aiokafka partitioners have it.
    """
    hashed: int = murmur2(module.encode())
    return (hashed & 0x7FFFFFFF) % partitions


async def ensure_topics(connection: KafkaConnection, plans: Sequence[TopicPlan]) -> None:
    """Create what is missing and leave what is there; raises a `KafkaError` if refused.

    Returns when the brokers know the topics; raises `TimeoutError` if that takes too long.
    """
    admin = AIOKafkaAdminClient(**connection.options())
    await admin.start()
    try:
        response = await admin.create_topics(
            [
                NewTopic(
                    plan.name, plan.partitions, plan.replication_factor, topic_configs=plan.settings
                )
                for plan in plans
            ],
            timeout_ms=_CREATE_TIMEOUT_MS,
        )
        for name, code, *_ in response.topic_errors:
            if code and code != TopicAlreadyExistsError.errno:
                raise for_code(code)(f"the topic {name!r} was not created")
        async with asyncio.timeout(_CREATE_TIMEOUT_MS / 1000):
            await _until_known(admin, [plan.name for plan in plans])
    finally:
        await admin.close()


async def _until_known(admin: Any, names: list[str]) -> None:
    """A topic is created before its metadata has spread and its partitions have leaders."""
    while True:
        found = await admin.describe_topics(names)
        led = [
            bool(topic["partitions"])
            and all(one["leader"] >= 0 and not one["error_code"] for one in topic["partitions"])
            for topic in found
        ]
        if len(led) == len(set(names)) and all(led):
            return
        await asyncio.sleep(0.05)
