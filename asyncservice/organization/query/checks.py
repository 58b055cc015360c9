"""What holds for every query, whatever language it came from: its size, and the rules of aggregates and aliases."""

from collections.abc import Iterator, Sequence
from typing import Final

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.linknames import checked_alias
from asyncservice.organization.query.model import (
    Aggregate,
    AllOf,
    AnyOf,
    Column,
    Condition,
    DateGrouping,
    Filter,
    Link,
    Not,
    Query,
    Related,
)
from asyncservice.organization.schema.attributes import AttributeType
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity

#: Most conditions and links, counted together.
MAX_CONDITIONS: Final = 500
#: Most links, those in filters included.
MAX_LINKS: Final = 15
#: Deepest nesting of filters, links and expansions.
MAX_DEPTH: Final = 50

_NUMERIC: Final = frozenset(
    {
        *(AttributeType.INTEGER, AttributeType.BIGINT, AttributeType.DECIMAL),
        *(AttributeType.DOUBLE, AttributeType.MONEY),
    }
)
_WITHOUT_ORDER: Final = frozenset({AttributeType.MULTISELECT, AttributeType.FILE, AttributeType.VIRTUAL})


def checked(query: Query, catalog: Catalog) -> Query:
    """Return the query. Raises QueryError when it is too big, or breaks a rule of aggregates or aliases."""
    links, conditions = 0, 0
    for part in _parts(query):
        if isinstance(part, Link):
            links += 1
        else:
            conditions += 1
    if links > MAX_LINKS:
        raise QueryError(
            f"The query has {links} links, and at most {MAX_LINKS} are allowed.",
            OrganizationErrorCode.TOO_MANY_LINK_ENTITIES,
        )
    if links + conditions > MAX_CONDITIONS:
        raise QueryError(
            f"The query has {links + conditions} conditions and links, and at most {MAX_CONDITIONS} are allowed; a "
            "list of values fits one condition with the operator In.",
            OrganizationErrorCode.TOO_MANY_CONDITIONS,
        )
    _check_columns(query, catalog)
    return query


def too_deep() -> QueryError:
    """Return the error for what is nested deeper than anybody means."""
    return QueryError(
        f"The query is nested deeper than {MAX_DEPTH} levels; write it flatter.",
        OrganizationErrorCode.TOO_MANY_CONDITIONS,
    )


def _parts(query: Query) -> Iterator[Link | Condition]:
    """Yield every link and every condition, however deep; without recursion, since the depth is the client's."""
    todo: list[Filter | Link | None] = [query.where, *query.links]
    while todo:
        part = todo.pop()
        match part:
            case Link():
                yield part
                todo += [part.where, *part.links]
            case Condition():
                yield part
            case AllOf(members) | AnyOf(members):
                todo += members
            case Not(member):
                todo.append(member)
            case Related(link):
                todo.append(link)
            case None:
                pass


def _selected(entity: str, columns: Sequence[Column] | None, links: Sequence[Link]) -> Iterator[tuple[str, Column]]:
    for column in columns or ():
        yield entity, column
    for link in links:
        yield from _selected(link.entity, link.columns, link.links)


def _check_columns(query: Query, catalog: Catalog) -> None:
    taken: set[str] = set()
    for name, column in _selected(query.entity, query.columns, query.links):
        if query.is_aggregate:
            _check_aggregate(catalog.entity(name), column)
        elif column.aggregate is not None or column.is_group:
            raise QueryError(
                f"The column '{column.attribute}' is an aggregate or a group, but the query is no aggregate query.",
                OrganizationErrorCode.INVALID_AGGREGATE,
            )
        if column.alias is None:
            continue
        if column.alias in taken:
            raise QueryError(
                f"The alias '{column.alias}' names two columns; give each an alias of its own.",
                OrganizationErrorCode.DUPLICATE_ALIAS,
            )
        taken.add(column.alias)
    if query.is_aggregate and not taken:
        raise QueryError(
            "An aggregate query needs at least one column with an alias that is an aggregate or a group.",
            OrganizationErrorCode.INVALID_AGGREGATE,
        )


def _check_aggregate(entity: Entity, column: Column) -> None:
    if column.alias is None:
        raise QueryError(
            f"The column '{column.attribute}' of an aggregate query needs an alias.",
            OrganizationErrorCode.INVALID_ALIAS,
        )
    if column.aggregate is None and not column.is_group:
        raise QueryError(
            f"The column '{column.attribute}' of an aggregate query must be an aggregate or a group.",
            OrganizationErrorCode.ATTRIBUTE_WITH_AGGREGATE,
        )
    if column.aggregate is not None and column.is_group:
        raise QueryError(
            f"The column '{column.attribute}' cannot be an aggregate and a group at once.",
            OrganizationErrorCode.INVALID_AGGREGATE,
        )
    kind = entity.attribute(column.attribute).type
    summed = column.aggregate in {Aggregate.SUM, Aggregate.AVG} and kind not in _NUMERIC
    ranked = column.aggregate in {Aggregate.MIN, Aggregate.MAX} and kind in _WITHOUT_ORDER
    if summed or ranked:
        raise QueryError(
            f"The aggregate '{column.aggregate}' is not for columns of type {kind}, such as '{column.attribute}'.",
            OrganizationErrorCode.INVALID_AGGREGATE_ATTRIBUTE,
        )
    if column.date_grouping is not None and (kind is not AttributeType.DATETIME or not column.is_group):
        raise QueryError(
            f"A date grouping is for a date column that is a group; '{column.attribute}' is none.",
            OrganizationErrorCode.INVALID_DATE_GROUPING,
        )


def date_grouping(text: str) -> DateGrouping:
    """Return the grouping of that name. Raises QueryError."""
    try:
        return DateGrouping(text)
    except ValueError:
        names = ", ".join(DateGrouping)
        raise QueryError(
            f"'{text}' is no date grouping; use one of {names}.", OrganizationErrorCode.INVALID_DATE_GROUPING
        ) from None


def column_alias(text: str | None) -> str | None:
    """Return an alias of a column, or None where there is none. Raises QueryError when it is no alias."""
    return checked_alias(text) if text else None
