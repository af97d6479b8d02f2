"""The broker of `rigs.kafka` with two more listeners: SASL_SSL with SCRAM, and SSL with mutual TLS.

Called by `rigs.fixtures`. The rig itself speaks over the open listener. A listener takes a changed
`trusted` at the broker's next start; a changed password counts at once for new connections. Must
never listen beyond loopback, like the broker it extends.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from rigs import scram_users
from rigs.authority import Authority
from rigs.kafka import KafkaBroker
from rigs.ports import free_ports

SESSION_S = 1
"""How long the broker lets a connection of the `short_lived_servers` go on."""

_PROPERTIES = """\
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,\
SCRAM:SASL_SSL,SHORT:SASL_SSL,MUTUAL:SSL
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.scram.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
# A wrong password is answered at once: tests give many.
connection.failed.authentication.delay.ms=0
listener.name.scram.plain.sasl.jaas.config={plain_login}
listener.name.scram.scram-sha-512.sasl.jaas.config={login}
listener.name.short.scram-sha-512.sasl.jaas.config={login}
listener.name.short.scram-sha-512.connections.max.reauth.ms={session_ms}
listener.name.mutual.ssl.client.auth=required
listener.name.mutual.ssl.truststore.type=PEM
listener.name.mutual.ssl.truststore.location={truststore}
"""

_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_PLAIN_LOGIN = (
    'org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";'
)
PLAIN_USER = "plain"


class SecuredKafkaBroker(KafkaBroker):
    """One broker; each kind of client has its own bootstrap servers.

    `scram_servers` wants a password, by SCRAM, or by PLAIN from `PLAIN_USER`; `short_lived_servers`
    does too, and drops every connection after `SESSION_S`, as a broker does with clients that
    cannot authenticate again (KIP-368).
    `mutual_servers` wants a certificate of one of those in `trusted`.
    """

    def __init__(self) -> None:
        super().__init__()
        scram, short, mutual = free_ports(3)
        self.scram_servers = f"127.0.0.1:{scram}"
        self.short_lived_servers = f"127.0.0.1:{short}"
        self.mutual_servers = f"127.0.0.1:{mutual}"
        self.plain_password = secrets.token_hex(8)
        self._ports = {"SCRAM": scram, "SHORT": short, "MUTUAL": mutual}
        self.trusted: tuple[Authority, ...] = ()
        self._authority: Authority | None = None

    @property
    def authority(self) -> Authority:
        """Who vouches for the broker, and at first for its clients."""
        if self._authority is None:
            raise RuntimeError("the broker has not been started")
        return self._authority

    @property
    def ca_file(self) -> Path:
        return self.authority.certificate

    def trust(self, authorities: Sequence[Authority]) -> None:
        """Whose certificates clients may show, from the next start on."""
        self.trusted = tuple(authorities)
        self._write_truststore(self.folder)

    def set_password(self, user: str, password: str) -> None:
        """Make the user, or change their password; open connections stay."""
        scram_users.set_password(self._address, user, password)

    def _more_listeners(self) -> dict[str, int]:
        return self._ports

    def _more_properties(self, folder: Path) -> str:
        self._authority = Authority(folder / "authority")
        own = self._authority.issue("broker")
        keystore = folder / "keystore.pem"
        keystore.write_text(own.key.read_text() + own.certificate.read_text())
        keystore.chmod(0o600)
        self.trusted = (self._authority,)
        self._write_truststore(folder)
        return _PROPERTIES.format(
            keystore=keystore,
            truststore=self._truststore(folder),
            session_ms=SESSION_S * 1000,
            login=_LOGIN,
            plain_login=_PLAIN_LOGIN.format(user=PLAIN_USER, password=self.plain_password),
        )

    def _write_truststore(self, folder: Path) -> None:
        certificates = [one.certificate.read_text() for one in self.trusted]
        self._truststore(folder).write_text("".join(certificates))

    def _truststore(self, folder: Path) -> Path:
        return folder / "trusted.pem"
