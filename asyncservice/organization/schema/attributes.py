"""An attribute: the type of a column, its limits, and whether it must be filled."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from asyncservice.organization.schema.relationships import CascadeType


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
    ENTITY_NAME = "EntityName"
    MULTISELECT = "MultiSelectPicklist"
    FILE = "File"
    VIRTUAL = "Virtual"

    @property
    def is_text(self) -> bool:
        """Whether values are strings that people write."""
        return self in {AttributeType.STRING, AttributeType.MEMO}

    @property
    def has_options(self) -> bool:
        """Whether a definition must say which options there are."""
        return self.is_choice or self is AttributeType.MULTISELECT

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


class DateBehavior(StrEnum):
    """What a date means: a moment that each user sees in their own zone, a day, or a time that is the same anywhere."""

    USER_LOCAL = "UserLocal"
    DATE_ONLY = "DateOnly"
    TIME_ZONE_INDEPENDENT = "TimeZoneIndependent"


class TargetGroup(StrEnum):
    """Entities that a lookup may refer to without naming them; the catalog knows who they are."""

    #: Every entity whose records people can see.
    ANY = "any"
    #: Those that activities can be about.
    REGARDING = "regarding"
    #: Those that notes can be attached to.
    NOTES = "notes"
    #: Those that are activities.
    ACTIVITIES = "activities"


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a picklist, a state or a two-options column."""

    value: int
    label: str
    #: For a status reason: the state it belongs to.
    state: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionSet:
    """Options that several columns share by name: a global choice."""

    name: str
    label: str
    options: tuple[Option, ...]
    is_custom: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LookupNames:
    """What the relationship of a lookup is called and does, for one target or for all that say nothing else.

    Names may hold `{target}` and `{Target}`, `{entity}` and `{Entity}`: the logical and the schema name of either end.
    None: by the rules of `relating`.
    """

    relationship: str | None = None
    #: On the side of the lookup.
    navigation: str | None = None
    #: On the other side.
    collection: str | None = None
    on_delete: CascadeType | None = None
    is_hierarchical: bool = False


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """A column of an entity."""

    name: str
    schema_name: str
    label: str
    type: AttributeType
    description: str = ""
    required: RequiredLevel = RequiredLevel.NONE
    #: Whether a caller may set it when the record is made, and afterwards.
    valid_for_create: bool = True
    valid_for_update: bool = True
    #: Whether anybody may see it; what is not is for the service itself.
    valid_for_read: bool = True
    #: Whether a user of the service added it.
    is_custom: bool = False
    #: The column it belongs to, for one that says more about another (the name of a file).
    attribute_of: str | None = None
    #: Characters a String or Memo may hold.
    max_length: int | None = None
    #: Smallest and largest Integer, Decimal, Double or Money.
    min_value: float | None = None
    max_value: float | None = None
    #: Digits behind the point of a Decimal, Double or Money.
    precision: int | None = None
    format: DateFormat | None = None
    behavior: DateBehavior | None = None
    #: What a String holds: Text, Email, Url, Phone, TextArea and so on; an Integer: None, Duration, TimeZone, Language.
    format_name: str | None = None
    #: Options of a choice, a State, a Status or a Boolean (0 and 1).
    options: tuple[Option, ...] = ()
    #: The global choice the options come from.
    option_set: str | None = None
    #: Entities a Lookup, Customer or Owner may refer to. The catalog fills in those of a group.
    targets: tuple[str, ...] = ()
    target_group: TargetGroup | None = None
    #: What the relationships are called, by target; the empty name is for every target that is not there.
    lookup_names: Mapping[str, LookupNames] = field(default_factory=dict)
    #: Kilobytes a File may have.
    max_size: int | None = None
    #: The Money column whose value in the organization's own currency it holds.
    base_of: str | None = None
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
        return self.behavior is DateBehavior.DATE_ONLY

    def label_of(self, value: int) -> str | None:
        """Return the label of an option, or None when there is no such option."""
        return self._labels.get(value)

    @cached_property
    def _labels(self) -> Mapping[int, str]:
        return {option.value: option.label for option in self.options}
