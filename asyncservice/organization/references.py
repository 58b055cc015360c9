"""What a transaction must know of records that its own refer to: that they are there, and what follows from them."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from asyncservice.organization.concurrency import together
from asyncservice.organization.drafts import ONE, Surroundings
from asyncservice.organization.errors import RecordNotFound
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.values import RecordValue, Reference, coerce
from asyncservice.organization.wellknown import BASE_CURRENCY, ROOT_BUSINESS_UNIT
from asyncservice.organization.workspace import Workspace

type Found = Mapping[UUID, Mapping[str, RecordValue]]
type FindMany = Callable[[str, Sequence[UUID]], Coroutine[Any, Any, Found]]

#: How long it is remembered which business unit an owner belongs to.
_KEPT: Final = timedelta(minutes=1)


class Units:
    """The business units of owners, remembered for a minute: nearly every new record asks, and few owners move."""

    def __init__(self, find_many: FindMany) -> None:
        self._find_many = find_many
        self._known: dict[Reference, tuple[UUID, datetime]] = {}

    async def of(self, owner: Reference, *, now: datetime) -> UUID:
        """Return the business unit of a user or team; the root one where it is not known."""
        known = self._known.get(owner)
        if known is None or not timedelta(0) <= now - known[1] < _KEPT:
            found = (await self._find_many(owner.entity, [owner.id])).get(owner.id, {})
            unit = found.get("businessunitid")
            known = (unit.id if isinstance(unit, Reference) else ROOT_BUSINESS_UNIT), now
            self._known[owner] = known
        return known[0]


class References:
    """Collects the records that a try refers to, and reads those it does not know, all at once."""

    def __init__(self, find_many: FindMany, units: Units) -> None:
        self._find_many, self._units = find_many, units
        self._noted: dict[tuple[str, UUID], None] = {}

    def note(self, workspace: Workspace, entity: str, record_id: UUID) -> None:
        """Remember that this record must be there. Raises RecordNotFound when the transaction has deleted it before."""
        held = workspace.held(entity, record_id)
        if held is not None and held.is_touched and held.after is None:
            raise RecordNotFound(entity, record_id)
        self._noted[entity, record_id] = None

    def note_given(
        self, workspace: Workspace, entity: Entity, given: Mapping[str, object], values: Mapping[str, object]
    ) -> None:
        """Remember the lookups that a caller gave."""
        for name in given:
            value = values.get(name)
            if isinstance(value, Reference) and entity.attribute(name).type.is_lookup:
                self.note(workspace, value.entity, value.id)

    async def check(self, workspace: Workspace) -> None:
        """Raise RecordNotFound unless every noted record was there before the transaction, or was made in it."""
        missing: dict[str, list[UUID]] = {}
        for entity, record_id in self._noted:
            held = workspace.held(entity, record_id)
            if held is None:
                missing.setdefault(entity, []).append(record_id)
            elif held.before is None and not held.was_made:
                raise RecordNotFound(entity, record_id)
        names = list(missing)
        found = await together(self._find_many(name, missing[name]) for name in names)
        for name, there in zip(names, found, strict=True):
            for record_id in missing[name]:
                if record_id not in there:
                    raise RecordNotFound(name, record_id)

    async def surroundings(
        self, entity: Entity, before: Mapping[str, RecordValue], given: Mapping[str, object], *, by: UUID, now: datetime
    ) -> Surroundings:
        """Return what the owner and the currency of a record say. Raises ValueRefused when they can be neither."""
        business_unit, rate = ROOT_BUSINESS_UNIT, ONE
        if "owningbusinessunit" in entity.attributes and "ownerid" in entity.attributes:
            owner = _value(entity, "ownerid", before, given) or Reference("systemuser", by)
            if isinstance(owner, Reference):
                business_unit = await self._units.of(owner, now=now)
        if "transactioncurrencyid" in entity.attributes and "exchangerate" in entity.attributes:
            currency = _value(entity, "transactioncurrencyid", before, given)
            if isinstance(currency, Reference) and currency.id != BASE_CURRENCY:
                kept = (await self._find_many(currency.entity, [currency.id])).get(currency.id, {}).get("exchangerate")
                rate = kept if isinstance(kept, Decimal) and kept > 0 else ONE
        return Surroundings(business_unit=business_unit, exchange_rate=rate)


def _value(
    entity: Entity, name: str, before: Mapping[str, RecordValue], given: Mapping[str, object]
) -> RecordValue | None:
    return coerce(entity.attribute(name), given[name]) if name in given else before.get(name)
