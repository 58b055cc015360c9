"""What Azure charges for storage requests: inputs, to be compared with the price list before they are relied upon.

US dollars, pay as you go, region East US, general-purpose v2 account, locally redundant, hot tier, without taxes and
discounts. Sources: https://azure.microsoft.com/pricing/details/storage/tables/, /queues/ and /blobs/. A transaction of
up to 100 rows is one request. Capacity, bandwidth within the region (free) and the Functions themselves are not in it.
"""

from collections.abc import Mapping
from typing import Final

from bench.results import Cost

#: When, where and what for.
BASIS: Final = "prices as publicly quoted in 2026, East US, general-purpose v2, LRS, pay as you go"
#: Each for 10,000 requests; of queues, class 1 and class 2 cost the same.
TABLE: Final = 0.00036
QUEUE: Final = 0.004
BLOB_WRITE: Final = 0.05
BLOB_READ: Final = 0.004

_BUNDLE: Final = 10_000
_MILLION: Final = 1_000_000
#: Blob requests that are charged as writes: putting, listing, making containers. Removing is free.
_WRITES: Final = frozenset({"write", "list", "manage"})
_FREE: Final = frozenset({"delete"})


def of_request(kind: str) -> float:
    """Return the price of one request of a kind such as "table transaction"."""
    service, _, verb = kind.partition(" ")
    verb = verb.partition(" ")[0]
    match service:
        case "table":
            bundle = TABLE
        case "queue":
            bundle = QUEUE
        case "blob" | "account":
            bundle = 0.0 if verb in _FREE else BLOB_WRITE if verb in _WRITES else BLOB_READ
        case _:
            raise ValueError(f"There is no price for {kind!r}.")
    return bundle / _BUNDLE


def of_operations(name: str, kinds: Mapping[str, float], polls: float) -> Cost:
    """Return what a million operations cost, by the requests of each kind, and the polls, that one takes."""
    each = sum(number * of_request(kind) for kind, number in kinds.items()) + polls * of_request("queue poll")
    return Cost(
        name=name,
        requests=round((sum(kinds.values()) + polls) * _MILLION),
        dollars=round(each * _MILLION, 2),
    )


def of_hour(name: str, kinds: Mapping[str, float]) -> Cost:
    """Return what these requests cost."""
    dollars = sum(number * of_request(kind) for kind, number in kinds.items())
    return Cost(name=name, requests=round(sum(kinds.values())), dollars=round(dollars, 6))
