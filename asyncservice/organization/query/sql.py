"""SQL to queries: one SELECT, its joins, conditions, groups and order (reference web-api-wire, section 17).

Tables and columns go by their logical names, in any case of letters. What is selected keeps the name it is given, or
its own; inside, every column has an alias of ours, so that nothing a statement calls its columns can collide.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.checks import checked
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.linknames import checked_alias
from asyncservice.organization.query.model import Aggregate, AllOf, Column, Filter, Order, Paging, Query
from asyncservice.organization.query.sqlfilter import Conditions
from asyncservice.organization.query.sqltables import Named, Tables
from asyncservice.organization.query.sqltext import only, parse_select, unsupported, written
from asyncservice.organization.schema.catalog import Catalog

_AGGREGATES: Final[Mapping[type[exp.Expression], Aggregate]] = {
    exp.Sum: Aggregate.SUM,
    exp.Avg: Aggregate.AVG,
    exp.Min: Aggregate.MIN,
    exp.Max: Aggregate.MAX,
}
_GREATEST: Final = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlQuery:
    """What a statement asks for."""

    query: Query
    #: What the answer's rows hold, in order: the name a column goes by there, and its key in the query's result.
    members: Mapping[str, str]


def read_sql(text: str, catalog: Catalog, *, paging: Paging | None = None) -> SqlQuery:
    """Return the query that a SELECT describes, and what its columns are to be called.

    Raises QueryError for text that is none or says what is not answered, NoSuchEntity and NoSuchAttribute for names.
    """
    read = _Reader(parse_select(text), catalog).read(paging or Paging())
    return SqlQuery(query=checked(read.query, catalog), members=read.members)


@dataclass(frozen=True, slots=True)
class _Meant:
    """A column of the result: one of a table, or an aggregate of it."""

    link: str | None
    attribute: str
    aggregate: Aggregate | None = None
    distinct: bool = False


class _Reader:
    """Reads one statement."""

    def __init__(self, select: exp.Select, catalog: Catalog) -> None:
        only(select, "a SELECT", "distinct", "expressions", "limit", "from_", "joins", "where", "group", "order")
        self._select = select
        source = select.args.get("from_")
        if source is None:
            raise unsupported("no FROM", "name a table")
        if not select.expressions:
            raise unsupported("a SELECT of nothing", "name the columns between SELECT and FROM")
        only(source, "FROM", "this")
        self._tables = Tables(source.this, catalog)
        self._keys: dict[_Meant, str] = {}
        self._members: dict[str, str] = {}
        #: What each member means, by its name in small letters.
        self._meant: dict[str, _Meant] = {}
        self._groups: set[_Meant] = set()
        self._is_aggregate = False

    def read(self, paging: Paging) -> SqlQuery:
        """Return the whole query."""
        for join in self._select.args.get("joins") or ():
            table, rest = self._tables.join(join)
            if rest:
                conditions = Conditions(tables=self._tables, within=table)
                table.where = _all(tuple(conditions.read(each) for each in rest))
        group = self._select.args.get("group")
        self._is_aggregate = group is not None or any(_is_aggregate(each) for each in self._select.expressions)
        if group is not None:
            only(group, "GROUP BY", "expressions")
            self._groups = {self._plain(self._tables.column(each)) for each in group.expressions}
        for each in self._select.expressions:
            self._add_member(each)
        is_distinct = self._is_distinct()
        orders = self._orders(is_distinct=is_distinct)
        for meant in sorted(self._groups, key=lambda each: (each.link or "", each.attribute)):
            if meant not in self._keys and is_distinct:
                raise unsupported("DISTINCT beside a GROUP BY of columns that are not selected", "select them")
            self._key(meant)
        first, where = self._tables.first, self._select.args.get("where")
        query = Query(
            entity=first.entity.name,
            columns=tuple(first.columns),
            where=None if where is None else Conditions(tables=self._tables).read(where.this),
            links=first.as_links(),
            orders=orders,
            top=self._top(),
            paging=paging,
            is_distinct=is_distinct and not self._is_aggregate,
            is_aggregate=self._is_aggregate,
        )
        return SqlQuery(query=query, members=self._members)

    def _add_member(self, node: exp.Expression) -> None:
        inner = node.this if isinstance(node, exp.Alias) else node
        if isinstance(inner, exp.Star) or (isinstance(inner, exp.Column) and isinstance(inner.this, exp.Star)):
            raise unsupported("SELECT *", "name the columns")
        meant = self._expression(inner)
        name = checked_alias(node.alias) if isinstance(node, exp.Alias) else _own_name(meant)
        if name.lower() in self._meant:
            raise QueryError(
                f"Two columns of the answer are called '{name}'; name one of them with AS.",
                OrganizationErrorCode.DUPLICATE_ALIAS,
            )
        if self._is_aggregate and meant.aggregate is None and meant not in self._groups:
            raise QueryError(
                f"The column '{written(inner)}' is neither in an aggregate nor in GROUP BY; put it into one of them.",
                OrganizationErrorCode.ATTRIBUTE_WITH_AGGREGATE,
            )
        self._meant[name.lower()] = meant
        self._members[name] = self._key(meant)

    def _expression(self, node: exp.Expression) -> _Meant:
        """Return what a column, or an aggregate of one, means."""
        while isinstance(node, exp.Paren):
            node = node.this
        if not _is_aggregate(node):
            return self._plain(self._tables.column(node))
        only(node, "an aggregate", "this", "big_int")
        inner = node.this
        if isinstance(inner, exp.Star):
            if not isinstance(node, exp.Count):
                raise unsupported(f"'{written(node)}'", "name a column; COUNT alone takes *")
            return _Meant(None, self._tables.first.entity.primary_id, Aggregate.COUNT)
        distinct = isinstance(inner, exp.Distinct)
        if distinct and (not isinstance(node, exp.Count) or len(inner.expressions) != 1):
            raise unsupported(f"'{written(node)}'", "DISTINCT goes with COUNT of one column")
        plain = self._plain(self._tables.column(inner.expressions[0] if distinct else inner))
        aggregate = _AGGREGATES.get(type(node), Aggregate.COUNT_COLUMN)
        return _Meant(plain.link, plain.attribute, aggregate, distinct)

    def _plain(self, column: Named) -> _Meant:
        return _Meant(column.table.link, column.attribute.name)

    def _key(self, meant: _Meant) -> str:
        """Return the key of a column in the result; it is brought along from now on."""
        if meant not in self._keys:
            self._keys[meant] = key = f"c{len(self._keys) + 1}"
            self._tables.by_link(meant.link).columns.append(
                Column(
                    attribute=meant.attribute,
                    alias=key,
                    aggregate=meant.aggregate,
                    distinct=meant.distinct,
                    is_group=self._is_aggregate and meant.aggregate is None,
                )
            )
        return self._keys[meant]

    def _is_distinct(self) -> bool:
        distinct = self._select.args.get("distinct")
        if distinct is not None:
            only(distinct, "DISTINCT")
        return distinct is not None

    def _orders(self, *, is_distinct: bool) -> tuple[Order, ...]:
        order = self._select.args.get("order")
        if order is None:
            return ()
        only(order, "ORDER BY", "expressions")
        return tuple(self._order(each, is_distinct=is_distinct) for each in order.expressions)

    def _order(self, node: exp.Expression, *, is_distinct: bool) -> Order:
        # Where nulls stand is not the statement's to say: `nulls_first` is the library's word for what is the rule.
        only(node, "ORDER BY", "this", "desc", "nulls_first")
        meant = self._ordered(node.this)
        descending = bool(node.args.get("desc"))
        if is_distinct and meant not in self._keys:
            raise QueryError(
                f"With DISTINCT rows are ordered by what is selected; select '{written(node.this)}' too.",
                OrganizationErrorCode.INVALID_DISTINCT,
            )
        if not self._is_aggregate:
            if meant.aggregate is not None:
                raise unsupported(f"'{written(node.this)}' in the order of rows that are no groups", "name a column")
            return Order(attribute=meant.attribute, descending=descending, link=meant.link)
        if meant.aggregate is None and meant not in self._groups:
            raise QueryError(
                f"Groups can be ordered by aggregates and by what is in GROUP BY; '{written(node.this)}' is neither.",
                OrganizationErrorCode.ATTRIBUTE_WITH_AGGREGATE,
            )
        return Order(attribute=self._key(meant), descending=descending, is_alias=True)

    def _ordered(self, node: exp.Expression) -> _Meant:
        """Return what is ordered by: a name in the answer, its number there, or a column or aggregate."""
        if isinstance(node, exp.Column) and not node.table and node.name.lower() in self._meant:
            return self._meant[node.name.lower()]
        if isinstance(node, exp.Literal):
            place = _number(node)
            if place is None or not 1 <= place <= len(self._meant):
                raise unsupported(f"ORDER BY {written(node)}", "name a column, or its place in the answer from 1")
            return list(self._meant.values())[place - 1]
        return self._expression(node)

    def _top(self) -> int | None:
        limit = self._select.args.get("limit")
        if limit is None:
            return None
        if limit.args.get("limit_options") is not None:
            raise unsupported("TOP … PERCENT or WITH TIES", "write TOP and a number")
        only(limit, "TOP", "expression")
        node = limit.expression
        while isinstance(node, exp.Paren):
            node = node.this
        number = _number(node)
        if number is None or number > _GREATEST:
            raise unsupported(f"TOP {written(node)}", f"write a whole number up to {_GREATEST}")
        return number


def _is_aggregate(node: exp.Expression) -> bool:
    while isinstance(node, exp.Alias | exp.Paren):
        node = node.this
    return isinstance(node, exp.Count) or type(node) in _AGGREGATES


def _own_name(meant: _Meant) -> str:
    """Return what a column goes by that nobody named: its name, or the function's and its name."""
    if meant.aggregate is None:
        return meant.attribute
    if meant.aggregate is Aggregate.COUNT:
        return "count"
    function = "count" if meant.aggregate is Aggregate.COUNT_COLUMN else meant.aggregate.value
    return f"{function}_{meant.attribute}"


def _number(node: exp.Expression) -> int | None:
    if not isinstance(node, exp.Literal) or node.is_string:
        return None
    text = node.name
    return int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(_GREATEST)) else None


def _all(filters: tuple[Filter, ...]) -> Filter:
    return filters[0] if len(filters) == 1 else AllOf(filters)
