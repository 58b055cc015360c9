"""What columns take, what they refuse, and that rows keep it unchanged."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncservice.organization.errorcodes import OrganizationErrorCode as Code
from asyncservice.organization.errors import ValueRefused
from asyncservice.organization.rows import from_row, from_sortable, sortable, to_row
from asyncservice.organization.schema.attributes import Attribute, AttributeType
from asyncservice.organization.schema.catalog import standard_catalog
from asyncservice.organization.values import EARLIEST, Reference, coerce

ACCOUNT = standard_catalog().entity("account")
CONTACT = standard_catalog().entity("contact")
SOME = UUID("6d0e5a52-0000-4000-8000-000000000001")
MONEY = st.decimals(0, 100_000_000_000_000, places=2)


@pytest.mark.parametrize(
    ("column", "given_value", "kept"),
    [
        ("name", "Contoso", "Contoso"),
        ("name", "", None),
        ("name", None, None),
        ("numberofemployees", 12, 12),
        ("industrycode", 27, 27),
        ("donotemail", True, True),
        ("revenue", 12, Decimal("12.00")),
        ("revenue", 0.1, Decimal("0.10")),
        ("revenue", "12.345", Decimal("12.35")),
        ("address1_latitude", 48, 48.0),
        ("address1_latitude", 48.1234567, 48.12346),
        ("lastusedincampaign", "2025-01-31", datetime(2025, 1, 31, tzinfo=UTC)),
        ("createdon", "2025-01-31T10:00:00+02:00", datetime(2025, 1, 31, 8, tzinfo=UTC)),
        (
            "createdon",
            datetime(2025, 1, 31, 8, tzinfo=timezone(timedelta(hours=-1))),
            datetime(2025, 1, 31, 9, tzinfo=UTC),
        ),
        ("parentaccountid", str(SOME), Reference("account", SOME)),
        ("ownerid", {"entity": "team", "id": str(SOME)}, Reference("team", SOME)),
        ("ownerid", SOME, Reference("systemuser", SOME)),
        ("accountid", str(SOME).upper(), SOME),
    ],
)
def test_columns_keep_what_they_are_given(column: str, given_value: Any, kept: Any) -> None:
    value = coerce(ACCOUNT.attribute(column), given_value)

    assert value == kept
    assert type(value) is type(kept)


@pytest.mark.parametrize("given_value", ["2025-01-31", "2025-01-31T10:00:00Z"])
def test_a_day_has_no_time(given_value: str) -> None:
    assert coerce(CONTACT.attribute("birthdate"), given_value) == date(2025, 1, 31)


@pytest.mark.parametrize(
    ("column", "value", "code"),
    [
        ("name", "x" * 161, Code.STRING_TOO_LONG),
        ("name", "\N{GRINNING FACE}" * 81, Code.STRING_TOO_LONG),
        ("name", 5, Code.INVALID_PROPERTY_VALUE),
        ("name", "\ud800", Code.INVALID_PROPERTY_VALUE),
        ("numberofemployees", -1, Code.INTEGER_OUT_OF_RANGE),
        ("numberofemployees", 1_000_000_001, Code.INTEGER_OUT_OF_RANGE),
        ("numberofemployees", 1.0, Code.INVALID_PROPERTY_VALUE),
        ("numberofemployees", True, Code.INVALID_PROPERTY_VALUE),
        ("industrycode", 34, Code.OPTION_OUT_OF_RANGE),
        ("industrycode", "1", Code.INVALID_PROPERTY_VALUE),
        ("donotemail", 1, Code.INVALID_PROPERTY_VALUE),
        ("revenue", -1, Code.NUMBER_OUT_OF_RANGE),
        ("revenue", "1e999999999", Code.NUMBER_OUT_OF_RANGE),
        ("revenue", "NaN", Code.INVALID_PROPERTY_VALUE),
        ("revenue", "much", Code.INVALID_PROPERTY_VALUE),
        ("address1_latitude", 91, Code.NUMBER_OUT_OF_RANGE),
        ("address1_latitude", float("inf"), Code.INVALID_PROPERTY_VALUE),
        ("createdon", "yesterday", Code.INVALID_PROPERTY_VALUE),
        ("createdon", "1700-01-01T00:00:00Z", Code.INVALID_ARGUMENT),
        ("createdon", "0001-01-01T00:00:00+14:00", Code.INVALID_ARGUMENT),
        ("createdon", 5, Code.INVALID_PROPERTY_VALUE),
        ("lastusedincampaign", "1752-12-31", Code.INVALID_ARGUMENT),
        ("parentaccountid", {"entity": "contact", "id": str(SOME)}, Code.INVALID_PROPERTY_VALUE),
        ("parentaccountid", "Contoso", Code.INVALID_PROPERTY_VALUE),
        ("accountid", "7", Code.INVALID_PROPERTY_VALUE),
    ],
)
def test_columns_refuse_with_the_number_of_dataverse(column: str, value: Any, code: Code) -> None:
    with pytest.raises(ValueRefused) as refused:
        coerce(ACCOUNT.attribute(column), value)

    assert (refused.value.code, refused.value.column) == (code, column)
    assert column in str(refused.value)


def test_a_customer_must_say_what_it_is() -> None:
    with pytest.raises(ValueRefused, match="account or contact"):
        coerce(CONTACT.attribute("parentcustomerid"), SOME)


def any_value(attribute: Attribute) -> st.SearchStrategy[Any]:
    match attribute.type:
        case AttributeType.STRING | AttributeType.MEMO:
            return st.text(st.characters(exclude_categories=["Cs"]), max_size=(attribute.max_length or 0) // 2)
        case AttributeType.INTEGER:
            return st.integers(int(attribute.min_value or 0), int(attribute.max_value or 0))
        case AttributeType.MONEY:
            return MONEY
        case AttributeType.DECIMAL:
            low = (
                Decimal(-1000)
                if attribute.min_value is None
                else max(Decimal(-1000), Decimal(str(attribute.min_value)))
            )
            return st.decimals(low, 1000, places=attribute.precision)
        case AttributeType.DOUBLE:
            return st.floats(attribute.min_value, attribute.max_value)
        case AttributeType.BOOLEAN:
            return st.booleans()
        case AttributeType.DATETIME:
            return (
                st.dates(EARLIEST.date())
                if attribute.is_date_only
                else st.datetimes(EARLIEST.replace(tzinfo=None), timezones=st.just(UTC))
            )
        case AttributeType.LOOKUP | AttributeType.CUSTOMER | AttributeType.OWNER:
            return st.builds(Reference, st.sampled_from(attribute.targets), st.uuids())
        case _ if attribute.options:
            return st.sampled_from([option.value for option in attribute.options])
    return st.uuids()


@given(st.data())
def test_what_is_coerced_is_kept_unchanged_by_a_row(data: st.DataObject) -> None:
    entity = data.draw(st.sampled_from([ACCOUNT, CONTACT]))
    attribute = data.draw(st.sampled_from([a for a in entity.attributes.values() if a.name not in NOT_DRAWN]))
    value = coerce(attribute, data.draw(any_value(attribute)))
    if value is None:
        return

    assert coerce(attribute, value) == value
    assert from_row(entity, to_row(entity, {attribute.name: value})) == {attribute.name: value}


#: BigInt, which the strategies above do not know.
NOT_DRAWN = {"versionnumber"}

SORTED = st.decimals(-100_000_000_000, 100_000_000_000, places=10)


@given(SORTED, SORTED)
def test_sortable_decimals_sort_as_they_count(one: Decimal, other: Decimal) -> None:
    assert (sortable(one) < sortable(other)) == (one < other)
    assert from_sortable(sortable(one)) == one


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 40_000))
def test_long_texts_go_on_in_further_columns(text: str, times: int) -> None:
    entity = ACCOUNT
    long = (text * times)[:200_000]
    if not long:
        return

    row = to_row(entity, {"description": long})

    assert all(len(str(part).encode("utf-16-le")) <= 64 * 1024 for part in row.values())
    assert from_row(entity, row) == {"description": long}
