"""Paging cookies: what is written is read again, whatever clients do to its encoding on the way."""

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncservice.organization.errorcodes import OrganizationErrorCode as Code
from asyncservice.organization.query.cookies import Token, annotation, read_position, read_token, skiptoken
from asyncservice.organization.query.errors import QueryError

POSITION = (
    '<cookie page="1"><name last="50% &quot;off&quot; %3c" first="A" /><accountid last="{1}" first="{2}" /></cookie>'
)


@pytest.mark.parametrize("size", [None, 1, 5000])
def test_a_token_comes_back_as_it_went(size: int | None) -> None:
    token = Token(number=2, cookie=POSITION, size=size)
    text = skiptoken(token)
    for sent in (text, f"{text}/", quote(text), quote(quote(text)), f"{quote(text)}/", unquote(text)):
        assert read_token(sent) == token


def test_the_annotation_holds_the_position_encoded_twice_and_the_number_of_the_next_page() -> None:
    text = annotation('<cookie page="1"></cookie>', number=2)
    encoded = "%253ccookie%2520page%253d%25221%2522%253e%253c%252fcookie%253e"
    assert text == f'<cookie pagenumber="2" pagingcookie="{encoded}" istracking="False" />'


def test_a_position_is_found_in_whatever_a_client_sends_back() -> None:
    escaped = POSITION.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    for sent in (POSITION, quote(POSITION), quote(quote(POSITION)), annotation(POSITION, number=2), escaped):
        assert read_position(sent) == POSITION
    assert read_position(" ") is None


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40), st.integers(1, 10**8))
def test_any_text_in_a_position_survives(text: str, number: int) -> None:
    position = f"<cookie>{text}</cookie>"
    token = Token(number=number, cookie=position)
    assert read_token(skiptoken(token)) == token
    assert read_position(annotation(position, number=number)) == position


@pytest.mark.parametrize(
    "text",
    [
        "2",
        "<cookie/>",
        '<cookie pagenumber="0" pagingcookie="" istracking="False" />',
        '<cookie pagenumber="2" pagingcookie="x" istracking="False" />',
        '<cookie pagenumber="2" pagingcookie="" pagesize="5001" istracking="False" />',
        "%" * 100,
    ],
)
def test_a_token_that_was_never_made_is_refused(text: str) -> None:
    with pytest.raises(QueryError) as refused:
        read_token(text)
    assert refused.value.code is Code.PAGING_COOKIE_INVALID
