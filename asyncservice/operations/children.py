"""Operations that belong to another: started together, waited for without polling, cancelled with it.

Children stand in their parent's partition. A child's row under its parent says whether it is completed and changes in
the transaction that completes the child; nobody writes the parent's own record until the last one is done, so
thousands may end at once. Whoever completes a child looks whether any is left, and wakes the parent when none is; if
that word is lost, the sweep looks.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import batched

from asyncservice.operations import creation, ids, insertion
from asyncservice.operations.errors import InvalidOperation
from asyncservice.operations.handling import Tally
from asyncservice.operations.ids import Place
from asyncservice.operations.insertion import Inserted
from asyncservice.operations.record import AsyncOperation, check
from asyncservice.operations.states import StatusCode
from asyncservice.operations.store import OperationStore
from asyncservice.operations.submission import Submission
from asyncservice.storage.tables import after, prefix_end


def of(
    parent: AsyncOperation, parent_place: Place, submissions: Sequence[Submission], *, key: str, now: datetime
) -> list[AsyncOperation]:
    """Return the operations that *parent* starts under *key*; the same call always gives the same ids."""
    shard = int(parent_place.partition, 16)
    made = []
    for number, submission in enumerate(submissions):
        if submission.dependencytoken is not None or submission.asyncoperationid is not None:
            raise InvalidOperation("A child operation can have neither a dependencytoken nor an id of its own.")
        text = f"{parent.asyncoperationid}/{key}/{number}"
        child = submission.operation(now=now, new_id=ids.derived_id(parent.createdon, text, shard=shard))
        child = creation.caused(child, parent, now=now)
        made.append(creation.created(check(creation.adopted(child, parent_place.key))))
    return made


async def insert(store: OperationStore, children: Sequence[AsyncOperation]) -> list[Inserted]:
    """Write children, in as few transactions as can be; those that are there already stay as they are."""
    results: list[Inserted] = []
    for batch in batched(children, insertion.batch_size(children), strict=False):
        results += await insertion.insert_many(store, batch)
    return results


async def tally(store: OperationStore, parent: AsyncOperation) -> Tally:
    """Return how the children of *parent* stand. One request for every thousand completed."""
    counts = dict.fromkeys(StatusCode, 0)
    place = store.place(parent)
    prefix = ids.child_key(place.key, None, completed=True)
    async for row in store.table.scan(place.partition, start=prefix, end=prefix_end(prefix)):
        counts[StatusCode(int(str(row.values["status"])))] += 1
    return Tally(
        parent.childcount,
        succeeded=counts[StatusCode.SUCCEEDED],
        failed=counts[StatusCode.FAILED],
        canceled=counts[StatusCode.CANCELED],
    )


async def count(store: OperationStore, parent: AsyncOperation) -> int:
    """Return how many operations *parent* has started, from the rows themselves."""
    place = store.place(parent)
    return len(await unfinished(store, place)) + (await tally(store, parent)).completed


async def unfinished(
    store: OperationStore, parent: Place, *, behind: str | None = None, limit: int | None = None
) -> list[Place]:
    """Return where the children stand that are not completed; those after the record key *behind*, if one is given."""
    prefix = ids.child_key(parent.key, None, completed=False)
    start = prefix if behind is None else after(prefix + behind[1:])
    rows = store.table.scan(parent.partition, start=start, end=prefix_end(prefix), select=(), limit=limit)
    return [Place(parent.partition, ids.RECORD + row.key[len(prefix) :]) async for row in rows]
