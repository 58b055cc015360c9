"""Messages whose operations this service does not have yet.

They are declared as Dataverse has them, so $metadata names them and their parameters are checked; then they are
answered 501 with a sentence. Whoever builds one takes its declaration from here into a module of its own, with what
starts it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import IntEnum
from http import HTTPStatus
from typing import Annotated, Any, Final, NoReturn, cast
from uuid import UUID

from asyncservice.organization.values import Reference
from asyncservice.webapi.faults import ApiError, Code
from asyncservice.webapi.messages.querytypes import QueryBase, QueryExpression
from asyncservice.webapi.messages.registry import Call, Kind, Messages, message, registry
from asyncservice.webapi.messages.types import Row, complex_type, enum_type

_Party = Annotated[Row, "activityparty"]
_Job = Annotated[Reference, "asyncoperation"]
_BulkOperation = Annotated[Reference, "bulkoperation"]


#: Who owns the activities that a campaign makes. Python keeps the name None for itself, so no class can have it.
PropagationOwnershipOptions = enum_type(
    cast("Callable[[str, dict[str, int]], type[IntEnum]]", IntEnum)(
        "PropagationOwnershipOptions", {"None": 0, "Caller": 1, "ListMemberOwner": 2}
    )
)


@complex_type()
class BulkDeleteOptions:
    """How rows are deleted."""

    can_recover_deleted_records: bool | None = None
    run_job_for_sandbox: bool | None = None


@complex_type()
class BulkDeleteResponse:
    """The job."""

    job_id: UUID


@complex_type()
class BulkDetectDuplicatesResponse:
    """The job."""

    job_id: UUID


@complex_type()
class PropagateByExpressionResponse:
    """The quick campaign."""

    bulk_operation_id: UUID


@complex_type()
class CreateActivitiesListResponse:
    """The quick campaign."""

    bulk_operation_id: UUID


def _planned(
    name: str,
    kind: Kind = Kind.ACTION,
    *,
    bound_to: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    returns: Any = None,  # noqa: ANN401 - an annotation
    into: Messages = registry,
) -> None:
    """Declare a message that is answered 501 once its parameters are found to be right."""

    @message(name, kind, bound_to=bound_to, parameters=parameters, returns=returns, into=into)
    async def not_yet(_: Call) -> NoReturn:
        raise ApiError(
            f"The message {name} is not there yet. The reference of messages says which are; what it does can be "
            "submitted as an operation when a handler of its type has been added.",
            status=HTTPStatus.NOT_IMPLEMENTED,
            code=Code.NOT_IMPLEMENTED,
        )

    NOT_YET.append(name)


#: Their names.
NOT_YET: Final[list[str]] = []

_planned(
    "BulkDelete",
    parameters={
        "QuerySet": tuple[QueryExpression, ...],
        "JobName": str,
        "SendEmailNotification": bool,
        "ToRecipients": tuple[_Party, ...],
        "CCRecipients": tuple[_Party, ...],
        "RecurrencePattern": str,
        "StartDateTime": datetime,
        "SourceImportId": UUID | None,
        "RunNow": bool | None,
        "Options": BulkDeleteOptions | None,
    },
    returns=BulkDeleteResponse,
)
_planned("PublishDuplicateRule", bound_to="duplicaterule", returns=_Job)
_planned("UnpublishDuplicateRule", parameters={"DuplicateRuleId": UUID})
_planned(
    "BulkDetectDuplicates",
    parameters={
        "Query": QueryBase,
        "JobName": str,
        "SendEmailNotification": bool,
        "TemplateId": UUID,
        "ToRecipients": tuple[_Party, ...],
        "CCRecipients": tuple[_Party, ...],
        "RecurrencePattern": str,
        "RecurrenceStartTime": datetime,
    },
    returns=BulkDetectDuplicatesResponse,
)
_planned(
    "SendBulkMail",
    parameters={
        "Sender": Reference,
        "TemplateId": UUID,
        "RegardingType": str,
        "RegardingId": UUID,
        "Query": QueryBase | None,
    },
)
_planned(
    "DistributeCampaignActivity",
    bound_to="campaignactivity",
    parameters={
        "Propagate": bool,
        "Activity": Row,
        "Template": Annotated[Reference, "template"] | None,
        "OwnershipOptions": PropagationOwnershipOptions,
        "Owner": Reference | None,
        "SendEmail": bool,
        "Queue": Annotated[Reference, "queue"] | None,
        "PostWorkflowEvent": bool,
    },
    returns=_BulkOperation,
)
_planned(
    "PropagateByExpression",
    parameters={
        "QueryExpression": QueryBase,
        "FriendlyName": str,
        "ExecuteImmediately": bool,
        "Activity": Row,
        "TemplateId": UUID,
        "OwnershipOptions": PropagationOwnershipOptions,
        "PostWorkflowEvent": bool,
        "Owner": Reference,
        "SendEmail": bool,
        "QueueId": UUID | None,
    },
    returns=PropagateByExpressionResponse,
)
_planned(
    "CreateActivitiesList",
    parameters={
        "ListId": UUID,
        "FriendlyName": str,
        "Activity": Row,
        "TemplateId": UUID,
        "Propagate": bool,
        "OwnershipOptions": PropagationOwnershipOptions,
        "Owner": Reference,
        "sendEmail": bool,
        "PostWorkflowEvent": bool,
        "QueueId": UUID | None,
    },
    returns=CreateActivitiesListResponse,
)
_planned("ExecuteWorkflow", bound_to="workflow", parameters={"EntityId": UUID}, returns=_Job)
_planned("Recalculate", bound_to="goal")
_planned("CalculateRollupField", Kind.FUNCTION, parameters={"Target": Reference, "FieldName": str}, returns=Reference)
_planned("InstallSampleData")
_planned("UninstallSampleData")
