"""How long completed operations are kept, and their removal in batches."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from asyncservice.operations import removal
from asyncservice.operations.engine import Engine
from asyncservice.operations.errors import ChangedMeanwhile
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation, Stored
from asyncservice.operations.states import StatusCode
from asyncservice.storage.tables import MAX_COMPARISONS, Comparison

log = logging.getLogger(__name__)

#: Operations deleted in one transaction: each has its record, and may have an alias and history rows.
BATCH = 33
#: Types that a search leaves out by itself, beside what it compares of status and completion.
_MOST_EXCEPTIONS = MAX_COMPARISONS - 2
_MOST_DAYS = 36_500
#: What the setting says of operations that are never removed.
FOREVER = "forever"

type Rules = Mapping[tuple[int, StatusCode], timedelta | None]


def _documented() -> Mapping[StatusCode, timedelta]:
    return {
        StatusCode.SUCCEEDED: timedelta(days=30),
        StatusCode.FAILED: timedelta(days=60),
        StatusCode.CANCELED: timedelta(days=60),
    }


@dataclass(frozen=True, slots=True)
class Retention:
    """How long an operation is kept after its completion; by default Dataverse's 30, 60 and 60 days (section 3.12)."""

    kept: Mapping[StatusCode, timedelta] = field(default_factory=_documented)
    #: Other lengths, for one type and status each; None keeps them for ever.
    by_type: Rules = field(default_factory=dict)

    def is_over(self, operation: AsyncOperation, now: datetime) -> bool:
        """Whether a completed operation has been kept as long as it is to be."""
        own = (operation.operationtype, operation.statuscode)
        kept = self.by_type[own] if own in self.by_type else self.kept[operation.statuscode]
        return kept is not None and operation.completedon is not None and operation.completedon < now - kept

    def searches(self, now: datetime) -> Iterator[tuple[datetime, Sequence[Comparison]]]:
        """Yield what finds the operations whose time is over: created before when, and what their columns say."""
        for status, kept in self.kept.items():
            of_status = Comparison("statuscode", "eq", int(status)), Comparison("completedon", "lt", now - kept)
            own = [Comparison("operationtype", "ne", kind) for kind, each in self.by_type if each is status]
            yield now - kept, [*of_status, *own[:_MOST_EXCEPTIONS]]
        for (kind, status), own_kept in self.by_type.items():
            if own_kept is not None:
                yield (
                    now - own_kept,
                    [
                        Comparison("operationtype", "eq", kind),
                        Comparison("statuscode", "eq", int(status)),
                        Comparison("completedon", "lt", now - own_kept),
                    ],
                )


def rules(text: str) -> Rules:
    """Return what a setting says of single operation types: "BulkDelete=7, Workflow.Failed=180, 54.Succeeded=forever".

    Days after the completion, by a type's number or label, for all its operations or those of one status; what is
    said of a status counts before what is said of all. Raises ValueError with a sentence that says what to change.
    """
    of_all: dict[tuple[int, StatusCode], timedelta | None] = {}
    of_one: dict[tuple[int, StatusCode], timedelta | None] = {}
    for entry in filter(None, (each.strip() for each in text.split(","))):
        what, _, days = (part.strip() for part in entry.partition("="))
        name, _, label = what.partition(".")
        kind = OperationType.parse(name)
        if kind is None:
            raise ValueError(f"{entry!r}: {name!r} is no operation type; write it like BulkDelete=7 or 13=7.")
        statuses = [status for status in _documented() if not label or status.label.lower() == label.lower()]
        if not statuses:
            raise ValueError(f"{entry!r}: {label!r} is none of Succeeded, Failed and Canceled.")
        if days != FOREVER and not (days.isascii() and days.isdecimal() and int(days) <= _MOST_DAYS):
            raise ValueError(f"{entry!r}: write whole days, 0 to {_MOST_DAYS:,}, or {FOREVER}, as in BulkDelete=7.")
        said = of_one if label else of_all
        if any((kind, status) in said for status in statuses):
            raise ValueError(f"{entry!r}: {what} is said twice; leave one out.")
        said |= {(int(kind), status): None if days == FOREVER else timedelta(days=int(days)) for status in statuses}
    return of_all | of_one


async def purge(engine: Engine, retention: Retention, *, budget: timedelta) -> int:
    """Delete completed operations that are older than *retention* keeps them; return how many.

    Stops when *budget* is spent; the next call goes on. Operations that recur wait and are never completed, so
    they stay.
    """
    begun = engine.clock.now()
    removed = 0
    for shard in range(engine.store.shards):
        for created_before, where in retention.searches(begun):
            batch: list[Stored] = []
            async for stored in engine.store.scan(shard, created_before=created_before, where=where):
                if engine.clock.now() - begun > budget:
                    removed += await _delete(engine, batch)
                    log.info("Retention: %s operations removed, more to come.", removed)
                    return removed
                if not retention.is_over(stored.operation, begun):
                    continue
                batch.append(stored)
                if len(batch) == BATCH:
                    removed += await _delete(engine, batch)
                    batch = []
            removed += await _delete(engine, batch)
    if removed:
        log.info("Retention: %s operations removed.", removed)
    return removed


async def _delete(engine: Engine, batch: list[Stored]) -> int:
    """Delete a batch; what somebody changed meanwhile is left for the next time."""
    if not batch:
        return 0
    try:
        await removal.delete_many(engine.store, batch, now=engine.clock.now())
    except ChangedMeanwhile:
        return sum([await _delete(engine, [each]) for each in batch]) if len(batch) > 1 else 0
    return len(batch)
