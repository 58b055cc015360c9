"""Every message that comes with the service: importing this module registers them."""

from asyncservice.webapi.messages import bulk, imports, organization, planned, publishing, queries, querytypes
from asyncservice.webapi.messages.registry import Messages, registry

__all__ = ["STANDARD", "bulk", "imports", "organization", "planned", "publishing", "queries", "querytypes"]

#: The registry with all of them.
STANDARD: Messages = registry
