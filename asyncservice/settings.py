"""Every setting of the service, in one place, each with a default that works on a laptop."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from asyncservice.operations import autodelete
from asyncservice.operations.duedates import AgendaPolicy
from asyncservice.operations.engine import EngineOptions
from asyncservice.operations.retention import Retention, rules
from asyncservice.operations.states import StatusCode
from asyncservice.storage.azure import AzureStorage

#: The name of the setting, or the stem of the settings, that say which storage account is used.
STORAGE_SETTING = "AzureWebJobsStorage"


def _readable(text: str | None) -> str | None:
    """Refuse rules that cannot be read, saying which setting they are of."""
    try:
        rules(text or "")
    except ValueError as error:
        raise ValueError(f"ASYNCSERVICE_PERSISTENCE_DAYS_BY_TYPE: {error}") from error
    return text


def _trustworthy(url: str | None) -> str | None:
    """Refuse addresses that keys could be forged at on their way: all but https, and this machine for tests."""
    if url:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in {"127.0.0.1", "localhost"}):
            raise ValueError(f"{url!r} must be an address that begins with https://")
    return url


class Settings(BaseSettings):
    """Settings of the application, read from environment variables that begin with ASYNCSERVICE_.

    Lengths of time are written like host.json writes them, hh:mm:ss, or as ISO 8601 (PT30S). Schedules are NCRONTAB
    with six fields, seconds first.
    """

    model_config = SettingsConfigDict(env_prefix="ASYNCSERVICE_", frozen=True)

    sweep_schedule: Annotated[str, Field(description="When the sweep looks for work that lost its hint or host.")] = (
        "0 * * * * *"
    )
    retention_schedule: Annotated[str, Field(description="When completed operations past their time are removed.")] = (
        "0 30 2 * * *"
    )
    retention_budget: Annotated[timedelta, Field(description="How long one removal may take; the next goes on.")] = (
        timedelta(minutes=5)
    )
    autodelete_schedule: Annotated[
        str, Field(description="When succeeded operations with asyncautodelete are removed.")
    ] = "0 */10 * * * *"
    autodelete_delay: Annotated[
        timedelta, Field(ge=timedelta(0), description="How long those stand after they have succeeded.")
    ] = autodelete.KEPT
    succeeded_persistence_days: Annotated[
        int, Field(ge=0, description="Days a Succeeded operation is kept (SucceededSystemJobPersistenceInDays).")
    ] = 30
    failed_persistence_days: Annotated[
        int, Field(ge=0, description="Days a Failed operation is kept (FailedSystemJobPersistenceInDays).")
    ] = 60
    canceled_persistence_days: Annotated[
        int, Field(ge=0, description="Days a Canceled operation is kept (CanceledSystemJobPersistenceInDays).")
    ] = 60
    persistence_days_by_type: Annotated[
        str | None,
        AfterValidator(_readable),
        Field(description="Other days for single types, as in `BulkDelete=7, Workflow.Failed=180, 54=forever`."),
    ] = None
    shards: Annotated[
        int,
        Field(ge=1, le=256, description="Partitions of the table; counts at the very first start only."),
    ] = 16
    hint_grace: Annotated[
        timedelta, Field(description="A Ready operation that no host took for this long gets a new hint.")
    ] = timedelta(seconds=60)
    look_again: Annotated[
        timedelta, Field(description="The sweep looks this much later again at what may run and has its hint.")
    ] = timedelta(minutes=2)
    children_net: Annotated[
        timedelta,
        Field(description="An operation that waits for those it started is looked at this often, beside their word."),
    ] = timedelta(minutes=5)
    lease: Annotated[
        timedelta | None,
        Field(description="How long a claim holds without a heartbeat; each operation type's own without it."),
    ] = None
    slice: Annotated[
        timedelta | None,
        Field(description="How long a handler works before it yields; each operation type's own without it."),
    ] = None
    concurrency: Annotated[
        int, Field(ge=1, description="Operations that one worker process runs at the same time.")
    ] = 256
    max_depth: Annotated[
        int, Field(ge=1, description="Operations that cause each other may be this deep; the next one is failed.")
    ] = 16
    handler_modules: Annotated[
        str, Field(description="Packages whose modules register handlers, separated by commas.")
    ] = "handlers"
    schema_folder: Annotated[
        Path | None, Field(description="A folder with definitions of tables beside those that come with the service.")
    ] = None
    auth_tenant: Annotated[
        UUID | None, Field(description="The Microsoft Entra ID tenant whose tokens are good, by its id.")
    ] = None
    auth_authority: Annotated[
        str, AfterValidator(_trustworthy), Field(description="Where that tenant signs in; others in national clouds.")
    ] = "https://login.microsoftonline.com"
    auth_issuer: Annotated[
        str | None,
        AfterValidator(_trustworthy),
        Field(description="The issuer of good tokens, where it is not the tenant's own: any OpenID provider."),
    ] = None
    auth_audience: Annotated[
        str | None, Field(description="Whom tokens must be for: the application id, its URI, or both with a comma.")
    ] = None
    auth_keys_url: Annotated[
        str | None,
        AfterValidator(_trustworthy),
        Field(description="Where the issuer's signing keys are, where neither tenant nor discovery says it."),
    ] = None
    auth_leeway: Annotated[
        timedelta,
        Field(
            ge=timedelta(0), le=timedelta(minutes=10), description="How much clocks may differ when tokens are checked."
        ),
    ] = timedelta(minutes=1)
    auth_local: Annotated[
        bool, Field(description="Nobody is asked who calls. The local host says it where only this machine calls.")
    ] = False
    auth_local_names: Annotated[
        str | None, Field(description="Names beside localhost that requests may call such a host by, with commas.")
    ] = None
    api_concurrency: Annotated[
        int, Field(ge=1, description="Requests of the Web API that one worker process answers at the same time.")
    ] = 256
    api_caller_concurrency: Annotated[
        int, Field(ge=1, description="Of these, so many of one caller; Dataverse allows 52.")
    ] = 128
    api_caller_requests: Annotated[
        int | None,
        Field(ge=1, description="Requests of one caller within five minutes, in one process; Dataverse allows 6,000."),
    ] = None
    api_caller_time: Annotated[
        timedelta | None,
        Field(
            gt=timedelta(0), description="Time that requests of one caller take within them; Dataverse allows 00:20:00."
        ),
    ] = None
    api_max_body: Annotated[int, Field(ge=1024, description="Bytes of a request's body.")] = 33_554_432

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Refuse half a configuration of tokens: it would let in nobody, or everybody."""
        if self.asks_for_tokens and not (self.auth_audience or "").strip(", "):
            raise ValueError("ASYNCSERVICE_AUTH_AUDIENCE must say whom tokens are for; set it beside the tenant.")
        if not self.asks_for_tokens and (self.auth_audience or self.auth_keys_url):
            raise ValueError("ASYNCSERVICE_AUTH_TENANT (or ASYNCSERVICE_AUTH_ISSUER) must say whose tokens are good.")
        return self

    @property
    def asks_for_tokens(self) -> bool:
        """Whether requests need a token."""
        return self.auth_tenant is not None or bool(self.auth_issuer)

    def engine_options(self) -> EngineOptions:
        """Return what the engine is told of the settings."""
        return EngineOptions(
            lease=self.lease,
            slice=self.slice,
            agenda=AgendaPolicy(hint_grace=self.hint_grace, look_again=self.look_again, children_net=self.children_net),
            shards=self.shards,
            max_depth=self.max_depth,
            concurrency=self.concurrency,
        )

    def retention(self) -> Retention:
        """Return how long completed operations are kept."""
        return Retention(
            {
                StatusCode.SUCCEEDED: timedelta(days=self.succeeded_persistence_days),
                StatusCode.FAILED: timedelta(days=self.failed_persistence_days),
                StatusCode.CANCELED: timedelta(days=self.canceled_persistence_days),
            },
            rules(self.persistence_days_by_type or ""),
        )


def storage_from_environment() -> AzureStorage:
    """Return the account that the environment names. Raises StorageSettingsError saying what to set."""
    return AzureStorage.from_settings(os.environ, STORAGE_SETTING)
