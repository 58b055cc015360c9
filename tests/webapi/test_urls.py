"""Taking URLs apart: the forms that clients write, and whatever else anybody sends (web-api-wire, section 5)."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncservice.organization.errors import OrganizationError
from asyncservice.organization.schema.catalog import standard_catalog
from asyncservice.webapi.faults import ApiError
from asyncservice.webapi.functions import read_request
from asyncservice.webapi.prefer import Preferences
from asyncservice.webapi.resources import read_resource
from asyncservice.webapi.urls import MAX_URL, Argument, Segment, read_options, read_path

ID = "7a1c0000-0000-4000-8000-00000000009e"
#: What paths are made of, and what breaks them.
PIECES = st.sampled_from(
    [
        *(
            "accounts",
            "contacts",
            "/",
            "(",
            ")",
            "'",
            "''",
            "=",
            ",",
            "$ref",
            "$value",
            "$count",
            "$1",
            ".",
            "..",
            "@p1",
        ),
        *(ID, "name", "primarycontactid", "contact_customer_accounts", "Microsoft.Dynamics.CRM.", "%20", "%", "%27"),
        *("{", "}", "[", "]", '"', "\\", "\x00", "é", "%C3%A9", "%FF", " ", "WhoAmI", "accountid", "-", "1e999"),
    ]
)


def test_a_quote_in_a_key_is_doubled_and_may_be_encoded() -> None:
    assert read_path("accounts(accountnumber='A''1%2F(x)')/name") == (
        Segment("accounts", (Argument("accountnumber", "'A''1/(x)'"),)),
        Segment("name"),
    )


def test_parentheses_may_be_empty_and_hold_aliases_and_json_in_single_quotes() -> None:
    assert read_path("WhoAmI()") == (Segment("WhoAmI", ()),)
    assert read_path("Fn(A=@p1,B={'@odata.id':'accounts(1)','x':[1,2]})") == (
        Segment("Fn", (Argument("A", "@p1"), Argument("B", "{'@odata.id':'accounts(1)','x':[1,2]}"))),
    )


def test_options_are_split_before_they_are_decoded() -> None:
    options = read_options("%24filter=name+eq+%27a%26b%3Dc%27&%40p1=%2B&fetchxml=x&tag=1&")

    assert options.system == {"$filter": "name eq 'a&b=c'"}
    assert options.aliases == {"@p1": "+"}
    assert options.custom == {"fetchXml": "x", "tag": "1"}


@given(st.text(max_size=40))
def test_any_text_passes_a_query_unharmed(text: str) -> None:
    printable = "".join(character for character in text if character.isprintable())

    assert read_options(f"$filter={quote(printable, safe='')}").system["$filter"] == printable


@given(st.lists(PIECES, max_size=14).map("".join), st.lists(PIECES, max_size=14).map("".join))
def test_whatever_a_url_holds_is_understood_or_refused(path: str, query: str) -> None:
    said = "understood"
    try:
        request = read_request("GET", f"http://localhost:7071/api/data/v9.2/{path}?{query}", {}, b"")
        options = request.options
        if request.segments:
            read_resource(request.segments, standard_catalog(), options.aliases)
    except (ApiError, OrganizationError) as error:
        said = str(error)
    assert said


@given(st.text(max_size=60))
def test_a_preference_is_a_wish_that_cannot_fail(header: str) -> None:
    size = Preferences.read(header).page_size
    assert size is None or 1 <= size <= 5000


@pytest.mark.parametrize(
    "header",
    [
        'odata.include-annotations="*",odata.maxpagesize=3,return=representation',
        'return=representation, odata.maxpagesize="3" ,odata.include-annotations=*',
        'RETURN=representation,odata.include-annotations="A,*",x;y,odata.maxpagesize=3',
    ],
)
def test_preferences_are_quoted_or_not_and_several_in_one_header(header: str) -> None:
    read = Preferences.read(header)

    assert (read.representation, read.page_size, read.wants("Microsoft.Dynamics.CRM.x")) == (True, 3, True)


@pytest.mark.parametrize(
    ("url", "headers", "origin"),
    [
        ("http://localhost:7071/api/data/v9.1/accounts", {}, "http://localhost:7071/api/data/v9.1/"),
        ("http://h/api/data/v9.2", {"Host": "127.0.0.1:7071"}, "http://127.0.0.1:7071/api/data/v9.2/"),
        (
            "http://h:1/api/data/v9.2/",
            {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "org.example.com, inner"},
            "https://org.example.com/api/data/v9.2/",
        ),
    ],
)
def test_answers_repeat_the_address_that_the_client_used(url: str, headers: dict[str, str], origin: str) -> None:
    assert read_request("GET", url, headers, b"").address.root == origin


@pytest.mark.parametrize(
    ("url", "headers", "status"),
    [
        ("http://h/api/data/v7.1/accounts", {}, 404),
        ("http://h/api/data/accounts", {}, 404),
        ("http://h/api/data/v9.2/" + "x" * MAX_URL, {}, 414),
        ("http://h/api/data/v9.2/", {"Host": "a/b"}, 400),
        ("http://h/api/data/v9.2/", {"X-Forwarded-Host": "a\r\nSet-Cookie: x"}, 400),
    ],
)
def test_other_addresses_are_refused(url: str, headers: dict[str, str], status: int) -> None:
    with pytest.raises(ApiError) as refused:
        read_request("GET", url, headers, b"")
    assert refused.value.status == status
