"""Azure's errors in our words, translated at the border with their cause attached."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from azure.core.exceptions import AzureError, HttpResponseError

from asyncservice.storage.errors import StorageRefused, StorageUnavailable

#: Answers that say "not now": time-out, throttled, broken, busy.
TRANSIENT_STATUS: Final = frozenset({408, 429, 500, 502, 503, 504})
#: How the client library's queue and blob clients try again: after about 2, 4 and 8 seconds. Their own default, 18
#: seconds and more, is as long as a third of a lease.
RETRIES: Final[Mapping[str, Any]] = {
    "initial_backoff": 0,
    "increment_base": 2,
    "random_jitter_range": 1,
    "retry_total": 3,
}


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn an Azure error into StorageUnavailable or StorageRefused, naming *what* was asked."""
    try:
        yield
    except HttpResponseError as error:
        status = error.status_code
        code = code_of(error) or error.reason or "no reason given"
        kind = StorageUnavailable if status is None or status in TRANSIENT_STATUS else StorageRefused
        raise kind(f"{what}: {status} {code}") from error
    except (AzureError, TimeoutError) as error:
        raise StorageUnavailable(f"{what}: {error}") from error


def code_of(error: HttpResponseError) -> str:
    """Return the service's own word for an error, such as EntityAlreadyExists; empty when it gave none.

    The clients set error_code on most of their errors, not on all; the answer itself always has it.
    """
    code = getattr(error, "error_code", None)
    if code:
        return str(getattr(code, "value", code))
    if error.response is None:
        return ""
    try:
        return str(json.loads(error.response.text())["odata.error"]["code"])
    except (ValueError, KeyError, TypeError):
        return ""
