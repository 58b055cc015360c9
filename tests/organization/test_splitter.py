"""Whatever csv can write, the splitter reads back, however the text is cut; and it knows where each row ends."""

import csv
import io

from hypothesis import given, settings
from hypothesis import strategies as st

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.importing.dialects import AROUND, BETWEEN, DataDelimiter, Dialect, FieldDelimiter
from asyncservice.organization.importing.splitter import MAX_LINE, SplitRow, Splitter
from asyncservice.organization.importing.textcodecs import TextCodec

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.text("\",';:\r\n\tab", max_size=8)
TABLES = st.lists(st.lists(TEXTS, min_size=2, max_size=4), max_size=6)
PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\r\n,:;\t"), max_size=8)


def split(text: str, *, dialect: Dialect | None = None, codec: str = "utf-8", window: int = 1000) -> list[SplitRow]:
    return rows_of(Splitter(dialect or Dialect(), TextCodec(codec), offset=0), text, window)


def rows_of(splitter: Splitter, text: str, window: int) -> list[SplitRow]:
    rows: list[SplitRow] = []
    for start in range(0, len(text), window):
        splitter.feed(text[start : start + window])
        rows += splitter.rows()
    splitter.finish()
    return rows + list(splitter.rows())


@settings(max_examples=300, deadline=None)
@given(
    table=TABLES,
    dialect=st.builds(
        Dialect,
        st.sampled_from(FieldDelimiter),
        st.sampled_from([DataDelimiter.DOUBLE_QUOTE, DataDelimiter.SINGLE_QUOTE]),
    ),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    window=st.integers(1, 40),
    codec=st.sampled_from(["utf-8", "utf-16-le"]),
)
def test_any_table_comes_back_whatever_the_window(
    *, table: list[list[str]], dialect: Dialect, end: str, quoting: int, window: int, codec: str
) -> None:
    written = io.StringIO(newline="")
    csv.writer(
        written,
        delimiter=BETWEEN[dialect.field],
        quotechar=AROUND[dialect.data],
        lineterminator=end,
        quoting=quoting,  # type: ignore[arg-type] # one of csv's constants
    ).writerows(table)
    splitter = Splitter(dialect, TextCodec(codec), offset=0)

    rows = rows_of(splitter, written.getvalue(), window)

    assert [row.fields for row in rows] == table
    assert splitter.offset == len(written.getvalue().encode(codec))


@settings(max_examples=100, deadline=None)
@given(table=st.lists(st.lists(PLAIN, min_size=2, max_size=3), max_size=5), window=st.integers(1, 20))
def test_without_a_data_delimiter_quotes_are_letters(table: list[list[str]], window: int) -> None:
    text = "\n".join(";".join(row) for row in table)
    dialect = Dialect(FieldDelimiter.SEMICOLON, DataDelimiter.NONE)

    assert [row.fields for row in split(text, dialect=dialect, window=window)] == table


@settings(max_examples=200, deadline=None)
@given(text=st.text('",\nab\r', max_size=60), window=st.integers(1, 20), at=st.integers(0, 20))
def test_reading_on_from_any_row_gives_the_rows_that_were_left(text: str, window: int, at: int) -> None:
    first = Splitter(Dialect(), TextCodec("utf-8"), offset=0)
    first.feed(text)
    first.finish()
    rows: list[SplitRow] = []
    position = (0, 1)
    for row in first.rows():
        rows.append(row)
        if len(rows) <= at:
            position = (first.offset, first.line)

    offset, line = position
    rest = rows_of(Splitter(Dialect(), TextCodec("utf-8"), offset=offset, line=line), text[offset:], window)

    assert rest == rows[min(at, len(rows)) :]


def test_a_stray_quote_costs_one_row() -> None:
    rows = split('a,b\n"c"d,e\nf,g\n"h,i\nj,k\n')

    assert [(row.line, row.fields, row.problem) for row in rows] == [
        (1, ["a", "b"], None),
        (2, [], OrganizationErrorCode.UNBALANCED_DELIMITER),
        (3, ["f", "g"], None),
        (4, [], OrganizationErrorCode.UNBALANCED_DELIMITER),
        (5, ["j", "k"], None),
    ]


def test_blank_lines_are_an_error_only_when_something_follows() -> None:
    rows = split("a,b\n\n\nc,d\n\n\n")

    assert [(row.line, row.problem) for row in rows] == [
        (1, None),
        (2, OrganizationErrorCode.EMPTY_ROW),
        (3, OrganizationErrorCode.EMPTY_ROW),
        (4, None),
    ]


def test_a_line_without_end_is_passed_over_in_pieces() -> None:
    splitter = Splitter(Dialect(), TextCodec("utf-8"), offset=0)
    rows: list[SplitRow] = []
    for piece in ["a,b\n", *["x" * 300_000] * 5, "\nc,d\n"]:
        splitter.feed(piece)
        assert len(splitter._tail) <= MAX_LINE
        rows += splitter.rows()

    assert [(row.line, row.fields, row.problem) for row in rows] == [
        (1, ["a", "b"], None),
        (2, [], OrganizationErrorCode.ROW_TOO_LONG),
        (3, ["c", "d"], None),
    ]
    assert splitter.offset == 1_500_009


def test_a_field_with_line_breaks_counts_its_lines() -> None:
    rows = split('"a\nb","c\r\nd"\ne,f')

    assert [(row.line, row.fields) for row in rows] == [(1, ["a\nb", "c\r\nd"]), (4, ["e", "f"])]
