"""What queries read: a source of rows for each table, and the catalog that describes them."""

from typing import Protocol

from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.sources import Source


class Tables(Protocol):
    """The tables of an organization."""

    @property
    def catalog(self) -> Catalog:
        """Every entity and relationship there is."""
        ...

    def source(self, entity: str) -> Source:
        """Return the rows of an entity's table. Raises NoSuchEntity."""
        ...
