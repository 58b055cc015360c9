"""The steps of a data import: parse, transform, import. Each starts an operation (reference operations, 2.2)."""

from typing import Annotated
from uuid import UUID

from asyncservice.operations.operationtypes import OperationType
from asyncservice.organization.values import Reference
from asyncservice.webapi import starting
from asyncservice.webapi.exchange import Response
from asyncservice.webapi.messages.registry import Call, Kind, message

_IMPORT = "import"
_Job = Annotated[Reference, "asyncoperation"]


@message("ParseImport", Kind.ACTION, bound_to=_IMPORT, returns=_Job)
async def parse_import(call: Call) -> Response:
    """Split the files of the import into rows."""
    return await _start(call, OperationType.IMPORT_FILE_PARSE, call.bound_row)


@message("TransformImport", Kind.ACTION, parameters={"ImportId": UUID}, returns=_Job)
async def transform_import(call: Call) -> Response:
    """Turn the parsed rows into values of columns."""
    return await _start(call, OperationType.TRANSFORM_PARSE_DATA, Reference(_IMPORT, call["ImportId"]))


@message("ImportRecordsImport", Kind.ACTION, bound_to=_IMPORT, returns=_Job)
async def import_records_import(call: Call) -> Response:
    """Make records of the transformed rows."""
    return await _start(call, OperationType.IMPORT, call.bound_row)


async def _start(call: Call, kind: OperationType, of: Reference) -> Response:
    label = str((await starting.existing(call.api, of)).values.get("name", ""))
    job = await starting.start(
        call, kind, name=f"{kind.label}: {label}" if label else kind.label, data={"ImportId": str(of.id)}, regarding=of
    )
    return await starting.answer(call, job)
