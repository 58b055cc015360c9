"""How long completed operations are kept, and their removal in batches."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from asyncservice.operations import removal
from asyncservice.operations.engine import Engine
from asyncservice.operations.errors import ChangedMeanwhile
from asyncservice.operations.record import Stored
from asyncservice.operations.states import StateCode, StatusCode
from asyncservice.storage.tables import Comparison

log = logging.getLogger(__name__)

#: Operations deleted in one transaction: each has its record, and may have an alias and history rows.
_BATCH = 33


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


async def purge(engine: Engine, retention: Retention, *, budget: timedelta) -> int:
    """Delete completed operations that are older than *retention* keeps them; return how many.

    Stops when *budget* is spent; the next call goes on. Operations that recur wait and are never completed, so
    they stay.
    """
    begun = engine.clock.now()
    removed = 0
    for shard in range(engine.store.shards):
        newest = begun - min(retention.kept.values())
        batch: list[Stored] = []
        old = engine.store.scan(
            shard,
            created_before=newest,
            where=[Comparison("statecode", "eq", int(StateCode.COMPLETED)), Comparison("completedon", "lt", newest)],
        )
        async for stored in old:
            if engine.clock.now() - begun > budget:
                removed += await _delete(engine, batch)
                log.info("Retention: %s operations removed, more to come.", removed)
                return removed
            operation = stored.operation
            if operation.completedon is None or operation.completedon > begun - retention.kept[operation.statuscode]:
                continue
            batch.append(stored)
            if len(batch) == _BATCH:
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
