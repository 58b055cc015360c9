"""The values of a new or a changed record: checked, completed with defaults, with nothing left to chance.

Plain functions: the time, the id and the user come in, what the row will hold goes out.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import ValueRefused
from asyncservice.organization.schema.attributes import Attribute
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.values import RecordValue, Reference, coerce

_STATE_COLUMNS: Final = frozenset({"statecode", "statuscode"})


def new_values(
    entity: Entity, given: Mapping[str, object], *, record_id: UUID, now: datetime, by: UUID
) -> dict[str, RecordValue]:
    """Return the values of a new record. Raises ValueRefused or NoSuchAttribute, naming the column."""
    values = _coerced(entity, given, creating=True)
    user = Reference("systemuser", by)
    if "ownerid" in entity.attributes:
        values.setdefault("ownerid", user)
    _settle_state(entity, values)
    for name, default in entity.defaults.items():
        values.setdefault(name, default)
    _compose(entity, values)
    values |= {"createdon": now, "createdby": user, "modifiedon": now, "modifiedby": user, "versionnumber": 1}
    _date_back(values, now)
    values[entity.primary_id] = record_id
    _insist(entity, values)
    return values


def changed_values(
    entity: Entity, before: Mapping[str, RecordValue], given: Mapping[str, object], *, now: datetime, by: UUID
) -> dict[str, RecordValue]:
    """Return the values of a record after an update; None clears a column."""
    changes = _coerced(entity, given, creating=False)
    values = {name: value for name, value in before.items() if name not in given} | changes
    if {"statecode", "statuscode"} & given.keys():
        # The half that was not given follows the half that was.
        values = {name: value for name, value in values.items() if name in given or name not in _STATE_COLUMNS}
        _settle_state(entity, values)
    _compose(entity, values)
    version = before.get("versionnumber", 0)
    values |= {"modifiedon": now, "modifiedby": Reference("systemuser", by)}
    values["versionnumber"] = (version if isinstance(version, int) else 0) + 1
    _insist(entity, values)
    return values


def missing_for_people(entity: Entity, values: Mapping[str, object]) -> tuple[Attribute, ...]:
    """Return the columns that forms and imports insist on and that have no value."""
    return tuple(attribute for attribute in entity.required_by_people if values.get(attribute.name) in (None, ""))


def _coerced(entity: Entity, given: Mapping[str, object], *, creating: bool) -> dict[str, RecordValue]:
    values: dict[str, RecordValue] = {}
    for name, value in given.items():
        attribute = entity.attribute(name)
        if not (attribute.valid_for_create if creating else attribute.valid_for_update):
            raise ValueRefused(
                f"The attribute '{name}' of '{entity.name}' cannot be set {'on create' if creating else 'on update'}; "
                "leave it out.",
                column=name,
                code=OrganizationErrorCode.INVALID_ARGUMENT,
                value=value,
            )
        coerced = coerce(attribute, value)
        if coerced is not None:
            values[name] = coerced
    return values


def _settle_state(entity: Entity, values: dict[str, RecordValue]) -> None:
    """Make state and status reason agree: either may be given, both must fit."""
    status = entity.attribute("statuscode")
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
