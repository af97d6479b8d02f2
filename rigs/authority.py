"""A certificate authority for one rig: makes key pairs that its own certificate vouches for.

Called by `rigs.secured_kafka` and by tests that replace a certificate. All of it is made for one
run, by the `openssl` program, in the rig's own folder. Must never write a key that others can read.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from rigs.toolchain import ToolMissingError

_TIMEOUT_S = 30
_DAYS = "1"  # a rig lives for minutes
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
# Given in full, so that no configuration of the machine has a say.
_SETTINGS = """\
[req]
distinguished_name=name
prompt=no
[name]
CN={name}
[authority]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
[pair]
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
subjectAltName=IP:127.0.0.1,DNS:localhost
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""


class KeyPair(NamedTuple):
    """Two PEM files: a certificate, and its key as PKCS #8."""

    certificate: Path
    key: Path

    def replace(self, other: KeyPair) -> None:
        """Put another pair into these files, each in one step as a mounted Secret does."""
        for ours, theirs in zip(self, other, strict=True):
            fresh = ours.with_name(f"{ours.name}.new")
            shutil.copy(theirs, fresh)
            fresh.rename(ours)


class Authority:
    """Vouches for what it issues into its folder; `certificate` is what others have to trust."""

    def __init__(self, folder: Path, name: str = "rig authority") -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._own = self._new_pair("authority", name, "authority", ())

    @property
    def certificate(self) -> Path:
        return self._own.certificate

    def issue(self, name: str) -> KeyPair:
        """A fresh pair for 127.0.0.1, good for a server and for a client of this common name."""
        signer = ("-CA", str(self._own.certificate), "-CAkey", str(self._own.key))
        return self._new_pair(name, name, "pair", signer)

    def _new_pair(self, file: str, name: str, extensions: str, signer: tuple[str, ...]) -> KeyPair:
        settings = self._folder / f"{file}.cnf"
        settings.write_text(_SETTINGS.format(name=name))
        pair = KeyPair(self._folder / f"{file}.crt", self._folder / f"{file}.key")
        _openssl(
            *("req", "-x509", *_NEW_KEY, *signer, "-days", _DAYS),
            *("-config", settings, "-extensions", extensions),
            *("-keyout", pair.key, "-out", pair.certificate),
        )
        pair.key.chmod(0o600)
        return pair


def _openssl(*arguments: str | Path) -> None:
    program = shutil.which("openssl")
    if program is None:
        raise ToolMissingError("a broker with TLS needs the program `openssl` (3.0 or newer)")
    environment = {**os.environ, "OPENSSL_CONF": os.devnull}
    done = subprocess.run(
        [program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_S,
        env=environment,
    )
    if done.returncode:
        raise ToolMissingError(f"openssl could not make a certificate: {done.stderr.strip()}")
