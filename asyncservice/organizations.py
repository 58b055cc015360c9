"""The organization that a storage account holds, as the settings describe it: the one place that makes it.

    organization = await organization_in(context.storage, now=context.now())

It has the tables that come with the service, those of the folder that ASYNCSERVICE_SCHEMA_FOLDER names, and what users
have added through the Web API.
"""

from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from asyncservice.organization.organization import Organization
from asyncservice.organization.schema.catalog import definitions_in
from asyncservice.organization.schema.definition import Definitions
from asyncservice.settings import Settings
from asyncservice.storage.account import Storage

#: Folders whose definitions are held; a process has one, tests have several.
_FOLDERS: Final = 4


def organization_of(storage: Storage, settings: Settings) -> Organization:
    """Return an organization with the tables that files describe; `refresh` adds those of users.

    A folder is read once: what changes in it counts from the next start on. Raises SchemaError when it is not there, or
    its files do not make a schema.
    """
    return Organization(storage, definitions=_definitions(settings.schema_folder))


async def organization_in(storage: Storage, *, now: datetime, settings: Settings | None = None) -> Organization:
    """Return an organization with every table there is at the moment; without *settings*, by the environment.

    What handlers and scripts begin with. One request to the storage, four where users have added to the schema. Raises
    what `organization_of` raises.
    """
    organization = organization_of(storage, settings or Settings())
    await organization.refresh(now=now, strong=True)
    return organization


@lru_cache(maxsize=_FOLDERS)
def _definitions(folder: Path | None) -> Definitions:
    return definitions_in(folder)
