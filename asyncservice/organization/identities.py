"""The ids of the records that a transaction makes: chosen so that what is written together stands together."""

from collections.abc import Callable, Sequence
from uuid import UUID

from asyncservice.organization import keys
from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import ValueRefused
from asyncservice.organization.ids import SHARDS, in_shard, shard_of
from asyncservice.organization.requests import Create, Delete, Given, Request, Update, Upsert
from asyncservice.organization.schema.entities import Entity

type EntityOf = Callable[[str], Entity]


def chosen_ids(requests: Sequence[Request], entity_of: EntityOf, new_id: Callable[[], UUID]) -> dict[int, UUID]:
    """Return the id of each record that a request may make, by the request's place.

    An id that is not given lands in the partition of its first alternate key; else in that of the first record of its
    entity in this transaction; else anywhere. So records of one entity without ids are one request to the storage.
    """
    shards: dict[str, str] = {}
    ids: dict[int, UUID] = {}
    for request in requests:
        if isinstance(request, Create | Update | Upsert | Delete) and (given := _given_id(entity_of, request)):
            shards.setdefault(request.entity, shard_of(given))
    for place, request in enumerate(requests):
        if not isinstance(request, Create | Upsert):
            continue
        record_id = _given_id(entity_of, request)
        if record_id is None:
            record_id = new_id()
            shard = _shard_of_key(entity_of(request.entity), request) or shards.get(request.entity)
            if shard is not None:
                record_id = in_shard(record_id, SHARDS.index(shard))
            shards.setdefault(request.entity, shard_of(record_id))
        ids[place] = record_id
    return ids


def without_id(entity: Entity, values: Given, record_id: UUID) -> Given:
    """Return the values without the primary key, which may be given when it is the record's own."""
    if entity.primary_id not in values:
        return values
    given = _id_in(entity, values)
    if given not in {None, record_id}:
        raise ValueRefused(
            f"'{entity.primary_id}' is {given}, but the record is {record_id}; an id never changes.",
            column=entity.primary_id,
            code=OrganizationErrorCode.INVALID_ARGUMENT,
            value=given,
        )
    return {name: value for name, value in values.items() if name != entity.primary_id}


def _given_id(entity_of: EntityOf, request: Create | Update | Upsert | Delete) -> UUID | None:
    """Return the id that a request names, be it among the values."""
    if request.id is not None or not isinstance(request, Create | Upsert):
        return request.id
    return _id_in(entity_of(request.entity), request.values)


def _id_in(entity: Entity, values: Given) -> UUID | None:
    found = keys.coerced(entity, {entity.primary_id: values.get(entity.primary_id)}).get(entity.primary_id)
    return found if isinstance(found, UUID) else None


def _shard_of_key(entity: Entity, request: Create | Upsert) -> str | None:
    given = {**request.values, **(request.key if isinstance(request, Upsert) else {})}
    for key in entity.keys:
        wanted = {name: given[name] for name in key.attributes if name in given}
        if len(wanted) == len(key.attributes):
            place = keys.place_of(entity, key, keys.coerced(entity, wanted))
            if place is not None:
                return place.partition
    return None
