"""The values of a new or a changed record: checked, completed with defaults, with nothing left to chance.

Plain functions: the time, the id and the user come in, what the row will hold goes out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import ValueRefused
from asyncservice.organization.schema.attributes import Attribute
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.values import RecordValue, Reference, coerce, rounded, to_the_second
from asyncservice.organization.wellknown import BASE_CURRENCY, ROOT_BUSINESS_UNIT

_STATE_COLUMNS: Final = frozenset({"statecode", "statuscode"})
#: The rate of the organization's own currency.
ONE: Final = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What other records say that a record's values follow from."""

    #: The business unit of its owner.
    business_unit: UUID = ROOT_BUSINESS_UNIT
    #: How much of its currency one of the organization's own currency is; None: not known.
    exchange_rate: Decimal | None = ONE


def new_values(
    entity: Entity,
    given: Mapping[str, object],
    *,
    record_id: UUID,
    now: datetime,
    by: UUID,
    on_behalf_of: UUID | None = None,
    surroundings: Surroundings | None = None,
) -> dict[str, RecordValue]:
    """Return the values of a new record. Raises ValueRefused or NoSuchAttribute, naming the column.

    *by* is in whose name it is made, *on_behalf_of* who acts in that name when it is somebody else.
    """
    surroundings = surroundings or Surroundings()
    values = _coerced(entity, given)
    user = Reference("systemuser", by)
    if "ownerid" in entity.attributes:
        values.setdefault("ownerid", user)
    _settle_state(entity, values)
    for name, default in entity.defaults.items():
        values.setdefault(name, default)
    if entity.is_activity and "activitytypecode" in entity.attributes:
        values["activitytypecode"] = entity.name
    _follow(entity, values, surroundings)
    moment = to_the_second(now)
    signed: dict[str, RecordValue] = {"createdon": moment, "modifiedon": moment, "createdby": user, "modifiedby": user}
    if on_behalf_of is not None:
        delegate = Reference("systemuser", on_behalf_of)
        signed |= {"createdonbehalfby": delegate, "modifiedonbehalfby": delegate}
    values |= {name: value for name, value in signed.items() if name in entity.attributes}
    values["versionnumber"] = 1
    _date_back(values, moment)
    values[entity.primary_id] = record_id
    _insist(entity, values)
    return values


def changed_values(
    entity: Entity,
    before: Mapping[str, RecordValue],
    given: Mapping[str, object],
    *,
    now: datetime,
    by: UUID,
    on_behalf_of: UUID | None = None,
    surroundings: Surroundings | None = None,
) -> dict[str, RecordValue]:
    """Return the values of a record after an update; None clears a column."""
    changes = _coerced(entity, given, before=before)
    values = {name: value for name, value in before.items() if name not in given} | changes
    if {"statecode", "statuscode"} & given.keys():
        # The half that was not given follows the half that was.
        values = {name: value for name, value in values.items() if name in given or name not in _STATE_COLUMNS}
        _settle_state(entity, values)
    _follow(entity, values, surroundings)
    return _signed(entity, before, values, now=now, by=by, on_behalf_of=on_behalf_of)


def without_links(
    entity: Entity, before: Mapping[str, RecordValue], columns: frozenset[str], *, now: datetime, by: UUID
) -> dict[str, RecordValue]:
    """Return the values of a record whose lookups *columns* led to a record that is being deleted."""
    values = {name: value for name, value in before.items() if name not in columns}
    return _signed(entity, before, values, now=now, by=by, on_behalf_of=None)


def _signed(
    entity: Entity,
    before: Mapping[str, RecordValue],
    values: dict[str, RecordValue],
    *,
    now: datetime,
    by: UUID,
    on_behalf_of: UUID | None,
) -> dict[str, RecordValue]:
    version = before.get("versionnumber", 0)
    values["versionnumber"] = (version if isinstance(version, int) else 0) + 1
    if "modifiedon" in entity.attributes:
        values |= {"modifiedon": to_the_second(now), "modifiedby": Reference("systemuser", by)}
    if "modifiedonbehalfby" in entity.attributes:
        values.pop("modifiedonbehalfby", None)
        if on_behalf_of is not None:
            values["modifiedonbehalfby"] = Reference("systemuser", on_behalf_of)
    _insist(entity, values)
    return values


def missing_for_people(entity: Entity, values: Mapping[str, object]) -> tuple[Attribute, ...]:
    """Return the columns that forms and imports insist on and that have no value."""
    return tuple(attribute for attribute in entity.required_by_people if values.get(attribute.name) in (None, ""))


def _coerced(
    entity: Entity, given: Mapping[str, object], *, before: Mapping[str, RecordValue] | None = None
) -> dict[str, RecordValue]:
    """Return the values as records keep them. *before* is what the record has; None for a new one."""
    values: dict[str, RecordValue] = {}
    for name, value in given.items():
        attribute = entity.attribute(name)
        # What says more about another column (the name of a file) may be set together with it.
        is_settable = attribute.valid_for_create if before is None else attribute.valid_for_update
        coerced = coerce(attribute, value)
        # Clients send a row back as they read it; only a value that is another one asks for something.
        if not is_settable and attribute.attribute_of not in given and coerced != (before or {}).get(name):
            moment = "on create" if before is None else "on update"
            raise ValueRefused(
                f"The attribute '{name}' of '{entity.name}' cannot be set {moment}; leave it out.",
                column=name,
                code=OrganizationErrorCode.INVALID_ARGUMENT,
                value=value,
            )
        if coerced is not None:
            values[name] = coerced
    return values


def _settle_state(entity: Entity, values: dict[str, RecordValue]) -> None:
    """Make state and status reason agree: either may be given, both must fit."""
    status = entity.attributes.get("statuscode")
    if status is None:
        return
    states = {option.value: option.state for option in status.options}
    if "statuscode" in values:
        state = states[_number(values["statuscode"])]
        if state is not None and values.setdefault("statecode", state) != state:
            raise ValueRefused(
                f"{values['statuscode']} is not a valid status code for state code {values['statecode']} "
                f"of '{entity.name}'.",
                column="statuscode",
                code=OrganizationErrorCode.INVALID_STATE_AND_STATUS,
                value=values["statuscode"],
            )
        return
    if "statecode" in values:
        fitting = [value for value, state in states.items() if state in {None, values["statecode"]}]
        if status.default in fitting:
            values["statuscode"] = _number(status.default)
        elif fitting:
            values["statuscode"] = fitting[0]


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no option's number.")
    return value


def _follow(entity: Entity, values: dict[str, RecordValue], surroundings: Surroundings | None) -> None:
    """Fill in the columns that nobody sets because they follow from others."""
    _compose(entity, values)
    _own(entity, values, surroundings)
    _convert(entity, values, surroundings)


def _own(entity: Entity, values: dict[str, RecordValue], surroundings: Surroundings | None) -> None:
    owner = values.get("ownerid")
    if not isinstance(owner, Reference) or "owninguser" not in entity.attributes:
        return
    for column, kind in (("owninguser", "systemuser"), ("owningteam", "team")):
        values.pop(column, None)
        if owner.entity == kind:
            values[column] = owner
    if surroundings is not None:
        values["owningbusinessunit"] = Reference("businessunit", surroundings.business_unit)


def _convert(entity: Entity, values: dict[str, RecordValue], surroundings: Surroundings | None) -> None:
    """Keep amounts in the organization's own currency beside those in the record's."""
    bases = [(base, base.base_of) for base in entity.attributes.values() if base.base_of is not None]
    amounts = {name: values[name] for _, name in bases if name in values}
    if amounts and "transactioncurrencyid" in entity.attributes:
        values.setdefault("transactioncurrencyid", Reference("transactioncurrency", BASE_CURRENCY))
    if surroundings is not None and "transactioncurrencyid" in values and "exchangerate" in entity.attributes:
        values.pop("exchangerate", None)
        if surroundings.exchange_rate is not None:
            values["exchangerate"] = rounded(entity.attribute("exchangerate"), surroundings.exchange_rate)
    rate = values.get("exchangerate", ONE)
    for base, name in bases:
        values.pop(base.name, None)
        amount = amounts.get(name)
        if isinstance(amount, Decimal) and isinstance(rate, Decimal) and rate:
            values[base.name] = rounded(base, amount / rate)


def _compose(entity: Entity, values: dict[str, RecordValue]) -> None:
    for attribute in entity.composed:
        text = " ".join(str(values[part]) for part in attribute.composed if part in values)
        if text:
            values[attribute.name] = text[: attribute.max_length]
        else:
            values.pop(attribute.name, None)


def _date_back(values: dict[str, RecordValue], now: datetime) -> None:
    """Give an imported record the creation date it had elsewhere; the other column then says when it came here."""
    original = values.pop("overriddencreatedon", None)
    if original is None:
        return
    if not isinstance(original, datetime):
        raise TypeError(f"overriddencreatedon is {original!r}, no moment.")
    values["createdon"], values["overriddencreatedon"] = original, now


def _insist(entity: Entity, values: Mapping[str, RecordValue]) -> None:
    for attribute in entity.required_by_system:
        if attribute.name not in values:
            raise ValueRefused(
                f"'{entity.name}' needs a value for '{attribute.name}'.",
                column=attribute.name,
                code=OrganizationErrorCode.INVALID_ARGUMENT,
            )
