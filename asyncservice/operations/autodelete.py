"""Operations that are removed of themselves soon after they have succeeded: asyncautodelete (reference, section 3.12).

The transaction that completes such an operation also writes a row that asks for its removal, keyed by the moment. A
timer reads these rows and removes record and rows together, 33 operations in one transaction where nothing stands apart
from them; so it costs an operation next to nothing, and whatever a crash left undone the next timer does.

The record stands for a while longer: whoever waits for it sees that it has succeeded, and the same id that is
submitted again by a sender who had no answer, or delivered again by its queue, still is the same operation.
"""

import logging
from contextlib import suppress
from datetime import timedelta
from typing import Final

from asyncservice.operations import ids, indices, removal
from asyncservice.operations.engine import Engine
from asyncservice.operations.errors import ChangedMeanwhile
from asyncservice.operations.ids import Place
from asyncservice.storage.errors import RowConflict
from asyncservice.storage.tables import MAX_WRITES, Delete, Row, Write

log = logging.getLogger(__name__)

#: How long a succeeded operation stands by default: longer than the host takes to deliver a message five times.
KEPT: Final = timedelta(hours=1)


async def remove(engine: Engine, *, kept: timedelta, budget: timedelta) -> int:
    """Remove the operations that asked for it and succeeded longer than *kept* ago; return how many.

    One request for each partition, and one for each 33 operations (50 system events); for one with blobs, children,
    events, a token or a long history a few of its own. Stops when *budget* is spent; the next call goes on. Safe to
    run on several hosts at once.
    """
    begun = engine.clock.now()
    removed = 0
    for shard in range(engine.store.shards):
        partition = ids.partition_name(shard)
        batch: list[Row] = []
        writes: list[Write] = []
        async for row in engine.store.table.scan(partition, start=ids.REMOVAL, end=ids.removal_until(begun - kept)):
            if engine.clock.now() - begun > budget:
                break
            if row.values.get("apart"):
                removed += await _remove_one(engine, row)
                continue
            own = _deletions(row)
            if len(writes) + len(own) > MAX_WRITES:
                removed += await _remove_together(engine, batch, writes)
                batch, writes = [], []
            batch.append(row)
            writes += own
        removed += await _remove_together(engine, batch, writes)
    if removed:
        log.info("Automatic deletion: %s operations removed.", removed)
    return removed


def _deletions(row: Row) -> list[Write]:
    """Return what removes an operation of which nothing stands apart.

    No version is asked for: a succeeded operation changes no more, and its row goes with it whoever removes it.
    """
    record = ids.removal_record_key(row.key)
    alias = ids.alias_beside(record)
    beside = [*([] if alias is None else [alias]), *indices.names_in(row)]
    return [Delete(row.key), Delete(record), *map(Delete, beside)]


async def _remove_together(engine: Engine, rows: list[Row], writes: list[Write]) -> int:
    if not rows:
        return 0
    try:
        await engine.store.table.commit(rows[0].partition, writes)
    except RowConflict:  # Somebody removed one of them by hand, or another host is at it.
        return sum([await _remove_one(engine, row) for row in rows])
    return len(rows)


async def _remove_one(engine: Engine, row: Row) -> int:
    """Remove one operation with all that belongs to it; return whether it was there."""
    stored = await engine.store.read_place(Place(row.partition, ids.removal_record_key(row.key)))
    if stored is None or not stored.operation.removes_itself:
        with suppress(RowConflict):
            await engine.store.table.commit(row.partition, [Delete(row.key)])
        return 0
    try:
        await removal.delete_many(engine.store, [stored], now=engine.clock.now())
    except ChangedMeanwhile:
        return 0  # Another host is at it; what it leaves is for the next time.
    return 1
