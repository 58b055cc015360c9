"""The records that every organization has from its first start on: itself, its business unit, users, team, currency."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from asyncservice.organization.errors import RecordExists
from asyncservice.organization.records import Records
from asyncservice.organization.values import Reference
from asyncservice.organization.wellknown import (
    BASE_CURRENCY,
    DEFAULT_TEAM,
    LOCAL_USER,
    ORGANIZATION,
    ROOT_BUSINESS_UNIT,
    SYSTEM_USER,
)

_NAME: Final = "asyncservice"
_UNIT: Final = Reference("businessunit", ROOT_BUSINESS_UNIT)
_CURRENCY: Final = Reference("transactioncurrency", BASE_CURRENCY)

#: In the order they are made; the organization comes last, so that where it is all others are.
SEEDS: Final[tuple[tuple[str, UUID, Mapping[str, object]], ...]] = (
    (
        "transactioncurrency",
        BASE_CURRENCY,
        {
            "currencyname": "US Dollar",
            "isocurrencycode": "USD",
            "currencysymbol": "$",
            "currencyprecision": 2,
            "exchangerate": 1,
        },
    ),
    ("businessunit", ROOT_BUSINESS_UNIT, {"name": _NAME}),
    (
        "systemuser",
        SYSTEM_USER,
        {"firstname": "", "lastname": "SYSTEM", "domainname": "SYSTEM", "businessunitid": _UNIT, "accessmode": 3},
    ),
    (
        "systemuser",
        LOCAL_USER,
        {
            "firstname": "Local",
            "lastname": "Developer",
            "domainname": "developer@localhost",
            "internalemailaddress": "developer@localhost",
            "businessunitid": _UNIT,
        },
    ),
    (
        "team",
        DEFAULT_TEAM,
        {
            "name": _NAME,
            "teamtype": 0,
            "isdefault": True,
            "businessunitid": _UNIT,
            "administratorid": Reference("systemuser", SYSTEM_USER),
        },
    ),
    (
        "organization",
        ORGANIZATION,
        {
            "name": _NAME,
            "basecurrencyid": _CURRENCY,
            "languagecode": 1033,
            "localeid": 1033,
            "systemuserid": SYSTEM_USER,
            "fiscalperiodtype": 2002,
            "weekstartdaycode": 0,
        },
    ),
)


async def seed(records: Callable[[str], Records], *, now: datetime) -> None:
    """Make what is missing. Columns that a catalog does not have are left out, so that a smaller one serves as well."""
    if await records("organization").find(ORGANIZATION) is not None:
        return
    for entity, record_id, values in SEEDS:
        store = records(entity)
        known = {
            name: value
            for name, value in values.items()
            if (attribute := store.entity.attributes.get(name)) is not None and attribute.valid_for_create
        }
        try:
            await store.create(known, now=now, record_id=record_id)
        except RecordExists:
            # A start that died half-way made it.
            continue
