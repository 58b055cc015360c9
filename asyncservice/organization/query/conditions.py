"""Makes conditions: the operator must make sense for the column, and have as many values as it takes."""

from collections.abc import Mapping, Sequence
from typing import Final

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.query.coercion import Raw, operand
from asyncservice.organization.query.errors import QueryError
from asyncservice.organization.query.model import Condition
from asyncservice.organization.query.operators import Kind, Operator
from asyncservice.organization.schema.attributes import Attribute, AttributeType

_KINDS: Final[Mapping[AttributeType, str]] = {
    AttributeType.STRING: "S",
    AttributeType.MEMO: "S",
    AttributeType.ENTITY_NAME: "S",
    AttributeType.VIRTUAL: "S",
    AttributeType.INTEGER: "N",
    AttributeType.BIGINT: "N",
    AttributeType.DECIMAL: "N",
    AttributeType.MONEY: "N",
    AttributeType.DOUBLE: "N",
    AttributeType.BOOLEAN: "C",
    AttributeType.PICKLIST: "C",
    AttributeType.STATE: "C",
    AttributeType.STATUS: "C",
    AttributeType.MULTISELECT: "M",
    AttributeType.DATETIME: "D",
    AttributeType.LOOKUP: "LH",
    AttributeType.CUSTOMER: "LH",
    AttributeType.OWNER: "LH",
    AttributeType.UNIQUEIDENTIFIER: "GH",
    AttributeType.FILE: "G",
}
#: Comparisons that SQL carries out on any type, and clients use so: `gt` on choices and ids, `in` on dates.
_ANY_KIND: Final = frozenset(
    {
        *(Operator.GREATER_THAN, Operator.LESS_THAN, Operator.GREATER_EQUAL, Operator.LESS_EQUAL),
        *(Operator.IN, Operator.NOT_IN, Operator.BETWEEN, Operator.NOT_BETWEEN),
    }
)
#: Operators that also compare two columns.
COMPARING: Final = frozenset(
    {
        *(Operator.EQUAL, Operator.NOT_EQUAL, Operator.GREATER_THAN, Operator.GREATER_EQUAL),
        *(Operator.LESS_THAN, Operator.LESS_EQUAL),
    }
)


def kinds_of(attribute: Attribute) -> frozenset[Kind]:
    """Return what operators count a column as."""
    return frozenset(map(Kind, _KINDS[attribute.type]))


def compare(
    attribute: Attribute, operator: Operator, raws: Sequence[Raw] = (), *, link: str | None = None
) -> Condition:
    """Return the condition that the column, of the link with that alias, meets the operator with these values.

    Raises QueryError: an operator that is not for columns of that type, too few or too many values, or one that is
    nothing the column can be compared with.
    """
    _check_kind(attribute, operator)
    if len(raws) < operator.fewest or (operator.most is not None and len(raws) > operator.most):
        raise QueryError(
            f"The operator '{operator.sdk_name}' on '{attribute.name}' takes {_wanted(operator)}, not {len(raws)}.",
            OrganizationErrorCode.BAD_CONDITION,
        )
    return Condition(
        attribute=attribute.name,
        operator=operator,
        values=tuple(operand(attribute, operator, raw) for raw in raws),
        link=link,
    )


def compare_columns(
    attribute: Attribute, operator: Operator, other: Attribute, *, link: str | None, other_link: str | None
) -> Condition:
    """Return the condition that compares two columns. Raises QueryError when they are of different types."""
    if operator not in COMPARING:
        names = ", ".join(sorted(each.sdk_name for each in COMPARING))
        raise QueryError(
            f"The operator '{operator.sdk_name}' cannot compare '{attribute.name}' with another column; use {names}.",
            OrganizationErrorCode.CONDITION_OPERATOR_UNSUPPORTED,
        )
    mine, others = kinds_of(attribute), kinds_of(other)
    ids = {Kind.LOOKUP, Kind.ID}
    if mine != others and not (mine & ids and others & ids) and attribute.type is not other.type:
        raise QueryError(
            f"The column '{attribute.name}' ({attribute.type}) cannot be compared with '{other.name}' ({other.type}).",
            OrganizationErrorCode.BAD_CONDITION,
        )
    return Condition(
        attribute=attribute.name, operator=operator, link=link, other_attribute=other.name, other_link=other_link
    )


def _check_kind(attribute: Attribute, operator: Operator) -> None:
    if not operator.kinds or operator in _ANY_KIND or operator.kinds & kinds_of(attribute):
        return
    raise QueryError(
        f"The operator '{operator.sdk_name}' is not for columns such as '{attribute.name}', whose type is "
        f"{attribute.type}.",
        OrganizationErrorCode.CONDITION_OPERATOR_UNSUPPORTED,
    )


def _wanted(operator: Operator) -> str:
    if operator.most is None:
        return "at least one value"
    return {0: "no value", 1: "one value"}.get(operator.most, f"{operator.most} values")
