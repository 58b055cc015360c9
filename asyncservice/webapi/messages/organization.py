"""Messages that tell who and where one is: the caller, the organization, its version, its languages, its size."""

from enum import IntEnum
from typing import Final
from uuid import UUID

from asyncservice.organization.errors import NoSuchEntity
from asyncservice.organization.values import Reference
from asyncservice.organization.wellknown import ORGANIZATION, ROOT_BUSINESS_UNIT
from asyncservice.webapi.faults import ApiError, Code
from asyncservice.webapi.messages.registry import Call, Kind, message
from asyncservice.webapi.messages.types import Int64, complex_type, enum_type

#: The version of Dataverse whose Web API is spoken; clients compare its beginning.
VERSION: Final = "9.2.0.0"
#: English (United States): labels have no other language.
LANGUAGE: Final = 1033


@complex_type()
class WhoAmIResponse:
    """Who calls."""

    business_unit_id: UUID
    user_id: UUID
    organization_id: UUID


@enum_type
class EndpointAccessType(IntEnum):
    """From where the organization is reached."""

    Default = 0
    Internet = 1
    Intranet = 2


@enum_type
class EndpointType(IntEnum):
    """What an address of the organization serves."""

    OrganizationService = 0
    OrganizationDataService = 1
    WebApplication = 2


@enum_type
class OrganizationState(IntEnum):
    """Whether the organization may be used."""

    Enabled = 0
    Disabled = 1


@complex_type()
class EndpointCollection:
    """Addresses by what they serve."""

    count: int
    is_read_only: bool
    keys: tuple[EndpointType, ...]
    values: tuple[str, ...]


@complex_type()
class OrganizationDetail:
    """An organization."""

    organization_id: UUID
    friendly_name: str
    organization_version: str
    unique_name: str
    url_name: str
    state: OrganizationState
    endpoints: EndpointCollection


@complex_type()
class RetrieveCurrentOrganizationResponse:
    """The organization that was asked."""

    detail: OrganizationDetail


@complex_type()
class RetrieveVersionResponse:
    """The version of the platform."""

    version: str


@complex_type()
class RetrieveAvailableLanguagesResponse:
    """The languages that labels may have."""

    locale_ids: tuple[int, ...]


@complex_type()
class RetrieveProvisionedLanguagesResponse:
    """The languages that are installed."""

    retrieve_provisioned_languages: tuple[int, ...]


@complex_type()
class EntityRecordCountCollection:
    """Numbers of records by table."""

    count: int
    is_read_only: bool
    keys: tuple[str, ...]
    values: tuple[Int64, ...]


@complex_type()
class RetrieveTotalRecordCountResponse:
    """How many records tables have."""

    entity_record_count_collection: EntityRecordCountCollection


@message("WhoAmI", Kind.FUNCTION, returns=WhoAmIResponse)
async def who_am_i(call: Call) -> WhoAmIResponse:
    """Tell the caller's user, its business unit and the organization."""
    user_id = call.request.user.user_id
    user = await call.api.organization.source("systemuser").find(user_id)
    unit = None if user is None else user.get("businessunitid")
    return WhoAmIResponse(
        business_unit_id=unit.id if isinstance(unit, Reference) else ROOT_BUSINESS_UNIT,
        user_id=user_id,
        organization_id=ORGANIZATION,
    )


@message(
    "RetrieveCurrentOrganization",
    Kind.FUNCTION,
    parameters={"AccessType": EndpointAccessType},
    returns=RetrieveCurrentOrganizationResponse,
)
async def retrieve_current_organization(call: Call) -> RetrieveCurrentOrganizationResponse:
    """Describe the organization; its only address is the one that the client used, whatever access it asks for."""
    found = await call.api.organization.source("organization").find(ORGANIZATION)
    name = str((found or {}).get("name", "organization"))
    plain = "".join(character for character in name.lower() if character.isalnum()) or "organization"
    return RetrieveCurrentOrganizationResponse(
        detail=OrganizationDetail(
            organization_id=ORGANIZATION,
            friendly_name=name,
            organization_version=VERSION,
            unique_name=plain,
            url_name=plain,
            state=OrganizationState.Enabled,
            endpoints=EndpointCollection(
                count=1,
                is_read_only=False,
                keys=(EndpointType.WebApplication,),
                values=(f"{call.request.address.origin}/",),
            ),
        )
    )


@message("RetrieveVersion", Kind.FUNCTION, returns=RetrieveVersionResponse)
async def retrieve_version(call: Call) -> RetrieveVersionResponse:  # noqa: ARG001 - the registry's signature
    """Tell the version."""
    return RetrieveVersionResponse(version=VERSION)


@message("RetrieveAvailableLanguages", Kind.FUNCTION, returns=RetrieveAvailableLanguagesResponse)
async def retrieve_available_languages(call: Call) -> RetrieveAvailableLanguagesResponse:  # noqa: ARG001 - as above
    """Tell the languages of labels."""
    return RetrieveAvailableLanguagesResponse(locale_ids=(LANGUAGE,))


@message("RetrieveProvisionedLanguages", Kind.FUNCTION, returns=RetrieveProvisionedLanguagesResponse)
async def retrieve_provisioned_languages(call: Call) -> RetrieveProvisionedLanguagesResponse:  # noqa: ARG001 - as above
    """Tell the languages that are installed: those of labels."""
    return RetrieveProvisionedLanguagesResponse(retrieve_provisioned_languages=(LANGUAGE,))


@message(
    "RetrieveTotalRecordCount",
    Kind.FUNCTION,
    parameters={"EntityNames": tuple[str, ...]},
    returns=RetrieveTotalRecordCountResponse,
)
async def retrieve_total_record_count(call: Call) -> RetrieveTotalRecordCountResponse:
    """Count the records of tables: of their keys alone, but of all of them, so it takes as long as they are many."""
    catalog = call.api.organization.catalog
    names: tuple[str, ...] = tuple(dict.fromkeys(call["EntityNames"]))
    for name in names:
        try:
            catalog.entity(name)
        except NoSuchEntity as error:
            raise ApiError(f"EntityNames: {error}", code=Code.INVALID_ARGUMENT) from error
    counts = [await _count(call, name) for name in names]
    return RetrieveTotalRecordCountResponse(
        entity_record_count_collection=EntityRecordCountCollection(
            count=len(names), is_read_only=False, keys=names, values=tuple(map(Int64, counts))
        )
    )


async def _count(call: Call, entity: str) -> int:
    count = 0
    async for _ in call.api.organization.source(entity).scan(columns=()).rows:
        count += 1
    return count
