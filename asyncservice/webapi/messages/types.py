"""Types of parameters and results, declared in Python and read by two: the dispatcher and the CSDL document.

| Python                            | CSDL                              | a message is given              |
| --------------------------------- | --------------------------------- | ------------------------------- |
| str, bool, int, float, Decimal    | Edm.String, Boolean, Int32, Double, Decimal | the same              |
| Int64                             | Edm.Int64                         | int                             |
| UUID, datetime, date, bytes       | Edm.Guid, DateTimeOffset, Date, Binary | the same                   |
| Reference                         | mscrm.crmbaseentity               | Reference: the row is only named |
| Annotated[Reference, "account"]   | mscrm.account                     | Reference                       |
| Row, Annotated[Row, "account"]    | the same as of Reference          | the JSON object as it was sent  |
| a dataclass under `@complex_type` | a ComplexType                     | an instance, or raw JSON        |
| an IntEnum under `@enum_type`     | an EnumType                       | a member                        |
| tuple[X, ...]                     | Collection(X)                     | a tuple                         |
| X or None                         | the same, and may be missing      | None when it is missing         |
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Final, NewType, Union, dataclass_transform, get_args, get_origin, get_type_hints
from uuid import UUID

from asyncservice.organization.values import Reference

NAMESPACE: Final = "Microsoft.Dynamics.CRM"
#: What every entity type derives from.
ANY_ENTITY: Final = "crmbaseentity"

#: A whole number of 64 bits.
Int64 = NewType("Int64", int)
#: A row with its columns, as the client wrote it.
Row = NewType("Row", dict[str, Any])


@dataclass(frozen=True, slots=True)
class Primitive:
    """One of OData's own types."""

    name: str
    #: What values are; Int64 for a number that takes 64 bits.
    python: object

    @property
    def edm(self) -> str:
        """The name as CSDL writes it."""
        return self.name


@dataclass(frozen=True, slots=True)
class EntityType:
    """A row of an entity, or of any (None)."""

    name: str | None = None
    #: Whether the message wants the row's columns and not only to know which row it is.
    is_row: bool = False

    @property
    def edm(self) -> str:
        """The name as CSDL writes it."""
        return f"{NAMESPACE}.{self.name or ANY_ENTITY}"


@dataclass(frozen=True, slots=True)
class EnumType:
    """A set of named numbers."""

    python: type[IntEnum]

    @property
    def edm(self) -> str:
        """The name as CSDL writes it."""
        return f"{NAMESPACE}.{self.python.__name__}"


@dataclass(frozen=True, slots=True)
class ComplexType:
    """An object without a key."""

    python: type[Any]
    #: Whether a message is given the JSON itself, because it has a reader of its own.
    is_raw: bool = False
    is_abstract: bool = False
    is_open: bool = False

    @property
    def name(self) -> str:
        """The name without the namespace."""
        return self.python.__name__

    @property
    def edm(self) -> str:
        """The name as CSDL writes it."""
        return f"{NAMESPACE}.{self.name}"

    @property
    def base(self) -> "ComplexType | None":
        """The complex type it derives from."""
        return next((_complex[base] for base in self.python.__bases__ if base in _complex), None)

    @property
    def members(self) -> tuple["Member", ...]:
        """The members in the order of their declaration, those of the base included."""
        if self.python not in _declared:
            _declared[self.python] = _members(self.python)
        return _declared[self.python]


@dataclass(frozen=True, slots=True)
class CollectionType:
    """Any number of the same."""

    item: "Type"

    @property
    def edm(self) -> str:
        """The name as CSDL writes it."""
        return f"Collection({self.item.edm})"


type Type = Primitive | EntityType | EnumType | ComplexType | CollectionType


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A parameter of a message or a member of a complex type."""

    #: As it stands on the wire.
    name: str
    type: Type
    is_required: bool = True
    #: The field of the dataclass.
    field: str = ""


_PRIMITIVES: Final[Mapping[object, Primitive]] = {
    str: Primitive("Edm.String", str),
    bool: Primitive("Edm.Boolean", bool),
    int: Primitive("Edm.Int32", int),
    Int64: Primitive("Edm.Int64", Int64),
    float: Primitive("Edm.Double", float),
    Decimal: Primitive("Edm.Decimal", Decimal),
    UUID: Primitive("Edm.Guid", UUID),
    datetime: Primitive("Edm.DateTimeOffset", datetime),
    date: Primitive("Edm.Date", date),
    bytes: Primitive("Edm.Binary", bytes),
}
_complex: Final[dict[type[Any], ComplexType]] = {}
#: Members by class: types refer to each other, so they are looked up when all are declared.
_declared: Final[dict[type[Any], tuple[Member, ...]]] = {}
_enums: Final[dict[type[IntEnum], EnumType]] = {}


def wire(name: str, **options: Any) -> Any:  # noqa: ANN401 - as dataclasses.field
    """Declare a field whose name on the wire is not its own in capitals: `cc_recipients` is `CCRecipients`."""
    return dataclasses.field(metadata={"wire": name}, **options)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(wire, dataclasses.field))
def complex_type[T](
    *, is_raw: bool = False, is_abstract: bool = False, is_open: bool = False
) -> Callable[[type[T]], type[T]]:
    """Make the class a frozen dataclass that stands for a complex type of the same name."""

    def declared(python: type[T]) -> type[T]:
        made = dataclass(frozen=True, kw_only=True)(python)
        _complex[made] = ComplexType(made, is_raw, is_abstract, is_open)
        return made

    return declared


def enum_type[E: IntEnum](python: type[E]) -> type[E]:
    """Declare an enumeration; names of its members are those on the wire."""
    _enums[python] = EnumType(python)
    return python


def complex_types() -> Mapping[str, ComplexType]:
    """Return every complex type by name."""
    return MappingProxyType({each.name: each for each in _complex.values()})


def enum_types() -> Mapping[str, EnumType]:
    """Return every enumeration by name."""
    return MappingProxyType({each.python.__name__: each for each in _enums.values()})


def member(name: str, annotation: object, *, field: str = "") -> Member:
    """Return the member that an annotation declares. Raises TypeError for what is no type of the table above."""
    is_required = True
    if get_origin(annotation) in {Union, UnionType}:
        rest = tuple(each for each in get_args(annotation) if each is not NoneType)
        if len(rest) != 1:
            raise TypeError(f"{name}: {annotation} is more than one type.")
        annotation, is_required = rest[0], False
    return Member(name=name, type=type_of(annotation), is_required=is_required, field=field)


def type_of(annotation: object) -> Type:
    """Return the type that an annotation declares. Raises TypeError."""
    of_entity: str | None = None
    if get_origin(annotation) is Annotated:
        annotation, of_entity = get_args(annotation)[:2]
    if get_origin(annotation) is tuple:
        item = get_args(annotation)[0]
        return CollectionType(type_of(item))
    if annotation is Reference or annotation is Row:
        return EntityType(of_entity, is_row=annotation is Row)
    if isinstance(annotation, type) and annotation in _complex:
        return _complex[annotation]
    if isinstance(annotation, type) and annotation in _enums:
        return _enums[annotation]
    found = _PRIMITIVES.get(annotation)
    if found is None:
        raise TypeError(f"{annotation} is no type that a message can have; see webapi/messages/types.")
    return found


def _members(python: type[Any]) -> tuple[Member, ...]:
    hints = get_type_hints(python, include_extras=True)
    return tuple(
        member(
            each.metadata.get("wire") or "".join(word[:1].upper() + word[1:] for word in each.name.split("_")),
            hints[each.name],
            field=each.name,
        )
        for each in dataclasses.fields(python)
    )
