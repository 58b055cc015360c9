"""Hierarchies: which rows lie above and below a row, along the relationship of a table with itself."""

from collections import defaultdict
from typing import Final
from uuid import UUID

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.comparing import id_of
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.model import Condition
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.query.semantics import CHOSEN
from asyncservice.organization.query.tables import Tables
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.schema.relationships import OneToMany

OPERATORS: Final = frozenset(
    {Operator.UNDER, Operator.NOT_UNDER, Operator.UNDER_OR_EQUAL, Operator.ABOVE, Operator.ABOVE_OR_EQUAL}
)


def parent_column(catalog: Catalog, entity: str) -> str:
    """Return the lookup that leads from a row to the one above it. Raises QueryError when the table has none."""
    found = [
        relationship.referencing_attribute
        for relationship in catalog.relationships.values()
        if isinstance(relationship, OneToMany)
        and relationship.is_hierarchical
        and relationship.referencing_entity == relationship.referenced_entity == entity
    ]
    if not found:
        raise QueryError(
            f"The table '{entity}' has no hierarchical relationship, so nothing lies under or above its rows.",
            OrganizationErrorCode.BAD_CONDITION,
        )
    return found[0]


async def without_hierarchy(condition: Condition, entity: Entity, tables: Tables) -> Condition:
    """Return a condition on ids that says the same as one about the hierarchy.

    On the primary key it is about the row, on a lookup about the row that it refers to. Raises QueryError when there is
    no hierarchy, or the value is no id.
    """
    hierarchical = _hierarchical_entity(condition, entity)
    start = id_of(condition.values[0]) if condition.values else None
    if start is None:
        raise QueryError(
            f"The operator {condition.operator.sdk_name} on '{condition.attribute}' needs the id of a row.",
            OrganizationErrorCode.QUERY_VALUE_INVALID,
        )
    is_above = condition.operator in {Operator.ABOVE, Operator.ABOVE_OR_EQUAL}
    ids = await (_above if is_above else _below)(start, hierarchical, tables)
    if condition.operator in {Operator.UNDER_OR_EQUAL, Operator.ABOVE_OR_EQUAL} or (
        condition.operator is Operator.NOT_UNDER and not CHOSEN.not_under_takes_itself
    ):
        ids.add(start)
    return Condition(
        attribute=condition.attribute,
        operator=Operator.NOT_IN if condition.operator is Operator.NOT_UNDER else Operator.IN,
        values=tuple(sorted(ids)),
        link=condition.link,
    )


def _hierarchical_entity(condition: Condition, entity: Entity) -> str:
    if condition.attribute == entity.primary_id:
        return entity.name
    targets = entity.attribute(condition.attribute).targets
    # A customer may be an account or a contact; hierarchies of accounts are what is asked for then.
    return entity.name if entity.name in targets or not targets else targets[0]


async def _above(start: UUID, entity: str, tables: Tables) -> set[UUID]:
    """Walk up, one point read a level. A circle is walked once."""
    source, column = tables.source(entity), parent_column(tables.catalog, entity)
    found: set[UUID] = set()
    row = await source.find(start)
    while row is not None and (parent := id_of(row.get(column))) is not None and parent not in found:
        found.add(parent)
        row = await source.find(parent)
    return found - {start}


async def _below(start: UUID, entity: str, tables: Tables) -> set[UUID]:
    """Read who is whose parent once, two columns of the rows that have one, rather than a scan for each level."""
    source, column = tables.source(entity), parent_column(tables.catalog, entity)
    children: defaultdict[UUID, list[UUID]] = defaultdict(list)
    key = source.entity.primary_id
    has_parent = Condition(attribute=column, operator=Operator.NOT_NULL)
    async for row in source.scan([has_parent], columns=[column]).rows:
        parent, child = id_of(row.get(column)), id_of(row[key])
        if parent is not None and child is not None:
            children[parent].append(child)
    found: set[UUID] = set()
    todo = [start]
    while todo:
        for child in children[todo.pop()]:
            if child not in found:
                found.add(child)
                todo.append(child)
    return found - {start}
