"""Ids of the records that every organization has from its first start on; the same everywhere and for ever."""

from typing import Final
from uuid import UUID

from asyncservice.operations.record import ROOT_BUSINESS_UNIT, SYSTEM_USER
from asyncservice.organization.ids import derived_id

__all__ = ["BASE_CURRENCY", "DEFAULT_TEAM", "LOCAL_USER", "ORGANIZATION", "ROOT_BUSINESS_UNIT", "SYSTEM_USER"]

ORGANIZATION: Final[UUID] = derived_id(SYSTEM_USER, "organization", shard=3)
#: In whose name requests are carried out that nobody was asked to sign.
LOCAL_USER: Final[UUID] = derived_id(SYSTEM_USER, "systemuser", "Local Developer", shard=4)
#: The team that every user of the root business unit is in.
DEFAULT_TEAM: Final[UUID] = derived_id(SYSTEM_USER, "team", "default", shard=5)
#: The currency amounts are in when nobody says otherwise; its exchange rate is one.
BASE_CURRENCY: Final[UUID] = derived_id(SYSTEM_USER, "transactioncurrency", "USD", shard=6)
