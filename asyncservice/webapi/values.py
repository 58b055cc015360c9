"""Values on their way out, as JSON has them (reference web-api-wire, section 6)."""

from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

from asyncservice.organization.values import RecordValue, Reference

type JsonValue = object
"""What jsontext can write."""

#: Columns behind which annotations stand that begin with this.
FORMATTED: Final = "OData.Community.Display.V1.FormattedValue"
LOOKUP_ENTITY: Final = "Microsoft.Dynamics.CRM.lookuplogicalname"
LOOKUP_NAVIGATION: Final = "Microsoft.Dynamics.CRM.associatednavigationproperty"


def as_json(value: RecordValue | None) -> JsonValue:
    """Return a value as JSON has it: moments in UTC without fractions, GUIDs in lower case, lookups as GUIDs."""
    if isinstance(value, Reference):
        return str(value.id)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return moment_text(value)
    if isinstance(value, date):
        return value.isoformat()
    return value


def moment_text(value: datetime) -> str:
    """Return a moment as `2026-03-01T09:30:00Z`; clients match this exact form."""
    utc = value.astimezone(UTC)
    return f"{utc.year:04d}{utc:-%m-%dT%H:%M:%SZ}"


def etag_of(version: object) -> str:
    """Return the weak ETag of a version number."""
    return f'W/"{version}"'
