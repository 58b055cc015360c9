"""An attribute: the type of a column, its limits, and whether it must be filled."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property


class AttributeType(StrEnum):
    """Dataverse's names for what a column holds."""

    STRING = "String"
    MEMO = "Memo"
    INTEGER = "Integer"
    BIGINT = "BigInt"
    DECIMAL = "Decimal"
    DOUBLE = "Double"
    MONEY = "Money"
    BOOLEAN = "Boolean"
    DATETIME = "DateTime"
    PICKLIST = "Picklist"
    STATE = "State"
    STATUS = "Status"
    LOOKUP = "Lookup"
    CUSTOMER = "Customer"
    OWNER = "Owner"
    UNIQUEIDENTIFIER = "Uniqueidentifier"

    @property
    def is_text(self) -> bool:
        """Whether values are strings."""
        return self in {AttributeType.STRING, AttributeType.MEMO}

    @property
    def is_choice(self) -> bool:
        """Whether values are numbers of options."""
        return self in {AttributeType.PICKLIST, AttributeType.STATE, AttributeType.STATUS}

    @property
    def is_lookup(self) -> bool:
        """Whether values are references to records."""
        return self in {AttributeType.LOOKUP, AttributeType.CUSTOMER, AttributeType.OWNER}


class RequiredLevel(StrEnum):
    """Who insists on a value: nobody, the forms and imports of people, or the system itself."""

    NONE = "None"
    RECOMMENDED = "Recommended"
    APPLICATION_REQUIRED = "ApplicationRequired"
    SYSTEM_REQUIRED = "SystemRequired"


class DateFormat(StrEnum):
    """Whether a date carries a time of day."""

    DATE_ONLY = "DateOnly"
    DATE_AND_TIME = "DateAndTime"


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a picklist, a state or a two-options column."""

    value: int
    label: str
    #: For a status reason: the state it belongs to.
    state: int | None = None


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """A column of an entity."""

    name: str
    label: str
    type: AttributeType
    required: RequiredLevel = RequiredLevel.NONE
    #: Whether a caller may set it when the record is made, and afterwards.
    valid_for_create: bool = True
    valid_for_update: bool = True
    #: Characters a String or Memo may hold.
    max_length: int | None = None
    #: Smallest and largest Integer, Decimal, Double or Money.
    min_value: float | None = None
    max_value: float | None = None
    #: Digits behind the point of a Decimal, Double or Money.
    precision: int | None = None
    format: DateFormat | None = None
    #: Options of a Picklist, State, Status or Boolean (0 and 1).
    options: tuple[Option, ...] = ()
    #: Entities a Lookup, Customer or Owner may refer to.
    targets: tuple[str, ...] = ()
    #: What a new record gets when nobody says otherwise.
    default: int | bool | str | None = None
    #: The columns whose texts make up this one's, in order; nobody sets it directly.
    composed: tuple[str, ...] = ()
    #: The blob container that keeps the text; the row then holds the blob's name.
    container: str | None = None

    @cached_property
    def option_values(self) -> frozenset[int]:
        """The numbers of the options."""
        return frozenset(option.value for option in self.options)

    @cached_property
    def options_by_label(self) -> Mapping[str, int]:
        """The options' numbers by label, however it is capitalised."""
        return {option.label.casefold(): option.value for option in self.options}

    @property
    def is_date_only(self) -> bool:
        """Whether values are days without a time."""
        return self.format is DateFormat.DATE_ONLY
