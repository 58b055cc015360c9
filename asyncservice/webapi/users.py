"""Which systemuser a caller is.

A caller is found by its object id in the directory (azureactivedirectoryobjectid). One that is seen for the first time,
and was given one of the app roles, is made a user then: whoever assigned the role has decided that it may call, so a
list of users beside it would only be a second place to forget. An application becomes an application user. The object
id is an alternate key, so two first requests at once make one user. A disabled user is refused.

What was found is remembered for a minute: a request then costs no look-up, and disabling a user takes as long.
"""

from collections import OrderedDict
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from asyncservice.organization.errors import DuplicateKey
from asyncservice.organization.organization import Organization
from asyncservice.organization.records import Record
from asyncservice.organization.requests import Create
from asyncservice.organization.values import Reference
from asyncservice.organization.wellknown import ROOT_BUSINESS_UNIT, SYSTEM_USER
from asyncservice.webapi.principals import Principal, forbidden

#: How long it is remembered who a caller is.
REMEMBERED: Final = timedelta(minutes=1)
_MOST: Final = 10_000
_ENTITY: Final = "systemuser"
_OBJECT_ID: Final = "azureactivedirectoryobjectid"
#: As long as the columns are.
_LONGEST_NAME: Final = 256
_LONGEST_DOMAIN_NAME: Final = 1024
#: accessmode of applications: Non-interactive.
_NON_INTERACTIVE: Final = 4


class Users:
    """Finds, makes and remembers users."""

    def __init__(self) -> None:
        self._remembered: OrderedDict[UUID, tuple[UUID, datetime]] = OrderedDict()

    async def of(self, organization: Organization, principal: Principal, *, now: datetime) -> UUID:
        """Return the user that *principal* is, making it when there is none. Raises ApiError (403) when disabled."""
        if (remembered := self._recall(principal.object_id, now)) is not None:
            return remembered
        found = await self._find(organization, principal.object_id)
        if found is None:
            # Another first request may be quicker, or our own was applied and its answer lost.
            with suppress(DuplicateKey):
                await organization.transact([_new_user(principal)], now=now, by=SYSTEM_USER)
            found = await self._find(organization, principal.object_id)
        if found is None:
            raise forbidden(f"The user with the object id {principal.object_id} was removed just now.")
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
        found = await organization.find(_ENTITY, user_id)
        if found is None or found.get("isdisabled") is True:
            return None
        self._remember(user_id, user_id, now)
        return user_id

    async def _find(self, organization: Organization, object_id: UUID) -> Record | None:
        return await organization.find_by_key(_ENTITY, {_OBJECT_ID: object_id})

    def _recall(self, key: UUID, now: datetime) -> UUID | None:
        found = self._remembered.get(key)
        return found[0] if found is not None and now < found[1] else None

    def _remember(self, key: UUID, user_id: UUID, now: datetime) -> None:
        self._remembered[key] = (user_id, now + REMEMBERED)
        self._remembered.move_to_end(key)
        if len(self._remembered) > _MOST:
            self._remembered.popitem(last=False)


def _new_user(principal: Principal) -> Create:
    name = principal.name or principal.username or str(principal.application_id or principal.object_id)
    # People have a first and a last name, tokens one name for both.
    first, last = _parts(name) if principal.application_id is None else ("", name)
    values: dict[str, object] = {
        _OBJECT_ID: principal.object_id,
        "firstname": _cut(first, _LONGEST_NAME),
        "lastname": _cut(last, _LONGEST_NAME),
        "domainname": _cut(principal.username or str(principal.object_id), _LONGEST_DOMAIN_NAME),
        "businessunitid": Reference("businessunit", ROOT_BUSINESS_UNIT),
    }
    if principal.application_id is not None:
        values |= {"applicationid": principal.application_id, "accessmode": _NON_INTERACTIVE}
    return Create(entity=_ENTITY, values=values)


def _parts(name: str) -> tuple[str, str]:
    first, _, last = name.strip().rpartition(" ")
    return first.strip(), last


def _cut(text: str, length: int) -> str:
    """Return as much of *text* as a column of that length holds, which counts in UTF-16."""
    return text.encode("utf-16-le", "replace")[: 2 * length].decode("utf-16-le", "ignore")
