"""The tables of a SELECT: what follows FROM and JOIN, how they hang together, and which one a column's name means."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlglot import exp

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import NoSuchAttribute
from asyncservice.organization.query.conditions import compare_columns
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.model import Column, Filter, Link, LinkType
from asyncservice.organization.query.operators import Operator
from asyncservice.organization.query.sqltext import only, unsupported, written
from asyncservice.organization.schema.attributes import Attribute
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.entities import Entity

_OWNER: Final = "dbo"
_TYPES: Final[Mapping[tuple[str, str], LinkType]] = {
    ("", ""): LinkType.INNER,
    ("", "INNER"): LinkType.INNER,
    ("LEFT", ""): LinkType.OUTER,
    ("LEFT", "OUTER"): LinkType.OUTER,
}


@dataclass(eq=False, kw_only=True)
class Table:
    """A table of the statement. Its columns and joined tables are found out as the statement is read."""

    #: What the statement calls it.
    name: str
    entity: Entity
    #: The alias of its link; None for the first table.
    link: str | None = None
    parent: "Table | None" = None
    near: str = ""
    far: str = ""
    type: LinkType = LinkType.INNER
    where: Filter | None = None
    columns: list[Column] = field(default_factory=list)
    joined: "list[Table]" = field(default_factory=list)

    def as_links(self) -> tuple[Link, ...]:
        """Return the tables that hang on this one as links of a query."""
        return tuple(
            Link(
                entity=each.entity.name,
                from_attribute=each.far,
                to_attribute=each.near,
                alias=each.link or "",
                type=each.type,
                columns=tuple(each.columns),
                where=each.where,
                links=each.as_links(),
            )
            for each in self.joined
        )


@dataclass(frozen=True, kw_only=True)
class Named:
    """A column of a table of the statement."""

    table: Table
    attribute: Attribute


class Tables:
    """All tables of one statement, the first one first."""

    def __init__(self, first: exp.Expression, catalog: Catalog) -> None:
        self._catalog = catalog
        name, entity = self._described(first)
        self.first = Table(name=name, entity=entity)
        self._tables = {name.lower(): self.first}

    def join(self, join: exp.Join) -> tuple[Table, list[exp.Expression]]:
        """Add a joined table; return it and what its ON says beside the columns that are joined. Raises QueryError."""
        only(join, "a JOIN", "this", "side", "kind", "on")
        kind = _TYPES.get((str(join.args.get("side") or "").upper(), str(join.args.get("kind") or "").upper()))
        on = join.args.get("on")
        if kind is None or on is None:
            raise unsupported(
                f"'{written(join).strip(' ,')}'", "write INNER JOIN or LEFT JOIN, each with its ON a.x = b.y"
            )
        name, entity = self._described(join.this)
        if name.lower() in self._tables:
            raise QueryError(
                f"Two tables of the statement are called '{name}'; give each an alias of its own.",
                OrganizationErrorCode.DUPLICATE_ALIAS,
            )
        table = Table(name=name, entity=entity, link=f"t{len(self._tables)}", type=kind)
        self._tables[name.lower()] = table
        rest: list[exp.Expression] = []
        for term in conjuncts(on):
            if table.parent is None and self._joins(table, term):
                continue
            rest.append(term)
        if table.parent is None:
            raise QueryError(
                f"The ON of '{name}' must say which column of it equals which column of a table before it.",
                OrganizationErrorCode.ATTRIBUTE_PAIR_MISMATCH,
            )
        if kind is LinkType.INNER:
            # Who joins what a LEFT JOIN may have left empty asks for rows where it is not.
            above: Table | None = table.parent
            while above is not None:
                above.type, above = LinkType.INNER, above.parent
        return table, rest

    def by_link(self, link: str | None) -> Table:
        """Return the table whose link has that alias."""
        return next(each for each in self._tables.values() if each.link == link)

    def column(self, node: exp.Expression) -> Named:
        """Return the column that a node names. Raises QueryError, NoSuchAttribute."""
        if not isinstance(node, exp.Column) or isinstance(node.this, exp.Star):
            raise unsupported(f"'{written(node)}' in place of a column", "name a column")
        only(node, "the name of a column", "this", "table")
        name, owner = node.name.lower(), node.table.lower()
        if owner:
            table = self._tables.get(owner)
            if table is None:
                raise QueryError(
                    f"No table of the statement is called '{node.table}'; there are "
                    f"{', '.join(each.name for each in self._tables.values())}.",
                    OrganizationErrorCode.ALIAS_DOES_NOT_EXIST,
                )
            return Named(table=table, attribute=table.entity.attribute(name))
        found = list(self._having(name))
        if not found and len(self._tables) > 1:
            raise NoSuchAttribute(" or ".join(each.entity.name for each in self._tables.values()), name)
        if len(found) > 1:
            raise QueryError(
                f"Several tables have a column '{name}'; write whose it is, as in '{found[0].table.name}.{name}'.",
                OrganizationErrorCode.ALIAS_MISSING,
            )
        return found[0] if found else Named(table=self.first, attribute=self.first.entity.attribute(name))

    def _having(self, name: str) -> Iterator[Named]:
        for table in self._tables.values():
            if name in table.entity.attributes:
                yield Named(table=table, attribute=table.entity.attributes[name])

    def _joins(self, table: Table, term: exp.Expression) -> bool:
        """Take the equality of a column here and one before as what is joined; tell whether it was one."""
        if not (isinstance(term, exp.EQ) and isinstance(term.this, exp.Column)):
            return False
        if not isinstance(term.expression, exp.Column):
            return False
        one, other = self.column(term.this), self.column(term.expression)
        mine, others = (one, other) if one.table is table else (other, one)
        if mine.table is not table or others.table is table:
            return False
        compare_columns(mine.attribute, Operator.EQUAL, others.attribute, link=None, other_link=None)
        table.parent, table.near, table.far = others.table, others.attribute.name, mine.attribute.name
        others.table.joined.append(table)
        return True

    def _described(self, node: exp.Expression) -> tuple[str, Entity]:
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            raise unsupported(f"'{written(node)}' in place of a table", "name a table")
        # A statement may ask not to wait for locks; there are none.
        only(node, "the name of a table", "this", "db", "alias", "hints")
        if any(written(hint).upper() != "WITH (NOLOCK)" for hint in node.args.get("hints") or ()):
            raise unsupported(f"hints, as in '{written(node)}'", "leave them out")
        if node.db and node.db.lower() != _OWNER:
            raise unsupported(f"the schema '{node.db}'", "name the table alone")
        alias = node.args.get("alias")
        if alias is not None:
            only(alias, "the alias of a table", "this")
        return node.alias or node.name, self._catalog.entity(node.name.lower())


def conjuncts(node: exp.Expression) -> list[exp.Expression]:
    """Return what AND holds together, in the order of the text; without recursion, since the client says how many."""
    found: list[exp.Expression] = []
    todo = [node]
    while todo:
        each = todo.pop()
        if isinstance(each, exp.And):
            todo += [each.expression, each.this]
        elif isinstance(each, exp.Paren) and isinstance(each.this, exp.And):
            todo.append(each.this)
        else:
            found.append(each)
    return found
