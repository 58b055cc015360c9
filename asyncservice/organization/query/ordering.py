"""The order of rows: the orders of the query, behind them those of its links, at last keys, so that it is total."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from asyncservice.organization.query.comparing import Descending, Key, rank
from asyncservice.organization.query.filters import Joined, Scope, value_of
from asyncservice.organization.query.model import Link, Order
from asyncservice.organization.query.text import fold
from asyncservice.organization.schema.attributes import Attribute
from asyncservice.organization.values import RecordValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A column that positions consist of."""

    alias: str
    attribute: Attribute
    descending: bool = False
    by_label: bool = False

    def value(self, row: Joined) -> RecordValue | None:
        """Return the column's value in a row."""
        return value_of(row, self.alias, self.attribute.name)

    def rank(self, value: RecordValue | None) -> Key:
        """Return what rows are ordered by."""
        if not self.by_label or not isinstance(value, int):
            return rank(value, descending=self.descending)
        label = self.attribute.label_of(int(value))
        # An option that has no label any more comes behind those that have one.
        ranked: Key = (2, value) if label is None else (1, fold(label), value)
        return Descending(ranked) if self.descending else ranked


def all_orders(orders: Sequence[Order], links: Iterable[Link]) -> Iterator[Order]:
    """Yield the orders of a query and, behind them, those of its links from the outside in."""
    yield from orders
    for link in links:
        yield from (replace(order, link=link.alias) if order.link is None else order for order in link.orders)
        yield from all_orders((), link.links)


def places(orders: Iterable[Order], scope: Scope, keyed: Sequence[str]) -> tuple[Place, ...]:
    """Return what rows are ordered by: *orders*, then the primary keys behind the aliases of *keyed*.

    Raises QueryError for an alias that does not exist, NoSuchAttribute for such a column.
    """
    found = [
        Place(
            alias=scope.alias(order.link),
            attribute=scope.entities[scope.alias(order.link)].attribute(order.attribute),
            descending=order.descending,
            by_label=order.by_label,
        )
        for order in orders
    ]
    named = {(place.alias, place.attribute.name) for place in found}
    for alias in keyed:
        entity = scope.entities[alias]
        if (alias, entity.primary_id) not in named:
            found.append(Place(alias=alias, attribute=entity.attribute(entity.primary_id)))
    return tuple(found)


def position(row: Joined, by: Sequence[Place]) -> tuple[Key, ...]:
    """Return where a row stands in the order."""
    return tuple(place.rank(place.value(row)) for place in by)


class First:
    """Keeps the first *most* rows of the order, of however many are added, and holds hardly more than twice as many."""

    def __init__(self, by: Sequence[Place], most: int, behind: tuple[Key, ...] | None = None) -> None:
        self._by, self._most, self._behind = by, most, behind
        self._kept: list[tuple[tuple[Key, ...], Joined]] = []

    def add(self, row: Joined) -> None:
        """Take a row into account, unless it stands at or before where the rows begin."""
        here = position(row, self._by)
        if self._behind is not None and not self._behind < here:
            return
        self._kept.append((here, row))
        if len(self._kept) > 2 * self._most:
            self._cut()

    def rows(self) -> list[Joined]:
        """Return them in order."""
        self._cut()
        return [row for _, row in self._kept]

    def _cut(self) -> None:
        self._kept.sort(key=lambda kept: kept[0])
        del self._kept[self._most :]
