"""Values in addresses, and JSON in single quotes."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncservice.webapi.messages.literals import LiteralRefused, read_json, read_literal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'it''s'", "it's"),
        ("''", ""),
        ("5", 5),
        ("-5", -5),
        ("+5", 5),
        ("007", 7),
        ("1.50", 1.5),
        ("-1e3", -1000.0),
        ("true", True),
        ("null", None),
        ("2026-03-01T09:30:00Z", "2026-03-01T09:30:00Z"),
        ("7a1c0000-0000-4000-8000-00000000009e", "7a1c0000-0000-4000-8000-00000000009e"),
        ("Microsoft.Dynamics.CRM.EndpointAccessType'Default'", "Default"),
        ('["account","it\'s"]', ["account", "it's"]),
        ("['2','5']", ["2", "5"]),
        (
            "{'@odata.id':'accounts(7a1c0000-0000-4000-8000-00000000009e)'}",
            {"@odata.id": "accounts(7a1c0000-0000-4000-8000-00000000009e)"},
        ),
        ("{'a':'say \"hi\"','b':[1,true,null]}", {"a": 'say "hi"', "b": [1, True, None]}),
        ("{'a':'it\\'s','b':'it''s','c':\"it's\"}", {"a": "it's", "b": "it's", "c": "it's"}),
        ("{'a':'line\\nbreak \\u00e9'}", {"a": "line\nbreak é"}),
    ],
)
def test_a_literal_is_read(text: str, value: object) -> None:
    read = read_literal(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize("text", ["", "'open", "a'b", "@p1", "{'a':", "{'a'}", "['a", "[" * 100_000])
def test_what_is_no_literal_is_refused(text: str) -> None:
    with pytest.raises(LiteralRefused):
        read_literal(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3)
    ),
    max_leaves=8,
)


def single_quoted(value: object) -> str:
    """Write JSON as Python programs do that forget to: with single quotes."""
    match value:
        case str():
            text = "".join(f"\\u{ord(each):04x}" if ord(each) < 0x20 else each for each in value.replace("\\", "\\\\"))
            return "'" + text.replace("'", "\\'") + "'"
        case list():
            return f"[{','.join(map(single_quoted, value))}]"
        case dict():
            return "{" + ",".join(f"{single_quoted(name)}:{single_quoted(each)}" for name, each in value.items()) + "}"
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
    return str(value)


@given(JSON)
def test_json_in_single_quotes_means_the_same(value: object) -> None:
    assert read_json(single_quoted(value)) == value


@given(st.text())
def test_whatever_stands_there_is_read_or_refused(text: str) -> None:
    with suppress(LiteralRefused):
        read = read_literal(text)
        assert read is None or isinstance(read, str | int | float | list | dict)
