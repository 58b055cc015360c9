"""A small organization of its own: projects, steps of projects, and people, related in every way there is."""

from typing import Any, Final
from uuid import UUID

from asyncservice.organization.organization import Organization
from asyncservice.organization.requests import Create, Delete, Outcome, Request, Update
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.schema.reader import entity_of
from asyncservice.storage.account import Storage
from tests.support import NOON

USER: Final = UUID("6d0e5a52-0000-4000-8000-00000000000a")

_PLAIN: Final = {"ownership": "None", "states": False, "common": False, "notes": False, "activities": False}


def text(label: str) -> dict[str, Any]:
    return {"type": "String", "label": label, "maxlength": 100}


def lookup(label: str, *targets: str, delete: str = "RemoveLink") -> dict[str, Any]:
    return {"type": "Lookup", "label": label, "targets": list(targets), "delete": delete}


def _version() -> dict[str, Any]:
    return {"versionnumber": {"type": "BigInt", "label": "Version", "create": False, "update": False}}


DESCRIBED: Final[list[dict[str, Any]]] = [
    {
        "name": "new_person",
        "schemaname": "new_Person",
        "label": "Person",
        "collectionlabel": "People",
        "set": "new_persons",
        "primaryid": "new_personid",
        "primaryname": "new_name",
        **_PLAIN,
        "attributes": {"new_name": text("Name"), **_version()},
        "manytomany": [
            {"relationship": "new_person_project", "intersect": "new_person_project", "with": "new_project"}
        ],
    },
    {
        "name": "new_project",
        "schemaname": "new_Project",
        "label": "Project",
        "collectionlabel": "Projects",
        "set": "new_projects",
        "primaryid": "new_projectid",
        "primaryname": "new_name",
        "ownership": "UserOwned",
        "notes": False,
        "activities": False,
        "attributes": {
            "new_name": text("Name"),
            "new_code": text("Code"),
            "new_year": {"type": "Integer", "label": "Year"},
            "new_budget": {"type": "Money", "label": "Budget", "precision": 2},
            "new_share": {"type": "Decimal", "label": "Share", "precision": 4},
            "new_weight": {"type": "Double", "label": "Weight", "precision": 3},
            "new_urgent": {"type": "Boolean", "label": "Urgent"},
            "new_kind": {"type": "Picklist", "label": "Kind", "options": {"1": "Small", "2": "Large"}},
            "new_due": {"type": "DateTime", "label": "Due", "behavior": "DateOnly", "format": "DateOnly"},
            "new_start": {"type": "DateTime", "label": "Start"},
            "new_parentid": lookup("Parent", "new_project", delete="Cascade"),
            "new_customerid": lookup("Customer", "new_person", delete="Restrict"),
            "new_helperid": lookup("Helper", "new_person"),
        },
        "keys": {"new_Code": ["new_code"], "new_NameYear": ["new_name", "new_year"]},
    },
    {
        "name": "new_step",
        "schemaname": "new_Step",
        "label": "Step",
        "collectionlabel": "Steps",
        "set": "new_steps",
        "primaryid": "new_stepid",
        "primaryname": "new_name",
        **_PLAIN,
        "attributes": {
            "new_name": text("Name"),
            "new_projectid": lookup("Project", "new_project", delete="Cascade"),
            "new_aboutid": lookup("About", "new_project", "new_person"),
            **_version(),
        },
    },
    {
        "name": "transactioncurrency",
        "label": "Currency",
        "collectionlabel": "Currencies",
        "set": "transactioncurrencies",
        "primaryid": "transactioncurrencyid",
        "primaryname": "currencyname",
        **_PLAIN,
        "attributes": {
            "currencyname": text("Name"),
            "exchangerate": {"type": "Decimal", "label": "Exchange Rate", "precision": 10},
            **_version(),
        },
    },
    {
        "name": "owner",
        "label": "Owner",
        "collectionlabel": "Owners",
        "set": "owners",
        "primaryid": "ownerid",
        "primaryname": "name",
        "kept": "computed",
        **_PLAIN,
        "attributes": {"name": text("Name")},
    },
    *(
        {
            "name": name,
            "label": name,
            "collectionlabel": name,
            "set": f"{name}s",
            "primaryid": f"{name}id",
            "primaryname": "name",
            **_PLAIN,
            "attributes": {"name": text("Name"), **unit, **_version()},
        }
        for name, unit in (
            ("systemuser", {"businessunitid": lookup("Unit", "businessunit", delete="NoCascade")}),
            ("team", {"businessunitid": lookup("Unit", "businessunit", delete="NoCascade")}),
            ("businessunit", {}),
        )
    ),
]


def a_catalog() -> Catalog:
    return Catalog(entity_of(one, source=one["name"]) for one in DESCRIBED)


def an_organization(storage: Storage, **options: Any) -> Organization:
    return Organization(storage, a_catalog(), **options)


async def transact(organization: Organization, *requests: Request, **options: Any) -> list[Outcome]:
    return await organization.transact(requests, **{"now": NOON, "by": USER, **options})


async def create(organization: Organization, entity: str, /, *, id: UUID | None = None, **values: Any) -> UUID:  # noqa: A002
    [outcome] = await transact(organization, Create(entity=entity, values=values, id=id))
    return outcome.id


async def update(organization: Organization, entity: str, record_id: UUID, /, **values: Any) -> None:
    await transact(organization, Update(entity=entity, id=record_id, values=values))


async def delete(organization: Organization, entity: str, record_id: UUID) -> None:
    await transact(organization, Delete(entity=entity, id=record_id))


async def ids(organization: Organization, entity: str) -> set[UUID]:
    return {record.id async for record in organization.records(entity).query()}
