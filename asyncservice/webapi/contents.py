"""Texts too long for a row: the row holds the name of a blob, an answer shows the text."""

from collections.abc import Sequence

from asyncservice.organization.concurrency import together
from asyncservice.organization.schema.attributes import Attribute
from asyncservice.organization.sources import Values
from asyncservice.webapi.context import Api


async def with_contents(
    api: Api, rows: Sequence[Values], columns: Sequence[Attribute], *, selected: bool
) -> Sequence[Values]:
    """Return the rows with the texts of those columns; one request a text.

    In a list that selects nothing such columns are left empty: nobody who asks for fifty files by name wants them.
    """
    kept = [column for column in columns if column.container is not None]
    if not kept:
        return rows
    if not selected and len(rows) > 1:
        names = {column.name for column in kept}
        return [{name: value for name, value in row.items() if name not in names} for row in rows]
    return await together(_loaded(api, row, kept) for row in rows)


async def _loaded(api: Api, row: Values, columns: Sequence[Attribute]) -> Values:
    found = dict(row)
    for column in columns:
        name = row.get(column.name)
        if isinstance(name, str):
            content = await api.organization.storage.blobs(column.container or "").read(name)
            found[column.name] = (content or b"").decode("utf-8", errors="replace")
    return found
