"""`$apply`: filters, then groups and aggregates, as an aggregate query.

    filter(statecode eq 0)/groupby((ownerid/name,statecode),aggregate($count as n,revenue with sum as total))

The alias of a group is its path as it was written, so that whoever writes the answer finds it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from asyncservice.organization.query.model import Aggregate, AllOf, Column, Filter
from asyncservice.organization.query.odatafilter import read_filter
from asyncservice.organization.query.odatascope import Scope, names
from asyncservice.organization.query.odatatext import closing, excerpt, split, url_error

_METHODS: Final[Mapping[str, Aggregate]] = {
    "sum": Aggregate.SUM,
    "min": Aggregate.MIN,
    "max": Aggregate.MAX,
    "average": Aggregate.AVG,
    "countdistinct": Aggregate.COUNT_COLUMN,
}
_AGGREGATE: Final = re.compile(r"(?:\$count|(?P<path>[\w/]+)\s+with\s+(?P<method>\w+))\s+as\s+(?P<alias>[A-Za-z_]\w*)")
_STEP: Final = re.compile(r"(filter|groupby|aggregate)\s*(?=\()")


@dataclass(slots=True)
class Applied:
    """What the transformations come to; columns of links are in the scope."""

    where: Filter | None = None
    columns: list[Column] = field(default_factory=list)
    aliases: set[str] = field(default_factory=set)


def read_apply(text: str, scope: Scope, aliases: Mapping[str, str]) -> Applied:
    """Return what `$apply` asks. Raises QueryError for a transformation that is not offered."""
    applied, filters, is_grouped = Applied(), [], False
    for step in split(text, "/"):
        named = _STEP.match(step)
        if named is None or closing(step, named.end()) != len(step) - 1:
            raise url_error(
                f"'{excerpt(step)}' is no transformation of $apply; there are filter(…), groupby(…) and aggregate(…)."
            )
        if is_grouped:
            raise url_error("In $apply nothing can follow groupby and aggregate.")
        inside = step[named.end() + 1 : -1]
        match named[1]:
            case "filter":
                filters.append(read_filter(inside, scope, aliases))
                continue
            case "groupby":
                _group(inside, scope, applied)
            case _:
                _aggregate(inside, scope, applied)
        is_grouped = True
    if not is_grouped:
        raise url_error("$apply needs groupby(…) or aggregate(…); for a filter alone there is $filter.")
    applied.where = filters[0] if len(filters) == 1 else AllOf(tuple(filters)) if filters else None
    return applied


def _group(text: str, scope: Scope, applied: Applied) -> None:
    columns, *more = split(text, ",")
    if not columns.startswith("(") or closing(columns, 0) != len(columns) - 1 or len(more) > 1:
        raise url_error(
            "groupby takes properties in parentheses, then perhaps aggregate(…): groupby((a,b),aggregate(…))."
        )
    for path in names(split(columns[1:-1], ",")):
        _add(path, scope, applied, Column(attribute="", alias=path, is_group=True))
    if more:
        step = _STEP.match(more[0])
        if step is None or step[1] != "aggregate" or closing(more[0], step.end()) != len(more[0]) - 1:
            raise url_error(f"'{excerpt(more[0])}' cannot stand in groupby; only aggregate(…) can.")
        _aggregate(more[0][step.end() + 1 : -1], scope, applied)


def _aggregate(text: str, scope: Scope, applied: Applied) -> None:
    for piece in split(text, ","):
        said = _AGGREGATE.fullmatch(piece)
        if said is None:
            raise url_error(
                f"'{excerpt(piece)}' is no aggregate; write `$count as name` or `property with sum as name`."
            )
        if said["path"] is None:
            primary = scope.entity.primary_id
            _add(primary, scope, applied, Column(attribute="", alias=said["alias"], aggregate=Aggregate.COUNT))
            continue
        method = _METHODS.get(said["method"])
        if method is None:
            raise url_error(f"There is no aggregate '{said['method']}'; there are {', '.join(_METHODS)}.")
        distinct = method is Aggregate.COUNT_COLUMN
        column = Column(attribute="", alias=said["alias"], aggregate=method, distinct=distinct)
        _add(said["path"], scope, applied, column)


def _add(path: str, scope: Scope, applied: Applied, column: Column) -> None:
    segments = path.split("/")
    link, attribute = scope.attribute(segments)
    alias = column.alias or path
    if alias in applied.aliases:
        raise url_error(f"The name '{alias}' is given twice in $apply; give each aggregate a name of its own.")
    applied.aliases.add(alias)
    whole = Column(
        attribute=attribute.name,
        alias=alias,
        aggregate=column.aggregate,
        distinct=column.distinct,
        is_group=column.is_group,
    )
    if link is None:
        applied.columns.append(whole)
    else:
        scope.select(segments, whole)
