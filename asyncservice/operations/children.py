"""Operations that belong to another: started together, waited for without polling, cancelled with it.

Children stand in their parent's partition and are written in one transaction with its record: who no longer holds the
parent starts no child of it, and the parent always knows how many there are. A child's row under its parent says
whether it is completed and changes in the transaction that completes the child; nobody writes the parent's own record
until the last one is done, so thousands may end at once. Whoever completes a child looks whether any is left, and
wakes the parent when none is; if that word is lost, the sweep looks. A child that is reopened changes the parent's
record, so that nobody wakes the parent meanwhile; one whose parent is removed goes on by itself.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from asyncservice.operations import creation, ids, insertion
from asyncservice.operations.errors import InvalidOperation
from asyncservice.operations.handling import Tally
from asyncservice.operations.ids import Place
from asyncservice.operations.record import AsyncOperation, check
from asyncservice.operations.states import StatusCode
from asyncservice.operations.store import OperationStore
from asyncservice.operations.submission import Submission
from asyncservice.storage.tables import MAX_WRITES, Write, after, prefix_end

#: Rows that the parent's record may need in the transaction that writes its children.
_OF_THE_PARENT: Final = 4
#: Most children that are written in one transaction: each has three rows at least.
MOST_AT_ONCE: Final = (MAX_WRITES - _OF_THE_PARENT) // 3


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


def batch_size(made: Sequence[AsyncOperation]) -> int:
    """Return how many of these children are written in one transaction with their parent's record."""
    return insertion.batch_size(made, beside=_OF_THE_PARENT)


async def writes(store: OperationStore, children: Sequence[AsyncOperation]) -> list[Write]:
    """Return the rows of new children, to be written with their parent's record; `batch_size` of them fit beside it."""
    return [write for child in children for write in (await insertion.draft(store, child)).writes]


async def missing(store: OperationStore, parent: Place, children: Sequence[AsyncOperation]) -> Sequence[AsyncOperation]:
    """Return those of *children* that their parent has not started yet. Two requests for every thousand it has."""
    known = set[str]()
    for completed in (False, True):
        prefix = ids.child_key(parent.key, None, completed=completed)
        rows = store.table.scan(parent.partition, start=prefix, end=prefix_end(prefix), select=())
        known |= {row.key.removeprefix(prefix) async for row in rows}
    return [child for child in children if store.place(child).tail not in known]


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


async def unfinished(
    store: OperationStore, parent: Place, *, behind: str | None = None, limit: int | None = None
) -> list[Place]:
    """Return where the children stand that are not completed; those after the record key *behind*, if one is given."""
    prefix = ids.child_key(parent.key, None, completed=False)
    start = prefix if behind is None else after(prefix + behind[1:])
    rows = store.table.scan(parent.partition, start=start, end=prefix_end(prefix), select=(), limit=limit)
    return [Place(parent.partition, ids.RECORD + row.key[len(prefix) :]) async for row in rows]
