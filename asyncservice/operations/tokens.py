"""Dependency tokens: operations that share one run one at a time, in the order in which they were accepted.

All operations of a token stand in one partition, so that every change of the line is one transaction. The line is a
head row, which counts, and one row for each member that is not completed. A member knows the one before it
(`blockedby`); exactly one knows none, and only that one may run. A member that leaves hands its own predecessor to its
successor: when the first leaves, the second becomes the first, in the same transaction.
"""

from collections.abc import Sequence
from copy import replace
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final
from uuid import UUID

from asyncservice.operations.record import AsyncOperation
from asyncservice.storage.tables import Delete, Insert, Replace, Table, Value, Write, after

#: The first character of the keys of a token's rows, beside those that `ids` names.
PREFIX: Final = "t"


def head_key(token: str) -> str:
    """Return the key of a token's head row; rows of the token begin with it."""
    return PREFIX + blake2b(token.encode(), digest_size=12).hexdigest()


def member_key(token: str, number: int) -> str:
    """Return the key of the row of a token's *number*th member."""
    return f"{head_key(token)}-{number:012d}"


@dataclass(frozen=True, slots=True)
class Line:
    """A token's line as it was read."""

    token: str
    #: The number of the latest member, whether it is still there or not.
    latest: int = 0
    #: Members that are not completed.
    members: int = 0
    #: The id of the latest member that is not completed.
    tail: UUID | None = None
    etag: str | None = None

    def joined(self, operation_id: UUID) -> "Line":
        """Return the line with one more member at its end."""
        return replace(self, latest=self.latest + 1, members=self.members + 1, tail=operation_id)

    def write(self) -> Write:
        """Return the write that makes the head row say this; refused when somebody changed the line meanwhile."""
        key = head_key(self.token)
        values: dict[str, Value] = {"token": self.token, "latest": self.latest, "members": self.members}
        if self.tail is not None:
            values["tail"] = self.tail
        if self.etag is None:
            return Insert(key, values)
        return Replace(key, values, self.etag) if self.members else Delete(key, self.etag)


@dataclass(frozen=True, slots=True)
class Departure:
    """What must be written with an operation that leaves its line."""

    writes: Sequence[Write]
    #: The key of the record that comes after it, which must be told.
    successor: str | None


class Tokens:
    """The lines of all tokens of one table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def line(self, partition: str, token: str) -> Line:
        """Read a token's line. One request."""
        row = await self._table.read(partition, head_key(token))
        if row is None:
            return Line(token)
        tail = row.values.get("tail")
        return Line(
            token,
            latest=int(str(row.values["latest"])),
            members=int(str(row.values["members"])),
            tail=tail if isinstance(tail, UUID) else None,
            etag=row.etag,
        )

    async def departure(self, partition: str, operation: AsyncOperation) -> Departure:
        """Return what it takes for *operation* to leave its line. Two requests."""
        token, number = operation.dependencytoken, operation.tokennumber
        if token is None or number is None:
            return Departure((), None)
        own = member_key(token, number)
        line = await self.line(partition, token)
        following = self._table.scan(partition, start=after(own), end=head_key(token) + ".", limit=1)
        successor = await anext(aiter(following), None)
        tail = operation.blockedby if line.tail == operation.asyncoperationid else line.tail
        left = replace(line, members=line.members - 1, tail=tail)
        return Departure([left.write(), Delete(own)], None if successor is None else str(successor.values["record"]))


def membership(operation: AsyncOperation, record_key: str) -> Write:
    """Return the write of a new member's own row."""
    if operation.dependencytoken is None or operation.tokennumber is None:
        raise ValueError("Only an operation with a token and a number in its line has such a row.")
    values: dict[str, Value] = {"record": record_key, "asyncoperationid": operation.asyncoperationid}
    return Insert(member_key(operation.dependencytoken, operation.tokennumber), values)


def behind(operation: AsyncOperation, line: Line) -> tuple[AsyncOperation, Line]:
    """Return *operation* at the end of *line*, and the line with it."""
    longer = line.joined(operation.asyncoperationid)
    return replace(operation, blockedby=line.tail, tokennumber=longer.latest), longer
