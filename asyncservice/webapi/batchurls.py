"""Addresses inside a batch, which come in four forms; each becomes a path below the service root, and a query."""

import re
from collections.abc import Mapping
from typing import Final

from asyncservice.webapi.faults import ApiError

#: Whatever stands before the path below the service root. Host and scheme are the client's business.
_ROOT: Final = re.compile(r"(?:https?://[^/?#]*)?/api/data/v\d+(?:\.\d+)?(?:/|(?=\?)|\Z)", re.IGNORECASE)
_ABSOLUTE: Final = re.compile(r"https?://", re.IGNORECASE)
_REFERENCE: Final = re.compile(r"\$([^/?(]+)")
#: Resources whose names begin like a reference.
_NAMES: Final = frozenset({"metadata", "batch"})


def relative(url: str, references: Mapping[str, str]) -> tuple[str, str]:
    """Return path and query, percent-encoded as they came, of a URL that is absolute, begins at the host or the service
    root, or begins with `$` and a content id. Raises ApiError for a content id that nothing has defined.
    """  # noqa: D205 - the forms belong together
    found = _ROOT.match(url)
    if found:
        url = url[found.end() :]
    elif _ABSOLUTE.match(url):
        raise ApiError(f"'{url[:80]}' does not lie below the service root; write …/api/data/v9.2/… or a relative URL.")
    path, _, query = url.partition("?")
    reference = _REFERENCE.match(path)
    if reference and reference[1] not in references and reference[1].lower() not in _NAMES:
        raise undefined(reference[1])
    return path.lstrip("/"), query


def undefined(content_id: str) -> ApiError:
    """Return the error for a reference to a request that has not been made in this change set."""
    return ApiError(f"Content-ID Reference: '${content_id}' does not exist in the batch context.")
