"""https on a laptop: a certificate authority of this machine's own, and certificates that it issues.

The authority is made once and kept in a folder: `authority.pem` is what clients are told to trust, and
`authority-key.pem`, which only its owner can read, what certificates are issued with. Whoever has that file can
impersonate any site to those who trust the authority, so it is never copied and belongs to one machine.

Certificates are made at the start and kept in memory. They last DAYS and are replaced in time, also while serving.
"""

import logging
import os
import secrets
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import trustme
from cryptography import x509

from asyncservice.devhost.errors import ConfigurationInvalid

_log: Final = logging.getLogger("Host.Http")

#: How long a certificate lasts.
DAYS: Final = timedelta(days=90)
#: It is replaced when it has less than this left; an authority that has less than DAYS left is made anew.
AHEAD: Final = timedelta(days=30)
AUTHORITY: Final = "authority.pem"
AUTHORITY_KEY: Final = "authority-key.pem"
_END: Final = b"-----END CERTIFICATE-----\n"


@dataclass(frozen=True, slots=True)
class LocalTls:
    """What a server serves https with, and the file of the authority that its clients must trust."""

    context: ssl.SSLContext
    authority: Path


def local_tls(folder: Path, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> LocalTls:
    """Return what https is served with, making the authority in *folder* where there is none.

    Raises ConfigurationInvalid when the files cannot be read or written. Safe to call from several processes at once:
    they end up with one authority.
    """
    try:
        authority = _authority(folder, clock())
    except OSError as error:
        raise ConfigurationInvalid(
            f"The certificate authority cannot be kept in {folder}: {error.strerror}."
        ) from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    renewal = _Renewal(authority, context, clock)
    renewal.renew()
    # Called at every handshake, so a host that runs for months does not outlive its certificate.
    context.sni_callback = renewal.look
    return LocalTls(context, folder / AUTHORITY)


class _Renewal:
    """Keeps the certificate of a context fresh."""

    def __init__(self, authority: trustme.CA, context: ssl.SSLContext, clock: Callable[[], datetime]) -> None:
        self._authority, self._context, self._clock = authority, context, clock
        self._until = clock()

    def renew(self) -> None:
        """Issue a certificate for this machine and use it from the next handshake on."""
        self._until = self._clock() + DAYS
        certificate = self._authority.issue_cert(
            *names(),
            organization_name="asyncservice",
            organization_unit_name="local host",
            # Clocks of containers and virtual machines differ from that of their machine.
            not_before=self._clock() - timedelta(days=1),
            not_after=self._until,
        )
        certificate.configure_cert(self._context)

    def look(self, _socket: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Renew when it is time."""
        if self._until - self._clock() < AHEAD:
            self.renew()


def names() -> tuple[str, ...]:
    """Return what this machine is called by: localhost, its addresses, and its own name where that can be certified."""
    machine = socket.gethostname().lower()
    usable = machine.isascii() and machine.replace("-", "").replace(".", "").isalnum() and machine != "localhost"
    return ("localhost", "127.0.0.1", "::1", *((machine,) if usable else ()))


def _authority(folder: Path, now: datetime) -> trustme.CA:
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / AUTHORITY_KEY
    text = kept.read_bytes() if kept.exists() else b""
    if not text or _end_of(text, kept) - now < DAYS:
        if text:
            _log.warning("The certificate authority in %s ends soon; a new one takes its place. Trust it anew.", folder)
        made = trustme.CA(
            organization_name="asyncservice", organization_unit_name=f"authority of {socket.gethostname()}"
        )
        # Certificate and key are one file: there is no moment in which one is there without the other.
        text = _kept(kept, made.cert_pem.bytes() + made.private_key_pem.bytes(), replaces=bool(text))
    certificate, separator, key = text.partition(_END)
    public = folder / AUTHORITY
    if not public.exists() or public.read_bytes() != certificate + separator:
        _replace(public, certificate + separator, 0o644)
    try:
        return trustme.CA.from_pem(certificate + separator, key)
    except ValueError as error:
        raise _unreadable(kept) from error


def _end_of(text: bytes, path: Path) -> datetime:
    try:
        return x509.load_pem_x509_certificate(text).not_valid_after_utc
    except ValueError as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> ConfigurationInvalid:
    return ConfigurationInvalid(f"{path} holds no certificate and key. Remove it; a new authority is made then.")


def _kept(path: Path, text: bytes, *, replaces: bool) -> bytes:
    """Write the file unless another process was quicker; return what it holds now."""
    if replaces:
        _replace(path, text, 0o600)
        return text
    draft = _draft(path, text, 0o600)
    try:
        # Unlike a rename, a link never takes the place of a file that is there.
        path.hardlink_to(draft)
    except FileExistsError:
        return path.read_bytes()
    finally:
        draft.unlink()
    return text


def _replace(path: Path, text: bytes, mode: int) -> None:
    _draft(path, text, mode).replace(path)


def _draft(path: Path, text: bytes, mode: int) -> Path:
    """Write a file beside *path* that nobody else could read at any moment, and return where it is."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)
    return draft
