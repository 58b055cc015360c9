"""Creates, updates, upserts, deletes and links, planned: each request of the Web API as requests for records.

The tables of web-api-wire, sections 7 to 12, are here. What is planned is carried out as one transaction.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from uuid import UUID, uuid4

from asyncservice.organization import requests
from asyncservice.organization.keys import completed
from asyncservice.organization.requests import Outcome
from asyncservice.organization.schema.entities import Entity, Kept
from asyncservice.organization.schema.relationships import ManyToMany, Navigation
from asyncservice.organization.values import RecordValue, Reference
from asyncservice.webapi import conditions, files, jsontext, permissions
from asyncservice.webapi.answers import created, deleted, updated
from asyncservice.webapi.context import Api
from asyncservice.webapi.exchange import Request, Response
from asyncservice.webapi.faults import ApiError, Code, not_allowed
from asyncservice.webapi.finding import ends, id_of, lookup_of, own_id, row_of, with_key
from asyncservice.webapi.payloads import Link, Payload, PayloadReader, targets_of, value_of
from asyncservice.webapi.planning import PlannedWrite
from asyncservice.webapi.resources import Key, Resource, Tail, read_resource

_WRITES = frozenset({"POST", "PATCH", "PUT", "DELETE"})


async def plan(api: Api, request: Request) -> PlannedWrite | None:
    """Return what a request asks of the records; None for reads, messages, metadata and jobs. Writes nothing.

    Raises ApiError or an error of the organization that says what is wrong with it.
    """
    if request.method not in _WRITES or not request.segments:
        return None
    resource = read_resource(request.segments, api.organization.catalog, request.options.aliases)
    if resource is None or resource.entity.kept is Kept.OPERATIONS or files.is_file(resource.column):
        return None
    return await plan_of(api, request, resource)


async def plan_of(api: Api, request: Request, resource: Resource) -> PlannedWrite:
    """Return what a request asks of a resource. Raises as `plan` does."""
    planned = await _plan_of(api, request, resource)
    # By a navigation property, or within a row, a request gets at records that its path does not name.
    permissions.require_changes(request.user, planned.requests)
    return planned


async def _plan_of(api: Api, request: Request, resource: Resource) -> PlannedWrite:
    if resource.entity.kept is not Kept.RECORDS:
        raise not_allowed(request.method, f"'{resource.entity.set_name}', which cannot be changed", "GET")
    if resource.tail is Tail.REF:
        return await _plan_reference(api, request, resource)
    if resource.tail is not None and not (resource.tail is Tail.VALUE and request.method == "DELETE"):
        raise not_allowed(request.method, resource.tail.value, "GET")
    if resource.column is not None:
        return await _plan_column(api, request, resource)
    if resource.is_row:
        if request.method == "PATCH":
            return await _plan_patch(api, request, resource)
        if request.method == "DELETE":
            return await _plan_delete(api, request, resource)
        raise not_allowed(request.method, "a row", "GET", "PATCH", "DELETE")
    if request.method != "POST":
        raise not_allowed(request.method, f"the set '{resource.entity.set_name}'", "GET", "POST")
    return await _plan_create(api, request, resource)


@dataclass(slots=True)
class Plan:
    """Requests for records as they gather; the first is about the record that the HTTP request is about."""

    api: Api
    request: Request
    gathered: list[requests.Request] = field(default_factory=list)
    #: Records that are made up here stand in one partition.
    shard: int = field(default_factory=lambda: uuid4().int & 0xF)

    def new_id(self) -> UUID:
        """Return an id for a record that is going to be made."""
        return UUID(int=uuid4().int & ~0xF | self.shard)

    def finished(self, respond: Callable[[Sequence[Outcome]], Awaitable[Response]]) -> PlannedWrite:
        """Return the plan."""
        return PlannedWrite(requests=tuple(self.gathered), respond=respond)

    async def create(
        self,
        entity: Entity,
        payload: Payload,
        *,
        record_id: UUID | None = None,
        extra: dict[str, RecordValue | None] | None = None,
    ) -> UUID | None:
        """Add the request that makes a record, and those for the rows within it. Returns the id when it is known."""
        permissions.require_change(self.request.user, entity.name)
        known = record_id or payload.id or (self.new_id() if payload.is_deep else None)
        position = self._reserve()
        values = completed(await self._values(payload), extra or {})
        if known is not None:
            values |= await self._within(entity, payload, known)
        self.gathered[position] = requests.Create(entity=entity.name, values=values, id=known)
        return known

    async def update(
        self,
        entity: Entity,
        payload: Payload,
        *,
        record_id: UUID,
        version: int | None = None,
        extra: dict[str, RecordValue | None] | None = None,
    ) -> None:
        """Add the request that changes a record, and those for the rows within it."""
        permissions.require_change(self.request.user, entity.name)
        position = self._reserve()
        values = {**await self._values(payload), **(extra or {}), **await self._within(entity, payload, record_id)}
        self.gathered[position] = requests.Update(entity=entity.name, id=record_id, values=values, version=version)

    async def upsert(self, entity: Entity, payload: Payload, key: Key) -> None:
        """Add the request that changes the record of that key, or makes it, and those for the rows within it."""
        permissions.require_change(self.request.user, entity.name)
        position = self._reserve()
        record_id = key.id
        if record_id is None and (payload.is_deep or payload.id is not None):
            # Rows within it must know its id, and one that is given must be its own: whether it is there comes first.
            there = await with_key(self.api, entity, key)
            record_id = payload.id or self.new_id() if there is None else own_id(entity, there)
            if there is None:
                values = {**await self._values(payload), **await self._within(entity, payload, record_id)}
                self.gathered[position] = requests.Create(
                    entity=entity.name, values=completed(values, key.values), id=record_id
                )
                return
            insist_on_id(entity, payload, record_id)
        values = await self._values(payload)
        if record_id is not None:
            values |= await self._within(entity, payload, record_id)
        self.gathered[position] = requests.Upsert(
            entity=entity.name,
            values=values,
            id=record_id,
            key={} if record_id is not None else key.values,
        )

    def _reserve(self) -> int:
        """Keep a place, so that a record stands before the rows within it."""
        self.gathered.append(requests.Create(entity="", values={}))
        return len(self.gathered) - 1

    async def _values(self, payload: Payload) -> dict[str, RecordValue | None]:
        values = dict(payload.values)
        for navigation, link in payload.lookups:
            values[lookup_of(navigation)] = None if link is None else await self.reference(link)
        return values

    async def reference(self, link: Link) -> Reference:
        """Return the row that a link names; one request when it goes by an alternate key."""
        return Reference(link.entity.name, await id_of(self.api, link.entity, link.key))

    async def _within(self, entity: Entity, payload: Payload, record_id: UUID) -> dict[str, RecordValue | None]:
        """Add the requests for rows within a row; return the lookups that they fill."""
        values: dict[str, RecordValue | None] = {}
        for navigation, inner in payload.rows:
            if navigation.is_collection:
                await self._member(entity, navigation, inner, record_id)
            else:
                target = self.api.organization.catalog.entity(navigation.target)
                values[lookup_of(navigation)] = Reference(target.name, await self._written(target, inner, {}))
        for navigation, link in payload.attached:
            await self.attach(entity, navigation, record_id, await self.reference(link))
        return values

    async def _member(self, entity: Entity, navigation: Navigation, inner: Payload, record_id: UUID) -> None:
        target = self.api.organization.catalog.entity(navigation.target)
        relationship = navigation.relationship
        if isinstance(relationship, ManyToMany):
            other = await self._written(target, inner, {})
            self.gathered.append(pair(navigation, record_id, other))
        else:
            await self._written(target, inner, {relationship.referencing_attribute: Reference(entity.name, record_id)})

    async def _written(self, target: Entity, inner: Payload, extra: dict[str, RecordValue | None]) -> UUID:
        """Make or change a row within a row; return its id. `@odata.id` or a key that exists means: change it."""
        if inner.link is not None:
            reference = await self.reference(inner.link)
            await self.update(target, inner, record_id=reference.id, extra=extra)
            return reference.id
        if inner.id is not None and await self.api.organization.source(target.name).find(inner.id) is not None:
            await self.update(target, inner, record_id=inner.id, extra=extra)
            return inner.id
        record_id = inner.id or self.new_id()
        await self.create(target, inner, record_id=record_id, extra=extra)
        return record_id

    async def attach(self, entity: Entity, navigation: Navigation, record_id: UUID, other: Reference) -> None:
        """Add the request that puts a row into a collection of the record."""
        permissions.require_change(self.request.user, other.entity)
        relationship = navigation.relationship
        if isinstance(relationship, ManyToMany):
            self.gathered.append(pair(navigation, record_id, other.id))
            return
        self.gathered.append(
            requests.Update(
                entity=other.entity,
                id=other.id,
                values={relationship.referencing_attribute: Reference(entity.name, record_id)},
            )
        )


def pair(navigation: Navigation, record_id: UUID, other_id: UUID, *, end: bool = False) -> requests.Request:
    """Return the request that relates two records, or with *end* no longer does."""
    relationship = navigation.relationship
    if not isinstance(relationship, ManyToMany):
        raise TypeError(f"{navigation.name} is no relationship of many to many.")
    here, _ = ends(navigation)
    first, second = (record_id, other_id) if here == relationship.entity1_attribute else (other_id, record_id)
    make = requests.Disassociate if end else requests.Associate
    return make(relationship=relationship.schema_name, entity1_id=first, entity2_id=second)


def payload_of(api: Api, request: Request, entity: Entity) -> Payload:
    """Read the body of a request as a row. Raises ApiError."""
    return PayloadReader(api.organization.catalog, request.references).read(entity, jsontext.read_object(request.body))


def insist_on_id(entity: Entity, payload: Payload, record_id: UUID) -> None:
    """Raise ApiError when a body has another id than the row that its URL names."""
    if payload.id not in {None, record_id}:
        raise ApiError(
            f"The body has the id {payload.id}, the URL {record_id}; leave '{entity.primary_id}' out of the body.",
            code=Code.INVALID_ARGUMENT,
        )


async def _plan_create(api: Api, request: Request, resource: Resource) -> PlannedWrite:
    entity = resource.entity
    payload = payload_of(api, request, entity)
    plan = Plan(api, request)
    extra: dict[str, RecordValue | None] = {}
    if resource.steps:
        navigation = resource.steps[-1].navigation
        parent = resource.parent
        parent_entity = parent.entity
        key = parent.last_key if not parent.steps else None
        # By its id the transaction itself looks for it: a change set may be about to make it.
        parent_id = (
            await id_of(api, parent_entity, key)
            if key is not None
            else own_id(parent_entity, await row_of(api, parent))
        )
        relationship = navigation.relationship
        if isinstance(relationship, ManyToMany):
            record_id = payload.id or plan.new_id()
            await plan.create(entity, payload, record_id=record_id)
            plan.gathered.append(pair(navigation, parent_id, record_id))
            return plan.finished(lambda outcomes: created(api, request, entity, outcomes[0]))
        extra[relationship.referencing_attribute] = Reference(parent_entity.name, parent_id)
    await plan.create(entity, payload, extra=extra)
    return plan.finished(lambda outcomes: created(api, request, entity, outcomes[0]))


async def _plan_patch(api: Api, request: Request, resource: Resource) -> PlannedWrite:
    entity = resource.entity
    payload = payload_of(api, request, entity)
    condition = conditions.read(request.headers)
    key = resource.last_key
    if key is None or resource.steps:
        # Walked to, so it exists.
        key = Key(id=own_id(entity, await row_of(api, resource)))
        condition = conditions.Condition(must_exist=True) if condition.is_empty else condition
    if key.id is not None:
        insist_on_id(entity, payload, key.id)
    plan = Plan(api, request)
    if condition.must_not_exist:
        await plan.create(entity, payload, record_id=key.id, extra=dict(key.values))
    elif condition.must_exist:
        record_id = await id_of(api, entity, key)
        insist_on_id(entity, payload, record_id)
        await plan.update(entity, payload, record_id=record_id, version=condition.version)
    else:
        await plan.upsert(entity, payload, key)
    return plan.finished(lambda outcomes: updated(api, request, entity, outcomes[0]))


async def _plan_delete(api: Api, request: Request, resource: Resource) -> PlannedWrite:
    entity = resource.entity
    condition = conditions.read(request.headers)
    key = resource.last_key if not resource.steps else None
    record_id = await id_of(api, entity, key) if key is not None else own_id(entity, await row_of(api, resource))
    request_ = requests.Delete(entity=entity.name, id=record_id, version=condition.version)
    return PlannedWrite(requests=(request_,), respond=deleted)


async def _plan_column(api: Api, request: Request, resource: Resource) -> PlannedWrite:
    entity, column = resource.entity, resource.column
    if column is None or request.method not in {"PUT", "DELETE"}:
        raise not_allowed(request.method, "a column", "GET", "PUT", "DELETE")
    value: RecordValue | None = None
    if request.method == "PUT":
        body = jsontext.read_object(request.body)
        if "value" not in body:
            raise ApiError("The body has to be an object with the member 'value'.", code=Code.PAYLOAD)
        if column.type.is_lookup:
            raise ApiError("A lookup is set through its navigation property: PUT …/<navigation property>/$ref.")
        value = value_of(column, body["value"])
    elif column.type.is_lookup:
        raise ApiError("A lookup is cleared through its navigation property: DELETE …/<navigation property>/$ref.")
    key = resource.last_key if not resource.steps else None
    record_id = await id_of(api, entity, key) if key is not None else own_id(entity, await row_of(api, resource))
    condition = conditions.read(request.headers)
    change = requests.Update(entity=entity.name, id=record_id, values={column.name: value}, version=condition.version)
    return PlannedWrite(requests=(change,), respond=deleted)


async def _plan_reference(api: Api, request: Request, resource: Resource) -> PlannedWrite:
    """Plan what is asked of links between rows (web-api-wire, section 12)."""
    step = resource.steps[-1]
    navigation = step.navigation
    parent = resource.parent
    allowed = ("GET", "POST", "DELETE") if navigation.is_collection else ("GET", "PUT", "DELETE")
    if request.method not in allowed or (step.key is not None and request.method != "DELETE"):
        raise not_allowed(request.method, f"links of '{navigation.name}'", *allowed)
    entity = parent.entity
    permissions.require_change(request.user, entity.name)
    key = parent.last_key if not parent.steps else None
    record_id = await id_of(api, entity, key) if key is not None else own_id(entity, await row_of(api, parent))
    plan = Plan(api, request)
    if request.method in {"POST", "PUT"}:
        body = jsontext.read_object(request.body)
        link = _checked(api, navigation, PayloadReader(api.organization.catalog, request.references), body)
        reference = await plan.reference(link)
        if navigation.is_collection:
            await plan.attach(entity, navigation, record_id, reference)
        else:
            values = {lookup_of(navigation): reference}
            version = conditions.read(request.headers).version
            plan.gathered.append(requests.Update(entity=entity.name, id=record_id, values=values, version=version))
        return plan.finished(deleted)
    await _plan_unlink(api, request, resource, plan, record_id)
    return plan.finished(deleted)


async def _plan_unlink(api: Api, request: Request, resource: Resource, plan: Plan, record_id: UUID) -> None:
    step, entity = resource.steps[-1], resource.parent.entity
    navigation = step.navigation
    if not navigation.is_collection:
        # Only the lookup that is named is cleared: a customer that is a contact has no account to lose.
        there = (await row_of(api, resource.parent)).get(lookup_of(navigation))
        if isinstance(there, Reference) and there.entity not in targets_of(api.organization.catalog, navigation):
            raise ApiError(
                f"'{navigation.name}' is not set: '{lookup_of(navigation)}' refers to a row of '{there.entity}'.",
                status=HTTPStatus.NOT_FOUND,
                code=Code.OBJECT_DOES_NOT_EXIST,
            )
        change = {lookup_of(navigation): None}
        version = conditions.read(request.headers).version
        plan.gathered.append(requests.Update(entity=entity.name, id=record_id, values=change, version=version))
        return
    key = step.key
    if key is None:
        named = request.options.get("$id")
        if named is None:
            raise ApiError("Which row is no longer to be linked? Add its key, or $id=<its URL>.")
        link = PayloadReader(api.organization.catalog, request.references).link(named, "$id")
        if link.entity.name != navigation.target:
            raise ApiError(f"'{navigation.name}' leads to rows of '{navigation.target}', not of '{link.entity.name}'.")
        key = link.key
    target = api.organization.catalog.entity(navigation.target)
    other_id = await id_of(api, target, key)
    relationship = navigation.relationship
    if isinstance(relationship, ManyToMany):
        plan.gathered.append(pair(navigation, record_id, other_id, end=True))
        return
    other = await api.organization.source(target.name).find(other_id)
    column = relationship.referencing_attribute
    if other is None or other.get(column) != Reference(entity.name, record_id):
        raise ApiError(
            f"The row {other_id} is not linked to {record_id} by '{navigation.name}'.",
            status=HTTPStatus.NOT_FOUND,
            code=Code.OBJECT_DOES_NOT_EXIST,
        )
    plan.gathered.append(requests.Update(entity=target.name, id=other_id, values={column: None}))


def _checked(api: Api, navigation: Navigation, reader: PayloadReader, body: dict[str, object]) -> Link:
    if "@odata.id" not in body:
        raise ApiError("The body has to be {'@odata.id': '<URL of a row>'}.", code=Code.PAYLOAD)
    link = reader.link(body["@odata.id"], "@odata.id")
    if link.entity.name not in targets_of(api.organization.catalog, navigation):
        raise ApiError(
            f"'{navigation.name}' leads to rows of '{navigation.target}', not of '{link.entity.name}'.",
            code=Code.PAYLOAD,
        )
    return link
