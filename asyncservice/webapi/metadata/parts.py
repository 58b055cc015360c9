"""Which paths metadata answers: a part of the Web API for each first segment."""

from collections.abc import Mapping
from typing import Final

from asyncservice.webapi.context import Part
from asyncservice.webapi.metadata import changes, documents, editing

#: By the first segment of the path; empty is the service root.
PARTS: Final[Mapping[str, Part]] = {
    "": documents.service,
    "$metadata": documents.metadata,
    "EntityDefinitions": editing.answer,
    "RelationshipDefinitions": editing.answer,
    "GlobalOptionSetDefinitions": editing.answer,
    "CreateEntities": editing.create_entities,
    "RetrieveMetadataChanges": changes.answer,
}
