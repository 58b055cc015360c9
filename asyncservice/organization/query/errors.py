"""What can be wrong with a query: one error, which carries Dataverse's code for it.

Readers raise it for text that asks something impossible, the evaluator for what only the data or the position can
show. Tables and columns that do not exist are NoSuchEntity and NoSuchAttribute, as they are everywhere.
"""

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import OrganizationError


class QueryError(OrganizationError):
    """A query that cannot be answered; the message says what to change."""

    def __init__(self, message: str, code: OrganizationErrorCode) -> None:
        super().__init__(message)
        self.code = code
