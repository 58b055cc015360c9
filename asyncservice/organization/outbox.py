"""Events of records: a row beside the record, written in the same transaction as the change it tells of.

An event is written only where somebody wants it: `EventOutbox` asks a predicate for each entity and message, so that
an organization without registered steps pays nothing. Events of a partition stand in the order of their time under keys
that start with `o-`; whoever turns them into operations reads them with `Event.from_row` and deletes the rows.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from asyncservice.organization.changes import Change, ChangeKind
from asyncservice.organization.pending import from_parts, in_parts
from asyncservice.organization.rows import from_row, to_row
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.values import RecordValue
from asyncservice.storage import azure_rows
from asyncservice.storage.tables import Insert, Row, Value

#: Keys of events start so.
EVENT_PREFIX: Final = "o-"
_IMAGES: Final = "images"

type Values = Mapping[str, RecordValue]
type IsWanted = Callable[[str, ChangeKind], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened to a record."""

    message: ChangeKind
    entity: str
    id: UUID
    #: The columns that changed, as they were and as they became; of a new or a deleted record all of them.
    before: Values
    after: Values
    on: datetime
    by: UUID
    #: Who acted in that name when it was somebody else.
    on_behalf_of: UUID | None
    correlation_id: UUID | None
    #: How many changes caused each other before this one.
    depth: int

    @classmethod
    def from_row(cls, entity: Entity, row: Row) -> "Event":
        """Return the event that a row keeps; *entity* describes the record."""
        values = row.values
        images = json.loads("".join(from_parts(_IMAGES, values)))
        on = values["on"]
        if not isinstance(on, datetime):
            raise TypeError(f"The event {row.key} happened at {on!r}, no moment.")
        return cls(
            message=ChangeKind(str(values["message"])),
            entity=entity.name,
            id=_id(values, "recordid") or UUID(int=0),
            before=_image(entity, images["before"]),
            after=_image(entity, images["after"]),
            on=on,
            by=_id(values, "by") or UUID(int=0),
            on_behalf_of=_id(values, "onbehalfof"),
            correlation_id=_id(values, "correlationid"),
            depth=int(str(values["depth"])),
        )


class EventOutbox:
    """Writes an event for each change that somebody wants to know of."""

    def __init__(self, catalog: Callable[[], Catalog], is_wanted: IsWanted) -> None:
        self._catalog, self._is_wanted = catalog, is_wanted

    def rows_for(self, change: Change) -> Sequence[Insert]:
        """Return the event's row, or none when nobody wants it."""
        if not self._is_wanted(change.entity, change.kind) or change.on is None or change.by is None:
            return ()
        entity = self._catalog().entity(change.entity)
        before, after = _changed(change)
        version = (change.after or change.before or {}).get("versionnumber", 0)
        images = {"before": _encoded(entity, before), "after": _encoded(entity, after)}
        values: dict[str, Value] = {
            "message": change.kind.value,
            "recordid": change.id,
            "on": change.on,
            "by": change.by,
            "depth": change.depth,
            **in_parts(_IMAGES, json.dumps(images, ensure_ascii=False, separators=(",", ":"))),
        }
        sometimes = {"onbehalfof": change.on_behalf_of, "correlationid": change.correlation_id}
        values |= {column: found for column, found in sometimes.items() if found is not None}
        moment = f"{change.on:%Y%m%dT%H%M%S.%fZ}"
        return [Insert(f"{EVENT_PREFIX}{moment}-{change.id}-{change.kind}-{version}", values)]


def _changed(change: Change) -> tuple[Values, Values]:
    """Return the columns that differ, as they were and as they are."""
    before, after = change.before or {}, change.after or {}
    names = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    return (
        {name: value for name, value in before.items() if name in names},
        {name: value for name, value in after.items() if name in names},
    )


def _encoded(entity: Entity, values: Values) -> object:
    return json.loads(azure_rows.encode("", "", to_row(entity, values)))


def _image(entity: Entity, said: Mapping[str, Any]) -> Values:
    return from_row(entity, azure_rows.decode(said, etag="event").values)


def _id(values: Mapping[str, Value], column: str) -> UUID | None:
    found = values.get(column)
    return found if isinstance(found, UUID) else None
