"""From SQL text to the tree of one SELECT: bounded in size and depth, and of nothing but what queries can mean.

A library reads the text, in the dialect of SQL Server, which understands far more than is answered here. So whatever a
node says beyond what its reader knows is refused, never overlooked: an overlooked clause would be a wrong answer.
"""

from collections.abc import Sequence
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.dialects import TSQL
from sqlglot.errors import ParseError, SqlglotError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.errors import QueryError

#: Most characters of a query.
MAX_SQL_LENGTH: Final = 65_536
#: Deepest nesting of parentheses and signs; the library that reads them needs some twenty calls for each.
MAX_SQL_DEPTH: Final = 20

_PREFIXES: Final = frozenset({TokenType.NOT, TokenType.DASH, TokenType.TILDE, TokenType.PLUS, TokenType.CASE})
#: What a statement may not hold, by the word it is seen by.
_EXCLUDED: Final = {
    TokenType.UNION: "UNION",
    TokenType.EXCEPT: "EXCEPT",
    TokenType.INTERSECT: "INTERSECT",
    TokenType.HAVING: "HAVING",
    TokenType.LIMIT: "LIMIT (write TOP)",
    TokenType.OFFSET: "OFFSET",
    TokenType.FETCH: "FETCH",
    TokenType.CASE: "CASE",
    TokenType.OVER: "OVER",
    TokenType.INTO: "INTO",
}


def parse_select(text: str) -> exp.Select:
    """Return the one SELECT that the text is. Raises QueryError for everything else."""
    if not text.strip():
        raise unreadable("it is empty")
    if len(text) > MAX_SQL_LENGTH:
        raise unreadable(f"it has {len(text)} characters, and at most {MAX_SQL_LENGTH} are allowed")
    try:
        tokens = TSQL().tokenize(text)
        _check(tokens)
        statements = [each for each in sqlglot.parse(text, dialect=TSQL) if each is not None]
    except TokenError as error:
        raise unreadable("a quote, bracket or comment is not closed") from error
    except ParseError as error:
        raise unreadable(_place(error)) from error
    except (SqlglotError, RecursionError) as error:
        raise unreadable("it is nested too deep, or no SQL") from error
    if len(statements) != 1:
        raise unsupported(f"{len(statements)} statements in one request", "send one SELECT")
    (statement,) = statements
    if not isinstance(statement, exp.Select):
        raise unsupported("a statement other than one SELECT", "send one SELECT")
    if any(each is not statement for each in statement.find_all(exp.Query)):
        raise unsupported("a sub-query", "join the table instead, or ask twice")
    return statement


def only(node: exp.Expression, what: str, *known: str) -> None:
    """Refuse a node that says more than what its reader takes from it. Raises QueryError."""
    for name, value in node.args.items():
        is_said = value is not None and value is not False and not (isinstance(value, list) and not value)
        if is_said and name not in known:
            raise unsupported(f"'{_shown(name.rstrip('_'))}' in {what}", "leave it out")


def unsupported(what: str, instead: str) -> QueryError:
    """Return the error for SQL that is well-formed and not answered."""
    return QueryError(f"SQL with {what} is not supported; {instead}.", OrganizationErrorCode.INVALID_ARGUMENT)


def unreadable(reason: str) -> QueryError:
    """Return the error for what is no SQL."""
    return QueryError(f"The SQL cannot be read: {reason}.", OrganizationErrorCode.INVALID_ARGUMENT)


def written(node: exp.Expression) -> str:
    """Return the text of a node, to be told of."""
    try:
        return _shown(node.sql(dialect=TSQL))
    except (RecursionError, SqlglotError):
        # Sums and the like may be longer than the library can write; the kind of thing it is must do then.
        return node.key


def _check(tokens: Sequence[Token]) -> None:
    """Look at the words before they are read: the reader calls itself for each level. Raises QueryError."""
    if not tokens or tokens[0].token_type is not TokenType.SELECT:
        if tokens and tokens[0].token_type is TokenType.WITH:
            raise unsupported("WITH (common table expressions)", "write one plain SELECT")
        raise unsupported("anything but a SELECT", "change rows with POST, PATCH and DELETE")
    depth = prefixes = 0
    for token in tokens:
        kind = token.token_type
        if kind in _EXCLUDED:
            raise unsupported(_EXCLUDED[kind], "leave it out")
        prefixes = prefixes + 1 if kind in _PREFIXES else 0
        if kind in {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE}:
            depth += 1
        elif kind in {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE}:
            depth -= 1
        if depth + prefixes > MAX_SQL_DEPTH:
            raise unreadable(f"it is nested deeper than {MAX_SQL_DEPTH} levels; write it flatter")


def _place(error: ParseError) -> str:
    if not error.errors:
        return "it is no well-formed SELECT"
    (first, *_) = error.errors
    return f"line {first.get('line')}, column {first.get('col')}: near '{_shown(str(first.get('highlight') or ''))}'"


def _shown(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_LONGEST: Final = 100
