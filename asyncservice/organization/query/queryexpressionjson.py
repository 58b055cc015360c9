"""A JSON object of a query, and where it stands: members are asked for by type, and errors say which one it was."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import OrganizationError
from asyncservice.organization.query.errors import QueryError

_NAMESPACE: Final = "Microsoft.Dynamics.CRM."
_TYPE: Final = "@odata.type"
_SHOWN: Final = 60


class PlacedError(QueryError):
    """An error whose message begins with the place in the JSON already."""


@contextmanager
def placed(path: str) -> Iterator[None]:
    """Put *path* before the message of any error about the query that arises inside."""
    try:
        yield
    except PlacedError:
        raise
    except OrganizationError as error:
        raise PlacedError(f"{path}: {error}", error.code) from error


class Node:
    """An object of the JSON, at *path*."""

    def __init__(self, path: str, value: object) -> None:
        if not isinstance(value, Mapping):
            raise PlacedError(
                f"{path} is an object, not {_shown(value)}.", OrganizationErrorCode.INVALID_PROPERTY_VALUE
            )
        self.path, self._members = path, value

    def error(self, what: str, code: OrganizationErrorCode = OrganizationErrorCode.INVALID_ARGUMENT) -> QueryError:
        """Return the error that says something about this object."""
        return PlacedError(f"{self.path} {what}.", code)

    def child(self, name: str) -> str:
        """Return the path of a member."""
        return f"{self.path}.{name}"

    def type_name(self) -> str | None:
        """Return the type that the object names, without its namespace."""
        text = self._members.get(_TYPE)
        return text.removeprefix("#").removeprefix(_NAMESPACE) if isinstance(text, str) else None

    def allow(self, names: frozenset[str] | set[str]) -> None:
        """Raise QueryError when a member is none of these; annotations may always be there."""
        unknown = sorted(name for name in self._members if "@" not in name and name not in names)
        if unknown:
            raise self._wrong(unknown[0], f"is nothing that can stand there; there are {', '.join(sorted(names))}")

    def has(self, name: str) -> bool:
        """Whether a member is there and not null."""
        return self._members.get(name) is not None

    def get(self, name: str) -> object:
        """Return a member, or None."""
        return self._members.get(name)

    def text(self, name: str) -> str:
        """Return a text that must be there. Raises QueryError."""
        value = self._members.get(name)
        if not isinstance(value, str) or not value:
            raise self._wrong(name, f"is needed, a text, not {_shown(value)}")
        return value

    def text_or_none(self, name: str) -> str | None:
        """Return a text; None when it is missing, null or empty. Raises QueryError."""
        value = self._members.get(name)
        return None if value is None or value == "" else self.text(name)

    def flag(self, name: str) -> bool:
        """Return true or false; missing or null is false. Raises QueryError."""
        value = self._members.get(name)
        if value is not None and not isinstance(value, bool):
            raise self._wrong(name, f"is true or false, not {_shown(value)}")
        return bool(value)

    def number(self, name: str, *, fewest: int, most: int) -> int | None:
        """Return a whole number, None when it is missing or null. Raises QueryError."""
        value = self._members.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not fewest <= value <= most:
            raise self._wrong(name, f"is a whole number from {fewest} to {most}, not {_shown(value)}")
        return value

    def items(self, name: str) -> Sequence[object]:
        """Return an array; of one that is missing or null there are none. Raises QueryError."""
        value = self._members.get(name)
        if value is None:
            return ()
        if not isinstance(value, list | tuple):
            raise self._wrong(name, f"is an array, not {_shown(value)}")
        return value

    def nodes(self, name: str) -> list["Node"]:
        """Return the objects of an array. Raises QueryError."""
        return [Node(f"{self.child(name)}[{position}]", item) for position, item in enumerate(self.items(name))]

    def node(self, name: str) -> "Node | None":
        """Return an object, None when it is missing or null. Raises QueryError."""
        value = self._members.get(name)
        return None if value is None else Node(self.child(name), value)

    def member[M](
        self, name: str, members: Mapping[str, M], numbers: Mapping[int, M], default: M, code: OrganizationErrorCode
    ) -> M:
        """Return the member of an enumeration that is named or numbered; *default* when missing. Raises QueryError."""
        value = self._members.get(name)
        if value is None:
            return default
        if isinstance(value, str) and value in members:
            return members[value]
        # Some serializers write the number as text.
        for number, found in numbers.items():
            if not isinstance(value, bool) and (value == number or value == str(number)):
                return found
        raise self._wrong(name, f"is one of {', '.join(members)}, not {_shown(value)}", code)

    def _wrong(
        self, name: str, what: str, code: OrganizationErrorCode = OrganizationErrorCode.INVALID_PROPERTY_VALUE
    ) -> QueryError:
        return PlacedError(f"{self.child(name)} {what}.", code)


def _shown(value: object) -> str:
    match value:
        case None:
            return "null"
        case Mapping():
            return "an object"
        case list() | tuple():
            return "an array"
        case _:
            text = repr(value)
            return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
