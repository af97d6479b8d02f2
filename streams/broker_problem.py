"""Why the brokers cannot be used: one look from outside, told in one line.

Whoever waits for a broker (`streams/ingest.py`, `streams/audit_topic.py`, `streams/faust_app.py`,
`streams/partition_count.py`) asks here before its next pause. aiokafka says only that it could not
bootstrap: what the broker answered stays in its own log. Must never tell a secret, retry, or raise.
"""

from __future__ import annotations

import asyncio
import ssl
from enum import StrEnum
from typing import Any

import msgspec
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    BrokerResponseError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from streams.topics import KafkaConnection

LOOK_TIMEOUT_S = 5.0
"""Of a connection and one answer. A broker that needs longer is no faster for its clients."""


class Cause(StrEnum):
    """The event of the log line."""

    SECRET = "secret_not_readable"  # noqa: S105 - a name
    PASSWORD = "broker_refused_password"  # noqa: S105 - a name
    MECHANISM = "broker_refused_mechanism"
    OUR_CERTIFICATE = "broker_refused_certificate"
    ITS_CERTIFICATE = "broker_not_trusted"
    UNREACHABLE = "broker_unreachable"


class BrokerProblem(msgspec.Struct, frozen=True):
    """What went wrong at one listener; `sentence` says it without any secret."""

    cause: Cause
    listener: str
    user: str | None
    sentence: str


class BrokerAwayError(ConnectionError):
    """No broker does what we ask; `problem` is None where one lets us in and the rest failed."""

    def __init__(self, problem: BrokerProblem | None, error: BaseException) -> None:
        super().__init__(str(error) or "no answer" if problem is None else problem.sentence)
        self.problem = problem


def tell_problem(
    log: Any, problem: BrokerProblem | None, error: BaseException, **more: Any
) -> None:
    """One warning: what stands in the way, or the error itself where nothing does any more."""
    if problem is None:
        log.warning("broker_call_failed", error=repr(error), **more)
    else:
        told = {"listener": problem.listener, "user": problem.user, "problem": problem.sentence}
        log.warning(problem.cause.value, **told, **more)


_TELLING = tuple(Cause)
"""Where bootstrap servers differ the first of these is told: a refusal says more than silence."""


async def broker_problem(connection: KafkaConnection) -> BrokerProblem | None:
    """None when a bootstrap server lets us in and answers; takes `LOOK_TIMEOUT_S` at most."""
    try:
        options = connection.options()
        listeners = collect_hosts(options.pop("bootstrap_servers"), randomize=False)
        del options["metadata_max_age_ms"]  # of a client, not of one connection
    except (OSError, ValueError) as error:
        return _problem(connection, connection.bootstrap_servers, Cause.SECRET, error)
    looks = [_look(connection, host, port, options) for host, port, _ in listeners]
    found = await asyncio.gather(*looks)
    problems = [one for one in found if one is not None]
    if len(problems) < len(found):
        return None
    return min(problems, key=lambda one: _TELLING.index(one.cause))


async def _look(
    connection: KafkaConnection, host: str, port: int, options: dict[str, Any]
) -> BrokerProblem | None:
    """Connect, and ask for something that only a client who is let in may know."""
    listener = f"{host}:{port}"
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            client = await create_conn(
                host, port, request_timeout_ms=int(LOOK_TIMEOUT_S * 1000), **options
            )
            try:
                await client.send(MetadataRequest([]))
            finally:
                client.close()
    except (KafkaError, TimeoutError, OSError, ValueError) as error:
        return _problem(connection, listener, _cause(error), error)
    return None


def _cause(error: BaseException) -> Cause:
    if isinstance(error, SaslAuthenticationFailed):
        return Cause.PASSWORD
    if isinstance(error, (UnsupportedSaslMechanismError, IllegalSaslStateError)):
        return Cause.MECHANISM
    if isinstance(error, ssl.SSLCertVerificationError):
        return Cause.ITS_CERTIFICATE
    # In TLS 1.3 the broker looks at our certificate after we took the connection for made.
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return Cause.OUR_CERTIFICATE
    return Cause.UNREACHABLE


def _problem(
    connection: KafkaConnection, listener: str, cause: Cause, error: BaseException
) -> BrokerProblem:
    user, protocol = connection.sasl_username, connection.security_protocol
    shown = connection.ssl_certificate_file
    authorities = connection.ssl_ca_file or "the authorities of the system"
    sentences = {
        Cause.SECRET: f"a file with a secret for {listener} cannot be used",
        Cause.PASSWORD: f"{listener} refused the user {user!r} with the password in "
        f"{connection.sasl_password_file}",
        Cause.MECHANISM: f"{listener} does not take {protocol} with {connection.sasl_mechanism}",
        Cause.OUR_CERTIFICATE: f"{listener} refused the client certificate in {shown}"
        if shown
        else f"{listener} wants a client certificate and none is configured",
        Cause.ITS_CERTIFICATE: f"the certificate of {listener} does not hold against {authorities}",
        Cause.UNREACHABLE: f"{listener} does not answer {protocol} clients",
    }
    return BrokerProblem(cause, listener, user, f"{sentences[cause]}: {_reason(error)}")


def _reason(error: BaseException) -> str:
    """The innermost cause in its own words."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, asyncio.IncompleteReadError):
        return "it ended the connection, as one does that speaks another protocol"
    if isinstance(error, BrokerResponseError):
        said = error.args[0] if error.args else None
        return said if isinstance(said, str) else error.description
    return str(error) or type(error).__name__
