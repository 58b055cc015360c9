"""Texts as people write them, and what they mean in a column."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from asyncservice.organization.errorcodes import OrganizationErrorCode as Code
from asyncservice.organization.errors import ValueRefused
from asyncservice.organization.importing.conversion import convert, option_meant, pattern_of
from asyncservice.organization.schema.attributes import Attribute
from asyncservice.organization.schema.catalog import standard_catalog
from asyncservice.organization.values import coerce

ACCOUNT = standard_catalog().entity("account")
US = "M/d/yyyy"


def meant(column: str, text: str, date_format: str = US) -> Any:
    attribute = ACCOUNT.attribute(column)
    return coerce(attribute, convert(attribute, text, date_format=date_format))


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        ("numberofemployees", " 1,234,567 ", 1_234_567),
        ("numberofemployees", "+7", 7),
        ("revenue", "€1.5", Decimal("1.50")),
        ("revenue", "1 ", Decimal("1.00")),
        ("revenue", "1e3", Decimal("1000.00")),
        ("address1_latitude", "-.5", -0.5),
        ("donotemail", "Do Not Allow", True),
        ("donotemail", "allow", False),
        ("donotemail", "TRUE", True),
        ("donotemail", "0", False),
        ("createdon", "12/31/2024", datetime(2024, 12, 31, tzinfo=UTC)),
        ("createdon", "1/2/2024 12:30 AM", datetime(2024, 1, 2, 0, 30, tzinfo=UTC)),
        ("createdon", "1/2/2024 12:30:15 pm", datetime(2024, 1, 2, 12, 30, 15, tzinfo=UTC)),
        ("createdon", "2024-01-02T12:30:15-02:00", datetime(2024, 1, 2, 14, 30, 15, tzinfo=UTC)),
        ("name", " as it is ", " as it is "),
    ],
)
def test_texts_mean_values(column: str, text: str, value: Any) -> None:
    assert meant(column, text) == value


@pytest.mark.parametrize(
    ("column", "text", "code"),
    [
        ("numberofemployees", "1.0", Code.INVALID_DATA_FORMAT),
        ("numberofemployees", "1,23", Code.INVALID_DATA_FORMAT),
        ("numberofemployees", "\N{ARABIC-INDIC DIGIT ONE}", Code.INVALID_DATA_FORMAT),
        ("numberofemployees", "9" * 5000, Code.INTEGER_OUT_OF_RANGE),
        ("revenue", ".", Code.INVALID_DATA_FORMAT),
        ("revenue", "e5", Code.INVALID_DATA_FORMAT),
        ("revenue", "twelve", Code.INVALID_DATA_FORMAT),
        ("address1_latitude", "nan", Code.INVALID_DATA_FORMAT),
        ("donotemail", "perhaps", Code.INVALID_DATA_FORMAT),
        ("createdon", "2/30/2024", Code.INVALID_DATA_FORMAT),
        ("createdon", "31/12/2024", Code.INVALID_DATA_FORMAT),
        ("accountid", "seven", Code.INVALID_GUID),
    ],
)
def test_texts_that_mean_nothing_are_refused(column: str, text: str, code: Code) -> None:
    with pytest.raises(ValueRefused, match=column) as refused:
        meant(column, text)
    assert refused.value.code == code


@pytest.mark.parametrize("date_format", ["M/d/yyyy", "dd.MM.yyyy", "d-M-yyyy", "yyyy/MM/dd", "MM/dd/yyyy"])
@given(moment=st.datetimes(datetime(1753, 1, 1), datetime(9999, 12, 31)))  # noqa: DTZ001 - a strategy's limits
def test_a_date_in_the_users_format_is_that_day(date_format: str, moment: datetime) -> None:
    text = (
        date_format.replace("yyyy", f"{moment.year:04}")
        .replace("MM", f"{moment.month:02}")
        .replace("dd", f"{moment.day:02}")
        .replace("M", str(moment.month))
        .replace("d", str(moment.day))
    )

    birthday = standard_catalog().entity("contact").attribute("birthdate")
    assert coerce(birthday, convert(birthday, text, date_format=date_format)) == moment.date()


@pytest.mark.parametrize("date_format", ["", "yyyy", "d/M", "yy/M/d", "MMM d yyyy", "d d M yyyy"])
def test_a_format_without_day_month_and_year_is_refused(date_format: str) -> None:
    with pytest.raises(ValueError, match="date format"):
        pattern_of(date_format)


@given(st.decimals(0, 100_000_000_000_000, places=2))
def test_numbers_come_back_from_their_texts(number: Decimal) -> None:
    assert meant("revenue", str(number)) == meant("revenue", f"{number:,}") == number


PLAIN = [
    attribute
    for attribute in ACCOUNT.attributes.values()
    if not attribute.type.is_choice and not attribute.type.is_lookup and attribute.container is None
]


@settings(max_examples=500)
@given(
    st.sampled_from(PLAIN),
    st.text() | st.text("0123456789+-.,eE:/ TZ$") | st.from_regex(r"\d{1,5}[-/]\d{1,3}[-/]\d{1,5}.*", fullmatch=True),
)
def test_any_text_is_a_value_or_is_refused(attribute: Attribute, text: str) -> None:
    try:
        value = coerce(attribute, json.loads(json.dumps(convert(attribute, text, date_format=US))))
    except ValueRefused:
        return
    assert coerce(attribute, value) == value


@given(st.sampled_from(ACCOUNT.attribute("industrycode").options))
def test_options_are_meant_by_label_or_number(option: Any) -> None:
    industry = ACCOUNT.attribute("industrycode")

    assert option_meant(industry, f" {option.label.upper()} ", {}) == option.value
    assert option_meant(industry, str(option.value), {}) == option.value
    assert option_meant(industry, option.label, {option.label.casefold(): 1}) == 1


@given(st.text())
def test_other_texts_are_no_options(text: str) -> None:
    assume(text.strip().casefold() not in ACCOUNT.attribute("industrycode").options_by_label)
    assume(text.strip() not in {str(number) for number in range(1, 34)})

    with pytest.raises(ValueRefused, match="industrycode"):
        option_meant(ACCOUNT.attribute("industrycode"), text, {})
