"""What a PATCH asks of a system job: from the columns of its body to the moves of its life cycle.

Only `statecode`, `statuscode`, `postponeuntil` and `recurrencepattern` may be changed; all else is the service's own
(reference async-service, sections 1.5, 1.6 and 10; web-api-wire, section 22).
"""

from collections.abc import Mapping
from copy import replace
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self
from uuid import UUID

from asyncservice.operations import requests
from asyncservice.operations.columns import CLIENT_WRITABLE
from asyncservice.operations.errors import ErrorCode, InvalidOperation
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StateCode, StatusCode
from asyncservice.organization.jobrows import PRIMARY_ID
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.values import coerce
from asyncservice.webapi.faults import ApiError, Code

#: What a client may bring a job to, by the state and status it writes.
_CANCELED: Final = frozenset({(StateCode.COMPLETED, None), (StateCode.COMPLETED, StatusCode.CANCELED)})
_SUSPENDED: Final = frozenset({(StateCode.SUSPENDED, None), (StateCode.SUSPENDED, StatusCode.WAITING)})
_READY: Final = frozenset({(StateCode.READY, None), (StateCode.READY, StatusCode.WAITING_FOR_RESOURCES)})
_HOW: Final = (
    'To cancel write {"statecode": 3, "statuscode": 32}, to pause {"statecode": 1}, to resume {"statecode": 0}, to '
    'postpone {"postponeuntil": "<moment>"}.'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobChange:
    """What is asked, read and free of contradictions."""

    target: tuple[StateCode, StatusCode | None] | None = None
    postponeuntil: datetime | None = None
    recurrencepattern: str | None = None

    @classmethod
    def read(cls, body: Mapping[str, object], entity: Entity, job_id: UUID) -> Self:
        """Read the body of a PATCH. Raises ApiError, InvalidOperation or ValueRefused, saying what to change."""
        given = {name: value for name, value in body.items() if "@" not in name}
        if str(given.get(PRIMARY_ID, job_id)).strip("{}").lower() == str(job_id):
            given.pop(PRIMARY_ID, None)
        for name in given:
            _check_writable(name, entity)
        state = _number(given, "statecode", entity)
        status = _number(given, "statuscode", entity)
        until = _moment(given, entity)
        pattern = coerce(entity.attribute("recurrencepattern"), given.get("recurrencepattern"))
        if "recurrencepattern" in given and not isinstance(pattern, str):
            raise InvalidOperation("recurrencepattern cannot be cleared; cancel the job to end its recurrence.")
        target = _target(state, status)
        if until is not None and target in _CANCELED:
            raise InvalidOperation("A job that is cancelled cannot be postponed as well; write one of the two.")
        if "postponeuntil" in given and until is None and target not in _READY:
            raise InvalidOperation('To let a postponed job run at once, write {"statecode": 0}.')
        return cls(target=target, postponeuntil=until, recurrencepattern=None if pattern is None else str(pattern))

    def apply(self, operation: AsyncOperation, *, now: datetime, by: UUID) -> AsyncOperation:
        """Return the job as it is to be; the very same when it is so already.

        Raises StateChangeRefused or InvalidOperation with Dataverse's code.
        """
        changed = operation
        if self.recurrencepattern not in {None, operation.recurrencepattern}:
            changed = requests.rescheduled(changed, now=now, pattern=str(self.recurrencepattern))
        if self.postponeuntil is not None:
            if self.postponeuntil != operation.postponeuntil:
                changed = requests.postponed(changed, now=now, until=self.postponeuntil)
        elif self.target in _CANCELED:
            changed = requests.cancelled(changed, now=now)
        elif self.target in _SUSPENDED and operation.statecode is not StateCode.SUSPENDED:
            changed = requests.paused(changed, now=now)
        elif self.target in _READY and operation.statecode is not StateCode.READY:
            changed = requests.resumed(changed, now=now)
        return changed if changed is operation else replace(changed, modifiedby=by)


def _check_writable(name: str, entity: Entity) -> None:
    if name in CLIENT_WRITABLE:
        return
    column = name[1 : -len("_value")] if name.startswith("_") and name.endswith("_value") else name
    if column in entity.attributes:
        raise InvalidOperation(
            f"The column '{name}' of a system job cannot be changed; {', '.join(sorted(CLIENT_WRITABLE))} can."
        )
    raise ApiError(
        f"Invalid property '{name}' was found in entity 'Microsoft.Dynamics.CRM.{entity.name}'. "
        f"A system job takes {', '.join(sorted(CLIENT_WRITABLE))}.",
        code=Code.PAYLOAD,
    )


def _number(given: Mapping[str, object], name: str, entity: Entity) -> int | None:
    if name not in given:
        return None
    value = coerce(entity.attribute(name), given[name])
    if not isinstance(value, int):
        raise InvalidOperation(f"{name} cannot be empty. {_HOW}")
    return value


def _moment(given: Mapping[str, object], entity: Entity) -> datetime | None:
    value = coerce(entity.attribute("postponeuntil"), given.get("postponeuntil"))
    if value is not None and not isinstance(value, datetime):
        raise TypeError(f"postponeuntil is {value!r}.")
    return value


def _target(state: int | None, status: int | None) -> tuple[StateCode, StatusCode | None] | None:
    """Return the state and status that are written; the state follows from the status where only that is."""
    if state is None and status is None:
        return None
    reason = None if status is None else StatusCode(status)
    target = StateCode(state) if state is not None else StatusCode(status or 0).state, reason
    if reason is not None and reason.state is not target[0]:
        raise InvalidOperation(
            f"{int(reason)} is not a valid status code for state code {int(target[0])} of a system job. {_HOW}",
            code=ErrorCode.INVALID_STATE_CHANGE,
        )
    if target in _CANCELED | _SUSPENDED | _READY:
        return target
    code = (
        ErrorCode.INVALID_STATE_CHANGE_TO_COMPLETE
        if target[0] is StateCode.COMPLETED
        else ErrorCode.INVALID_STATE_CHANGE
    )
    raise InvalidOperation(f"Only the service itself brings a system job to that state. {_HOW}", code=code)
