"""Which systemuser a caller is.

A caller is found by its object id in the directory (azureactivedirectoryobjectid). One that is seen for the first time,
and was given one of the app roles, is made a user then: whoever assigned the role has decided that it may call, so a
list of users beside it would only be a second place to forget. An application becomes an application user. The id of
such a user follows from the object id, so two first requests at once make one user. A disabled user is refused.

What was found is remembered for a minute: a request then costs no look-up, and disabling a user takes as long.
"""

from collections import OrderedDict
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from asyncservice.operations.record import SYSTEM_USER
from asyncservice.organization.errors import RecordExists
from asyncservice.organization.organization import Organization
from asyncservice.organization.records import Condition, Record
from asyncservice.webapi.principals import Principal, forbidden

#: How long it is remembered who a caller is.
REMEMBERED: Final = timedelta(minutes=1)
_MOST: Final = 10_000
#: Ids of users that are made on first sight are derived in this name space.
_SPACE: Final = UUID("5f3c1a52-0c1e-5b7e-9a63-5b1f0d2c7a41")
_ENTITY: Final = "systemuser"
_OBJECT_ID: Final = "azureactivedirectoryobjectid"

#: As long as the columns are.
_LONGEST_NAME: Final = 64
_LONGEST_DOMAIN_NAME: Final = 1024

#: Whoever calls a host that only this machine can reach.
LOCAL_USER: Final = SYSTEM_USER


class Users:
    """Finds, makes and remembers users."""

    def __init__(self) -> None:
        self._remembered: OrderedDict[UUID, tuple[UUID, datetime]] = OrderedDict()

    async def of(self, organization: Organization, principal: Principal, *, now: datetime) -> UUID:
        """Return the user that *principal* is, making it when there is none. Raises ApiError (403) when disabled."""
        if (remembered := self._recall(principal.object_id, now)) is not None:
            return remembered
        found = await self._find(organization, principal.object_id) or await self._made(organization, principal, now)
        if found.get("isdisabled") is True:
            raise forbidden(f"The user {found.id} is disabled.")
        self._remember(principal.object_id, found.id, now)
        return found.id

    async def by_object_id(self, organization: Organization, object_id: UUID, *, now: datetime) -> UUID | None:
        """Return the user with that object id in the directory, or None when there is none that may be used."""
        if (remembered := self._recall(object_id, now)) is not None:
            return remembered
        found = await self._find(organization, object_id)
        if found is None or found.get("isdisabled") is True:
            return None
        self._remember(object_id, found.id, now)
        return found.id

    async def known(self, organization: Organization, user_id: UUID, *, now: datetime) -> UUID | None:
        """Return the user of that id, or None when there is none that may be used."""
        if (remembered := self._recall(user_id, now)) is not None:
            return remembered
        found = await organization.records(_ENTITY).find(user_id)
        if found is None or found.get("isdisabled") is True:
            return None
        self._remember(user_id, user_id, now)
        return user_id

    async def _find(self, organization: Organization, object_id: UUID) -> Record | None:
        found = await organization.records(_ENTITY).few(Condition(_OBJECT_ID, "eq", object_id), at_most=1)
        return found[0] if found else None

    async def _made(self, organization: Organization, principal: Principal, now: datetime) -> Record:
        records = organization.records(_ENTITY)
        user_id = uuid5(_SPACE, principal.object_id.hex)
        name = principal.name or principal.username or str(principal.application_id or principal.object_id)
        values: dict[str, object] = {
            _OBJECT_ID: principal.object_id,
            "lastname": name[:_LONGEST_NAME],
            "domainname": (principal.username or str(principal.object_id))[:_LONGEST_DOMAIN_NAME],
        }
        if principal.application_id is not None:
            values["applicationid"] = principal.application_id
        # Another first request was quicker, or our own was applied and its answer lost.
        with suppress(RecordExists):
            await records.create(values, now=now, record_id=user_id)
        return await records.retrieve(user_id)

    def _recall(self, key: UUID, now: datetime) -> UUID | None:
        found = self._remembered.get(key)
        return found[0] if found is not None and now < found[1] else None

    def _remember(self, key: UUID, user_id: UUID, now: datetime) -> None:
        self._remembered[key] = (user_id, now + REMEMBERED)
        self._remembered.move_to_end(key)
        if len(self._remembered) > _MOST:
            self._remembered.popitem(last=False)
