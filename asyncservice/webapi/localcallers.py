"""Whom a host answers that only this machine can reach: programs that call it by its own name, and its own pages.

Nobody is asked there. But a browser on the same machine also runs pages of others, and they can send requests to
localhost: directly, or under a name of their own that they let point to 127.0.0.1 (DNS rebinding). So the name that a
request calls the host by must be this machine's, and a page that is not its own may only read what is public: nothing.
"""

import ipaddress
import socket
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self
from urllib.parse import urlsplit

from asyncservice.settings import Settings
from asyncservice.webapi.exchange import Headers
from asyncservice.webapi.faults import ApiError, Code
from asyncservice.webapi.proxies import called


@dataclass(frozen=True, slots=True)
class LocalCallers:
    """The names, in lower case, that a local host answers to beside localhost and addresses of the loopback."""

    names: frozenset[str]

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return this machine's name and those of ASYNCSERVICE_AUTH_LOCAL_NAMES."""
        given = {each.strip().lower() for each in (settings.auth_local_names or "").split(",") if each.strip()}
        return cls(frozenset(given | {socket.gethostname().lower()}))

    def check(self, headers: Headers) -> None:
        """Raise ApiError (403) when the request calls this host by a strange name or comes from a strange page."""
        for name in {_host(f"//{headers.get('Host', '')}"), _host(f"//{called(headers).host}")}:
            if name and not self._is_ours(name):
                raise _refused(f"This local service does not answer to the name '{name[:200]}'.")
        origin = headers.get("Origin", "")
        if origin and not self._is_ours(_host(origin)):
            raise _refused(f"This local service does not answer pages of {origin[:200]}.")
        if not origin and headers.get("Sec-Fetch-Site", "") == "cross-site":
            raise _refused("This local service does not answer other sites' pages.")

    def _is_ours(self, name: str) -> bool:
        if name in self.names or name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return "?"


def _refused(message: str) -> ApiError:
    return ApiError(
        f"{message} Name it in ASYNCSERVICE_AUTH_LOCAL_NAMES if it should.",
        status=HTTPStatus.FORBIDDEN,
        code=Code.PRIVILEGE_DENIED,
    )
