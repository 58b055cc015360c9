"""Aggregates: rows stream into groups, and only the groups are kept."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any, Final

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query import fiscal
from asyncservice.organization.query.calendar import week_of_year
from asyncservice.organization.query.comparing import Key, key, rank
from asyncservice.organization.query.dates import local_day
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.filters import Joined, Scope, value_of
from asyncservice.organization.query.model import MAX_AGGREGATED, Aggregate, Asker, DateGrouping, Order, Query
from asyncservice.organization.query.projecting import Projection, Source
from asyncservice.organization.query.semantics import CHOSEN
from asyncservice.organization.schema.attributes import Attribute, AttributeType
from asyncservice.organization.values import RecordValue

#: Digits behind the point of an average.
_PLACES: Final[Mapping[AttributeType, Decimal]] = {
    AttributeType.MONEY: Decimal("0.0001"),
    AttributeType.DECIMAL: Decimal("0.0000000001"),
}
_EXACT: Final = Context(prec=60)
_MONTHS_OF_A_QUARTER: Final = 3

_PARTS: Final[Mapping[DateGrouping, Callable[[date, Asker], int]]] = {
    DateGrouping.DAY: lambda day, _: day.day,
    DateGrouping.WEEK: lambda day, asker: week_of_year(day, asker.first_day_of_week),
    DateGrouping.MONTH: lambda day, _: day.month,
    DateGrouping.QUARTER: lambda day, _: (day.month - 1) // _MONTHS_OF_A_QUARTER + 1,
    DateGrouping.YEAR: lambda day, _: day.year,
    DateGrouping.FISCAL_PERIOD: lambda day, asker: fiscal.period_of(asker.fiscal, day),
    DateGrouping.FISCAL_YEAR: lambda day, asker: fiscal.year_of(asker.fiscal, day),
}


class Groups:
    """The groups of an aggregate query. Without columns to group by there is one, even of no rows."""

    def __init__(self, query: Query, projection: Projection, scope: Scope, asker: Asker) -> None:
        self._asker, self._orders = asker, query.orders
        self._limit = min(query.aggregate_limit, MAX_AGGREGATED)
        self._rows = 0
        self._by: list[tuple[Source, Attribute]] = []
        self._made: list[tuple[Source, Attribute]] = []
        for source in projection.sources:
            attribute = scope.entities[source.alias].attribute(source.column.attribute)
            (self._by if source.column.aggregate is None else self._made).append((source, attribute))
        _check_orders(query.orders, projection)
        self._groups: dict[tuple[Key, ...], tuple[list[RecordValue | None], list[_Tally]]] = {}
        if not self._by:
            self._group((), [])

    def add(self, row: Joined) -> None:
        """Count a row in. Raises QueryError (0x8004E023) when there are more rows than an aggregate may be made of."""
        self._rows += 1
        if self._rows > self._limit:
            raise QueryError(
                f"The aggregate would be made of more than {self._limit} rows; narrow the filter, or query by parts.",
                OrganizationErrorCode.AGGREGATE_LIMIT_EXCEEDED,
            )
        values = [self._grouped(source, attribute, row) for source, attribute in self._by]
        group = tuple(None if value is None else key(value) for value in values)
        tallies = self._group(group, values)
        for (source, _), tally in zip(self._made, tallies, strict=True):
            tally.add(value_of(row, source.alias, source.column.attribute))

    def rows(self) -> list[dict[str, RecordValue]]:
        """Return a row for each group, in the order asked for; what that leaves open is ordered by the groups."""
        found: list[tuple[tuple[Key, ...], dict[str, RecordValue]]] = []
        for values, tallies in self._groups.values():
            row = {source.key: value for (source, _), value in zip(self._by, values, strict=True) if value is not None}
            for (source, _), tally in zip(self._made, tallies, strict=True):
                made = tally.result()
                if made is not None:
                    row[source.key] = made
            ordered = (rank(row.get(order.attribute), descending=order.descending) for order in self._orders)
            found.append(((*ordered, *(rank(value) for value in values)), row))
        found.sort(key=lambda pair: pair[0])
        return [row for _, row in found]

    def _group(self, group: tuple[Key, ...], values: list[RecordValue | None]) -> "list[_Tally]":
        there = self._groups.get(group)
        if there is None:
            there = values, [_Tally(source, attribute) for source, attribute in self._made]
            self._groups[group] = there
        return there[1]

    def _grouped(self, source: Source, attribute: Attribute, row: Joined) -> RecordValue | None:
        value = value_of(row, source.alias, source.column.attribute)
        grouping = source.column.date_grouping
        if value is None or grouping is None:
            return value
        return _PARTS[grouping](local_day(value, attribute, self._asker), self._asker)


class _Tally:
    """One aggregate of one group."""

    def __init__(self, source: Source, attribute: Attribute) -> None:
        self._kind, self._distinct = source.column.aggregate, source.column.distinct
        self._attribute = attribute
        self._seen: set[Key] = set()
        self._count = 0
        self._sum: Any = None
        self._least: RecordValue | None = None
        self._most: RecordValue | None = None

    def add(self, value: RecordValue | None) -> None:
        """Count a value in; COUNT counts rows, everything else values."""
        if self._kind is Aggregate.COUNT and not self._distinct:
            self._count += 1
            return
        if value is None:
            return
        if self._distinct:
            if key(value) in self._seen:
                return
            self._seen.add(key(value))
        self._count += 1
        if self._kind in {Aggregate.SUM, Aggregate.AVG}:
            self._sum = _number(value, self._attribute) if self._sum is None else self._sum + value
        elif self._kind is Aggregate.MIN and (self._least is None or key(value) < key(self._least)):
            self._least = value
        elif self._kind is Aggregate.MAX and (self._most is None or key(self._most) < key(value)):
            self._most = value

    def result(self) -> RecordValue | None:
        """Return the aggregate, or None when it has no value."""
        match self._kind:
            case Aggregate.SUM:
                return self._zero() if self._sum is None else self._sum
            case Aggregate.AVG:
                return None if self._sum is None else self._average()
            case Aggregate.MIN:
                return self._least
            case Aggregate.MAX:
                return self._most
            case _:
                return self._count

    def _zero(self) -> RecordValue | None:
        if not CHOSEN.sum_of_nothing_is_zero:
            return None
        return Decimal(0) if self._attribute.type in _PLACES else 0

    def _average(self) -> RecordValue:
        total = self._sum
        if isinstance(total, Decimal):
            places = _PLACES.get(self._attribute.type, Decimal("0.0001"))
            return _EXACT.divide(total, Decimal(self._count)).quantize(places, ROUND_HALF_UP, _EXACT)
        if isinstance(total, int) and CHOSEN.whole_average:
            # Cut off towards zero, not down.
            whole = abs(total) // self._count
            return whole if total >= 0 else -whole
        return float(total) / self._count


def _number(value: RecordValue, attribute: Attribute) -> RecordValue:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise QueryError(
            f"Only numbers can be summed up; '{attribute.name}' is of type {attribute.type}.",
            OrganizationErrorCode.ATTRIBUTE_WITH_AGGREGATE,
        )
    return value


def _check_orders(orders: Sequence[Order], projection: Projection) -> None:
    for order in orders:
        if order.attribute not in projection.columns:
            raise QueryError(
                f"An aggregate query is ordered by aliases of its result; '{order.attribute}' is none.",
                OrganizationErrorCode.ALIAS_DOES_NOT_EXIST,
            )
