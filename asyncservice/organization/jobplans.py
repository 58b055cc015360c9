"""Which way leads to the jobs that a query asks for: an index, the agenda, or their records one after the other."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from asyncservice.operations import ids, indices
from asyncservice.operations.indices import RARE, UNINDEXED, Index
from asyncservice.operations.listing import Span
from asyncservice.operations.states import StateCode, StatusCode
from asyncservice.organization.query.model import Condition, Order
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.values import RecordValue, Reference
from asyncservice.storage.tables import MAX_COMPARISONS, Comparison, Either, Every, Test, comparisons

#: More values than this are no longer looked up in an index one by one.
_MOST_VALUES: Final = 8
#: Positions have milliseconds, and whoever compares moments may count whole seconds.
_MARGIN: Final = timedelta(seconds=1)
#: Columns that every record has, so that the storage can compare them either way.
_ALWAYS_THERE: Final = frozenset({"statecode", "statuscode", "operationtype"})
#: Columns that are there when they hold something, and hold no text.
_COMPARABLE: Final = frozenset(
    {
        "breadcrumbid",
        "completedon",
        "correlationid",
        "errorcode",
        "expanderstarttime",
        "modifiedon",
        "owningextensionid",
        "owningteam",
        "owninguser",
        "parentpluginexecutionid",
        "postponeuntil",
        "recurrencestarttime",
        "regardingobjectid",
        "requestid",
        "startedon",
        "subtype",
        "workflowactivationid",
    }
)
_COMPARISONS: Final[Mapping[Operator, Literal["eq", "gt", "ge", "lt", "le"]]] = {
    Operator.EQUAL: "eq",
    Operator.GREATER_THAN: "gt",
    Operator.GREATER_EQUAL: "ge",
    Operator.LESS_THAN: "lt",
    Operator.LESS_EQUAL: "le",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to find the jobs that meet some conditions; all of these, and perhaps others."""

    #: Prefixes of index rows to follow; None: there is no index for it.
    prefixes: tuple[str, ...] | None = None
    #: The job whose own id is the correlation that is looked for: it has no index row.
    correlation: UUID | None = None
    #: Whether none of them is completed.
    is_unfinished: bool = False
    #: The states they may be in; of none, nothing is found.
    statuses: frozenset[StatusCode] = frozenset(StatusCode)
    #: When they were created, as positions.
    first: str | None = None
    end: str | None = None
    #: What the storage compares where records are read one after the other.
    where: tuple[Test, ...] = ()

    @property
    def is_dated(self) -> bool:
        """Whether it says when they were created."""
        return self.first is not None or self.end is not None

    def span(self, behind: str | None) -> Span:
        """Return the range of positions, from behind one of them on."""
        return Span(behind=behind, first=self.first, end=self.end)


def plan(conditions: Iterable[Condition]) -> Plan:
    """Return the best way to jobs that meet all of *conditions*. What is not understood of them is left out."""
    own = [each for each in conditions if each.link is None and each.other_attribute is None]
    statuses = _statuses(own)
    prefixes: tuple[str, ...] | None = None
    correlation: UUID | None = None
    is_unfinished = not any(each.state is StateCode.COMPLETED for each in statuses)
    if (correlations := _ids(own, "correlationid")) is not None and len(correlations) == 1:
        correlation = correlations[0]
        prefixes = (indices.prefix(Index.CORRELATION, correlation),)
    elif (regarding := _ids(own, "regardingobjectid")) is not None:
        prefixes = tuple(indices.prefix(Index.REGARDING, each) for each in regarding)
    elif statuses <= RARE:
        prefixes = tuple(indices.prefix(Index.STATUS, int(each)) for each in sorted(statuses))
    elif not is_unfinished and (types := _numbers(own, "operationtype")) is not None and not types & UNINDEXED:
        prefixes = tuple(indices.prefix(Index.TYPE, each) for each in sorted(types))
    first, end = _created(own)
    return Plan(
        prefixes=prefixes,
        correlation=correlation,
        is_unfinished=is_unfinished,
        statuses=statuses,
        first=first,
        end=end,
        where=tuple(_fitting(_pushed(own))),
    )


def is_newest_first(orders: Sequence[Order]) -> bool:
    """Whether an order is that of creation, the newest first; within a millisecond ids count."""
    if not orders or (orders[0].attribute, orders[0].descending, orders[0].link) != ("createdon", True, None):
        return False
    rest = [(each.attribute, each.descending, each.link) for each in orders[1:]]
    return rest in ([], [("asyncoperationid", False, None)])


def _statuses(conditions: Sequence[Condition]) -> frozenset[StatusCode]:
    """Return the status reasons that the conditions leave."""
    possible = frozenset(StatusCode)
    for condition in conditions:
        if condition.attribute == "statuscode":
            possible = frozenset(each for each in possible if _may_be(condition, int(each)))
        elif condition.attribute == "statecode":
            possible = frozenset(each for each in possible if _may_be(condition, int(each.state)))
    return possible


def _may_be(condition: Condition, number: int) -> bool:
    """Whether a number meets a condition; whether it might, where the condition is of another kind."""
    values = condition.values
    match condition.operator:
        case Operator.EQUAL | Operator.IN:
            return number in values
        case Operator.NOT_EQUAL | Operator.NOT_IN:
            return number not in values
        case Operator.NULL:
            return False
        case _:
            return True


def _values(conditions: Sequence[Condition], attribute: str) -> tuple[RecordValue, ...] | None:
    """Return the few values one of which the column must have, or None when nothing says that."""
    for condition in conditions:
        if condition.attribute == attribute and condition.operator in {Operator.EQUAL, Operator.IN}:
            values = tuple(dict.fromkeys(condition.values))
            if len(values) <= _MOST_VALUES:
                return values
    return None


def _ids(conditions: Sequence[Condition], attribute: str) -> tuple[UUID, ...] | None:
    values = _values(conditions, attribute)
    if values is None:
        return None
    read = [each.id if isinstance(each, Reference) else each for each in values]
    found = tuple(each for each in read if isinstance(each, UUID))
    return found if len(found) == len(read) else None


def _numbers(conditions: Sequence[Condition], attribute: str) -> frozenset[int] | None:
    values = _values(conditions, attribute)
    if values is None or not all(isinstance(each, int) for each in values):
        return None
    return frozenset(each for each in values if isinstance(each, int))


def _created(conditions: Sequence[Condition]) -> tuple[str | None, str | None]:
    """Return the range of positions in which jobs stand that were created when the conditions say."""
    first: list[str] = []
    end: list[str] = []
    for condition in conditions:
        if condition.attribute != "createdon":
            continue
        moments = [each for each in condition.values if isinstance(each, datetime) and each.tzinfo is not None]
        if len(moments) != len(condition.values) or not moments:
            continue
        # The later, the smaller the position.
        if condition.operator in {Operator.LESS_THAN, Operator.LESS_EQUAL, Operator.EQUAL, Operator.BETWEEN}:
            first.append(ids.inverted(max(moments) + _MARGIN))
        if condition.operator in {Operator.GREATER_THAN, Operator.GREATER_EQUAL, Operator.EQUAL, Operator.BETWEEN}:
            end.append(ids.inverted(min(moments) - _MARGIN))
    return max(first, default=None), min(end, default=None)


def _fitting(tests: Iterable[Test]) -> Iterator[Test]:
    """Yield as many tests as one scan takes."""
    room = MAX_COMPARISONS
    for test in tests:
        room -= comparisons(test)
        if room < 0:
            return
        yield test


def _pushed(conditions: Iterable[Condition]) -> Iterator[Test]:
    """Yield what the storage can compare: it never finds what a row does not hold."""
    for condition in conditions:
        name = condition.attribute
        if name not in _ALWAYS_THERE and name not in _COMPARABLE:
            continue
        operator = condition.operator
        if not all(map(_is_plain, condition.values)) or not condition.values:
            continue
        values = [_plain(each) for each in condition.values]
        if isinstance(values[0], datetime) and operator in {Operator.EQUAL, Operator.IN}:
            continue  # Whoever compares moments may count whole seconds.
        if operator is Operator.NOT_EQUAL and name in _ALWAYS_THERE:
            yield Comparison(name, "ne", values[0])
        elif operator is Operator.IN and len(values) <= _MOST_VALUES:
            yield Either(tuple(Comparison(name, "eq", each) for each in values))
        elif operator is Operator.BETWEEN:
            yield Every((Comparison(name, "ge", values[0]), Comparison(name, "le", values[1])))
        elif operator in _COMPARISONS:
            yield Comparison(name, _COMPARISONS[operator], values[0])


def _is_plain(value: RecordValue) -> bool:
    if isinstance(value, datetime):
        return value.tzinfo is not None
    # That a flag is false a row does not say.
    return isinstance(value, int | UUID | Reference) and not isinstance(value, bool)


def _plain(value: RecordValue) -> int | UUID | datetime:
    if isinstance(value, Reference):
        return value.id
    if not isinstance(value, int | UUID | datetime):
        raise TypeError(f"{value!r} is nothing that the storage compares.")
    return value
