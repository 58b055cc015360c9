"""How text compares, and what LIKE patterns mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncservice.organization.query.text import fold, like, literal

#: A small alphabet, so that patterns and texts meet; wildcards are among it.
CHARS = "abB%_[]^-é ß"


@pytest.mark.parametrize(
    ("one", "other"),
    [("Müller", "MULLER"), ("straße", "STRASSE"), ("İstanbul", "istanbul"), ("Ann  ", "ann"), ("Ω", "ω")],
)
def test_capitals_accents_and_trailing_blanks_make_no_difference(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [(" ann", "ann"), ("o", "0"), ("ab", "a b"), ("", "a")])
def test_other_differences_count(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(st.text())
def test_a_folded_text_folded_again_is_the_same(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(), st.text())
def test_texts_that_differ_in_case_only_count_as_equal(one: str, other: str) -> None:
    assert fold(one.upper().lower()) == fold(one.lower().upper().lower())
    assert like(literal(one))(one)
    assert like(literal(one) + "%")(one + other)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("", ""),
        ("%", ""),
        ("a%", "Abc"),
        ("%b%", "abc"),
        ("%é", "CAFE"),
        ("a_c", "abc"),
        ("[a-c]x", "Bx"),
        ("[^a-c]x", "dx"),
        ("50[%]", "50%"),
        ("a[_]b", "a_b"),
        ("[[]x", "[x"),
        ("[abc", "[abc"),
        ("%a%b%", "xxaxxbxx"),
        ("a%b%c", "a b c b c"),
        ("[a-]", "-"),
        ("x%\n", "x\n\n"),
    ],
)
def test_a_pattern_meets_a_text(pattern: str, text: str) -> None:
    assert like(pattern)(text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("", "a"),
        ("a%", "ba"),
        ("a_c", "ac"),
        ("50[%]", "50x"),
        ("[^a]", "A"),
        ("a%b%c", "acb"),
        ("[]", "x"),
        ("a", "a "),
    ],
)
def test_a_pattern_does_not_meet_a_text(pattern: str, text: str) -> None:
    assert not like(pattern)(text)


def by_hand(tokens: list[str], text: str) -> bool:
    """Say the same by trying everything."""
    if not tokens:
        return not text
    first, rest = tokens[0], tokens[1:]
    if first == "%":
        return any(by_hand(rest, text[begin:]) for begin in range(len(text) + 1))
    return bool(text) and (first in {"_", text[0]}) and by_hand(rest, text[1:])


@given(st.lists(st.sampled_from(["%", "_", "a", "b"]), max_size=7), st.text(alphabet="ab", max_size=8))
def test_runs_and_single_wildcards_mean_what_trying_everything_says(tokens: list[str], text: str) -> None:
    assert like("".join(tokens))(text) == by_hand(tokens, text)


@given(st.text(alphabet=CHARS, max_size=12), st.text(alphabet=CHARS, max_size=12))
def test_any_text_is_a_pattern(pattern: str, text: str) -> None:
    assert like(pattern)(text) in {True, False}


def test_a_pattern_of_many_runs_is_answered_on_a_long_text() -> None:
    """With backtracking this would take longer than anyone lives."""
    assert not like("%a" * 60 + "%b")("a" * 100_000)
