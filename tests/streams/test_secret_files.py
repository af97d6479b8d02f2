"""Secrets that change under a client: what a connection gets is what the files hold then."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from rigs.authority import Authority
from streams.secret_files import PasswordFile, TrustFiles


def test_password_is_what_the_file_holds_when_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    password = PasswordFile(file)

    file.write_text("zwölf %s\r\n")

    assert password.encode() == "zwölf %s".encode()
    assert "first" not in repr(password)
    assert "zwölf" not in repr({"password": password})


def test_password_that_cannot_be_read_is_an_operators_error(tmp_path: Path) -> None:
    """Clients wait an `OSError` out; anything else would end their own tasks."""
    file = tmp_path / "password"
    file.write_text("first")
    password = PasswordFile(file)

    file.write_bytes(b"\xff\xfe")
    with pytest.raises(OSError, match="UTF-8") as caught:
        password.encode()
    assert "xff" not in str(caught.value)
    file.unlink()
    with pytest.raises(OSError, match="password"):
        password.encode()


def test_replaced_certificate_is_shown_from_the_next_connection_on(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    shown = authority.issue("old")
    trust = TrustFiles(authority.certificate, shown.certificate, shown.key)
    other = Authority(tmp_path / "other")
    before = shown_by(trust, authority, other)

    shown.replace(other.issue("new"))

    assert (before, shown_by(trust, authority, other)) == ("old", "new")


def test_pair_of_which_one_half_was_replaced_is_refused_until_it_is_whole(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    shown, fresh = authority.issue("old"), authority.issue("new")
    trust = TrustFiles(authority.certificate, shown.certificate, shown.key)

    shown.certificate.write_bytes(fresh.certificate.read_bytes())
    with pytest.raises(ssl.SSLError):
        shown_by(trust, authority, authority)
    shown.key.write_bytes(fresh.key.read_bytes())

    assert shown_by(trust, authority, authority) == "new"


def test_certificate_that_the_authority_does_not_vouch_for_is_not_trusted(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path / "ours"), Authority(tmp_path / "strangers")
    trust = TrustFiles(stranger.certificate, None, None)

    with pytest.raises(ssl.SSLCertVerificationError):
        shown_by(trust, authority, stranger)


def shown_by(trust: TrustFiles, of_server: Authority, of_clients: Authority) -> str:
    """Whose certificate a server is shown, in a handshake without a network."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*of_server.issue("server"))
    serving.verify_mode = ssl.CERT_OPTIONAL
    serving.load_verify_locations(of_server.certificate)
    serving.load_verify_locations(of_clients.certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    server = serving.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    certificate: Any = server.getpeercert()
    assert certificate, "the client showed none"
    (((_, name),),) = certificate["subject"]
    return str(name)
