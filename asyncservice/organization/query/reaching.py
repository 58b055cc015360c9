"""Brings the rows at the other end of a link, for many values at once, in few requests."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Final
from uuid import UUID

from asyncservice.organization.query.comparing import Key, key
from asyncservice.organization.query.model import Condition
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.query.scanning import rows_of
from asyncservice.organization.schema.attributes import Attribute
from asyncservice.organization.sources import Source, Values
from asyncservice.organization.values import RecordValue, Reference

#: Rows found by key that are remembered; beyond it, what was found for earlier rows is forgotten.
_REMEMBERED: Final = 10_000
#: Look-ups by key after which reading the table is tried: each is a request, a page of a scan holds a thousand rows.
_MANY_LOOK_UPS: Final = 300
#: A table with more rows than this is not kept for a join by key.
_SMALL_TABLE: Final = 20_000


def join_key(value: RecordValue | None, attribute: Attribute, other: str) -> Key | None:
    """Return what a value joins by; None when it has nothing in common with rows of the entity *other*.

    A lookup that may refer to several entities counts only as far as it refers to that one.
    """
    if isinstance(value, Reference) and other in attribute.targets and value.entity != other:
        return None
    return None if value is None else key(value)


class Reach:
    """The rows of one table by the value of one column.

    By primary key they are found; when there are many, the table is read instead, if it is a small one. By another
    column the first values are looked for by a scan that names them; when more come, the table is read once, as far as
    *where* lets it be narrowed, and kept for the rest of the query: a table of which every part is wanted in turn is
    cheaper read once than scanned again and again.
    """

    def __init__(
        self,
        source: Source,
        attribute: Attribute,
        *,
        other: str,
        where: Sequence[Condition],
        columns: Sequence[str] | None,
        keeps: Callable[[Values], bool],
    ) -> None:
        self._source, self._attribute, self._other = source, attribute, other
        self._where, self._columns, self._keeps = tuple(where), columns, keeps
        self._found: dict[Key, list[Values]] = {}
        self._looked_up = 0
        self._is_big = False
        self._has_scanned = False
        self._has_all = False

    async def rows(self, values: Mapping[Key, RecordValue]) -> Mapping[Key, Sequence[Values]]:
        """Return the rows that join with these values, which are given by their keys."""
        missing = {one: value for one, value in values.items() if one not in self._found}
        if missing and not self._has_all:
            if self._attribute.name == self._source.entity.primary_id:
                await self._find(missing)
            elif self._has_scanned:
                await self._scan((Condition(attribute=self._attribute.name, operator=Operator.NOT_NULL),))
                self._has_all = True
            else:
                named = tuple(value.id if isinstance(value, Reference) else value for value in missing.values())
                operator = Operator.EQUAL if len(named) == 1 else Operator.IN
                await self._scan((Condition(attribute=self._attribute.name, operator=operator, values=named),), missing)
                self._has_scanned = True
        return self._found

    async def _find(self, missing: Mapping[Key, RecordValue]) -> None:
        self._looked_up += len(missing)
        if self._looked_up > _MANY_LOOK_UPS and not self._is_big and await self._read_whole():
            return
        if len(self._found) > _REMEMBERED:
            self._found = {}
        ids = [one for one in missing if isinstance(one, UUID)]
        found = await self._source.find_many(ids)
        for one in missing:
            row = found.get(one)
            self._found[one] = [row] if row is not None and self._keeps(row) else []

    async def _read_whole(self) -> bool:
        """Read the table by key, unless it is a big one."""
        found: dict[Key, list[Values]] = {}
        async with aclosing(rows_of(self._source.scan(self._where, columns=self._columns))) as rows:
            async for row in rows:
                if len(found) >= _SMALL_TABLE:
                    self._is_big = True
                    return False
                if self._keeps(row):
                    found[row[self._attribute.name]] = [row]
        self._found, self._has_all = found, True
        return True

    async def _scan(self, named: tuple[Condition, ...], wanted: Mapping[Key, RecordValue] | None = None) -> None:
        found: defaultdict[Key, list[Values]] = defaultdict(list)
        scan = self._source.scan((*self._where, *named), columns=self._columns)
        async with aclosing(rows_of(scan)) as rows:
            async for row in rows:
                one = join_key(row.get(self._attribute.name), self._attribute, self._other)
                if one is not None and (wanted is None or one in wanted) and self._keeps(row):
                    found[one].append(row)
        nothing: Mapping[Key, list[Values]] = {} if wanted is None else {one: [] for one in wanted}
        self._found = {**nothing, **self._found, **found}
