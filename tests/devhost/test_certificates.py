"""The local certificate authority: made once, readable by its owner alone, and certificates that are never stale."""

import socket
import ssl
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from asyncservice.devhost.certificates import AHEAD, AUTHORITY, AUTHORITY_KEY, DAYS, LocalTls, local_tls, names
from asyncservice.devhost.errors import ConfigurationInvalid


def handshake(server: ssl.SSLContext, authority: Path, name: str) -> x509.Certificate:
    """Let a client that trusts *authority* connect to *name*; return the certificate it was shown."""
    client = ssl.create_default_context(cafile=authority)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname=name)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    ends = [near, far]
    for _ in range(10):
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue
    assert not ends
    shown = near.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_a_client_that_trusts_the_authority_can_connect_by_every_name_of_this_machine(
    tmp_path: Path, name: str
) -> None:
    made = local_tls(tmp_path / "https")
    assert made.authority == tmp_path / "https" / AUTHORITY
    assert handshake(made.context, made.authority, name).not_valid_after_utc > datetime.now(UTC) + DAYS - AHEAD


def test_a_client_that_does_not_trust_the_authority_cannot(tmp_path: Path) -> None:
    made, other = local_tls(tmp_path / "a"), local_tls(tmp_path / "b")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made.context, other.authority, "localhost")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made.context, made.authority, "example.org")


def test_the_key_is_for_its_owner_only_and_the_authority_s_file_holds_none(tmp_path: Path) -> None:
    local_tls(tmp_path)
    assert stat.S_IMODE((tmp_path / AUTHORITY_KEY).stat().st_mode) == 0o600
    assert "PRIVATE KEY" in (tmp_path / AUTHORITY_KEY).read_text()
    assert "PRIVATE KEY" not in (tmp_path / AUTHORITY).read_text()
    assert {path.name for path in tmp_path.iterdir()} == {AUTHORITY, AUTHORITY_KEY}


def test_the_authority_stays_the_same_so_that_it_is_trusted_once(tmp_path: Path) -> None:
    first = local_tls(tmp_path).authority.read_bytes()
    second = local_tls(tmp_path)
    assert second.authority.read_bytes() == first
    assert (
        handshake(second.context, second.authority, "localhost").issuer == x509.load_pem_x509_certificate(first).subject
    )


def test_a_public_file_that_is_missing_or_another_one_s_is_written_again(tmp_path: Path) -> None:
    right = local_tls(tmp_path).authority.read_bytes()
    for wrong in (None, trustme.CA().cert_pem.bytes()):
        (tmp_path / AUTHORITY).unlink()
        if wrong is not None:
            (tmp_path / AUTHORITY).write_bytes(wrong)
        assert local_tls(tmp_path).authority.read_bytes() == right


def test_processes_that_start_at_once_have_one_authority(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def start(_: int) -> LocalTls:
        together.wait()
        return local_tls(tmp_path / "https")

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(start, range(8)))
    for each in made:
        handshake(each.context, tmp_path / "https" / AUTHORITY, "localhost")


def test_a_certificate_is_replaced_in_time_while_the_host_serves(tmp_path: Path) -> None:
    now = datetime.now(UTC) - (DAYS - AHEAD)
    made = local_tls(tmp_path, clock=lambda: now)
    first = handshake(made.context, made.authority, "localhost")
    assert handshake(made.context, made.authority, "localhost").serial_number == first.serial_number
    now += DAYS - AHEAD + timedelta(minutes=1)
    # The handshake that notices may still show the old one, which is good for another month.
    handshake(made.context, made.authority, "localhost")
    second = handshake(made.context, made.authority, "localhost")
    assert second.serial_number != first.serial_number
    assert second.not_valid_after_utc > first.not_valid_after_utc


def test_an_authority_that_ends_soon_is_made_anew(tmp_path: Path) -> None:
    before = local_tls(tmp_path).authority.read_bytes()
    end = x509.load_pem_x509_certificate(before).not_valid_after_utc
    after = local_tls(tmp_path, clock=lambda: end - DAYS + timedelta(days=1)).authority.read_bytes()
    assert after != before
    assert stat.S_IMODE((tmp_path / AUTHORITY_KEY).stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_that_is_none_of_ours_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / AUTHORITY_KEY).write_text(text)
    with pytest.raises(ConfigurationInvalid, match="Remove it; a new authority is made then"):
        local_tls(tmp_path)


def test_a_certificate_without_its_key_is_told(tmp_path: Path) -> None:
    (tmp_path / AUTHORITY_KEY).write_bytes(trustme.CA().cert_pem.bytes())
    with pytest.raises(ConfigurationInvalid, match="Remove it; a new authority is made then"):
        local_tls(tmp_path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationInvalid, match="cannot be kept"):
        local_tls(tmp_path / "file" / "https")


@pytest.mark.parametrize(("machine", "is_named"), [("Laptop-7", True), ("my_machine", False), ("localhost", False)])
def test_the_machine_s_name_is_certified_where_it_can_be(
    monkeypatch: pytest.MonkeyPatch, machine: str, *, is_named: bool
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: machine)
    assert (machine.lower() in names()[3:]) is is_named
