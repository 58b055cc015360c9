"""`@odata.context`: what an answer holds, as a URL of the metadata document (reference web-api-wire, section 6)."""

from uuid import UUID

from asyncservice.organization.query.odata import ODataQuery
from asyncservice.organization.schema.attributes import Attribute
from asyncservice.organization.schema.entities import Entity
from asyncservice.webapi.exchange import Address
from asyncservice.webapi.writing import property_of


def set_context(address: Address, entity: Entity, asked: ODataQuery | None = None) -> str:
    """Return the context of a list."""
    return address.of(f"$metadata#{entity.set_name}{'' if asked is None else _shape(asked)}")


def row_context(address: Address, entity: Entity, asked: ODataQuery) -> str:
    """Return the context of one row."""
    return f"{set_context(address, entity, asked)}/$entity"


def column_context(address: Address, entity: Entity, record_id: UUID, column: Attribute) -> str:
    """Return the context of one column."""
    return address.of(f"$metadata#{entity.set_name}({record_id})/{property_of(column)}")


def reference_context(address: Address, *, collection: bool = False) -> str:
    """Return the context of a reference, or of a list of them."""
    return address.of("$metadata#Collection($ref)" if collection else "$metadata#$ref")


def _shape(asked: ODataQuery) -> str:
    names = [
        *(asked.select or ()),
        *(f"{each.navigation.name}{_shape(each.options) or '()'}" for each in asked.expands),
    ]
    return f"({','.join(names)})" if names else ""
