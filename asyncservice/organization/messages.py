"""Which messages tables support, as the rows of sdkmessage and sdkmessagefilter: they follow from the catalog.

Clients ask for them before they send many rows at once, and steps are registered for them. Their ids are derived from
their names, so they are the same everywhere and for ever.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final
from uuid import UUID

from asyncservice.operations.record import SYSTEM_USER
from asyncservice.organization.computed import ComputedSource
from asyncservice.organization.ids import derived_id
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity, Kept
from asyncservice.organization.sources import Values
from asyncservice.organization.values import Reference

MESSAGE: Final = "sdkmessage"
FILTER: Final = "sdkmessagefilter"

#: What every table takes, whatever keeps its rows.
READING: Final = ("Retrieve", "RetrieveMultiple")
#: What tables of records take.
WRITING: Final = (
    *("Create", "Update", "Upsert", "Delete"),
    *("CreateMultiple", "UpdateMultiple", "UpsertMultiple", "DeleteMultiple"),
)
#: What operations take: they are made by messages, not by callers.
CONTROLLING: Final = ("Update", "Delete")
#: What is of no table in particular.
RELATING: Final = ("Associate", "Disassociate")


def messages_of(entity: Entity) -> tuple[str, ...]:
    """Return the names of the messages that a table supports."""
    match entity.kept:
        case Kept.RECORDS:
            owned = ("Assign",) if entity.is_user_owned else ()
            state = ("SetState",) if "statecode" in entity.attributes else ()
            return (*READING, *WRITING, *owned, *state)
        case Kept.OPERATIONS:
            return (*READING, *CONTROLLING)
        case Kept.COMPUTED:
            return READING


def message_id(name: str) -> UUID:
    """Return the id of the message of that name."""
    return derived_id(SYSTEM_USER, MESSAGE, name, shard=0)


def filter_id(name: str, entity: str) -> UUID:
    """Return the id of the row that says that a table supports a message."""
    return derived_id(SYSTEM_USER, FILTER, name, entity, shard=0)


def message_sources(catalog: Callable[[], Catalog]) -> tuple[ComputedSource, ComputedSource]:
    """Return the sources of both tables; *catalog* returns the one in force, which may become another.

    Raises NoSuchEntity when it describes neither of them.
    """
    return (
        ComputedSource(lambda: catalog().entity(MESSAGE), lambda: _messages(catalog()), version=catalog),
        ComputedSource(lambda: catalog().entity(FILTER), lambda: _filters(catalog()), version=catalog),
    )


def _messages(catalog: Catalog) -> Iterator[Values]:
    names = dict.fromkeys((*RELATING, *(name for entity in catalog for name in messages_of(entity))))
    columns = catalog.entity(MESSAGE).attributes
    for name in names:
        yield _known(
            columns,
            {
                "sdkmessageid": message_id(name),
                "name": name,
                "categoryname": name,
                "isactive": True,
                "isprivate": False,
                "autotransact": True,
                "expand": False,
                "template": False,
            },
        )


def _filters(catalog: Catalog) -> Iterator[Values]:
    columns = catalog.entity(FILTER).attributes
    for entity in catalog:
        for name in messages_of(entity):
            yield _known(
                columns,
                {
                    "sdkmessagefilterid": filter_id(name, entity.name),
                    "name": f"{name}: {entity.name}",
                    "sdkmessageid": Reference(MESSAGE, message_id(name)),
                    "primaryobjecttypecode": entity.name,
                    "secondaryobjecttypecode": "none",
                    "iscustomprocessingstepallowed": name not in READING and entity.kept is Kept.RECORDS,
                    "isvisible": True,
                },
            )


def _known(columns: Mapping[str, object], values: Values) -> Values:
    """Return those values whose columns the definition has."""
    return {name: value for name, value in values.items() if name in columns}
