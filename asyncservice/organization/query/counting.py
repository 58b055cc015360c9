"""Row aggregates: what is counted for each row of a page."""

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from asyncservice.organization.query.comparing import id_of
from asyncservice.organization.query.filters import Joined
from asyncservice.organization.query.hierarchy import parent_column
from asyncservice.organization.query.model import Condition
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.query.projecting import Source
from asyncservice.organization.query.tables import Tables
from asyncservice.organization.values import RecordValue


async def children(
    rows: Sequence[dict[str, RecordValue]], joined: Sequence[Joined], source: Source, tables: Tables
) -> list[dict[str, RecordValue]]:
    """Return the rows with the number of their direct children under the key of *source* (CountChildren).

    One scan, which names the rows of the page. Raises QueryError when the table has no hierarchy.
    """
    entity = tables.catalog.entity(source.meaning.entity)
    column = parent_column(tables.catalog, entity.name)
    ids = [None if (row := one.get(source.alias)) is None else id_of(row.get(entity.primary_id)) for one in joined]
    wanted = {one for one in ids if one is not None}
    found: Counter[UUID | None] = Counter()
    if wanted:
        of_page = Condition(attribute=column, operator=Operator.IN, values=tuple(sorted(wanted)))
        async for child in tables.source(entity.name).scan([of_page], columns=[column]).rows:
            parent = id_of(child.get(column))
            if parent in wanted:
                found[parent] += 1
    return [row | {source.key: found[one]} if one is not None else row for row, one in zip(rows, ids, strict=True)]
