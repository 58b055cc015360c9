"""What a handler does about an HTTP answer that says no: the errors of the reference, section 3.5; Retry-After obeyed.

if answer.status >= 400:
    raise refusal(answer.status, answer.headers, now=context.now(), what="POST https://example.com/invoices")
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from asyncservice.operations.errors import ErrorCode
from asyncservice.operations.handling import RetryOperation, SuspendOperation

#: A service that wants to be left alone for longer is asked again all the same: it may have meant milliseconds.
LONGEST_WAIT: Final = timedelta(days=1)
#: Azure's services say it in milliseconds too, and more exactly.
_IN_MILLISECONDS: Final = ("retry-after-ms", "x-ms-retry-after-ms")


def refusal(status: int, headers: Mapping[str, str], *, now: datetime, what: str) -> RetryOperation | SuspendOperation:
    """Return what a handler raises for an answer that is no success; *what* was asked stands in its message.

    Unauthorized (401) suspends the operation until a person has mended the credentials and resumes it. Every other
    answer is tried again as the operation type's RetryPolicy says, not before the moment in its Retry-After.
    """
    message = f"{what} was answered {status}{_phrase(status)}."
    if status == HTTPStatus.UNAUTHORIZED:
        return SuspendOperation(message, code=ErrorCode.NETWORK)
    return RetryOperation(message, code=ErrorCode.NETWORK, after=retry_after(headers, now=now))


def retry_after(headers: Mapping[str, str], *, now: datetime) -> timedelta | None:
    """Return how long an answer asks to be left alone, LONGEST_WAIT at most; None when it does not say.

    Reads Retry-After as RFC 9110 has it, seconds or an HTTP date, and the headers with which Azure says it in
    milliseconds. What cannot be read counts as not said, a moment that has passed as no time.
    """
    known = {name.casefold(): value.strip() for name, value in headers.items()}
    try:
        for name in _IN_MILLISECONDS:
            if known.get(name, "").isdecimal():
                return _capped(int(known[name]), timedelta(milliseconds=1))
        text = known.get("retry-after", "")
        if text.isdecimal():
            return _capped(int(text), timedelta(seconds=1))
        moment = parsedate_to_datetime(text)
    except ValueError:  # Neither, or a number of thousands of digits.
        return None
    # A date without a zone is in UTC: an HTTP date knows no other.
    return _capped(1, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now)


def _capped(number: int, unit: timedelta) -> timedelta:
    # Compared before it is multiplied: a length of time cannot hold every number that can be written.
    if unit <= timedelta(0):
        return timedelta(0)
    return LONGEST_WAIT if number >= LONGEST_WAIT / unit else number * unit


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""
